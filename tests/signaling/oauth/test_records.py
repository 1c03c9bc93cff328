"""Row B11: what the pages of OAuth and its token endpoint leave in the audit."""

from __future__ import annotations

from typing import Any

import pytest

from signaling.accounts.oauth.clients import GrantType
from signaling.accounts.principal import Via
from signaling.accounts.sessions.tokens import Prefix, read
from signaling.compliance.audit.port import AuditEvent, MemoryAudit
from signaling.errors import Unavailable
from tests.signaling.oauth.conftest import Auth
from tests.signaling.oauth.test_other_grants import begin, page, poll
from tests.signaling.sessions.house import ALICE, APP


def left(auth: Auth, action: str) -> list[AuditEvent]:
    return [event for event in auth.api.audit.events if event.action == action]


async def session_of(auth: Auth, cookie: str) -> str:
    token = read(auth.house.service.keys, APP, cookie, Prefix.SESSION)
    principal, _ = await auth.house.service.look(APP, token, Via.COOKIE)
    return principal.session or ""


def by_alice(event: AuditEvent, app: str, session: str) -> None:
    assert event.actor == f"account:{ALICE}" and event.target == f"client:{app}"
    assert event.details["session"] == session
    assert event.token_id and event.request_id and event.address == "192.0.2.0/24"
    assert event.details["scope"] == "messages:read"


async def test_b11_allowing_and_denying_a_program_is_on_record(auth: Auth) -> None:
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    session = await session_of(auth, cookie)
    _, _, shown = await auth.visit(auth.query(app), cookie)
    (asked,) = left(auth, "oauth.ask")
    by_alice(asked, app, session)
    await auth.decide(shown, cookie, "deny")
    (denied,) = left(auth, "oauth.deny")
    by_alice(denied, app, session)
    assert not left(auth, "oauth.allow")
    await auth.decide(shown, cookie)
    (allowed,) = left(auth, "oauth.allow")
    by_alice(allowed, app, session)
    await auth.visit(auth.query(app), cookie)
    again = left(auth, "oauth.allow")[1]
    by_alice(again, app, session)
    assert again.details["reason"] == "granted before"


async def test_b11_who_a_token_is_for_is_on_record(auth: Auth) -> None:
    app = await auth.add("An app")
    tokens = await auth.tokens(app)
    status, who = await auth.session(tokens["access_token"])
    await auth.post(
        "/oauth/token", app, grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    exchanged, refreshed = left(auth, "oauthToken")
    assert status == 200
    for event in (exchanged, refreshed):
        assert (event.actor, event.target) == (f"client:{app}", f"account:{ALICE}")
        assert event.details["account"] == ALICE
        assert event.details["session"] == who["session"]
        assert "cs_" not in repr(event) and "cr_" not in repr(event)


@pytest.mark.parametrize("decision", ["allow", "deny"])
async def test_b11_deciding_about_a_device_is_on_record(auth: Auth, decision: str) -> None:
    app = await auth.add("A television", redirect_uris=())
    device, cookie = await begin(auth, app), await auth.house.sign_in()
    form = {"user_code": device["user_code"], "decision": decision}
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 200
    (decided,) = left(auth, f"oauth.device_{decision}")
    by_alice(decided, app, await session_of(auth, cookie))
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 404
    assert [event.result for event in left(auth, "oauth.device_decide")] == ["failed"]
    await poll(auth, app, device)
    (polled,) = left(auth, "oauthToken")
    assert polled.details.get("account") == (ALICE if decision == "allow" else None)


async def test_b11_visits_that_are_refused_are_on_record(auth: Auth) -> None:
    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    _, _, shown = await auth.visit(auth.query(app), cookie)
    await auth.decide(shown, cookie, Sec_Fetch_Site="cross-site")
    await auth.visit(auth.query(app))
    await auth.visit(auth.query("nobody"), cookie)
    await auth.visit(auth.query(app, response_type="token"), cookie)
    await page(auth, "POST", "/oauth/device", "", {"user_code": "BBBB-BBBB"})
    events = [event for event in auth.api.audit.events if event.action.startswith("oauth.")][1:]
    assert [(event.action, event.result, event.code) for event in events] == [
        ("oauth.decide", "denied", "origin_refused"),
        ("oauth.ask", "denied", "token_missing"),
        ("oauth.ask", "failed", "invalid_request"),
        ("oauth.ask", "failed", "unsupported_response_type"),
        ("oauth.device_decide", "denied", "token_missing"),
    ]
    assert not left(auth, "oauth.allow") and not left(auth, "oauth.device_allow")


async def test_b11_nothing_is_allowed_without_a_record(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: MemoryAudit, event: AuditEvent) -> None:
        raise Unavailable("the store is away")

    app, cookie = await auth.add("An app"), await auth.house.sign_in()
    _, _, shown = await auth.visit(auth.query(app), cookie)
    monkeypatch.setattr(MemoryAudit, "record", away)
    status, location = await auth.decide(shown, cookie)
    assert (status, location) == (503, "")
    device: Any = await begin(auth, await auth.add("A television", GrantType.DEVICE))
    form = {"user_code": device["user_code"], "decision": "allow"}
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 503
    assert (await poll(auth, auth.ids["A television"], device))[1]["error"] == (
        "authorization_pending"
    )
