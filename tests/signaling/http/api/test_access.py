"""Who may call what, how often, and that every attempt is in the audit."""

from __future__ import annotations

import pytest

from signaling.accounts.principal import InsufficientScope
from signaling.errors import Code, Refused
from signaling.http.problem import challenge
from tests.signaling.http.api.shop import Open, opened


@pytest.mark.parametrize(
    ("who", "method", "path", "status", "code"),
    [
        ("", "GET", "/things", 401, "token_missing"),
        ("nobody", "GET", "/things", 401, "token_invalid"),
        ("gone", "GET", "/things", 401, "token_revoked"),
        ("bob", "GET", "/things", 403, "insufficient_scope"),
        ("ann", "GET", "/things", 200, ""),
        ("", "POST", "/admin", 401, "token_missing"),
        ("ann", "POST", "/admin", 403, "not_permitted"),
        ("root", "POST", "/admin", 403, "reauthentication_required"),
        ("", "GET", "/open", 204, ""),
        ("ann", "GET", "/open", 204, ""),
        ("gone", "GET", "/open", 401, "token_revoked"),
        ("gone", "GET", "/away", 503, "unavailable"),
    ],
)
async def test_b11_who_may_call_and_that_it_is_recorded(
    shop: Open, who: str, method: str, path: str, status: int, code: str
) -> None:
    got, body, headers = await shop.ask(method, path, who)
    assert got == status, body
    assert ("WWW-Authenticate" in headers) == (
        status == 401 or code in ("insufficient_scope", "reauthentication_required")
    )
    (event,) = shop.shop.audit.events
    assert event.result == {401: "denied", 403: "denied", 503: "failed"}.get(status, "allowed")
    assert event.code == ("" if code == "unavailable" else code)
    assert event.request_id == headers["X-Request-Id"]
    assert event.address == "192.0.2.0/24"
    known = who in ("ann", "bob", "root") and path != "/away"
    assert event.actor == (f"account:{who}" if known else "anonymous")
    assert event.token_id == (f"t-{who}" if known else "")
    if code:
        assert body["code"] == code


async def test_a_sensitive_act_asks_for_a_fresh_proof(shop: Open) -> None:
    shop.shop.proved = shop.shop.clock.unix()
    assert (await shop.ask("POST", "/admin", "root"))[0] == 204
    shop.shop.clock.advance(301)
    got, body, headers = await shop.ask("POST", "/admin", "root")
    assert (got, body["code"]) == (403, "reauthentication_required")
    assert 'error="insufficient_user_authentication"' in headers["WWW-Authenticate"]


def test_challenges_name_the_reason() -> None:
    assert challenge(Refused(Code.TOKEN_MISSING, 401, "")) == "Bearer"
    assert challenge(Refused(Code.TOKEN_EXPIRED, 401, "")) == 'Bearer error="invalid_token"'
    assert 'scope="a:b"' in challenge(InsufficientScope("a:b"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "https://friend.example"}, 201),
        ({"Origin": "{own}"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
async def test_pages_of_other_origins_change_nothing(
    shop: Open, headers: dict[str, str], status: int
) -> None:
    headers = {name: value.replace("{own}", shop.base) for name, value in headers.items()}
    got, body, answered = await shop.ask("POST", "/things", json={"name": "a"}, headers=headers)
    assert got == status, body
    assert len(shop.shop.things) == (status == 201)
    assert "Access-Control-Allow-Origin" not in answered
    # Reading is left to the browser: without CORS headers no other page sees the answer.
    assert (await shop.ask("GET", "/things", headers=headers))[0] == 200


async def test_a_burst_is_told_to_wait_and_obeying_helps(shop: Open) -> None:
    seen = []
    for _ in range(4):
        got, body, headers = await shop.ask("GET", "/export")
        seen.append(got)
        assert headers["RateLimit-Policy"] == '"export";q=3;w=180'
    assert seen == [200, 200, 200, 429]
    assert body["code"] == "rate_limited"
    assert headers["RateLimit"].startswith('"export";r=0;t=')
    wait = int(headers["Retry-After"])
    assert 55 <= wait <= 60
    assert shop.shop.audit.events[-1].code == "rate_limited"
    # Another account at the same address is not held up, nor another operation.
    assert (await shop.ask("GET", "/export", "bob"))[0] == 200
    assert (await shop.ask("GET", "/things"))[0] == 200
    shop.shop.clock.advance(wait)
    assert (await shop.ask("GET", "/export"))[0] == 200


async def test_rates_can_be_multiplied() -> None:
    async with opened(factor=2.0) as shop:
        seen = [(await shop.ask("GET", "/export"))[0] for _ in range(7)]
        assert seen == [200] * 6 + [429]


async def test_refused_tokens_are_counted_by_address(shop: Open) -> None:
    seen = [await shop.ask("GET", "/export", who) for who in ("gone", "x", "y", "z", "gone")]
    assert [status for status, _, _ in seen] == [401, 401, 401, 429, 429]
    _, body, headers = seen[-1]
    assert (body["code"], int(headers["Retry-After"])) == ("rate_limited", 60)
    assert seen[0][2]["RateLimit"].startswith('"export";r=2;')
    assert "Bearer" in seen[0][2]["WWW-Authenticate"]
    # Who is known at the same address is not held up.
    assert (await shop.ask("GET", "/export"))[0] == 200


async def test_the_addresses_of_a_64_are_counted_as_one() -> None:
    addresses = iter(["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::", "2001:db8::4"])
    async with opened(client_address=lambda request: next(addresses)) as shop:
        seen = [(await shop.ask("GET", "/export"))[0] for _ in range(4)]
    assert seen == [200, 200, 200, 429]


async def test_the_audit_has_one_record_of_each_call_and_none_of_its_contents(shop: Open) -> None:
    await shop.ask("POST", "/things", json={"name": "canary-name"})
    await shop.ask("POST", "/things", json={"name": ""})
    await shop.ask("GET", "/things/t0")
    await shop.ask("GET", "/things/t9")
    events = shop.shop.audit.events
    assert [(e.action, e.result, e.target) for e in events] == [
        ("createThing", "allowed", "thing:t0"),
        ("createThing", "failed", ""),
        ("getThing", "allowed", "t0"),
        ("getThing", "failed", "t9"),
    ]
    assert "canary-name" not in repr(events)
    assert events[0].details["session"] == "s-ann"


async def test_a_durable_act_is_not_answered_without_its_record(
    shop: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from signaling.compliance.audit.port import AuditEvent
    from signaling.errors import Unavailable

    async def away(event: AuditEvent) -> None:
        raise Unavailable("The audit cannot be written.", 5)

    monkeypatch.setattr(shop.shop.audit, "record", away)
    got, body, headers = await shop.ask("POST", "/things", json={"name": "a"})
    assert (got, body["code"], headers["Retry-After"]) == (503, "unavailable", "5")
