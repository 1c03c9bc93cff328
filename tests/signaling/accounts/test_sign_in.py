"""Sign-in with password, one-time and recovery codes: what is taken, refused, counted (row C11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pyotp
import pytest
from msgspec.structs import replace

from signaling.accounts.model import Failures
from signaling.accounts.passwords.hashing import Cost, HashPool
from signaling.accounts.principal import Role
from signaling.accounts.settings import SecondFactor
from signaling.accounts.signin import SignedIn, State
from signaling.accounts.signing import Outcome
from signaling.accounts.throttle import MOST_IN_A_ROW
from signaling.errors import ClientError, Code, Refused, Unavailable
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, where


async def refusal(attempt: Awaitable[object]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        await attempt
    return caught.value


def signed(outcome: Outcome) -> SignedIn:
    assert outcome.state is State.DONE
    assert outcome.signed is not None
    return outcome.signed


async def with_totp(rig: Rig, login: str = "ana") -> tuple[str, pyotp.TOTP, tuple[str, ...]]:
    account = await rig.invited(login)
    offer = await rig.service.factors.offer_totp(APP, account.id)
    totp = pyotp.TOTP(offer.secret)
    done = await rig.service.factors.confirm_totp(APP, account.id, totp.at(int(rig.clock.unix())))
    rig.clock.advance(30)
    return account.id, totp, done.codes


async def test_a_password_signs_in_and_says_how(rig: Rig) -> None:
    account = await rig.invited("ana", PASSWORD, Role.MEMBER)
    done = signed(await rig.sign_in("ana"))
    assert (done.account, done.amr, done.mfa) == (account.id, ("pwd",), False)
    assert done.roles == {Role.MEMBER}


async def test_the_login_name_is_compared_by_what_it_looks_like(rig: Rig) -> None:
    await rig.invited("Ana.Silva")
    signed(await rig.sign_in(" \uff21na.silva"))


async def test_wrong_unknown_and_disabled_are_refused_alike(rig: Rig) -> None:
    await rig.invited("ana")
    gone = await rig.invited("bob")
    await rig.service.administration.set_disabled(APP, frozenset({Role.OWNER}), gone.id, True)
    refusals = [
        await refusal(rig.sign_in("ana", OTHER)),
        await refusal(rig.sign_in("nobody", OTHER)),
        await refusal(rig.sign_in("bob", PASSWORD)),
        await refusal(rig.sign_in("\ud83e\x00" * 3, OTHER)),
    ]
    assert {(one.status, one.code, one.message) for one in refusals} == {
        (401, Code.SIGN_IN_FAILED, refusals[0].message)
    }


async def test_a_hash_at_another_cost_is_made_anew(rig: Rig) -> None:
    await rig.invited("ana")
    before = await rig.registry.claim_of(APP, "ana")
    rig.hashes.close()
    rig.hashes = HashPool(Cost(memory_kib=128, passes=1), rig.entropy, workers=1, waiting=4)
    rig.build()
    signed(await rig.sign_in("ana"))
    after = await rig.registry.claim_of(APP, "ana")
    assert before and before.password and before.password.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert after and after.password and after.password.startswith("$argon2id$v=19$m=128,")
    signed(await rig.sign_in("ana"))


async def test_a_second_factor_is_asked_for_before_anybody_is_signed_in(rig: Rig) -> None:
    _, totp, _ = await with_totp(rig)
    first = await rig.sign_in("ana")
    assert first.state is State.SECOND
    assert first.signed is None
    assert first.factors == ("totp", "recovery_code")
    code = totp.at(int(rig.clock.unix()))
    done = signed(await rig.service.signing.code(APP, first.ticket, code, where()))
    assert (done.amr, done.mfa) == (("pwd", "otp"), True)


async def test_a_code_is_accepted_once(rig: Rig) -> None:
    _, totp, _ = await with_totp(rig)
    code = totp.at(int(rig.clock.unix()))
    tickets = [(await rig.sign_in("ana")).ticket for _ in range(2)]
    signed(await rig.service.signing.code(APP, tickets[0], code, where()))
    again = await refusal(rig.service.signing.code(APP, tickets[1], code, where()))
    wrong = await refusal(rig.service.signing.code(APP, tickets[1], "000000", where()))
    assert (again.status, again.code, again.message) == (wrong.status, wrong.code, wrong.message)
    assert again.status == 401


async def test_of_many_at_once_one_code_gets_one_through(rig: Rig) -> None:
    _, totp, _ = await with_totp(rig)
    code = totp.at(int(rig.clock.unix()))
    tickets = [(await rig.sign_in("ana")).ticket for _ in range(4)]
    done = await asyncio.gather(
        *(rig.service.signing.code(APP, ticket, code, where()) for ticket in tickets),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Outcome) for one in done) == 1
    assert sum(isinstance(one, Refused) for one in done) == 3


@pytest.mark.parametrize(
    ("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
async def test_one_step_of_skew(rig: Rig, steps: int, fits: bool) -> None:
    _, totp, _ = await with_totp(rig)
    rig.clock.advance(300)
    ticket = (await rig.sign_in("ana")).ticket
    attempt = rig.service.signing.code(
        APP, ticket, totp.at(int(rig.clock.unix()) + steps * 30), where()
    )
    if fits:
        signed(await attempt)
    else:
        assert (await refusal(attempt)).status == 401


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "x" * 24 + "u", "0" * 999]
)
async def test_what_is_no_code_is_422(rig: Rig, code: str) -> None:
    await with_totp(rig)
    ticket = (await rig.sign_in("ana")).ticket
    assert (await refusal(rig.service.signing.code(APP, ticket, code, where()))).status == 422


async def test_five_wrong_codes_make_a_stranger_wait_and_ten_fit_in_a_quarter_hour(
    rig: Rig,
) -> None:
    _, totp, _ = await with_totp(rig)
    tried = 0
    for _ in range(90):
        ticket = (await rig.sign_in("ana", device_token="", address=f"203.0.113.{tried}")).ticket
        try:
            await rig.service.signing.code(APP, ticket, "000000", where())
        except ClientError as error:
            if error.status == 429:
                assert int(error.headers["Retry-After"]) > 0
            else:
                tried += 1
        if tried == 5:
            break
    late = await refusal(rig.service.signing.code(APP, ticket, totp.now(), where()))
    assert late.status == 429
    rig.clock.advance(180)
    ticket = (await rig.sign_in("ana", device_token="")).ticket
    code = totp.at(int(rig.clock.unix()))
    signed(await rig.service.signing.code(APP, ticket, code, where()))


async def test_a_recovery_code_works_once_and_counts_as_a_second_factor(rig: Rig) -> None:
    account, _, codes = await with_totp(rig)
    assert len(set(codes)) == 10
    ticket = (await rig.sign_in("ana")).ticket
    done = signed(await rig.service.signing.code(APP, ticket, codes[3].upper(), where()))
    assert (done.amr, done.mfa) == (("pwd", "recovery"), True)
    ticket = (await rig.sign_in("ana")).ticket
    assert (await refusal(rig.service.signing.code(APP, ticket, codes[3], where()))).status == 401
    assert ("account.recovery_code_used", "allowed") in rig.audit.actions()
    stored = await rig.registry.require(APP, account)
    assert len(stored.recovery) == 9
    assert not any(code.replace("-", "") in str(stored) for code in codes)


async def test_new_recovery_codes_void_the_old_ones(rig: Rig) -> None:
    account, _, codes = await with_totp(rig)
    fresh = await rig.service.factors.renew_codes(APP, account)
    ticket = (await rig.sign_in("ana")).ticket
    assert (await refusal(rig.service.signing.code(APP, ticket, codes[0], where()))).status == 401
    signed(await rig.service.signing.code(APP, ticket, fresh[0], where()))


async def test_a_ticket_is_good_once_and_for_ten_minutes(rig: Rig) -> None:
    _, totp, _ = await with_totp(rig)
    first = await rig.sign_in("ana")
    code = totp.at(int(rig.clock.unix()))
    signed(await rig.service.signing.code(APP, first.ticket, code, where()))
    rig.clock.advance(60)
    code = totp.at(int(rig.clock.unix()))
    assert (await refusal(rig.service.signing.code(APP, first.ticket, code, where()))).status == 401
    second = await rig.sign_in("ana")
    rig.clock.advance(601)
    code = totp.at(int(rig.clock.unix()))
    late = await refusal(rig.service.signing.code(APP, second.ticket, code, where()))
    assert late.code is Code.SIGN_IN_FAILED


async def test_a_code_alone_is_no_sign_in(rig: Rig) -> None:
    _, totp, _ = await with_totp(rig)
    code = totp.at(int(rig.clock.unix()))
    for ticket in ("", "x", "A" * 32, "\ud800" * 32):
        assert (await refusal(rig.service.signing.code(APP, ticket, code, where()))).status == 401


async def test_policy_sends_to_enrol_and_lets_in_afterwards(rig: Rig) -> None:
    await rig.invited("ana")
    rig.change(second_factor=SecondFactor.REQUIRED)
    first = await rig.sign_in("ana")
    assert (first.state, first.signed) == (State.ENROL, None)
    assert (
        await refusal(rig.service.signing.code(APP, first.ticket, "123456", where()))
    ).status == 401
    offer = await rig.service.enrolling.offer_totp(APP, first.ticket)
    assert offer.uri.startswith("otpauth://totp/Sotto:ana?secret=")
    assert offer.qr.lstrip().startswith("<svg")
    code = pyotp.TOTP(offer.secret).at(int(rig.clock.unix()))
    outcome, codes = await rig.service.enrolling.confirm_totp(APP, first.ticket, code, where())
    assert signed(outcome).mfa
    assert len(codes) == 10
    assert (await refusal(rig.service.enrolling.offer_totp(APP, first.ticket))).status == 401


async def test_policy_for_staff_asks_staff_alone(rig: Rig) -> None:
    await rig.invited("ana")
    await rig.owner("bob")
    rig.change(second_factor=SecondFactor.STAFF)
    assert (await rig.sign_in("ana")).state is State.DONE
    assert (await rig.sign_in("bob")).state is State.ENROL


async def test_the_required_factor_cannot_be_removed(rig: Rig) -> None:
    account, _, _ = await with_totp(rig)
    rig.change(second_factor=SecondFactor.REQUIRED)
    caught = await refusal(rig.service.factors.remove_totp(APP, account))
    assert (caught.status, caught.code) == (409, Code.SECOND_FACTOR_NEEDED)
    rig.change(second_factor=SecondFactor.OPTIONAL)
    await rig.service.factors.remove_totp(APP, account)
    assert (await rig.registry.require(APP, account)).recovery == ()


async def test_guessing_stops_strangers_and_not_a_known_device(rig: Rig) -> None:
    await rig.invited("ana")
    token = (await rig.sign_in("ana")).device_token
    assert token is not None
    codes = [
        (await refusal(rig.sign_in("ana", OTHER, address=f"198.51.{n}.7"))).status for n in range(9)
    ]
    assert 429 in codes
    assert (await refusal(rig.sign_in("ana", PASSWORD, address="192.0.2.1"))).status == 429
    signed(await rig.sign_in("ana", PASSWORD, device_token=token, address="198.51.1.7"))


async def test_unknown_names_are_counted_like_known_ones(rig: Rig) -> None:
    await rig.invited("ana")

    async def answers(login: str) -> list[tuple[int, str | None]]:
        found = []
        for n in range(8):
            caught = await refusal(rig.sign_in(login, OTHER, address=f"198.51.{n}.7"))
            found.append((caught.status, caught.headers.get("Retry-After")))
        return found

    assert await answers("ana") == await answers("nobody")


async def test_a_hundred_wrong_in_a_row_close_the_password_to_strangers_only(rig: Rig) -> None:
    await rig.invited("ana")
    token = (await rig.sign_in("ana")).device_token
    tried = 0
    while tried < MOST_IN_A_ROW:
        rig.clock.advance(180)
        caught = await refusal(rig.sign_in("ana", OTHER, address=f"198.51.{tried}.7"))
        assert caught.status == 401
        tried += 1
    rig.clock.advance(180)
    assert (await refusal(rig.sign_in("ana", address="192.0.2.9"))).status == 429
    signed(await rig.sign_in("ana", device_token=token or ""))
    rig.clock.advance(180)
    signed(await rig.sign_in("ana", address="192.0.2.9"))


async def test_one_address_may_not_try_many_names(rig: Rig) -> None:
    rig.change(tries_per_address=10)
    statuses = [(await refusal(rig.sign_in(f"user{n}", OTHER))).status for n in range(12)]
    assert statuses.count(401) == 10
    assert statuses[-2:] == [429, 429]


async def test_one_network_may_not_try_many_names(rig: Rig) -> None:
    rig.change(tries_per_address=5)
    statuses = [
        (await refusal(rig.sign_in(f"user{n}", OTHER, address=f"198.51.100.{n}"))).status
        for n in range(22)
    ]
    assert statuses == [401] * 20 + [429] * 2
    assert (await refusal(rig.sign_in("user", OTHER, address="192.0.2.1"))).status == 401


async def test_a_changed_password_ends_sign_ins_that_are_under_way(rig: Rig) -> None:
    account, totp, _ = await with_totp(rig)
    first = await rig.sign_in("ana")
    await rig.service.administration.change_password(APP, account, "s1", PASSWORD, OTHER)
    code = totp.at(int(rig.clock.unix()))
    assert (await refusal(rig.service.signing.code(APP, first.ticket, code, where()))).status == 401
    assert rig.sessions.ended[-1] == (account, None, "s1")


async def test_failures_keep_no_name(rig: Rig) -> None:
    await refusal(rig.sign_in("somebody", OTHER))
    rows = await rig.tables.failures.scan(APP)
    assert [row.value for row in rows] == [Failures(1)]
    assert "somebody" not in rows[0].key


async def test_apps_do_not_share_accounts(rig: Rig) -> None:
    await rig.invited("ana")
    await rig.registry.ensure_app("other")
    caught = await refusal(rig.service.signing.password("other", "ana", PASSWORD, where()))
    assert caught.status == 401


async def test_a_device_of_ones_own_does_not_help_to_try_others(rig: Rig) -> None:
    await rig.invited("eve")
    rig.change(tries_per_address=10)
    token = (await rig.sign_in("eve")).device_token or ""
    statuses = [
        (await refusal(rig.sign_in(f"user{n}", OTHER, device_token=token))).status
        for n in range(12)
    ]
    assert 429 in statuses


async def test_without_the_bus_nobody_signs_in(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.invited("ana")

    async def away(*args: object, **more: object) -> None:
        raise Unavailable("the bus is away")

    monkeypatch.setattr(rig.bus, "limit", away)
    with pytest.raises(Unavailable):
        await rig.sign_in("ana")


async def test_of_many_guesses_at_once_five_are_looked_at(rig: Rig) -> None:
    await rig.invited("ana")
    done = await asyncio.gather(
        *(rig.sign_in("ana", f"{OTHER}{n}", address=f"198.51.{n}.7") for n in range(40)),
        return_exceptions=True,
    )
    statuses = [one.status for one in done if isinstance(one, ClientError)]
    assert sorted(statuses) == [401] * 5 + [429] * 35


async def test_a_new_device_and_failed_tries_are_told_by_mail(rig: Rig) -> None:
    account = await rig.invited("ana")
    await rig.registry.change(APP, account.id, lambda row: replace(row, mail="ana@example.org"))
    token = (await rig.sign_in("ana")).device_token or ""
    await rig.sign_in("ana", device_token=token)
    assert [what for _, what, _ in rig.letters] == ["new_device"]
    rig.clock.advance(900)
    for n in range(5):
        await refusal(rig.sign_in("ana", OTHER, address=f"198.51.{n}.7"))
    await rig.sign_in("ana", device_token=token)
    assert [what for _, what, _ in rig.letters] == ["new_device", "failed_attempts"]
