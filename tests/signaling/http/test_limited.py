"""What comes too often is on record: once for each network and minute, with how many it were."""

from __future__ import annotations

from aiohttp import web

from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.compliance.audit.requests import RequestAudit
from signaling.config import Config, Limits
from signaling.config.tree import Http
from signaling.http.middleware import Middleware, client_address, parse_networks
from signaling.http.rates import Refusals
from tests.signaling.http.api.behind import answering


async def test_b11_what_comes_too_often_is_one_record_a_minute() -> None:
    clock, audit = FakeClock(), MemoryAudit()
    config = Config(
        http=Http(trusted_proxies=("127.0.0.1",)),
        limits=Limits(requests_per_second=0.001, requests_burst=1),
    )
    middleware = Middleware(config, hsts=False, clock=clock.monotonic)
    proxies = parse_networks(config.http.trusted_proxies)
    middleware.limited = RequestAudit(
        audit, clock, "default", lambda request: client_address(request, proxies)
    ).limited

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    app.router.add_get("/rooms/{room}", answer)
    async with answering(app) as (client, url):

        async def ask(address: str) -> tuple[int, str]:
            headers = {"X-Forwarded-For": address, "Authorization": "Bearer cs_secret"}
            async with client.get(url + "/rooms/hall", headers=headers) as said:
                return said.status, said.headers["X-Request-Id"]

        found = [await ask("198.51.100.1") for _ in range(4)]
        assert [status for status, _ in found] == [200, 429, 429, 429]
        assert [status for status, _ in [await ask("203.0.113.9") for _ in range(2)]] == [200, 429]
        clock.advance(61)
        assert (await ask("198.51.100.1"))[0] == 429
    first, other, second = audit.events
    assert (first.action, first.result, first.code) == (
        "http.rate_limited", "failed", "rate_limited",
    )  # fmt: skip
    assert (first.actor, first.target) == ("anonymous", "/rooms/{room}")
    assert (first.address, other.address) == ("198.51.100.0/24", "203.0.113.0/24")
    assert first.request_id == found[1][1]
    # The last stands for the two that followed the first, and for itself.
    assert [one.details["count"] for one in audit.events] == ["1", "1", "3"]
    assert second.address == first.address and "hall" not in repr(audit.events)


def test_many_networks_leave_no_more_records_than_there_is_room_for() -> None:
    refusals = Refusals(window=60, most=3)
    assert [refusals.count(f"n{number}", 0) for number in range(5)] == [1, 1, 1, 0, 0]
    assert [refusals.count("n0", 59), refusals.count("n4", 59)] == [0, 0]
    assert [refusals.count("n4", 60), refusals.count("n5", 60)] == [1, 1]
    assert refusals.count("n2", 60) == 1 and refusals.count("n6", 60) == 0
