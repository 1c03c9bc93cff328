"""Row C29: an erasure or a rule is tried first: what would go is counted, and nothing goes."""

from __future__ import annotations

import json
import secrets
from typing import Any

from tests.rows.house import Answer, Visit
from tests.rows.rightful import Person, ended, owner, people, person

CANARY = "canary-29dry0"


async def tried(there: Visit, answer: Answer) -> Any:
    assert answer.status in (200, 202), answer.text
    found = await ended(there, answer.body["id"])
    assert found["dry_run"] is True
    return found


async def seen(who: Person, *rooms: str) -> str:
    """All that somebody can see of rooms."""
    return json.dumps([(await who.log(room), await who.texts(room)) for room in rooms])


def same(counts: Any, *words: str) -> dict[str, int]:
    return {word: counts.get(word, 0) for word in words}


async def test_c29_a_dry_run_counts_what_the_erasure_then_removes(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room, his, alone = await ann.room(bob), await bob.room(ann), await ann.room()
    sent = await ann.post(room, CANARY)
    _, file = await ann.sent(room, secrets.token_bytes(5000), CANARY)
    for number in range(3):
        await bob.post(his, f"{CANARY} {number}")
    mine = await bob.post(room, "bob's own")
    await ann.must("PUT", f"/rooms/{room}/messages/{mine['id']}/reactions/x", {})
    await ann.post(alone, CANARY)
    before = await seen(ann, room, his, alone)
    wish = {"messages": [sent["id"]]}
    try_room, try_his = (f"/rooms/{one}/erasures/dry-run" for one in (room, his))
    some = await tried(there, await ann.ask("POST", try_room, wish))
    assert same(some["counts"], "messages", "files") == {"messages": 1, "files": 0}
    stretch = {"first_seq": 1, "last_seq": mine["seq"]}
    part = await tried(there, await ann.ask("POST", try_room, stretch))
    assert same(part["counts"], "messages", "files") == {"messages": 3, "files": 1}
    whole = await tried(there, await bob.ask("POST", try_his, {}))
    person_of = await tried(there, await ann.ask("POST", "/account/erasure/dry-run"))
    assert person_of["counts"]["rooms_left_empty"] == 1 and person_of["counts"]["devices"] == 1
    assert await seen(ann, room, his, alone) == before
    assert await ann.fetched(file)
    for one in (some, part, whole, person_of):
        certificate = await there.ask("GET", f"/erasures/{one['id']}/certificate")
        assert (certificate.status, certificate.code) == (409, "conflict")
    # Asked again it counts anew; and what it counted is what goes.
    await bob.post(his, "one more")
    again = await tried(there, await bob.ask("POST", try_his, {}))
    assert again["id"] == whole["id"]
    assert again["counts"]["messages"] == whole["counts"]["messages"] + 1 == 4
    gone = await ann.erased(await bob.ask("DELETE", f"/rooms/{his}"))
    assert gone["dry_run"] is False
    assert same(gone["counts"], "messages", "files") == same(again["counts"], "messages", "files")
    left = await ended(
        there, (await ann.ask("POST", "/account/erasure", {"confirm": ann.id})).body["id"]
    )
    words = ("messages", "files", "reactions", "rooms", "uploads")
    assert same(left["counts"], *words) == same(person_of["counts"], *words)
    assert left["counts"]["messages"] == 3 and left["counts"]["reactions"] == 1


async def test_c29_a_dry_run_asks_for_the_rights_of_the_erasure(there: Visit) -> None:
    admin, ann, bob, cy = [await owner(there), *await people(there, 3)]
    room = await ann.room(bob)
    sent = await ann.post(room, CANARY)
    where, wish = f"/rooms/{room}/erasures/dry-run", {"messages": [sent["id"]]}
    other = f"/accounts/{ann.id}/erasure/dry-run"
    for who, path, body, status in (
        (bob, where, wish, 403), (cy, where, wish, 404), (bob, where, {}, 403),
        (bob, where, {"first_seq": 1, "last_seq": 2}, 403), (cy, where, {}, 404),
        (ann, where, {"messages": [room]}, 404), (ann, where, {"first_seq": 5}, 422),
        (ann, where, {"dry": True}, 422), (bob, other, None, 403),
        (admin, "/accounts/nobody/erasure/dry-run", None, 404),
    ):  # fmt: skip
        answer = await who.ask("POST", path, body)
        assert answer.status == status, (path, body, answer.text)
    assert (await there.ask("POST", "/account/erasure/dry-run")).status == 401
    counted = await tried(there, await admin.ask("POST", other))
    assert counted["counts"]["messages"] == 1 and counted["reason"] is None
    auditor = await person(there, "auditor")
    await there.recorded(auditor.token, "erasure.try", "allowed", target=f"account:{ann.id}")
    # What would stop it is said, and does not stop the counting.
    keeper = await person(there, "compliance")
    await keeper.must("POST", "/holds", {"reason": "case 29", "accounts": [ann.id]})
    held = await tried(there, await admin.ask("POST", other))
    assert (held["state"], held["reason"]) == ("done", "legal_hold")
    assert held["counts"]["messages"] == 1
    assert await bob.texts(room) == [CANARY]
