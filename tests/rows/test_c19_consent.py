"""Rows C19, B2, B3: what is processed and why, the notice, and who agreed to which text."""

from __future__ import annotations

import base64
import csv
import io
import re
import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import ended, owner, people, person

WISH = {"basis": "consent", "title": "Statistics", "text": "We count how often you come."}


async def test_b03_a_purpose_has_a_basis_and_everybody_may_read_the_register(there: Visit) -> None:
    root, (ann,) = await owner(there), await people(there, 1)
    path = "/processing-register/messages"
    full = {
        **WISH, "basis": "contract", "categories": ["messages"], "retention": "30 days",
        "recipients": ["nobody"],
    }  # fmt: skip
    assert (await ann.ask("PUT", path, full)).status == 403
    for wrong in ({**full, "basis": "because"}, {"title": "x", "text": "y"}):
        refused = await root.ask("PUT", path, wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid")
    await root.must("PUT", path, full)
    listed = (await there.ask("GET", "/processing-register")).body["purposes"]
    (found,) = [one for one in listed if one["id"] == "messages"]
    assert {name: found[name] for name in full} == full


async def test_b02_the_notice_has_versions(there: Visit) -> None:
    root, (ann,) = await owner(there), await people(there, 1)
    assert (await ann.ask("PUT", "/privacy-notice", {"text": "x"})).status == 403
    first = await root.must("PUT", "/privacy-notice", {"text": "We keep little."})
    second = await root.must("PUT", "/privacy-notice", {"text": "We keep less."})
    assert second["version"] == first["version"] + 1
    assert (await there.ask("GET", "/privacy-notice")).body == second
    # Each can be read for ever, by everybody; the first is the one that is shipped.
    for one in (first, second):
        told = await there.ask("GET", f"/privacy-notice/versions/{one['version']}")
        assert (told.status, told.body) == (200, one)
    shipped = (await there.ask("GET", "/privacy-notice/versions/1")).body
    assert "/api/v1/account/erasure" in shipped["text"]
    for wrong in ("0", "x", str(second["version"] + 1), "99999999999999"):
        nothing = await there.ask("GET", f"/privacy-notice/versions/{wrong}")
        assert (nothing.status, nothing.code) == (404, "not_found"), wrong


async def test_b02_b03_s5d_30_a_fresh_server_says_what_it_processes(
    housed: Callable[..., House],
) -> None:
    settings = {"retention.messages_days": "12", "ringing.history_days": "34"}
    async with visiting(housed(settings)) as there:
        notice = await there.ask("GET", "/privacy-notice")
        assert (notice.status, notice.body["version"]) == (200, 1)
        told = (await there.ask("GET", "/processing-register")).body["purposes"]
        found = {one["id"]: one for one in told}
        assert {"accounts", "messages", "files", "calls", "security", "push"} <= set(found)
        for one in told:
            assert one["basis"] and one["categories"] and one["retention"] and one["text"], one
        assert "12 days" in found["messages"]["retention"]
        assert "34 days" in found["calls"]["retention"]
        # What the operator says takes its place, and what it was stays readable.
        root, own = await owner(there), {**WISH, "basis": "contract", "retention": "a day"}
        made = await root.must("PUT", "/processing-register/messages", own)
        assert (made["version"], made["retention"]) == (2, "a day")
        path = "/processing-register/messages/versions"
        assert (await there.ask("GET", f"{path}/2")).body == made
        assert (await there.ask("GET", f"{path}/1")).body == found["messages"]
        for wrong in (f"{path}/3", "/processing-register/nothing/versions/1"):
            assert (await there.ask("GET", wrong)).status == 404


async def test_c19_without_consent_is_403_where_a_purpose_rests_on_it(wide: House) -> None:
    """Push here: who did not agree registers no device; `test_c19_who_withdrew_is_not_woken` is
    beside the other tests of push.
    """
    async with visiting(wide) as there:
        root, (ann, bob) = await owner(there), await people(there, 2)
        path, device = "/account/consents/push", {"kind": "web_push", **browser(wide)}
        assert (await bob.ask("POST", "/push/subscriptions", device)).status == 201
        made = await root.must("PUT", "/processing-register/push", WISH)
        try:
            refused = await ann.ask("POST", "/push/subscriptions", device)
            assert (refused.status, refused.code) == (403, "consent_required")
            assert (await ann.must("GET", "/push/subscriptions"))["items"] == []
            agree = {"version": made["version"], "sha256": made["sha256"]}
            await ann.must("PUT", path, agree)
            assert (await ann.ask("POST", "/push/subscriptions", device)).status == 201
            for _ in range(2):
                await ann.must("DELETE", path)
                refused = await ann.ask("POST", "/push/subscriptions", device)
                assert (refused.status, refused.code) == (403, "consent_required")
            # Another text is asked for anew.
            await ann.must("PUT", path, agree)
            changed = {**WISH, "text": "We count how often you are woken."}
            await root.must("PUT", "/processing-register/push", changed)
            assert (await ann.ask("POST", "/push/subscriptions", device)).status == 403
            assert "push" not in (await ann.must("GET", "/account/consents"))["standing"]
        finally:
            await root.must("PUT", "/processing-register/push", {**WISH, "basis": "contract"})
        assert (await ann.ask("POST", "/push/subscriptions", device)).status == 201


def browser(house: House) -> dict[str, str]:
    """A subscription of nobody at an address that the house may call."""
    (port,) = re.findall(r"port = (\d+) \}", house.toml)
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )  # fmt: skip
    code = base64.urlsafe_b64encode
    return {
        "endpoint": f"https://127.0.0.1:{port}/{secrets.token_hex(8)}",
        "p256dh": code(point).decode().rstrip("="),
        "auth": code(secrets.token_bytes(16)).decode().rstrip("="),
    }


async def test_c19_consent_is_to_a_text_and_ends_as_easily_as_it_began(there: Visit) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    purpose = await root.must("PUT", "/processing-register/letters", WISH)
    await root.must("PUT", "/processing-register/billing", {**WISH, "basis": "contract"})
    path = "/account/consents/letters"
    shown = {"version": purpose["version"], "sha256": purpose["sha256"]}
    for wrong in (
        {**shown, "version": 99}, {**shown, "sha256": "0" * 64}, {"version": 1}, {},
    ):  # fmt: skip
        assert (await ann.ask("PUT", path, wrong)).status == 422
    for foreign in ("/account/consents/billing", "/account/consents/nothing"):
        assert (await ann.ask("PUT", foreign, shown)).status == 422
    assert (await ann.must("GET", "/account/consents"))["standing"] == []
    given = await ann.must("PUT", path, shown)
    assert given["given"] and given["sha256"] == purpose["sha256"]
    assert (await ann.must("GET", "/account/consents"))["standing"] == ["letters"]
    assert (await bob.must("GET", "/account/consents"))["standing"] == []
    # Another text has to be agreed to anew.
    changed = {**WISH, "text": "We count, and sell the counts."}
    await root.must("PUT", "/processing-register/letters", changed)
    assert (await ann.must("GET", "/account/consents"))["standing"] == []
    assert (await ann.ask("PUT", path, shown)).status == 422
    await root.must("PUT", "/processing-register/letters", WISH)
    now = await root.must("PUT", "/processing-register/letters", WISH)
    await ann.must("PUT", path, {"version": now["version"], "sha256": now["sha256"]})
    await ann.must("DELETE", path)
    mine = await ann.must("GET", "/account/consents")
    assert mine["standing"] == []
    assert [act["given"] for act in mine["acts"]] == [True, True, False]
    auditor = await person(there, "auditor")
    assert await there.recorded(auditor.token, "withdrawPurposeConsent", "allowed")
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"]))["counts"]["consents"] == 1


async def test_c19_nobody_agrees_or_withdraws_for_somebody_else(there: Visit) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    made = await root.must("PUT", "/processing-register/surveys", WISH)
    agree = {"version": made["version"], "sha256": made["sha256"]}
    theirs = f"/accounts/{ann.id}/consents/surveys"
    for who in (root, bob):
        for method, body in (("PUT", agree), ("DELETE", None)):
            refused = await who.ask(method, theirs, body)
            assert (refused.status, refused.code) == (403, "not_permitted")
            nobodys = await who.ask(method, "/accounts/nobody/consents/surveys", body)
            assert (nobodys.code, nobodys.body["detail"]) == (refused.code, refused.body["detail"])
    assert (await there.ask("PUT", theirs, agree)).status == 401
    assert (await ann.must("GET", "/account/consents"))["acts"] == []
    auditor = await person(there, "auditor")
    await there.recorded(
        auditor.token, "giveConsentOf", "denied", actor=f"account:{root.id}",
        target="purpose:surveys",
    )  # fmt: skip
    # Oneself by one's own name: the same act.
    for wrong in ({}, {**agree, "version": 0}, {**agree, "account": ann.id}):
        assert (await ann.ask("PUT", theirs, wrong)).code == "fields_invalid"
    assert (await ann.must("PUT", theirs, agree))["given"] is True
    assert (await ann.must("GET", "/account/consents"))["standing"] == ["surveys"]
    assert (await ann.must("DELETE", theirs))["given"] is False
    assert (await ann.must("GET", "/account/consents"))["standing"] == []


async def test_s5d_30_the_register_is_a_table_too_without_formulas(there: Visit) -> None:
    root = await owner(there)
    title = '=HYPERLINK("https://evil.example")'
    wish = {
        "basis": "contract", "title": title, "text": "a, \"b\"\nc",
        "categories": ["+1", "two"], "retention": "-1 day", "recipients": ["@nobody"],
    }  # fmt: skip
    made = await root.must("PUT", "/processing-register/tables", wish)
    answer = await there.ask("GET", "/processing-register.csv")
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    table = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    listed = (await there.ask("GET", "/processing-register")).body["purposes"]
    assert [one["id"] for one in table] == [one["id"] for one in listed]
    assert list(table[0]) == list(listed[0]), "the same columns"
    (row,) = [one for one in table if one["id"] == "tables"]
    assert row == {
        **{name: str(value) for name, value in made.items()},
        "title": "'" + title, "categories": "'+1\ntwo", "retention": "'-1 day",
        "recipients": "'@nobody",
    }  # fmt: skip
    cells = [cell for one in table for cell in one.values()]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    for bad in ("?format=xlsx", "?purpose=x"):
        assert (await there.ask("GET", f"/processing-register.csv{bad}")).status == 422
    assert (await there.ask("POST", "/processing-register.csv", {})).status == 405
