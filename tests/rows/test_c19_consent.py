"""Rows C19, B2, B3: what is processed and why, the notice, and who agreed to which text."""

from __future__ import annotations

from tests.rows.house import Visit
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


async def test_c19_consent_is_to_a_text_and_ends_as_easily_as_it_began(there: Visit) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    purpose = await root.must("PUT", "/processing-register/statistics", WISH)
    await root.must("PUT", "/processing-register/calls", {**WISH, "basis": "contract"})
    path = "/account/consents/statistics"
    shown = {"version": purpose["version"], "sha256": purpose["sha256"]}
    for wrong in (
        {**shown, "version": 99}, {**shown, "sha256": "0" * 64}, {"version": 1}, {},
    ):  # fmt: skip
        assert (await ann.ask("PUT", path, wrong)).status == 422
    for foreign in ("/account/consents/calls", "/account/consents/nothing"):
        assert (await ann.ask("PUT", foreign, shown)).status == 422
    assert (await ann.must("GET", "/account/consents"))["standing"] == []
    given = await ann.must("PUT", path, shown)
    assert given["given"] and given["sha256"] == purpose["sha256"]
    assert (await ann.must("GET", "/account/consents"))["standing"] == ["statistics"]
    assert (await bob.must("GET", "/account/consents"))["standing"] == []
    # Another text has to be agreed to anew.
    changed = {**WISH, "text": "We count, and sell the counts."}
    await root.must("PUT", "/processing-register/statistics", changed)
    assert (await ann.must("GET", "/account/consents"))["standing"] == []
    assert (await ann.ask("PUT", path, shown)).status == 422
    await root.must("PUT", "/processing-register/statistics", WISH)
    now = await root.must("PUT", "/processing-register/statistics", WISH)
    await ann.must("PUT", path, {"version": now["version"], "sha256": now["sha256"]})
    await ann.must("DELETE", path)
    mine = await ann.must("GET", "/account/consents")
    assert mine["standing"] == []
    assert [act["given"] for act in mine["acts"]] == [True, True, False]
    auditor = await person(there, "auditor")
    assert await there.recorded(auditor.token, "withdrawPurposeConsent", "allowed")
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"]))["counts"]["consents"] == 1
