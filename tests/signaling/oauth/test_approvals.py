"""A code and a device's grant end with what they rest on: the session, the account, the consent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from signaling.accounts.oauth.clients import GrantType
from signaling.accounts.principal import Via, require_recent
from signaling.accounts.sessions.granted import Grant, Tokens
from signaling.accounts.sessions.tokens import Prefix, read
from signaling.errors import Code, Refused
from tests.signaling.oauth.conftest import Auth, answer_of
from tests.signaling.oauth.test_other_grants import begin, page, poll
from tests.signaling.sessions.house import ALICE, APP

Ending = Callable[[Auth, str], Awaitable[Any]]
ANSWER = (400, "invalid_grant")


async def signed_out_everywhere(auth: Auth, client: str) -> None:
    """As a reset does, an administrator, or the account's own page from another session."""
    await auth.house.service.end_all(APP, ALICE)


async def new_password(auth: Auth, client: str) -> None:
    """Also where the session that approved is the one that stays."""
    view = auth.house.accounts.views[ALICE]
    auth.house.accounts.views[ALICE] = msgspec.structs.replace(view, epoch=view.epoch + 1)


async def consent_withdrawn(auth: Auth, client: str) -> None:
    await auth.server.consents.withdraw(APP, ALICE, client)
    await auth.house.service.end_client(APP, client, ALICE)


async def disabled(auth: Auth, client: str) -> None:
    auth.house.accounts.change(ALICE, disabled=True, roles=frozenset())


async def expired(auth: Auth, client: str) -> None:
    """Its idle time ran out before the device came."""
    for row in await auth.house.service.rows.scan(APP, term=f"account:{ALICE}"):
        old = msgspec.structs.replace(row.value, used_at=0.0)
        await auth.house.service.rows.replace(APP, row, old)


ENDINGS = [signed_out_everywhere, new_password, consent_withdrawn, disabled, expired]


async def a_code(auth: Auth, client: str) -> str:
    cookie = await auth.house.sign_in()
    status, location, shown = await auth.visit(auth.query(client), cookie)
    if status == 200:
        status, location = await auth.decide(shown, cookie)
    return answer_of(location)["code"]


async def a_device(auth: Auth, client: str) -> Any:
    device, cookie = await begin(auth, client), await auth.house.sign_in()
    form = {"user_code": device["user_code"], "decision": "allow"}
    assert (await page(auth, "POST", "/oauth/device", cookie, form))[0] == 200
    return device


async def sessions_of(auth: Auth, client: str) -> list[Any]:
    return [one for one in await auth.house.service.list(APP, ALICE) if one.client == client]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_code_is_not_good_for_longer_than_what_it_rests_on(
    auth: Auth, ending: Ending
) -> None:
    client = await auth.add("An app")
    code = await a_code(auth, client)
    await ending(auth, client)
    status, body = await auth.exchange(client, code)
    assert (status, body["error"]) == ANSWER
    assert not await sessions_of(auth, client)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_device_is_not_connected_after_what_it_rests_on_ended(
    auth: Auth, ending: Ending
) -> None:
    client = await auth.add("A television", redirect_uris=())
    device = await a_device(auth, client)
    await ending(auth, client)
    status, body = await poll(auth, client, device)
    assert (status, body["error"]) == ANSWER
    assert not await sessions_of(auth, client)


async def test_ending_the_others_leaves_what_this_session_approved(auth: Auth) -> None:
    client = await auth.add("A television", redirect_uris=())
    await auth.house.sign_in()
    device = await a_device(auth, client)
    mine = max(await auth.house.service.list(APP, ALICE), key=lambda one: one.id)
    assert await auth.house.service.end_all(APP, ALICE, keep=mine.id) == 1
    assert (await poll(auth, client, device))[0] == 200


@pytest.mark.parametrize("ending", [signed_out_everywhere, new_password, consent_withdrawn])
async def test_what_ends_while_the_code_is_exchanged_leaves_no_session(
    auth: Auth, ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends everything has looked before the new session was there."""
    client = await auth.add("An app")
    code = await a_code(auth, client)
    grant = auth.house.service.grant

    async def late(app: str, wish: Grant) -> Tokens:
        await ending(auth, client)
        return await grant(app, wish)

    monkeypatch.setattr(auth.house.service, "grant", late)
    status, body = await auth.exchange(client, code)
    assert (status, body["error"]) == ANSWER
    assert not await sessions_of(auth, client)


async def test_a_program_is_never_freshly_proved(auth: Auth) -> None:
    """However fresh the proof is of who let it in: acts that ask for one are people's own."""
    tokens = await auth.tokens(await auth.add("An app"))
    cookie = await auth.house.sign_in()
    now, service = auth.house.clock.unix(), auth.house.service
    mine, theirs = [
        (await service.look(APP, read(service.keys, APP, text, Prefix.SESSION), Via.BEARER))[0]
        for text in (cookie, tokens["access_token"])
    ]
    assert theirs.authenticated_at == mine.authenticated_at == now
    require_recent(mine, now, 300)
    with pytest.raises(Refused) as refused:
        require_recent(theirs, now, 300)
    assert (refused.value.status, refused.value.code) == (403, Code.NOT_PERMITTED)


async def test_a_device_is_among_what_was_consented_to(auth: Auth) -> None:
    client = await auth.add("A television", GrantType.DEVICE, redirect_uris=())
    await a_device(auth, client)
    (consent,) = await auth.server.consents.of_account(APP, ALICE)
    assert (consent.client, consent.scopes) == (client, frozenset({"messages:read"}))
