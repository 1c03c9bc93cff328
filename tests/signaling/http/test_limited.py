"""What comes too often is on record: once for each network and minute, with how many it were."""

from __future__ import annotations

import pytest
from aiohttp import web

from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.compliance.audit.requests import RequestAudit
from signaling.config import Config, Limits
from signaling.config.tree import Http
from signaling.http.gate import Gate
from signaling.http.middleware import Middleware, client_address, parse_networks
from signaling.http.rates import Refusals, host_of
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


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.2", "198.51.100.2"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_a_host_is_an_ipv4_address_or_a_64_of_ipv6(address: str, host: str) -> None:
    assert host_of(address) == host


def test_a_64_has_as_many_connections_as_one_address() -> None:
    gate = Gate(Limits(connections_per_address=2), lambda address: address == "::1")
    assert [gate.enter(f"2001:db8::{last}") for last in (1, 2, 3)] == [True, True, False]
    assert gate.enter("2001:db8:0:1::1") and gate.enter("198.51.100.1")
    gate.leave("2001:db8::2")
    assert gate.enter("2001:db8::3") and not gate.enter("2001:db8::4")
    assert all(gate.enter("::1") for _ in range(5))


async def test_a_64_has_as_many_requests_as_one_address() -> None:
    config = Config(
        http=Http(trusted_proxies=("127.0.0.1",)),
        limits=Limits(requests_per_second=0.001, requests_burst=2),
    )

    async def answer(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=Middleware(config, hsts=False).chain())
    app.router.add_get("/", answer)
    async with answering(app) as (client, url):
        found = []
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"):
            async with client.get(url + "/", headers={"X-Forwarded-For": address}) as said:
                found.append(said.status)
    assert found == [200, 200, 429, 200]


def test_many_networks_leave_no_more_records_than_there_is_room_for() -> None:
    refusals = Refusals(window=60, most=3)
    assert [refusals.count(f"n{number}", 0) for number in range(5)] == [1, 1, 1, 0, 0]
    assert [refusals.count("n0", 59), refusals.count("n4", 59)] == [0, 0]
    assert [refusals.count("n4", 60), refusals.count("n5", 60)] == [1, 1]
    assert refusals.count("n2", 60) == 1 and refusals.count("n6", 60) == 0
