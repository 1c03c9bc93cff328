"""Row C30: what people ask for on paper or in words, due in thirty days, and who is reminded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, ended, owner, people, person, until

DAY = 86400
CANARY = "canary-c30req"
WISH = {"kind": "rectification", "text": f"{CANARY} my name is spelled otherwise"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def days(request: Any) -> float:
    """Between its receipt and its due date."""
    return (moment(request["due_at"]) - moment(request["received_at"])) / timedelta(days=1)


async def moved(there: Visit, seconds: int, *who: Person) -> None:
    there.house.move_on(seconds)
    for one in who:
        one.token = await there.sign_in(one.login)


async def reminded(admin: Person, ident: str, *about: str) -> None:
    async def told() -> bool:
        shown = await admin.must("GET", f"/requests/{ident}")
        return [one["about"] for one in shown["reminders"]] == [*about]

    await until(told, 120)


async def test_c30_a_request_is_due_in_thirty_days_and_the_audit_is_reminded(later: House) -> None:
    async with visiting(later) as there:
        await due(there)


async def due(there: Visit) -> None:
    admin, ann, auditor = [await owner(there), await person(there), await person(there, "auditor")]
    made = await ann.must("POST", "/account/requests", WISH)
    assert (made["state"], made["days_left"], days(made)) == ("open", 30, 30)
    letter = {"kind": "access", "text": "a letter", "subject": "Cy, 1 Road, Town"}
    paper = await admin.must("POST", "/requests", letter)
    assert (paper["account"], paper["subject"], days(paper)) == (None, letter["subject"], 30)
    waiting = [one["id"] for one in (await admin.must("GET", "/requests"))["items"]]
    assert {made["id"], paper["id"]} <= set(waiting)
    await moved(there, 24 * DAY, ann, auditor)
    admin = await owner(there)
    for one in (made, paper):
        await reminded(admin, one["id"], "soon")
        (record,) = await there.recorded(
            auditor.token, "request.soon", "allowed", target=f"request:{one['id']}"
        )
        assert record["actor"] == "system:requests"
        assert record["details"]["due"] == str(int(moment(one["due_at"]).timestamp()))
        assert CANARY not in str(record)
    reason = {"reason": "there are very many papers"}
    extended = await admin.must("POST", f"/requests/{paper['id']}/extension", reason)
    assert (extended["state"], days(extended), extended["reminders"]) == ("extended", 90, [])
    await moved(there, 7 * DAY, ann, auditor)
    admin = await owner(there)
    await reminded(admin, made["id"], "soon", "overdue")
    await there.recorded(
        auditor.token, "request.overdue", "allowed", target=f"request:{made['id']}"
    )  # fmt: skip
    shown = await ann.must("GET", f"/account/requests/{made['id']}")
    assert shown["overdue"] is True and shown["days_left"] < 0
    assert (await admin.must("GET", f"/requests/{paper['id']}"))["overdue"] is False
    late = await admin.ask("POST", f"/requests/{made['id']}/extension", reason)
    assert (late.status, late.code) == (409, "conflict")
    await answered(admin, ann, made["id"])


async def answered(admin: Person, ann: Person, ident: str) -> None:
    verdict = {"outcome": "answered", "text": "It is spelled as you say."}
    done = await admin.must("POST", f"/requests/{ident}/answer", verdict)
    assert (done["state"], done["overdue"], done["days_left"]) == ("answered", False, None)
    assert (await admin.must("POST", f"/requests/{ident}/answer", verdict)) == done
    other = {"outcome": "refused", "text": "No."}
    for path, body in (("answer", other), ("extension", {"reason": "more"})):
        again = await admin.ask("POST", f"/requests/{ident}/{path}", body)
        assert (again.status, again.code) == (409, "conflict"), path
    shown = await ann.must("GET", f"/account/requests/{ident}")
    assert (shown["answer"], shown["ended_at"]) == (verdict["text"], done["ended_at"])
    assert ident not in [one["id"] for one in (await admin.must("GET", "/requests"))["items"]]
    everything = await admin.must("GET", "/requests", params={"show": "all", "limit": "100"})
    assert ident in [one["id"] for one in everything["items"]]


async def test_c30_a_request_is_its_persons_and_of_those_who_answer(there: Visit) -> None:
    admin, ann, bob = [await owner(there), *await people(there, 2)]
    answerer = await person(there, "compliance")
    made = await ann.must("POST", "/account/requests", WISH)
    one = f"/account/requests/{made['id']}"
    assert (await ann.must("GET", "/account/requests"))["items"] == [made]
    assert (await bob.must("GET", "/account/requests"))["items"] == []
    for who, method, path, status in (
        (bob, "GET", one, 404), (bob, "DELETE", one, 404),
        (ann, "GET", "/account/requests/0192aaaa-0000-7000-8000-00000000aaaa", 404),
        (bob, "GET", f"/requests/{made['id']}", 403), (bob, "GET", "/requests", 403),
        (answerer, "GET", f"/requests/{made['id']}", 200), (answerer, "GET", "/requests", 200),
        (admin, "GET", "/requests/nothing", 404),
    ):  # fmt: skip
        assert (await who.ask(method, path)).status == status, (method, path)
    assert (await there.ask("GET", "/account/requests")).status == 401
    for who, path, body in (
        (ann, "/account/requests", {"kind": "everything", "text": "x"}),
        (ann, "/account/requests", {"kind": "access", "text": ""}),
        (ann, "/account/requests", {**WISH, "account": bob.id}),
        (admin, "/requests", WISH),
        (admin, "/requests", {**WISH, "account": ann.id, "subject": "x"}),
        (admin, "/requests", {**WISH, "subject": "x", "received_at": at(1)}),
        (admin, "/requests", {**WISH, "subject": "x", "received_at": at(-400)}),
        (admin, f"/requests/{made['id']}/answer", {"outcome": "open", "text": "x"}),
        (admin, f"/requests/{made['id']}/answer", {"outcome": "refused", "text": ""}),
    ):  # fmt: skip
        refused = await who.ask("POST", path, body)
        assert (refused.status, refused.code) == (422, "fields_invalid"), body
    assert (await admin.ask("POST", "/requests", {**WISH, "account": "nobody"})).status == 404
    old = await admin.must("POST", "/requests", {**WISH, "account": ann.id, "received_at": at(-10)})
    assert (old["days_left"], days(old)) == (20, 30)
    withdrawn = await ann.must("DELETE", one)
    assert withdrawn["state"] == "withdrawn" and await ann.must("DELETE", one) == withdrawn
    verdict = {"outcome": "answered", "text": "done"}
    assert (await admin.ask("POST", f"/requests/{made['id']}/answer", verdict)).status == 409
    for _ in range(19):
        await ann.must("POST", "/account/requests", WISH)
    full = await ann.ask("POST", "/account/requests", WISH)
    assert (full.status, full.code) == (409, "conflict")


def at(number: int) -> str:
    return (datetime.now(UTC) + timedelta(days=number)).isoformat()


async def test_c30_requests_are_sealed_and_go_with_the_account(there: Visit) -> None:
    admin, ann = await owner(there), await person(there)
    made = await ann.must("POST", "/account/requests", WISH)
    kept = [path for path in there.house.state.rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if CANARY.encode() in path.read_bytes()]
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"]))["counts"]["requests"] == 1
    assert (await admin.ask("GET", f"/requests/{made['id']}")).status == 404
