"""How accounts begin: setup, invitations, sign-up, guests; races on what may be used once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from signaling.accounts.model import Account, Claim, Purpose
from signaling.accounts.principal import Kind, Role
from signaling.accounts.settings import SignUp
from signaling.accounts.signing import Outcome
from signaling.errors import ClientError, Code
from tests.signaling.accounts.authenticator import Authenticator
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, secret_of, where
from tests.signaling.accounts.test_sign_in import refusal, signed

OWNER = frozenset({Role.OWNER})
ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})


async def sign_up(rig: Rig, link: str | None, login: str, password: str = PASSWORD) -> Outcome:
    return await rig.service.joining.sign_up(APP, link, login, password, "", where())


async def test_the_first_administrator_comes_by_a_link_that_works_once(rig: Rig) -> None:
    first = await rig.service.joining.setup_link(APP)
    second = await rig.service.joining.setup_link(APP)
    assert first and second
    assert (await refusal(sign_up(rig, secret_of(first), "root"))).code is Code.LINK_INVALID
    done = signed(await sign_up(rig, secret_of(second), "root"))
    assert done.roles == {Role.OWNER}
    assert (await refusal(sign_up(rig, secret_of(second), "eve"))).code is Code.LINK_INVALID
    assert await rig.service.joining.setup_link(APP) is None


async def test_there_is_no_account_before_the_first(rig: Rig) -> None:
    assert await rig.registry.page(APP, "", 10) == []
    for login in ("root", "admin", "administrator", "sotto"):
        assert (await refusal(rig.sign_in(login, login))).status == 401


async def test_b28_a_name_and_a_password_are_all_that_is_asked(rig: Rig) -> None:
    account = await rig.invited("ana")
    assert (account.name, account.mail) == ("", "")


async def test_by_default_nobody_signs_up_without_an_invitation(rig: Rig) -> None:
    caught = await refusal(sign_up(rig, None, "ana"))
    assert (caught.status, caught.code) == (403, Code.SIGN_UP_CLOSED)
    assert (await refusal(sign_up(rig, "A" * 32, "ana"))).code is Code.LINK_INVALID


async def test_closed_means_closed_for_invitations_too(rig: Rig) -> None:
    link = await rig.invitation()
    rig.change(sign_up=SignUp.CLOSED)
    assert (await refusal(sign_up(rig, link, "ana"))).code is Code.LINK_INVALID


async def test_v2_3_a_hundred_joins_on_one_use_are_one(rig: Rig) -> None:
    link = await rig.invitation(uses=1)
    rig.change(tries_per_address=1000)
    done = await asyncio.gather(
        *(sign_up(rig, link, f"user{n}") for n in range(100)), return_exceptions=True
    )
    assert sum(isinstance(one, Outcome) for one in done) == 1
    assert {one.code for one in done if isinstance(one, ClientError)} == {Code.LINK_INVALID}
    assert len(await rig.people()) == 1


async def test_uses_are_counted_exactly(rig: Rig) -> None:
    link = await rig.invitation(uses=3)
    done = await asyncio.gather(
        *(sign_up(rig, link, f"user{n}") for n in range(12)), return_exceptions=True
    )
    assert sum(isinstance(one, Outcome) for one in done) == 3


async def test_of_many_who_want_one_name_one_gets_it_and_no_use_is_lost(rig: Rig) -> None:
    link = await rig.invitation(uses=10)
    done = await asyncio.gather(
        *(sign_up(rig, link, name) for name in ("ana", "ANA", "\uff41na", " ana ")),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Outcome) for one in done) == 1
    assert {one.code for one in done if isinstance(one, ClientError)} == {Code.LOGIN_TAKEN}
    for n in range(9):
        await sign_up(rig, link, f"user{n}")
    assert (await refusal(sign_up(rig, link, "late"))).code is Code.LINK_INVALID


async def test_a_refused_password_spends_no_invitation(rig: Rig) -> None:
    link = await rig.invitation()
    assert (await refusal(sign_up(rig, link, "ana", "short"))).status == 422
    await sign_up(rig, link, "ana")


async def test_an_invitation_ends(rig: Rig) -> None:
    link = await rig.invitation()
    rig.clock.advance(rig.settings.invite + 1)
    assert (await refusal(sign_up(rig, link, "ana"))).code is Code.LINK_INVALID


async def test_an_invitation_can_be_withdrawn(rig: Rig) -> None:
    url, link = await rig.service.administration.invite(
        APP, OWNER, "owner", roles=frozenset(), uses=1, lives=None, label=""
    )
    assert await rig.service.links.withdraw(APP, Purpose.INVITE, link.id)
    assert (await refusal(sign_up(rig, secret_of(url), "ana"))).code is Code.LINK_INVALID


@pytest.mark.parametrize("role", [Role.OWNER, Role.AUDITOR, Role.COMPLIANCE])
async def test_an_administrator_invites_no_role_beyond_their_own(rig: Rig, role: Role) -> None:
    attempt = rig.service.administration.invite(
        APP, ADMINISTRATOR, "a", roles=frozenset({role}), uses=1, lives=None, label=""
    )
    assert (await refusal(attempt)).status == 403


async def test_a_member_invites_nobody(rig: Rig) -> None:
    attempt = rig.service.administration.invite(
        APP, frozenset({Role.MEMBER}), "m", roles=frozenset(), uses=1, lives=None, label=""
    )
    assert (await refusal(attempt)).status == 403


async def test_open_sign_up_tells_no_name_from_another(rig: Rig) -> None:
    await rig.invited("ana")
    rig.change(sign_up=SignUp.OPEN)
    answers = [await sign_up(rig, None, name) for name in ("ana", "ana", "nobody")]
    logins = [(await rig.registry.require(APP, one.account)).login for one in answers]
    assert len(set(logins)) == 3
    assert all(login.rpartition(".")[2].isdecimal() for login in logins)
    signed(await rig.sign_in(logins[1]))


async def test_open_sign_up_has_a_limit(rig: Rig) -> None:
    rig.change(sign_up=SignUp.OPEN)
    caught: list[int] = []
    for n in range(22):
        try:
            await sign_up(rig, None, f"user{n}")
        except ClientError as error:
            caught.append(error.status)
    assert caught == [429, 429]


@pytest.mark.parametrize(
    "login",
    ["", "a", "x" * 65, ".ana", "ana.", "a b", "a@b", "a/b", "ana\u0000", "ana\u202e",
     "p\u0430ypal", "a$gt", "<b>ana</b>", "\U0001f98a\U0001f98a"],
)  # fmt: skip
async def test_what_is_no_login_name_is_422(rig: Rig, login: str) -> None:
    caught = await refusal(sign_up(rig, await rig.invitation(), login))
    assert (caught.status, caught.code) == (422, Code.LOGIN_REFUSED)


@pytest.mark.parametrize("login", ["ana", "Ana-Maria_7", "юлия", "山田花子", "josé.garcía", "x2"])
async def test_names_of_all_scripts_are_taken(rig: Rig, login: str) -> None:
    await rig.invited(login)
    signed(await rig.sign_in(login))


async def test_a_name_whose_account_never_came_about_is_free_again(rig: Rig) -> None:
    key = rig.tables.login_key(APP, "ana")
    await rig.tables.claims.create(APP, key, Claim(account="gone", made=rig.clock.unix()))
    link = await rig.invitation()
    assert (await refusal(sign_up(rig, link, "ana"))).code is Code.LOGIN_TAKEN
    rig.clock.advance(61)
    signed(await sign_up(rig, link, "ana"))


async def demoted(rig: Rig, maker: Account) -> None:
    await rig.service.administration.set_roles(APP, OWNER, maker.id, frozenset({Role.MEMBER}))


async def disabled(rig: Rig, maker: Account) -> None:
    await rig.service.administration.set_disabled(APP, OWNER, maker.id, disabled=True)


async def deleted(rig: Rig, maker: Account) -> None:
    await rig.service.administration.remove(APP, OWNER, maker.id)


@pytest.mark.parametrize("ended", [demoted, disabled, deleted])
async def test_a_link_ends_with_the_rights_of_who_made_it(
    rig: Rig, ended: Callable[[Rig, Account], Awaitable[None]]
) -> None:
    await rig.owner()
    maker = await rig.invited("ana", PASSWORD, Role.ADMINISTRATOR)
    administration, joining = rig.service.administration, rig.service.joining
    wish: dict[str, Any] = {"uses": 20, "lives": 90 * 86400.0, "label": ""}
    many, _ = await administration.invite(APP, ADMINISTRATOR, maker.id, roles=ADMINISTRATOR, **wish)
    guests, _ = await administration.guest_link(APP, maker.id, room="garden", **wish)
    reset = await administration.reset_link(
        APP, ADMINISTRATOR, (await rig.invited("bob")).id, maker.id
    )
    assert signed(await sign_up(rig, secret_of(many), "eve")).roles == ADMINISTRATOR
    await guest(rig, secret_of(guests))
    ticket, options = await joining.begin_passkey(APP, secret_of(many), "mallory", "", where())
    await ended(rig, maker)
    key = Authenticator().create(options)
    for attempt in (
        sign_up(rig, secret_of(many), "mallory"),
        joining.begin_passkey(APP, secret_of(many), "mallory", "", where()),
        joining.finish_passkey(APP, ticket, key, "key", where()),
        guest(rig, secret_of(guests)),
        administration.reset(APP, secret_of(reset), OTHER, joining),
    ):
        refused = await refusal(attempt)
        assert (refused.status, refused.code) == (404, Code.LINK_INVALID)
    assert {one.login for one in await rig.people()} <= {"root.ana", "ana", "bob", "eve"}


async def test_an_administrator_who_is_no_owner_any_more_has_invited_no_owner(rig: Rig) -> None:
    maker = await rig.owner()
    await rig.invited("bob", PASSWORD, Role.OWNER)
    wish: dict[str, Any] = {"uses": 2, "lives": None, "label": ""}
    administration = rig.service.administration
    owners, _ = await administration.invite(APP, OWNER, maker.id, roles=OWNER, **wish)
    members, _ = await administration.invite(APP, OWNER, maker.id, roles=frozenset(), **wish)
    await administration.set_roles(APP, OWNER, maker.id, ADMINISTRATOR)
    assert (await refusal(sign_up(rig, secret_of(owners), "eve"))).code is Code.LINK_INVALID
    assert signed(await sign_up(rig, secret_of(members), "eve")).roles == {Role.MEMBER}
    await administration.set_roles(APP, OWNER, maker.id, OWNER)
    assert signed(await sign_up(rig, secret_of(owners), "dan")).roles == OWNER


async def guest(rig: Rig, secret: str, name: str = "Gast") -> tuple[Outcome, str]:
    outcome, link = await rig.service.joining.guest(APP, secret, name, where())
    return outcome, link.room


async def guest_link(rig: Rig, uses: int = 0, lives: float | None = None) -> str:
    url, _ = await rig.service.administration.guest_link(
        APP, await rig.maker(), room="garden", uses=uses, lives=lives, label=""
    )
    return secret_of(url)


async def test_a_guest_comes_by_link_and_is_forgotten_with_the_session(rig: Rig) -> None:
    outcome, room = await guest(rig, await guest_link(rig))
    done = signed(outcome)
    assert (done.kind, done.mfa, done.amr) == (Kind.GUEST, False, ())
    assert done.roles == {Role.GUEST}
    assert room == "garden"
    seen = await rig.registry.view(APP, done.account)
    assert seen and seen.room == "garden"
    assert done.lives_until == rig.clock.unix() + rig.settings.guest
    seen = await rig.registry.view(APP, done.account)
    assert seen and not seen.disabled
    await rig.registry.guest_left(APP, done.account)
    assert await rig.registry.view(APP, done.account) is None


async def test_a_guest_outlives_neither_the_day_nor_the_link(rig: Rig) -> None:
    outcome, _ = await guest(rig, await guest_link(rig, lives=600))
    account = outcome.account
    rig.clock.advance(601)
    seen = await rig.registry.view(APP, account)
    assert seen and seen.disabled
    rig.clock.advance(3600)
    assert await rig.registry.get(APP, account) is None


async def test_guest_links_count_their_uses(rig: Rig) -> None:
    secret = await guest_link(rig, uses=2)
    done = await asyncio.gather(*(guest(rig, secret) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in done) == 2


async def test_leaving_does_not_remove_accounts_of_others(rig: Rig) -> None:
    account = await rig.invited("ana")
    await rig.registry.guest_left(APP, account.id)
    assert await rig.registry.get(APP, account.id) is not None


async def test_an_invitation_is_no_guest_link_and_the_other_way_round(rig: Rig) -> None:
    assert (await refusal(guest(rig, await rig.invitation()))).code is Code.LINK_INVALID
    assert (await refusal(sign_up(rig, await guest_link(rig), "ana"))).code is Code.LINK_INVALID


async def test_a_deleted_account_leaves_its_name_and_nothing_to_read(rig: Rig) -> None:
    account: Account = await rig.invited("ana")
    await rig.service.administration.leave(APP, account.id)
    assert rig.sessions.ended[-1] == (account.id, None, None)
    assert await rig.registry.get(APP, account.id) is None
    assert await rig.service.devices.list(APP, account.id) == []
    fresh = await rig.invited("ana", OTHER)
    assert fresh.id != account.id
