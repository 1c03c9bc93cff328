"""Roles, disabling, resets, devices, mail: what takes rights away reaches sessions, and how far an
administrator's hand goes."""

from __future__ import annotations

import asyncio
import itertools

import pyotp
import pytest
from msgspec.structs import replace

from signaling.accounts.model import Account
from signaling.accounts.principal import Role
from signaling.accounts.roles import GIVABLE
from signaling.accounts.sessions.port import Change
from signaling.accounts.signin import State
from signaling.errors import ClientError, Code
from signaling.keys.permissions import Permission, permissions_of
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, secret_of, where
from tests.signaling.accounts.test_sign_in import refusal, signed, with_totp

OWNER = frozenset({Role.OWNER})
ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
MEMBER = frozenset({Role.MEMBER})


async def test_a_changed_role_reaches_sessions(rig: Rig) -> None:
    account = await rig.invited("ana")
    after = await rig.service.administration.set_roles(
        APP, ADMINISTRATOR, account.id, frozenset({Role.MEMBER, Role.ADMINISTRATOR})
    )
    assert set(after.roles) == {Role.MEMBER, Role.ADMINISTRATOR}
    assert after.changed == account.changed + 1
    assert [(one.account, one.change) for one in rig.sessions.revoked] == [
        (account.id, Change.CHANGED)
    ]


@pytest.mark.parametrize("role", [Role.OWNER, Role.AUDITOR, Role.COMPLIANCE, Role.BOT, Role.GUEST])
async def test_an_administrator_gives_no_role_of_owners(rig: Rig, role: Role) -> None:
    account = await rig.invited("ana")
    attempt = rig.service.administration.set_roles(
        APP, ADMINISTRATOR, account.id, frozenset({role})
    )
    assert (await refusal(attempt)).status == 403


@pytest.mark.parametrize(
    "roles",
    [many for size in range(1, 6) for many in itertools.combinations(sorted(GIVABLE), size)],
)
async def test_a13_no_roles_of_one_account_hold_every_key_permission(
    rig: Rig, roles: tuple[Role, ...]
) -> None:
    """Every set that an owner can give, to an account that exists and by invitation."""
    account, wanted = await rig.invited("ana"), frozenset(roles)
    do = rig.service.administration
    if permissions_of(wanted) != frozenset(Permission):
        assert set((await do.set_roles(APP, OWNER, account.id, wanted)).roles) == wanted
        return
    assert Role.ADMINISTRATOR in wanted and wanted & {Role.OWNER, Role.COMPLIANCE}
    for attempt in (
        do.set_roles(APP, OWNER, account.id, wanted),
        do.invite(APP, OWNER, "", roles=wanted, uses=1, lives=None, label=""),
    ):
        assert (await refusal(attempt)).code is Code.NOT_PERMITTED
    assert (await rig.registry.require(APP, account.id)).roles == account.roles


@pytest.mark.parametrize("role", [Role.OWNER, Role.AUDITOR, Role.COMPLIANCE])
async def test_an_administrator_gets_into_no_such_account(rig: Rig, role: Role) -> None:
    account = await rig.invited("ana", PASSWORD, role, Role.MEMBER)
    do, ident = rig.service.administration, account.id
    for attempt in (
        do.set_roles(APP, ADMINISTRATOR, ident, MEMBER),
        do.set_disabled(APP, ADMINISTRATOR, ident, True),
        do.reset_link(APP, ADMINISTRATOR, ident),
        do.remove_factors(APP, ADMINISTRATOR, ident),
        do.remove(APP, ADMINISTRATOR, ident),
    ):
        assert (await refusal(attempt)).status == 403
    signed(await rig.sign_in("ana"))


async def test_a_disabled_account_is_out_at_once_and_stays_out(rig: Rig) -> None:
    account = await rig.invited("ana")
    await rig.service.administration.set_disabled(APP, ADMINISTRATOR, account.id, True)
    assert rig.sessions.ended == [(account.id, None, None)]
    assert (await refusal(rig.sign_in("ana"))).code is Code.SIGN_IN_FAILED
    await rig.service.administration.set_disabled(APP, ADMINISTRATOR, account.id, False)
    signed(await rig.sign_in("ana"))


async def test_the_last_owner_stays(rig: Rig) -> None:
    owner = await rig.owner()
    do = rig.service.administration
    for attempt in (
        do.set_roles(APP, OWNER, owner.id, MEMBER),
        do.set_disabled(APP, OWNER, owner.id, True),
        do.remove(APP, OWNER, owner.id),
        do.leave(APP, owner.id),
    ):
        assert (await refusal(attempt)).code is Code.LAST_OWNER
    assert rig.sessions.ended == []


async def test_of_two_owners_who_leave_at_once_one_stays(rig: Rig) -> None:
    owners = [await rig.owner(), await rig.invited("bob", PASSWORD, Role.OWNER)]
    done = await asyncio.gather(
        *(rig.service.administration.set_roles(APP, OWNER, one.id, MEMBER) for one in owners),
        return_exceptions=True,
    )
    assert sum(isinstance(one, ClientError) for one in done) == 1
    roles = [(await rig.registry.require(APP, one.id)).roles for one in owners]
    assert sum(Role.OWNER in one for one in roles) == 1


async def test_an_administrators_reset_never_shows_or_chooses_a_password(rig: Rig) -> None:
    account = await rig.invited("ana")
    do = rig.service.administration
    older = secret_of(await do.reset_link(APP, ADMINISTRATOR, account.id))
    link = secret_of(await do.reset_link(APP, ADMINISTRATOR, account.id))
    joining = rig.service.joining
    assert (await refusal(do.reset(APP, older, OTHER, joining))).code is Code.LINK_INVALID
    weak = await refusal(do.reset(APP, link, "ana ana ana ana", joining))
    assert weak.code is Code.PASSWORD_GUESSABLE
    assert await do.reset(APP, link, OTHER, joining) == account.id
    assert rig.sessions.opened == []
    assert rig.sessions.ended == [(account.id, None, None)]
    assert (await refusal(do.reset(APP, link, OTHER, joining))).code is Code.LINK_INVALID
    assert (await refusal(rig.sign_in("ana", PASSWORD))).status == 401
    signed(await rig.sign_in("ana", OTHER))


async def test_a_reset_leaves_the_second_factor_in_place(rig: Rig) -> None:
    account, totp, _ = await with_totp(rig)
    link = secret_of(await rig.service.administration.reset_link(APP, OWNER, account))
    await rig.service.administration.reset(APP, link, OTHER, rig.service.joining)
    first = await rig.sign_in("ana", OTHER)
    assert first.state is State.SECOND
    code = totp.at(int(rig.clock.unix()))
    assert signed(await rig.service.signing.code(APP, first.ticket, code, where())).mfa


async def with_mail(rig: Rig, login: str = "ana") -> Account:
    account = await rig.invited(login)
    await rig.service.administration.wish_mail(APP, account.id, "Ana@Example.ORG")
    address, what, link = rig.letters.pop()
    assert (address, what) == ("Ana@example.org", "mail_confirmation")
    await rig.service.administration.confirm_mail(APP, account.id, secret_of(link))
    return await rig.registry.require(APP, account.id)


async def test_a_letter_goes_to_a_confirmed_address_only(rig: Rig) -> None:
    account = await rig.invited("ana")
    await rig.service.administration.wish_mail(APP, account.id, "ana@example.org")
    rig.letters.clear()
    await rig.service.administration.ask_reset(APP, "ana")
    await rig.service.administration.ask_reset(APP, "nobody")
    assert rig.letters == []
    await with_mail(rig, "bob")
    await rig.service.administration.ask_reset(APP, "BOB")
    ((address, what, link),) = rig.letters
    assert (address, what) == ("Ana@example.org", "password_reset")
    await rig.service.administration.reset(APP, secret_of(link), OTHER, rig.service.joining)
    assert rig.letters[-1][1] == "password_changed"
    signed(await rig.sign_in("bob", OTHER))


async def test_a_mailed_link_lives_half_an_hour(rig: Rig) -> None:
    await with_mail(rig)
    await rig.service.administration.ask_reset(APP, "ana")
    link = secret_of(rig.letters[-1][2])
    rig.clock.advance(1801)
    attempt = rig.service.administration.reset(APP, link, OTHER, rig.service.joining)
    assert (await refusal(attempt)).code is Code.LINK_INVALID


async def test_letters_to_one_account_are_few(rig: Rig) -> None:
    await with_mail(rig)
    for _ in range(5):
        await rig.service.administration.ask_reset(APP, "ana")
    assert (await refusal(rig.service.administration.ask_reset(APP, "ana"))).status == 429
    assert [what for _, what, _ in rig.letters].count("password_reset") == 5


async def test_an_address_is_confirmed_by_its_account_alone(rig: Rig) -> None:
    ana, bob = await rig.invited("ana"), await rig.invited("bob")
    await rig.service.administration.wish_mail(APP, ana.id, "ana@example.org")
    link = secret_of(rig.letters[-1][2])
    assert (await refusal(rig.service.administration.confirm_mail(APP, bob.id, link))).status == 404
    await rig.service.administration.confirm_mail(APP, ana.id, link)


@pytest.mark.parametrize(
    "address",
    ["", "ana", "ana@", "@example.org", "a b@example.org", "ana@example", "ana@exa mple.org",
     "ana@example.org\r\nBcc: eve@example.org", "a,b@example.org", "<ana@example.org>",
     "ana@" + "x" * 260 + ".org", "ana@.org", "ana@-.\u0000"],
)  # fmt: skip
async def test_what_is_no_address_is_422(rig: Rig, address: str) -> None:
    account = await rig.invited("ana")
    attempt = rig.service.administration.wish_mail(APP, account.id, address)
    assert (await refusal(attempt)).status == 422
    assert rig.letters == []


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(rig: Rig) -> None:
    account = await rig.invited("ana")
    change = rig.service.administration.change_password
    assert (await refusal(change(APP, account.id, "s1", OTHER, OTHER))).status == 401
    await change(APP, account.id, "s1", PASSWORD, OTHER)
    assert rig.sessions.ended == [(account.id, None, "s1")]
    signed(await rig.sign_in("ana", OTHER))


async def test_the_old_password_cannot_be_guessed_from_a_stolen_session(rig: Rig) -> None:
    account = await rig.invited("ana")
    change = rig.service.administration.change_password
    statuses = [
        (await refusal(change(APP, account.id, "s1", f"{OTHER}{n}", OTHER))).status
        for n in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2


async def test_devices_are_listed_and_forgotten_with_their_sessions(rig: Rig) -> None:
    account = await rig.invited("ana")
    first = signed(await rig.sign_in("ana"))
    outcome = await rig.sign_in("ana")
    second = signed(outcome)
    assert first.device != second.device
    token = outcome.device_token or ""
    assert signed(await rig.sign_in("ana", device_token=token)).device == second.device
    found = await rig.service.devices.list(APP, account.id)
    assert {device.id for device in found} >= {first.device, second.device}
    assert {device.network for device in found} == {"203.0.113.0/24"}
    await rig.service.administration.forget_device(APP, account.id, second.device)
    assert rig.sessions.ended == [(account.id, second.device, None)]
    assert signed(await rig.sign_in("ana", device_token=token)).device != second.device


async def test_somebody_elses_device_is_not_there(rig: Rig) -> None:
    await rig.invited("ana")
    bob = await rig.invited("bob")
    device = signed(await rig.sign_in("ana")).device
    attempt = rig.service.administration.forget_device(APP, bob.id, device)
    assert (await refusal(attempt)).status == 404


@pytest.mark.parametrize(
    "token", ["", "dv_", "dv_x.y", "x" * 500, "dv_" + "a" * 40 + "." + "b" * 32]
)
async def test_a_made_up_device_is_a_stranger(rig: Rig, token: str) -> None:
    assert await rig.service.devices.recognise(APP, token) is None


async def test_a_device_is_known_to_its_own_account_only(rig: Rig) -> None:
    await rig.invited("ana")
    await rig.invited("bob")
    token = (await rig.sign_in("bob")).device_token or ""
    for n in range(6):
        await refusal(rig.sign_in("ana", OTHER, address=f"198.51.{n}.7"))
    assert (await refusal(rig.sign_in("ana", PASSWORD, device_token=token))).status == 429


async def test_an_account_keeps_fifty_devices(rig: Rig) -> None:
    account = await rig.invited("ana")
    for _ in range(52):
        rig.clock.advance(1)
        await rig.service.devices.seen(APP, account.id, where(), None)
    assert len(await rig.service.devices.list(APP, account.id)) == 50


async def test_factors_are_removed_by_an_administrator_and_sessions_end(rig: Rig) -> None:
    account, _, _ = await with_totp(rig)
    await rig.service.administration.remove_factors(APP, ADMINISTRATOR, account)
    assert rig.sessions.ended == [(account, None, None)]
    after = await rig.registry.require(APP, account)
    assert (after.totp, after.recovery) == (None, ())
    assert (await rig.sign_in("ana")).state is State.DONE


async def test_a_new_secret_counts_when_its_first_code_is_right(rig: Rig) -> None:
    account = await rig.invited("ana")
    offer = await rig.service.factors.offer_totp(APP, account.id)
    attempt = rig.service.factors.confirm_totp(APP, account.id, "000000")
    assert (await refusal(attempt)).status == 401
    assert (await rig.sign_in("ana")).state is State.DONE
    code = pyotp.TOTP(offer.secret).at(int(rig.clock.unix()))
    await rig.service.factors.confirm_totp(APP, account.id, code)
    first = await rig.sign_in("ana")
    # The code that confirmed the secret was used by that.
    assert (await refusal(rig.service.signing.code(APP, first.ticket, code, where()))).status == 401


async def test_mail_is_told_of_every_change_to_the_ways_in(rig: Rig) -> None:
    account = await with_mail(rig)
    offer = await rig.service.factors.offer_totp(APP, account.id)
    code = pyotp.TOTP(offer.secret).at(int(rig.clock.unix()))
    await rig.service.factors.confirm_totp(APP, account.id, code)
    await rig.service.factors.renew_codes(APP, account.id)
    await rig.service.factors.remove_totp(APP, account.id)
    await rig.service.administration.change_password(APP, account.id, None, PASSWORD, OTHER)
    await rig.service.administration.drop_mail(APP, account.id)
    assert [what for _, what, _ in rig.letters] == [
        "totp_added", "recovery_codes_renewed", "totp_removed", "password_changed", "mail_changed",
    ]  # fmt: skip


async def test_nothing_of_another_app_is_found(rig: Rig) -> None:
    account = await rig.invited("ana")
    await rig.registry.ensure_app("other")
    do = rig.service.administration
    assert await rig.registry.view("other", account.id) is None
    assert await rig.registry.page("other", "", 10) == []
    for attempt in (
        do.set_disabled("other", OWNER, account.id, True),
        do.reset_link("other", OWNER, account.id),
        do.remove("other", OWNER, account.id),
    ):
        assert (await refusal(attempt)).status == 404
    link = await rig.invitation()
    crossing = rig.service.joining.sign_up("other", link, "eve", PASSWORD, "", where())
    assert (await refusal(crossing)).code is Code.LINK_INVALID


async def test_a_row_moved_to_another_app_does_not_open(rig: Rig) -> None:
    account = await rig.invited("ana")
    document = await rig.store.meta.get(APP, "account", account.id)
    assert document is not None
    await rig.store.meta.put("other", "account", account.id, document.value, expect=0)
    caught = await refusal(rig.registry.get("other", account.id))
    assert caught.code in (Code.INTEGRITY_ERROR, Code.KEY_UNKNOWN)


async def test_the_store_holds_no_word_of_an_account(rig: Rig) -> None:
    account = await with_mail(rig)
    await rig.registry.change(APP, account.id, lambda row: replace(row, name="Canary Bird"))
    offer = await rig.service.factors.offer_totp(APP, account.id)
    kept = b""
    for kind in ("account", "account_claim", "account_link", "account_device", "account_pending"):
        for document in await rig.store.meta.scan(APP, kind):
            kept += document.key.encode() + document.value + "".join(document.terms).encode()
    for word in ("Canary Bird", "ana@example.org", "Ana@", "argon2id", offer.secret, "203.0.113"):
        assert word.encode() not in kept
