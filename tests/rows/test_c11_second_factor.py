"""Rows C11, B28 and section 5.C: accounts with little data, passwords, factors, throttles."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pyotp
import pytest

from tests.rows.house import PASSWORD, House, Visit, link_of, visiting
from tests.signaling.accounts.authenticator import Authenticator

# When the code was made with which each login was enrolled: a step may end at any moment.
ENROLLED: dict[str, int] = {}


def at(totp: pyotp.TOTP, seconds: int) -> str:
    return totp.at(int(time.time()) + seconds)


async def enrolled(there: Visit) -> tuple[str, str, pyotp.TOTP, list[str]]:
    """A token, a login, the seed and the recovery codes of somebody with TOTP."""
    token, login = await there.joined()
    offer = (await there.ask("POST", "/account/totp", token=token)).body
    assert offer["uri"].startswith("otpauth://totp/Sotto:") and offer["secret"] in offer["uri"]
    assert offer["qr"].lstrip().startswith("<svg")
    totp = pyotp.TOTP(offer["secret"])
    confirm = "/account/totp/confirmation"
    for bad, status in (("12345", 422), ("abcdef", 422), ("", 422)):
        assert (await there.ask("POST", confirm, {"code": bad}, token)).status == status
    ENROLLED[login] = int(time.time())
    done = await there.ask("POST", confirm, {"code": totp.at(ENROLLED[login])}, token)
    assert done.status == 200 and len(set(done.body["recovery_codes"])) == 10
    return token, login, totp, done.body["recovery_codes"]


async def begun(there: Visit, login: str) -> Any:
    answer = await there.ask("POST", "/sign-in/password", {"login": login, "password": PASSWORD})
    assert (answer.status, answer.body["state"]) == (200, "mfa_pending"), answer.text
    return answer.body


async def test_c11_a_code_counts_once_and_within_one_step(there: Visit) -> None:
    _, login, totp, _ = await enrolled(there)
    used = totp.at(ENROLLED[login])
    ticket = (await begun(there, login))["ticket"]
    step = {"ticket": ticket}
    answers = [
        await there.ask("POST", "/sign-in/code", {**step, "code": code})
        for code in (used, "000000", at(totp, -300), at(totp, 90))
    ]
    assert {(one.status, one.code, one.body["detail"]) for one in answers} == {
        (401, "sign_in_failed", answers[1].body["detail"])
    }
    assert (await there.ask("POST", "/sign-in/code", {**step, "code": "x"})).status == 422
    ahead = at(totp, 30)
    done = await there.ask("POST", "/sign-in/code", {**step, "code": ahead})
    assert (done.status, done.body["state"]) == (200, "done")
    again = await there.ask("POST", "/sign-in/code", {**step, "code": ahead})
    assert again.status == 401


async def test_c11_a_recovery_code_counts_once_and_five_wrong_codes_slow_down(
    there: Visit,
) -> None:
    _, login, _, codes = await enrolled(there)
    step = {"ticket": (await begun(there, login))["ticket"], "code": codes[0]}
    assert (await there.ask("POST", "/sign-in/code", step)).body["state"] == "done"
    step["ticket"] = (await begun(there, login))["ticket"]
    statuses = [(await there.ask("POST", "/sign-in/code", step)).status for _ in range(6)]
    assert set(statuses) <= {401, 429}
    assert statuses[0] == 401 and statuses[-1] == 429


async def test_c11_a_pending_sign_in_opens_nothing(there: Visit) -> None:
    _, login, _, _ = await enrolled(there)
    pending = (await begun(there, login))["ticket"]
    for path in ("/account", "/session", "/sessions", "/account/devices"):
        assert (await there.ask("GET", path, token=pending)).status in (401, 403)
    answer = await there.send(
        "GET", "/sync", headers={"Authorization": f"Bearer {pending}", "Upgrade": "websocket"}
    )
    assert answer.status in (400, 401, 403, 426)


async def test_c11_turning_it_off_asks_who_one_is(housed: Callable[..., House]) -> None:
    house = housed({"api.reauth_seconds": "30"}, clock=True)
    async with visiting(house) as there:
        token, _, _, codes = await enrolled(there)
        house.move_on(31)
        for method, path in (
            ("DELETE", "/account/totp"), ("POST", "/account/recovery-codes"),
            ("POST", "/account/totp"),
        ):  # fmt: skip
            answer = await there.ask(method, path, token=token)
            assert (answer.status, answer.code) == (403, "reauthentication_required"), path
        body = {"password": PASSWORD}
        proof = await there.ask("POST", "/reauthentication/password", body, token)
        assert proof.status == 200 and proof.body["ticket"], proof.text
        # The password alone is not enough for somebody with a second factor.
        answer = await there.ask("DELETE", "/account/totp", token=token)
        assert (answer.status, answer.code) == (403, "reauthentication_required")
        body = {"ticket": proof.body["ticket"], "code": codes[0]}
        proof = await there.ask("POST", "/reauthentication/code", body, token)
        assert proof.status == 200, proof.text
        token = proof.body["access_token"]  # a new one, as after any proof (ASVS 7.2.4)
        fresh = await there.ask("POST", "/account/recovery-codes", token=token)
        assert fresh.status == 200
        assert not set(fresh.body["recovery_codes"]) & set(codes)
        answer = await there.ask("DELETE", "/account/totp", token=token)
        assert answer.status in (200, 204), answer.text


async def test_c11_a_policy_may_ask_for_it_of_everybody(housed: Callable[..., House]) -> None:
    """Switched on after the owner has joined, who has no factor yet."""
    required = housed({"accounts.sign_up": "open"})
    required.stop()
    required.settings = {**required.settings, "accounts.second_factor": "required"}
    required.start()
    async with visiting(required) as there:
        body = {"login": f"some.{secrets.token_hex(4)}", "password": PASSWORD}
        answer = await there.ask("POST", "/sign-up", body)
        assert (answer.status, answer.body["state"]) == (200, "enrol_required"), answer.text
        assert "access_token" not in answer.body
        ticket = {"ticket": answer.body["ticket"]}
        offer = await there.ask("POST", "/sign-in/enrolment/totp", ticket)
        code = pyotp.TOTP(offer.body["secret"]).now()
        done = await there.ask(
            "POST", "/sign-in/enrolment/totp/confirmation", {**ticket, "code": code}
        )
        assert (done.status, done.body["state"]) == (200, "done"), done.text


async def test_c11_s5c_passkeys_are_the_better_option(there: Visit) -> None:
    owner = await there.owner()
    made = await there.ask("POST", "/invitations", {"uses": 1}, owner)
    start = {"login": f"key.{secrets.token_hex(4)}", "link": link_of(made.body["url"])}
    device = Authenticator(origin=there.house.url)
    begun = (await there.ask("POST", "/sign-up/passkey/options", start)).body
    assert begun["options"]["authenticatorSelection"]["userVerification"] == "required"
    step = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
    assert (await there.ask("POST", "/sign-up/passkey", step)).body["state"] == "done"
    begun = (await there.ask("POST", "/sign-in/passkey/options", {})).body
    step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
    assert (await there.ask("POST", "/sign-in/passkey", step)).body["state"] == "done"
    again = await there.ask("POST", "/sign-in/passkey", step)
    assert again.status in (400, 401), again.text


async def invited(there: Visit, **changes: Any) -> Any:
    made = await there.ask("POST", "/invitations", {}, await there.owner())
    body = {
        "login": f"some.{secrets.token_hex(6)}", "password": PASSWORD,
        "link": link_of(made.body["url"]), **changes,
    }  # fmt: skip
    return await there.ask("POST", "/sign-up", body)


async def test_b28_a_login_and_a_password_suffice(there: Visit) -> None:
    answer = await invited(there)
    assert answer.status == 200
    me = (await there.ask("GET", "/account", token=answer.body["access_token"])).body
    assert (me["name"], me["mail"]) == ("", "")
    assert not {"phone", "email", "contacts", "birthday"} & set(me)


@pytest.mark.parametrize(
    "field", ["email", "phone", "contacts", "role", "roles", "is_admin", "verified", "$set"]
)
async def test_b28_unknown_fields_are_422(there: Visit, field: str) -> None:
    answer = await invited(there, **{field: "owner"})
    assert (answer.status, answer.code) == (422, "fields_invalid")
    token, _ = await there.joined()
    answer = await there.ask(
        "PATCH", "/account", {"name": "x", field: "owner"}, token, headers={"If-Match": "*"}
    )
    assert (answer.status, answer.code) == (422, "fields_invalid")
    who = (await there.ask("GET", "/session", token=token)).body
    assert who["roles"] == ["member"]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("a" * 14, "password_too_short"),
        ("é" * 13 + "x", "password_too_short"),
        ("short", "password_too_short"),
        ("password123456789", "password_guessable"),
        ("aaaaaaaaaaaaaaaaaaaa", "password_guessable"),
        ("kiwi 8 lanterns, " * 12, "password_too_long"),
    ],
)
async def test_s5c_passwords_that_are_refused_with_a_reason(
    there: Visit, password: str, code: str
) -> None:
    answer = await invited(there, password=password)
    assert answer.status == 422
    reasons = {answer.code, *(one["code"] for one in answer.body.get("errors", ()))}
    assert code in reasons, answer.text


@pytest.mark.parametrize(
    "password",
    ["kiwi-8-lanterns", "kiwi 8 lanterns, " * 4,
     "Gänse trinken 🦆 Tee, nachts", "no digits no signs no capitals here"],
)  # fmt: skip
async def test_s5c_long_passwords_in_any_script_are_taken_whole(
    there: Visit, password: str
) -> None:
    login = f"some.{secrets.token_hex(6)}"
    assert (await invited(there, login=login, password=password)).status == 200
    assert await there.sign_in(login, password)
    answer = await there.ask(
        "POST", "/sign-in/password", {"login": login, "password": password[:-1]}
    )
    assert answer.status == 401


async def test_s5c_both_spellings_of_an_accent_sign_in(there: Visit) -> None:
    login, word = f"some.{secrets.token_hex(6)}", "café au lait at five o'clock"
    assert (
        await invited(there, login=login, password=unicodedata.normalize("NFC", word))
    ).status == 200
    assert await there.sign_in(login, unicodedata.normalize("NFD", word))


async def test_s5c_a_hundred_guesses_lock_no_owner_out(there: Visit) -> None:
    """Wrong guesses run into 429; the device that signed in before goes on."""
    _, login = await there.joined()
    first = await there.ask("POST", "/sign-in/password", {"login": login, "password": PASSWORD})
    device = first.body["device_token"]
    statuses = []
    for _ in range(100):
        answer = await there.ask("POST", "/sign-in/password", {"login": login, "password": "wrong"})
        statuses.append(answer.status)
    # Some are looked at, the rest are not: the delay grows faster than anybody guesses.
    assert set(statuses) == {401, 429} and statuses[-1] == 429
    assert statuses.count(401) <= 12, statuses
    known = {"login": login, "password": PASSWORD, "device_token": device}
    assert (await there.ask("POST", "/sign-in/password", known)).status == 200


async def test_s5c_who_exists_is_not_told(there: Visit) -> None:
    _, login = await there.joined()
    answers = [
        await there.ask("POST", "/sign-in/password", {"login": name, "password": "wrong " * 4})
        for name in (login, "nobody.at.all")
    ]
    for answer in answers:
        answer.body.pop("request_id")
    assert answers[0].status == answers[1].status == 401
    assert answers[0].body == answers[1].body
