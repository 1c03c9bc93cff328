"""The remaining operations over HTTP: administration, links, devices, passkeys, mail, profile."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from signaling.accounts.settings import SecondFactor
from tests.signaling.accounts.authenticator import Authenticator
from tests.signaling.accounts.rig import OTHER, PASSWORD, Rig, secret_of
from tests.signaling.accounts.served import Served, served

pytestmark = pytest.mark.parametrize("rig", ["memory"], indirect=True)


@pytest.fixture
async def api(rig: Rig) -> AsyncIterator[Served]:
    async with served(rig) as made:
        yield made


async def ident_of(api: Served, token: str) -> str:
    return str((await api.ask("GET", "/account", token=token)).body["id"])


async def test_an_administrator_removes_factors_and_accounts(api: Served) -> None:
    owner = await api.owner()
    member = await api.member(owner, "bob")
    path = f"/accounts/{await ident_of(api, member)}"
    assert (await api.ask("DELETE", f"{path}/factors", token=owner)).status == 204
    assert (await api.ask("GET", "/account", token=member)).status == 401
    assert (await api.ask("DELETE", path, token=owner)).status == 204
    for method, where in (
        ("GET", path), ("DELETE", path), ("DELETE", f"{path}/factors"),
        ("POST", f"{path}/password-links"),
    ):  # fmt: skip
        assert (await api.ask(method, where, token=owner)).status == 404
    assert (await api.sign_in("bob")).status == 401


async def test_invitations_and_guest_links_are_listed_without_their_secrets(api: Served) -> None:
    owner = await api.owner()
    wish = {"uses": 3, "seconds": 600, "label": "family"}
    made = (await api.ask("POST", "/invitations", wish, owner)).body
    api.rig.clock.advance(1)  # ids sort by time
    room = {"room": "garden", "label": "party"}
    link = (await api.ask("POST", "/guest-links", room, owner)).body
    await api.member(owner, "bob")
    listed = (await api.ask("GET", "/invitations", token=owner)).body["items"]
    assert [(one["label"], one["uses"], one["used"]) for one in listed] == [
        ("family", 3, 0), ("", 1, 1),
    ]  # fmt: skip
    (guests,) = (await api.ask("GET", "/guest-links", token=owner)).body["items"]
    assert (guests["room"], guests["label"]) == ("garden", "party")
    assert secret_of(made["url"]) not in repr(listed)
    assert (await api.ask("DELETE", f"/guest-links/{made['id']}", token=owner)).status == 404
    assert (await api.ask("DELETE", f"/invitations/{made['id']}", token=owner)).status == 204
    assert (await api.ask("DELETE", f"/invitations/{made['id']}", token=owner)).status == 404
    assert (await api.ask("DELETE", f"/guest-links/{link['id']}", token=owner)).status == 204


async def test_an_invitation_which_may_make_owners_asks_for_a_fresh_proof(api: Served) -> None:
    owner = await api.owner()
    api.rig.clock.advance(301)
    wish = {"roles": ["owner"]}
    refused = await api.ask("POST", "/invitations", wish, owner)
    assert (refused.status, refused.body["code"]) == (403, "reauthentication_required")
    assert not (await api.ask("GET", "/invitations", token=owner)).body["items"]
    body = {"password": PASSWORD}
    proof = await api.ask("POST", "/reauthentication/password", body, owner)
    assert (await api.ask("POST", "/invitations", wish, proof.body["access_token"])).status == 201


@pytest.mark.parametrize(
    "wish",
    [{"uses": 0}, {"uses": 10_001}, {"seconds": 59}, {"seconds": 1e9}, {"roles": ["king"]},
     {"label": "x" * 300}, {"roles": "owner"}, {"room": "x"}],
)  # fmt: skip
async def test_odd_invitations_are_422(api: Served, wish: dict[str, object]) -> None:
    owner = await api.owner()
    assert (await api.ask("POST", "/invitations", wish, owner)).status == 422


async def test_devices_are_seen_and_forgotten(api: Served) -> None:
    owner = await api.owner()
    body = {"login": "root.ana", "password": PASSWORD, "device_name": "old phone"}
    other = (await api.ask("POST", "/sign-in/password", body)).body
    found = (await api.ask("GET", "/account/devices", token=owner)).body["items"]
    assert {one["name"] for one in found} == {"", "old phone"}
    assert [one["current"] for one in found].count(True) == 1
    (phone,) = [one for one in found if one["name"]]
    path = f"/account/devices/{phone['id']}"
    assert (await api.ask("DELETE", path, token=owner)).status == 204
    assert (await api.ask("GET", "/account", token=other["access_token"])).status == 401
    assert (await api.ask("GET", "/account", token=owner)).status == 200
    assert (await api.ask("DELETE", path, token=owner)).status == 404


async def test_sign_up_with_a_passkey(api: Served) -> None:
    owner = await api.owner()
    device = Authenticator()
    start = {"login": "eve", "link": await api.invite(owner), "name": "Eve"}
    begun = (await api.ask("POST", "/sign-up/passkey/options", start)).body
    step = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
    assert (await api.ask("POST", "/sign-in/passkey", step)).status == 401
    begun = (await api.ask("POST", "/sign-up/passkey/options", start)).body
    step = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
    done = await api.ask("POST", "/sign-up/passkey", {**step, "passkey_name": "key"})
    assert (done.status, done.body["state"]) == (200, "done")
    assert (await api.ask("POST", "/sign-up/passkey", step)).status == 401
    me = (await api.ask("GET", "/account", token=done.body["access_token"])).body
    assert (me["name"], me["password"], me["passkeys"][0]["name"]) == ("Eve", False, "key")
    key = me["passkeys"][0]["id"]
    last = await api.ask("DELETE", f"/account/passkeys/{key}", token=done.body["access_token"])
    assert last.status == 409


async def test_of_two_sign_ups_with_a_passkey_on_one_use_one_is_made(api: Served) -> None:
    owner = await api.owner()
    link = await api.invite(owner)
    statuses = []
    for login in ("eve", "joe"):
        start = {"login": login, "link": link}
        begun = (await api.ask("POST", "/sign-up/passkey/options", start)).body
        credential = Authenticator().create(begun["options"])
        step = {"ticket": begun["ticket"], "credential": credential}
        statuses.append((login, step))
    answers = [(await api.ask("POST", "/sign-up/passkey", step)).status for _, step in statuses]
    assert answers == [200, 404]


async def test_policy_enrols_a_passkey_over_http(api: Served) -> None:
    owner = await api.owner()
    await api.member(owner, "bob")
    api.rig.change(second_factor=SecondFactor.REQUIRED)
    async with served(api.rig) as strict:
        first = (await strict.sign_in("bob")).body
        ticket = {"ticket": first["ticket"]}
        begun = await strict.ask("POST", "/sign-in/enrolment/passkey/options", ticket)
        step = {
            **ticket,
            "registration": begun.body["ticket"],
            "credential": Authenticator().create(begun.body["options"]),
        }
        done = await strict.ask("POST", "/sign-in/enrolment/passkey", step)
        assert (done.body["state"], len(done.body["recovery_codes"])) == ("done", 10)


async def test_a_passkey_is_the_second_step_over_http(api: Served) -> None:
    owner = await api.owner()
    device = Authenticator()
    begun = (await api.ask("POST", "/account/passkeys/options", token=owner)).body
    body = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
    codes = (await api.ask("POST", "/account/passkeys", body, owner)).body["recovery_codes"]
    assert len(codes) == 10
    first = (await api.sign_in("root.ana")).body
    assert first["factors"] == ["passkey", "recovery_code"]
    begun = (await api.ask("POST", "/sign-in/passkey/options", {"ticket": first["ticket"]})).body
    step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
    assert (await api.ask("POST", "/sign-in/passkey", step)).body["state"] == "done"


async def test_profile_mail_and_codes(api: Served) -> None:
    owner = await api.owner()
    assert (await api.ask("PATCH", "/account", {"name": " Ana "}, owner)).body["name"] == "Ana"
    assert (await api.ask("PATCH", "/account", {"name": "a\u0007"}, owner)).status == 422
    assert (await api.ask("POST", "/account/recovery-codes", token=owner)).status == 404
    assert (await api.ask("DELETE", "/account/totp", token=owner)).status == 404
    assert (await api.ask("POST", "/account/mail", {"mail": "no"}, owner)).status == 422
    await api.ask("POST", "/account/mail", {"mail": "ana@example.org"}, owner)
    link = {"link": secret_of(api.rig.letters[-1][2])}
    assert (await api.ask("POST", "/account/mail/confirmation", link, owner)).status == 204
    assert (await api.ask("GET", "/account", token=owner)).body["mail"] == "ana@example.org"
    assert (await api.ask("DELETE", "/account/mail", token=owner)).status == 204
    assert (await api.ask("GET", "/account", token=owner)).body["mail"] == ""


async def test_without_a_mail_server_nobody_sets_an_address(api: Served) -> None:
    owner = await api.owner()
    api.rig.mail_works = False
    api.rig.build()
    async with served(api.rig) as silent:
        answer = await silent.ask("POST", "/account/mail", {"mail": "a@example.org"}, owner)
        assert answer.status == 409
        assert (await silent.ask("GET", "/sign-in")).body["password_reset"] is False
        login = {"login": "root.ana"}
        assert (await silent.ask("POST", "/password-resets", login)).status == 202


async def test_the_apps_name_is_no_password(api: Served) -> None:
    owner = await api.owner()
    assert (await api.ask("PATCH", "/app", {"name": "Blaue Villa"}, owner)).status == 204
    body = {"login": "eve", "password": "blauevilla-2026!", "link": await api.invite(owner)}
    refused = await api.ask("POST", "/sign-up", body)
    assert (refused.status, refused.body["code"]) == (422, "password_guessable")


async def test_a_guest_has_no_password_to_set(api: Served) -> None:
    owner = await api.owner()
    made = await api.ask("POST", "/guest-links", {"room": "garden"}, owner)
    guest = (await api.ask("POST", "/guests", {"link": secret_of(made.body["url"])})).body
    token = guest["access_token"]
    new = {"password": OTHER}
    assert (await api.ask("PUT", "/account/password", new, token)).status in (403, 409)
    again = {"password": PASSWORD}
    assert (await api.ask("POST", "/reauthentication/password", again, token)).status == 403
