"""Sessions live, slide, end and rotate; every rule on both stores, in a clock that stands still."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from signaling.accounts.principal import Kind, Principal, Role, Via
from signaling.accounts.sessions.granted import Grant, Tokens
from signaling.accounts.sessions.records import Lifetimes
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.sessions.service import Reused
from signaling.accounts.sessions.tokens import Prefix, read
from signaling.clock import FakeClock
from signaling.errors import Code, Refused
from tests.signaling.sessions.house import ALICE, APP, BOB, House, a_store, account, tag_keys


async def look(house: House, text: str) -> Principal:
    token = read(tag_keys, APP, text, Prefix.SESSION)
    principal, _ = await house.service.look(APP, token, Via.BEARER)
    return principal


async def refused(house: House, text: str) -> Code:
    with pytest.raises(Refused) as caught:
        await look(house, text)
    assert caught.value.status == 401
    return caught.value.code


async def test_a_session_says_who_it_is_and_all_that_they_may(house: House) -> None:
    principal = await look(house, await house.sign_in(mfa=True))
    assert (principal.account, principal.kind, principal.mfa) == (ALICE, Kind.ACCOUNT, True)
    assert principal.roles == {Role.MEMBER} and principal.scopes == ALL


async def test_c4_two_logins_give_two_tokens_and_two_sessions(house: House) -> None:
    first, second = await house.sign_in(), await house.sign_in()
    assert first != second
    assert (await look(house, first)).session != (await look(house, second)).session


async def test_c5_two_idle_hours_end_a_session(house: House) -> None:
    token = await house.sign_in()
    house.clock.advance(7199)
    await look(house, token)
    house.clock.advance(7201)
    assert await refused(house, token) is Code.TOKEN_EXPIRED


async def test_c5_activity_prolongs_a_session_up_to_its_absolute_end(house: House) -> None:
    token = await house.sign_in()
    started = house.clock.unix()
    while house.clock.unix() < started + 30 * 86400 - 7000:
        house.clock.advance(7000)
        await look(house, token)
    house.clock.advance(7000)
    assert await refused(house, token) is Code.TOKEN_EXPIRED


async def test_c5_a_guest_ends_with_its_session(house: House) -> None:
    guest = "0192aaaa-0000-7000-8000-0000000000aa"
    house.accounts.views[guest] = account(guest, Role.GUEST, kind=Kind.GUEST)
    token = await house.sign_in(guest, Kind.GUEST)
    house.clock.advance(86400 - 1)
    assert (await look(house, token)).kind is Kind.GUEST
    assert await house.service.sweep_guests(APP) == 0
    house.clock.advance(2)
    assert await refused(house, token) is Code.TOKEN_EXPIRED
    assert await house.service.sweep_guests(APP) == 1
    assert house.accounts.left == [guest]


async def test_a_guests_link_may_end_it_earlier(house: House) -> None:
    guest = "0192aaaa-0000-7000-8000-0000000000ab"
    house.accounts.views[guest] = account(guest, Role.GUEST, kind=Kind.GUEST)
    until = house.clock.unix() + 60
    token = await house.sign_in(guest, Kind.GUEST, lives_until=until)
    house.clock.advance(61)
    assert await refused(house, token) is Code.TOKEN_EXPIRED


async def test_c5_a_session_that_was_ended_is_refused_at_once(house: House) -> None:
    token, other = await house.sign_in(), await house.sign_in()
    session = (await look(house, token)).session
    assert session is not None
    assert await house.service.end_session(APP, session)
    assert await refused(house, token) is Code.TOKEN_INVALID
    assert not await house.service.end_session(APP, session)
    await look(house, other)


async def test_c5_ending_the_others_keeps_this_one(house: House) -> None:
    mine, phone, tablet = [await house.sign_in() for _ in range(3)]
    bobs = await house.sign_in(BOB)
    current = (await look(house, mine)).session
    assert await house.service.end_all(APP, ALICE, keep=current) == 2
    await look(house, mine)
    await look(house, bobs)
    for token in (phone, tablet):
        assert await refused(house, token) is Code.TOKEN_INVALID


async def test_nobody_ends_the_session_of_somebody_else(house: House) -> None:
    bobs = await house.sign_in(BOB)
    session = (await look(house, bobs)).session
    assert session is not None
    assert not await house.service.end_session(APP, session, account=ALICE)
    await look(house, bobs)


async def test_a_disabled_account_has_no_session(house: House) -> None:
    token = await house.sign_in()
    house.accounts.change(ALICE, disabled=True, roles=frozenset())
    assert await refused(house, token) is Code.TOKEN_INVALID
    del house.accounts.views[ALICE]
    assert await refused(house, token) is Code.TOKEN_INVALID


async def test_roles_are_those_of_now(house: House) -> None:
    token = await house.sign_in()
    house.accounts.change(ALICE, roles=frozenset({Role.AUDITOR}))
    assert (await look(house, token)).roles == {Role.AUDITOR}


async def test_proving_it_again_renews_the_time_and_the_factor(house: House) -> None:
    token = await house.sign_in()
    house.clock.advance(600)
    before = await look(house, token)
    opened = await house.service.again(before, house.signed(mfa=True))
    after = await look(house, opened.access_token or "")
    assert after.mfa and after.authenticated_at == before.authenticated_at + 600
    assert after.session == before.session
    with pytest.raises(Refused):
        await house.service.again(after, house.signed(BOB))


async def test_asvs_7_2_4_proving_it_again_rotates_the_token(house: House) -> None:
    token = await house.sign_in()
    before = await look(house, token)
    opened = await house.service.again(before, house.signed())
    assert opened.access_token not in (None, token)
    assert await refused(house, token) is Code.TOKEN_INVALID
    with pytest.raises(Refused):
        await house.service.again(before, house.signed())
    # What the old token opened stays open, with the rights of now.
    still = await house.service.look_again(before)
    assert still is not None and still.session == before.session
    # A cookie is answered by a cookie.
    again = msgspec.structs.replace(await look(house, opened.access_token or ""), via=Via.COOKIE)
    opened = await house.service.again(again, house.signed())
    assert opened.access_token is None and opened.headers[0][0] == "Set-Cookie"


async def test_the_list_shows_what_lives_the_newest_first(house: House) -> None:
    await house.sign_in(device="old")
    house.clock.advance(7100)
    await house.sign_in(device="new")
    assert [v.device for v in await house.service.list(APP, ALICE)] == ["new", "old"]
    house.clock.advance(200)
    assert [v.device for v in await house.service.list(APP, ALICE)] == ["new"]
    assert await house.service.list(APP, BOB) == []
    assert await house.service.list("another app", ALICE) == []


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_the_store_holds_no_token(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_store("embedded", tmp_path, clock) as store:
        house = House(store, clock=clock)
        texts = [await house.sign_in()]
        principal = await look(house, texts[0])
        texts.append((await house.tickets.issue(principal, "sync"))[0].text)
        tokens = await grant(house)
        assert tokens.refresh is not None
        texts += [tokens.access.text, tokens.refresh.text]
    kept = on_disk(tmp_path)
    for text in texts:
        assert text.encode() not in kept and text[30:60].encode() not in kept


# Grants: access and refresh tokens


async def grant(house: House, **more: object) -> Tokens:
    values: dict[str, object] = {
        "kind": Kind.ACCOUNT,
        "account": ALICE,
        "client": "client-1",
        "scopes": frozenset({"messages:read", "messages:write"}),
        "label": "An app",
    }
    return await house.service.grant(APP, Grant(**{**values, **more}))  # type: ignore[arg-type]


async def refresh(house: House, text: str, client: str = "client-1") -> Tokens:
    return await house.service.refresh(APP, text, client, lambda granted: None, None)


async def test_a_grant_has_its_scopes_and_no_more(house: House) -> None:
    tokens = await grant(house)
    principal = await look(house, tokens.access.text)
    assert principal.scopes == {"messages:read", "messages:write"}
    assert principal.client == "client-1" and tokens.expires_in == 3600


async def test_refreshing_rotates_and_the_old_access_token_runs_out(house: House) -> None:
    first = await grant(house)
    house.clock.advance(1800)
    second = await refresh(house, first.refresh.text if first.refresh else "")
    await look(house, first.access.text)
    house.clock.advance(1801)
    assert await refused(house, first.access.text) is Code.TOKEN_EXPIRED
    await look(house, second.access.text)


async def test_c4_a_refresh_token_used_twice_ends_the_whole_family(house: House) -> None:
    first = await grant(house)
    assert first.refresh is not None
    second = await refresh(house, first.refresh.text)
    assert second.refresh is not None
    with pytest.raises(Reused):
        await refresh(house, first.refresh.text)
    for token in (first.access, second.access):
        assert await refused(house, token.text) is Code.TOKEN_INVALID
    with pytest.raises(Refused):
        await refresh(house, second.refresh.text)


async def test_of_many_that_refresh_at_once_one_wins_and_then_all_are_out(house: House) -> None:
    first = await grant(house)
    assert first.refresh is not None
    results = await asyncio.gather(
        *(refresh(house, first.refresh.text) for _ in range(8)), return_exceptions=True
    )
    [won] = [result for result in results if isinstance(result, Tokens)]
    for token in (first.access, won.access):
        assert await refused(house, token.text) is Code.TOKEN_INVALID


async def test_c5_a_refresh_token_is_bound_to_its_client(house: House) -> None:
    first = await grant(house)
    assert first.refresh is not None
    with pytest.raises(Refused):
        await refresh(house, first.refresh.text, "client-2")
    await refresh(house, first.refresh.text)


async def test_refreshing_stops_at_the_absolute_end(house: House) -> None:
    tokens = await grant(house)
    for _ in range(4):
        house.clock.advance(29 * 86400 - 86400 * 7)
        assert tokens.refresh is not None
        tokens = await refresh(house, tokens.refresh.text)
    house.clock.advance(2 * 86400 + 1)
    assert tokens.refresh is not None
    with pytest.raises(Refused) as caught:
        await refresh(house, tokens.refresh.text)
    assert caught.value.code is Code.TOKEN_EXPIRED


async def test_a_disabled_account_cannot_refresh(house: House) -> None:
    tokens = await grant(house)
    house.accounts.change(ALICE, disabled=True, roles=frozenset())
    with pytest.raises(Refused):
        await refresh(house, tokens.refresh.text if tokens.refresh else "")


async def test_a_refresh_token_opens_nothing_itself(house: House) -> None:
    tokens = await grant(house)
    assert tokens.refresh is not None
    with pytest.raises(Refused):
        read(tag_keys, APP, tokens.refresh.text, Prefix.SESSION)


async def test_one_access_token_can_be_taken_back(house: House) -> None:
    tokens = await grant(house)
    await house.service.drop_access(APP, tokens.session.id, tokens.access.id)
    assert await refused(house, tokens.access.text) is Code.TOKEN_INVALID
    assert tokens.refresh is not None
    await look(house, (await refresh(house, tokens.refresh.text)).access.text)


async def test_at_most_four_access_tokens_of_a_session_live_at_once(house: House) -> None:
    all_of_them = [await grant(house)]
    for _ in range(5):
        last = all_of_them[-1].refresh
        assert last is not None
        all_of_them.append(await refresh(house, last.text))
    assert [len(t.session.access) for t in all_of_them] == [1, 2, 3, 4, 4, 4]
    assert await refused(house, all_of_them[0].access.text) is Code.TOKEN_INVALID


# Tickets


async def test_a_ticket_opens_once_for_its_purpose_within_its_seconds(house: House) -> None:
    who = await look(house, await house.sign_in())
    ticket, _ = await house.tickets.issue(who, "sync")
    opened = await house.tickets.spend(APP, ticket.text, "sync")
    assert (opened.account, opened.session, opened.via) == (ALICE, who.session, Via.TICKET)
    assert (opened.token, opened.scopes) == (who.token, who.scopes)
    for text, purpose, wait in (
        (ticket.text, "sync", 0),
        ((await house.tickets.issue(who, "sync"))[0].text, "other", 0),
        ((await house.tickets.issue(who, "sync"))[0].text, "sync", 21),
    ):
        house.clock.advance(wait)
        with pytest.raises(Refused):
            await house.tickets.spend(APP, text, purpose)


async def test_of_many_who_show_one_ticket_one_gets_in(house: House) -> None:
    ticket, _ = await house.tickets.issue(await look(house, await house.sign_in()), "sync")
    results = await asyncio.gather(
        *(house.tickets.spend(APP, ticket.text, "sync") for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, Principal) for result in results) == 1


async def test_a_ticket_ends_with_its_session_and_with_its_token(house: House) -> None:
    who = await look(house, await house.sign_in())
    assert who.session is not None
    ticket, _ = await house.tickets.issue(who, "sync")
    await house.service.end_session(APP, who.session)
    tokens = await grant(house)
    other, _ = await house.tickets.issue(await look(house, tokens.access.text), "sync")
    await house.service.drop_access(APP, tokens.session.id, tokens.access.id)
    for text in (ticket.text, other.text):
        with pytest.raises(Refused):
            await house.tickets.spend(APP, text, "sync")


async def test_lifetimes_are_policy(house: House) -> None:
    short = House(house.store, clock=house.clock, lifetimes=Lifetimes(idle=60), seed=2)
    token = await short.sign_in()
    house.clock.advance(61)
    assert await refused(short, token) is Code.TOKEN_EXPIRED
