"""The operations over HTTP with real sessions: journeys, who may, bad input, what is audited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest

from signaling.accounts.settings import SecondFactor
from tests.signaling.accounts.authenticator import Authenticator, b64
from tests.signaling.accounts.rig import OTHER, PASSWORD, Rig, secret_of
from tests.signaling.accounts.served import Answer, Served, served


@pytest.fixture
async def api(rig: Rig) -> AsyncIterator[Served]:
    async with served(rig) as made:
        yield made


def code_of(api: Served, secret: str) -> str:
    return pyotp.TOTP(secret).at(int(api.rig.clock.unix()))


async def test_from_the_printed_link_to_a_member_who_signs_in(api: Served) -> None:
    owner = await api.owner()
    me = (await api.ask("GET", "/account", token=owner)).body
    assert (me["login"], me["roles"]) == ("root.ana", ["owner"])
    member = await api.member(owner, "bob")
    assert (await api.ask("GET", "/account", token=member)).body["roles"] == ["member"]
    answer = await api.sign_in("bob")
    assert (answer.status, answer.body["state"]) == (200, "done")
    assert answer.body["device_token"].startswith("dv_")


async def test_c11_totp_from_enrolment_to_sign_in(api: Served) -> None:
    owner = await api.owner()
    offer = (await api.ask("POST", "/account/totp", token=owner)).body
    assert offer["uri"].startswith("otpauth://totp/")
    assert "<svg" in offer["qr"]
    confirm = "/account/totp/confirmation"
    assert (await api.ask("POST", confirm, {"code": "abc"}, owner)).status == 422
    assert (await api.ask("POST", confirm, {"code": "000000"}, owner)).status == 401
    code = code_of(api, offer["secret"])
    done = (await api.ask("POST", confirm, {"code": code}, owner)).body
    assert len(done["recovery_codes"]) == 10
    first = (await api.sign_in("root.ana")).body
    assert (first["state"], first["factors"]) == ("mfa_pending", ["totp", "recovery_code"])
    assert "access_token" not in first
    # A ticket opens nothing but the next step.
    for method, path in (("GET", "/account"), ("GET", "/accounts"), ("POST", "/account/totp")):
        assert (await api.ask(method, path, token=first["ticket"])).status == 401
    step = {"ticket": first["ticket"], "code": code}
    replayed = await api.ask("POST", "/sign-in/code", step)
    wrong = await api.ask("POST", "/sign-in/code", {**step, "code": "000000"})
    assert replayed.status == wrong.status == 401
    same = [
        {k: v for k, v in one.body.items() if k not in ("request_id", "instance")}
        for one in (replayed, wrong)
    ]
    assert same[0] == same[1]
    assert (await api.ask("POST", "/sign-in/code", {**step, "code": "12"})).status == 422
    api.rig.clock.advance(30)
    step["code"] = code_of(api, offer["secret"])
    done = await api.ask("POST", "/sign-in/code", step)
    assert done.body["state"] == "done"
    factors = [event.details.get("factor") for event in api.rig.audit.events]
    assert "pwd otp" in factors


async def test_a_passkey_journey(api: Served) -> None:
    owner = await api.owner()
    device = Authenticator()
    begun = (await api.ask("POST", "/account/passkeys/options", token=owner)).body
    body = {"ticket": begun["ticket"], "credential": device.create(begun["options"]), "name": "key"}
    assert (await api.ask("POST", "/account/passkeys", body, owner)).status == 200
    begun = (await api.ask("POST", "/sign-in/passkey/options", {})).body
    assert begun["options"]["allowCredentials"] == []
    step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
    done = await api.ask("POST", "/sign-in/passkey", step)
    assert (done.status, done.body["state"]) == (200, "done")
    token = done.body["access_token"]
    (listed,) = (await api.ask("GET", "/account", token=token)).body["passkeys"]
    assert listed["name"] == "key"
    path = f"/account/passkeys/{listed['id']}"
    assert (await api.ask("PATCH", path, {"name": "new"}, token)).status == 204
    assert (await api.ask("DELETE", path, token=token)).status == 204
    assert (await api.ask("DELETE", path, token=token)).status == 404


async def test_sensitive_acts_ask_for_a_fresh_proof(api: Served) -> None:
    owner = await api.owner()
    api.rig.clock.advance(301)
    refused = await api.ask("POST", "/account/totp", token=owner)
    assert (refused.status, refused.body["code"]) == (403, "reauthentication_required")
    wrong = await api.ask("POST", "/reauthentication/password", {"password": OTHER}, owner)
    assert wrong.status == 401
    done = await api.ask("POST", "/reauthentication/password", {"password": PASSWORD}, owner)
    assert done.body["state"] == "done"
    # A new token takes the place of the old one (ASVS 7.2.4).
    assert (await api.ask("POST", "/account/totp", token=owner)).status == 401
    renewed = done.body["access_token"]
    assert (await api.ask("POST", "/account/totp", token=renewed)).status == 200


async def test_a_proof_is_for_the_session_that_asked(api: Served) -> None:
    owner = await api.owner()
    offer = (await api.ask("POST", "/account/totp", token=owner)).body
    code = code_of(api, offer["secret"])
    await api.ask("POST", "/account/totp/confirmation", {"code": code}, owner)
    eve = await api.member(owner, "eve")
    api.rig.clock.advance(301)
    begun = await api.ask("POST", "/reauthentication/password", {"password": PASSWORD}, owner)
    assert begun.body["state"] == "mfa_pending"
    step = {"ticket": begun.body["ticket"], "code": code_of(api, offer["secret"])}
    assert (await api.ask("POST", "/sign-in/code", step)).status == 401
    assert (await api.ask("POST", "/reauthentication/code", step, eve)).status == 401
    api.rig.clock.advance(30)
    begun = await api.ask("POST", "/reauthentication/password", {"password": PASSWORD}, owner)
    step = {"ticket": begun.body["ticket"], "code": code_of(api, offer["secret"])}
    done = await api.ask("POST", "/reauthentication/code", step, owner)
    assert done.status == 200
    renewed = done.body["access_token"]
    assert (await api.ask("POST", "/account/recovery-codes", token=renewed)).status == 200


async def test_proving_again_with_a_passkey(api: Served) -> None:
    owner = await api.owner()
    device = Authenticator()
    begun = (await api.ask("POST", "/account/passkeys/options", token=owner)).body
    body = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
    await api.ask("POST", "/account/passkeys", body, owner)
    api.rig.clock.advance(301)
    begun = (await api.ask("POST", "/reauthentication/passkey/options", token=owner)).body
    assert [one["id"] for one in begun["options"]["allowCredentials"]] == [b64(device.held[0].id)]
    step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
    done = await api.ask("POST", "/reauthentication/passkey", step, owner)
    assert done.status == 200
    renewed = done.body["access_token"]
    assert (await api.ask("POST", "/account/totp", token=renewed)).status == 200


async def test_a_disabled_account_and_a_new_password_end_sessions(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    other = (await api.sign_in("bob")).body["access_token"]
    new = {"password": OTHER, "current": PASSWORD}
    assert (await api.ask("PUT", "/account/password", new, member)).status == 204
    assert (await api.ask("GET", "/account", token=other)).status == 401
    assert (await api.ask("GET", "/account", token=member)).status == 200
    path = f"/accounts/{ident}"
    assert (await api.ask("PATCH", path, {"disabled": True}, owner)).status == 200
    assert (await api.ask("GET", "/account", token=member)).status == 401
    assert (await api.sign_in("bob", OTHER)).status == 401


async def test_a_role_changes_what_an_open_session_may(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    assert (await api.ask("GET", "/accounts", token=member)).status == 403
    change = {"roles": ["administrator"]}
    assert (await api.ask("PATCH", f"/accounts/{ident}", change, owner)).status == 200
    assert (await api.ask("GET", "/accounts", token=member)).status == 200
    change = {"roles": ["member"]}
    await api.ask("PATCH", f"/accounts/{ident}", change, owner)
    assert (await api.ask("GET", "/accounts", token=member)).status == 403


async def test_an_older_version_is_not_overwritten(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    seen = await api.ask("GET", f"/accounts/{ident}", token=owner)
    change = {"roles": ["administrator"]}
    tag = {"If_Match": seen.headers["ETag"]}
    assert (await api.ask("PATCH", f"/accounts/{ident}", change, owner, **tag)).status == 200
    assert (await api.ask("PATCH", f"/accounts/{ident}", change, owner, **tag)).status == 412


async def test_of_many_who_saw_the_same_version_one_changes_it(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    seen = await api.ask("GET", f"/accounts/{ident}", token=owner)
    tag = {"If_Match": seen.headers["ETag"]}
    wishes = (["administrator"], ["auditor"], ["compliance"], ["owner"], ["member", "auditor"])
    answers = await asyncio.gather(*(
        api.ask("PATCH", f"/accounts/{ident}", {"roles": roles}, owner, **tag) for roles in wishes
    ))  # fmt: skip
    assert sorted(one.status for one in answers) == [200] + [412] * 4


async def test_policy_enrols_on_the_way_in(api: Served) -> None:
    owner = await api.owner()
    await api.member(owner, "bob")
    api.rig.change(second_factor=SecondFactor.REQUIRED)
    async with served(api.rig) as strict:
        first = (await strict.sign_in("bob")).body
        assert first["state"] == "enrol_required"
        offer = await strict.ask("POST", "/sign-in/enrolment/totp", {"ticket": first["ticket"]})
        step = {"ticket": first["ticket"], "code": code_of(strict, offer.body["secret"])}
        done = await strict.ask("POST", "/sign-in/enrolment/totp/confirmation", step)
        assert (done.body["state"], len(done.body["recovery_codes"])) == ("done", 10)
        page = (await strict.ask("GET", "/sign-in")).body
        assert (page["password_shortest"], page["second_factor"]) == (8, "required")


async def test_who_was_signed_in_before_the_policy_can_enrol(api: Served) -> None:
    owner = await api.owner()
    api.rig.change(second_factor=SecondFactor.REQUIRED)
    async with served(api.rig) as strict:
        api.rig.clock.advance(301)
        done = await strict.ask("POST", "/reauthentication/password", {"password": PASSWORD}, owner)
        assert done.body["state"] == "done"
        renewed = done.body["access_token"]
        assert (await strict.ask("POST", "/account/totp", token=renewed)).status == 200


async def test_a_browser_gets_cookies_and_no_token(api: Served) -> None:
    owner = await api.owner()
    await api.member(owner, "bob")
    body = {"login": "bob", "password": PASSWORD, "cookie": True}
    done = await api.ask("POST", "/sign-in/password", body, Origin="http://localhost")
    assert "access_token" not in done.body
    assert "device_token" not in done.body
    cookies = done.headers.getall("Set-Cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {
        "__Host-sotto",
        "__Host-sotto_device",
    }
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
        assert "SameSite=" in cookie
    jar = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    assert (await api.ask("GET", "/account", Cookie=jar)).status == 200
    evil = {"Cookie": jar, "Origin": "https://evil.example"}
    assert (await api.ask("PATCH", "/account", {"name": "x"}, **evil)).status == 403


async def test_sign_in_from_another_site_is_refused(api: Served) -> None:
    body = {"login": "bob", "password": PASSWORD}
    evil = await api.ask("POST", "/sign-in/password", body, Origin="https://evil.example")
    assert evil.status == 403


async def test_guests_come_by_link_and_see_little(api: Served) -> None:
    owner = await api.owner()
    made = await api.ask("POST", "/guest-links", {"room": "garden"}, owner)
    body = {"link": secret_of(made.body["url"]), "name": "Gast"}
    guest = (await api.ask("POST", "/guests", body)).body
    assert (guest["state"], guest["room"]) == ("done", "garden")
    token = guest["access_token"]
    assert (await api.ask("GET", "/account", token=token)).body["kind"] == "guest"
    for method, path in (
        ("GET", "/accounts"), ("POST", "/invitations"), ("POST", "/account/totp"),
        ("POST", "/guest-links"),
    ):  # fmt: skip
        assert (await api.ask(method, path, token=token)).status in (403, 422)
    assert (await api.ask("DELETE", f"/guest-links/{made.body['id']}", token=owner)).status == 204
    assert (await api.ask("POST", "/guests", body)).status == 404


async def test_resets_answer_alike_and_send_letters_beside(api: Served) -> None:
    owner = await api.owner()
    await api.ask("POST", "/account/mail", {"mail": "ana@example.org"}, owner)
    link = {"link": secret_of(api.rig.letters[-1][2])}
    assert (await api.ask("POST", "/account/mail/confirmation", link, owner)).status == 204
    answers = [
        await api.ask("POST", "/password-resets", {"login": login})
        for login in ("root.ana", "nobody", "\u0000", "x" * 256)
    ]
    assert {(one.status, one.body) for one in answers} == {(202, None)}
    async with asyncio.timeout(60):
        while api.rig.letters[-1][1] != "password_reset":
            await asyncio.sleep(0.01)
    step = {"link": secret_of(api.rig.letters[-1][2]), "password": OTHER}
    assert (await api.ask("POST", "/password-resets/completion", step)).status == 204
    assert (await api.ask("POST", "/password-resets/completion", step)).status == 404
    assert (await api.ask("GET", "/account", token=owner)).status == 401
    assert (await api.sign_in("root.ana", OTHER)).status == 200


async def test_an_administrators_link_sets_a_password(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    made = await api.ask("POST", f"/accounts/{ident}/password-links", token=owner)
    assert made.status == 201
    assert PASSWORD not in json.dumps(made.body)
    step = {"link": secret_of(made.body["url"]), "password": OTHER}
    assert (await api.ask("POST", "/password-resets/completion", step)).status == 204
    assert (await api.sign_in("bob", OTHER)).status == 200


async def test_accounts_are_paged_and_hold_no_secret(api: Served) -> None:
    owner = await api.owner()
    for name in ("bob", "eve", "joe"):
        api.rig.clock.advance(1)
        await api.member(owner, name)
    found: list[str] = []
    cursor = ""
    for _ in range(4):
        page = (await api.ask("GET", f"/accounts?limit=2{cursor}", token=owner)).body
        assert not any(word in json.dumps(page) for word in ("argon2", "secret", "passkey", "mail"))
        found += [one["login"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == ["root.ana", "bob", "eve", "joe"]


async def test_deleting_an_account_frees_its_name(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    assert (await api.ask("DELETE", "/account", token=owner)).status == 409
    assert (await api.ask("DELETE", "/account", token=member)).status == 204
    assert (await api.ask("GET", "/account", token=member)).status == 401
    await api.member(owner, "bob")


BODIES: dict[str, dict[str, Any]] = {
    "/sign-up": {"login": "eve", "password": PASSWORD},
    "/sign-in/password": {"login": "eve", "password": PASSWORD},
    "/sign-in/code": {"ticket": "x", "code": "123456"},
    "/guests": {"link": "x"},
    "/password-resets": {"login": "eve"},
}


@pytest.mark.parametrize("path", BODIES)
async def test_b28_unknown_fields_are_422(api: Served, path: str) -> None:
    extras: tuple[dict[str, Any], ...] = (
        {"role": "owner"}, {"roles": ["owner"]}, {"email": "eve@example.org"}, {"phone": "1"},
        {"verified": True}, {"__proto__": {}}, {"$where": "1"},
    )  # fmt: skip
    for extra in extras:
        answer = await api.ask("POST", path, {**BODIES[path], **extra})
        assert answer.status == 422
        assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("value", [None, 7, True, [], {"$gt": ""}, {"": ""}])
async def test_operators_and_wrong_types_are_422(api: Served, path: str, value: Any) -> None:
    for field in BODIES[path]:
        answer = await api.ask("POST", path, {**BODIES[path], field: value})
        assert answer.status == 422


async def test_members_cannot_raise_themselves(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    for body in ({"name": "x", "roles": ["owner"]}, {"roles": ["owner"]}, {"disabled": False}):
        assert (await api.ask("PATCH", "/account", body, member)).status == 422
    change = {"roles": ["owner"]}
    assert (await api.ask("PATCH", f"/accounts/{ident}", change, member)).status == 403
    administrator = await api.member(owner, "eve", "administrator")
    assert (await api.ask("PATCH", f"/accounts/{ident}", change, administrator)).status == 403


async def test_every_act_enters_the_audit_and_no_secret_does(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    ident = (await api.ask("GET", "/account", token=member)).body["id"]
    await api.sign_in("bob", OTHER)
    await api.sign_in("bob")
    (failure,) = [one for one in api.rig.audit.events if one.result == "denied"]
    assert (failure.target, failure.actor) == (f"account:{ident}", "anonymous")
    assert (failure.code, failure.address) == ("sign_in_failed", "192.0.2.0/24")
    text = repr(api.rig.audit.events)
    for secret in (PASSWORD, OTHER, owner, "argon2"):
        assert secret not in text
    results = [(one.action, one.result) for one in api.rig.audit.events]
    assert len([one for one in results if one[1] == "denied"]) == 1
    assert len(results) >= 4


def public(answer: Answer) -> tuple[Any, ...]:
    body = {k: v for k, v in answer.body.items() if k not in ("request_id", "instance")}
    return answer.status, json.dumps(body, sort_keys=True), sorted(answer.headers)


async def test_the_body_tells_no_known_name_from_an_unknown_one(api: Served) -> None:
    owner = await api.owner()
    await api.member(owner, "bob")
    known, unknown = await api.sign_in("bob", OTHER), await api.sign_in("nobody", OTHER)
    assert public(known) == public(unknown)
