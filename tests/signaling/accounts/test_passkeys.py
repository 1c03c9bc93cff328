"""Passkeys with a virtual authenticator: alone, as second factor, again; and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signaling.accounts import passkeys
from signaling.accounts.model import Account, Passkey
from signaling.accounts.passkeys import BadPasskey, Site
from signaling.accounts.settings import SecondFactor
from signaling.accounts.signin import State
from signaling.accounts.signing import Outcome
from signaling.errors import Code
from tests.signaling.accounts.authenticator import Authenticator, b64
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, where
from tests.signaling.accounts.test_sign_in import refusal, signed


async def enrolled(rig: Rig, account: Account, device: Authenticator) -> tuple[str, ...]:
    ticket, options = await rig.service.factors.passkey_options(APP, account)
    done = await rig.service.factors.add_passkey(
        APP, account.id, ticket, device.create(options), "key"
    )
    return done.codes


async def sign_in(rig: Rig, device: Authenticator, **lies: Any) -> Outcome:
    ticket, options = await rig.service.passkeys.begin(APP, where())
    return await rig.service.passkeys.finish(APP, ticket, device.get(options, **lies), where())


async def test_sign_up_with_a_passkey_alone_and_sign_in_without_a_name(rig: Rig) -> None:
    device = Authenticator()
    link = await rig.invitation()
    ticket, options = await rig.service.joining.begin_passkey(APP, link, "ana", "", where())
    assert options["authenticatorSelection"]["residentKey"] == "required"
    first = signed(
        await rig.service.joining.finish_passkey(APP, ticket, device.create(options), "", where())
    )
    assert (first.amr, first.mfa) == (("swk",), True)
    again = signed(await sign_in(rig, device))
    assert (again.account, again.mfa) == (first.account, True)
    stored = (await rig.registry.require(APP, first.account)).passkeys[0]
    assert stored.transports == ("hybrid", "internal")
    claim = await rig.registry.claim_of(APP, "ana")
    assert claim is not None
    assert claim.password is None
    assert (await refusal(rig.sign_in("ana", PASSWORD))).code is Code.SIGN_IN_FAILED


async def test_a_passkey_is_a_second_factor_after_a_password(rig: Rig) -> None:
    device = Authenticator(counts=True, verifies_user=True)
    codes = await enrolled(rig, await rig.invited("ana"), device)
    assert len(codes) == 10
    first = await rig.sign_in("ana")
    assert (first.state, first.factors) == (State.SECOND, ("passkey", "recovery_code"))
    ticket, options = await rig.service.passkeys.begin_second(APP, first.ticket)
    assert [one["id"] for one in options["allowCredentials"]] == [b64(device.held[0].id)]
    device.verifies_user = False  # possession is enough beside a password
    done = signed(await rig.service.passkeys.finish(APP, ticket, device.get(options), where()))
    assert (done.amr, done.mfa) == (("pwd", "hwk"), True)


async def test_alone_it_must_verify_its_user(rig: Rig) -> None:
    device = Authenticator()
    await enrolled(rig, await rig.invited("ana"), device)
    device.verifies_user = False
    assert (await refusal(sign_in(rig, device))).code is Code.SIGN_IN_FAILED


@pytest.mark.parametrize(
    "lies",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost.evil.example"},
        {"rp": "evil.example"},
        {"type": "webauthn.create"},
        {"challenge": b64(b"x" * 32)},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"present": 0},
        {"user": b"nobody"},
        {"user": bytes(16)},
    ],
)
async def test_lies_are_refused_alike(rig: Rig, lies: dict[str, Any]) -> None:
    device = Authenticator()
    await enrolled(rig, await rig.invited("ana"), device)
    caught = await refusal(sign_in(rig, device, **lies))
    assert (caught.status, caught.message) == (401, "That did not work.")


@pytest.mark.parametrize(
    "lies",
    [{"origin": "https://evil.example"}, {"rp": "evil.example"}, {"challenge": b64(b"x" * 32)},
     {"type": "webauthn.get"}],
)  # fmt: skip
async def test_lies_at_registration_are_refused(rig: Rig, lies: dict[str, Any]) -> None:
    account = await rig.invited("ana")
    ticket, options = await rig.service.factors.passkey_options(APP, account)
    credential = Authenticator().create(options, **lies)
    attempt = rig.service.factors.add_passkey(APP, account.id, ticket, credential, "")
    assert (await refusal(attempt)).code is Code.SIGN_IN_FAILED


async def test_an_answer_is_taken_once(rig: Rig) -> None:
    device = Authenticator()
    await enrolled(rig, await rig.invited("ana"), device)
    ticket, options = await rig.service.passkeys.begin(APP, where())
    credential = device.get(options)
    done = await asyncio.gather(
        *(rig.service.passkeys.finish(APP, ticket, credential, where()) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Outcome) for one in done) == 1


async def test_a_counter_that_does_not_grow_is_refused_and_audited(rig: Rig) -> None:
    device = Authenticator(counts=True)
    await enrolled(rig, await rig.invited("ana"), device)
    signed(await sign_in(rig, device, count=7))
    assert (await refusal(sign_in(rig, device, count=7))).status == 401
    assert ("account.passkey_counter", "denied") in rig.audit.actions()
    signed(await sign_in(rig, device, count=8))


async def test_somebody_elses_passkey_is_no_second_factor(rig: Rig) -> None:
    mine, theirs = Authenticator(), Authenticator()
    await enrolled(rig, await rig.invited("ana"), mine)
    await enrolled(rig, await rig.invited("bob"), theirs)
    first = await rig.sign_in("ana")
    ticket, options = await rig.service.passkeys.begin_second(APP, first.ticket)
    assert (
        await refusal(rig.service.passkeys.finish(APP, ticket, theirs.get(options), where()))
    ).status == 401


async def test_a_registration_ticket_signs_nobody_in(rig: Rig) -> None:
    device = Authenticator()
    account = await rig.invited("ana")
    await enrolled(rig, account, device)
    ticket, options = await rig.service.factors.passkey_options(APP, account)
    asked = {"rpId": options["rp"]["id"], "challenge": options["challenge"]}
    assert (
        await refusal(rig.service.passkeys.finish(APP, ticket, device.get(asked), where()))
    ).status == 401


async def test_a_registration_belongs_to_the_account_that_asked(rig: Rig) -> None:
    ana, bob = await rig.invited("ana"), await rig.invited("bob")
    ticket, options = await rig.service.factors.passkey_options(APP, ana)
    credential = Authenticator().create(options)
    attempt = rig.service.factors.add_passkey(APP, bob.id, ticket, credential, "")
    assert (await refusal(attempt)).status == 401


async def test_the_last_way_in_is_not_removed(rig: Rig) -> None:
    device = Authenticator()
    link = await rig.invitation()
    ticket, options = await rig.service.joining.begin_passkey(APP, link, "ana", "", where())
    done = await rig.service.joining.finish_passkey(
        APP, ticket, device.create(options), "", where()
    )
    key = b64(device.held[0].id)
    assert (await refusal(rig.service.factors.remove_passkey(APP, done.account, key))).status == 409
    bob = await rig.invited("bob")
    await enrolled(rig, bob, device)
    await rig.service.factors.remove_passkey(APP, bob.id, b64(device.held[1].id))
    assert (await refusal(sign_in(rig, device, which=1))).status == 401


async def test_policy_enrols_a_passkey_on_the_way_in(rig: Rig) -> None:
    await rig.invited("ana")
    rig.change(second_factor=SecondFactor.REQUIRED)
    first = await rig.sign_in("ana")
    device = Authenticator()
    registration, options = await rig.service.enrolling.passkey_options(APP, first.ticket)
    outcome, codes = await rig.service.enrolling.add_passkey(
        APP, first.ticket, registration, device.create(options), "", where()
    )
    assert signed(outcome).mfa
    assert len(codes) == 10


SITE = Site("localhost", "Sotto", ("http://localhost",))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
SHAPED = st.fixed_dictionaries(
    {
        "id": JSON,
        "rawId": JSON,
        "type": st.just("public-key") | JSON,
        "response": st.fixed_dictionaries(
            {},
            optional={
                "clientDataJSON": JSON | st.binary(max_size=60).map(b64),
                "attestationObject": JSON | st.binary(max_size=60).map(b64),
                "authenticatorData": JSON | st.binary(max_size=60).map(b64),
                "signature": JSON | st.binary(max_size=60).map(b64),
                "userHandle": JSON,
                "transports": JSON,
            },
        )
        | JSON,
    }
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(SHAPED | st.dictionaries(st.text(max_size=12), JSON))
def test_any_json_is_no_passkey(credential: dict[str, Any]) -> None:
    stored = Passkey(id="x", public_key=b"", sign_count=0, name="", created=0.0, synced=False)
    passkeys.user_handle(credential)
    passkeys.find((stored,), credential)
    with pytest.raises(BadPasskey):
        passkeys.register(SITE, credential, b"c" * 32, "", 0.0)
    with pytest.raises(BadPasskey):
        passkeys.authenticate(SITE, credential, b"c" * 32, stored, verify_user=True)
