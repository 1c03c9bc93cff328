"""Rows A20, B16, B17, C29: what is kept for how long, and legal holds above all of it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from PIL import Image

from tests.peers.mongo.stand_in import StandIn
from tests.rows.conftest import on_mongo
from tests.rows.house import PASSWORD, House, Visit, apart, standing, visiting
from tests.rows.peer import seated
from tests.rows.rightful import Person, owner, people, person, until

DAY = 86400
CANARY = "canary-51cd02"


@pytest.fixture(scope="module", params=["embedded", "mongo"])
def sweeping(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A house that looks every second, and whose time can be moved."""
    settings = {"retention.sweep_seconds": "1", "retention.dormant_days": "60"}
    if request.param == "mongo":
        stand_in: StandIn = request.getfixturevalue("stand_in")
        settings |= on_mongo(stand_in)
    made = House(tmp_path_factory.mktemp("sweep"), settings, clock=True)
    with standing(made) as house:
        yield house


@pytest.fixture
async def swept(sweeping: House) -> AsyncIterator[Visit]:
    async with visiting(sweeping) as visit:
        yield visit


async def later(there: Visit, seconds: int, *who: Person) -> None:
    """So much later; tokens of before may be over."""
    there.house.move_on(seconds)
    for one in who:
        one.token = await there.sign_in(one.login)


def picture() -> bytes:
    """Wide enough to have a preview and a thumbnail."""
    data = io.BytesIO()
    Image.new("RGB", (2000, 1000), (0, 200, 0)).save(data, "PNG")
    return data.getvalue()


def blobs(house: House) -> set[str]:
    """Names of what of files lies on the disk."""
    there = (house.state / "store" / "blobs").rglob("*")
    return {path.name for path in there if path.is_file()}


async def emptied(house: House, before: set[str]) -> bool:
    return blobs(house) <= before


async def exported(who: Person) -> bytes:
    """All files of one's own archive."""
    url = f"{who.there.house.url}/api/v1/account/export"
    headers = {"Authorization": f"Bearer {who.token}"}
    async with who.there.client.get(url, headers=headers) as answer:
        assert answer.status == 200
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    return b"".join(archive.read(name) for name in archive.namelist() if name != "audit.ndjson")


async def test_b16_after_thirty_days_nothing_of_it_is_left(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    room = await ann.room(bob)
    before = blobs(swept.house)
    sent = await ann.post(room, CANARY)
    _, file = await ann.sent(room, b"x" * 5000, CANARY)
    _, photo = await ann.sent(room, picture(), CANARY, "wide.png")
    for variant in ("thumbnail", "preview", "file"):
        assert await bob.fetched(photo, variant)
    await bob.post(room, CANARY, parent=sent["id"])
    await bob.must("PUT", f"/rooms/{room}/messages/{sent['id']}/reactions/x", {})
    assert (await bob.must("GET", f"/rooms/{room}/unread"))["messages"] == 3
    said = await bob.must("GET", f"/rooms/{room}/retention")
    assert (said["messages"], said["held"]) == (30 * DAY, False)
    await later(swept, 29 * DAY, ann, bob)
    young = await ann.post(room, "young")
    assert len(await bob.texts(room)) == 5
    assert CANARY.encode() in await exported(ann)
    await later(swept, 2 * DAY, ann, bob)

    async def gone() -> bool:
        return await bob.texts(room) == ["young"]

    await until(gone)
    assert await bob.found(CANARY) == []
    assert (await bob.ask("GET", f"/rooms/{room}/messages/{sent['id']}")).status == 404
    for info in (file, photo):
        assert (await ann.ask("GET", f"/files/{info['id']}")).status == 404
    for variant in ("thumbnail", "preview", "file"):
        wish = {"key": photo["key"], "variant": variant}
        assert (await bob.ask("POST", f"/files/{photo['id']}/links", wish)).status == 404
    await until(partial(emptied, swept.house, before))
    for one in (ann, bob):
        assert CANARY.encode() not in await exported(one)
    thread = await bob.ask("GET", f"/rooms/{room}/messages", params={"parent": sent["id"]})
    assert thread.status == 404
    assert (await bob.must("GET", f"/rooms/{room}/unread"))["messages"] == 1
    log = await bob.must("GET", f"/rooms/{room}/log", params={"after": "0"})
    assert log["floor"] > sent["seq"] and log["entries"][0]["seq"] == log["floor"] + 1
    assert CANARY not in json.dumps(log)
    # The room itself is as it was, and goes on.
    assert (await bob.must("GET", f"/rooms/{room}"))["members"] == 2
    assert (await bob.post(room, "and on"))["seq"] == young["seq"] + 1


async def test_b17_the_shortest_time_wins_and_null_keeps(swept: Visit) -> None:
    ann, bob, root = *(await people(swept, 2)), await owner(swept)
    room, other = await ann.room(bob), await ann.room(bob)
    path = f"/rooms/{room}/retention"
    for wrong in ({"messages": 0}, {"messages": -5}, {"messages": 1.5}, {"messages": 10**12}, {}):
        refused = await ann.ask("PUT", path, wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid"), wrong
    assert (await bob.ask("PUT", path, {"messages": 60})).status == 403
    assert (await bob.ask("PUT", "/retention", {"messages": 60})).status == 403
    assert (await ann.must("PUT", path, {"messages": None}))["messages"] == 30 * DAY
    assert (await ann.must("PUT", path, {"messages": 7 * DAY}))["messages"] == 7 * DAY
    assert (await ann.must("PUT", path, {"messages": 90 * DAY}))["messages"] == 30 * DAY
    await root.must("PUT", "/retention", {"messages": 10 * DAY})
    assert (await ann.must("GET", path))["messages"] == 10 * DAY
    await root.must("PUT", "/retention", {"messages": None})
    await ann.must("PATCH", f"/rooms/{room}", {"retention": 3600}, headers={"If-Match": "*"})
    assert (await bob.must("GET", path))["messages"] == 3600
    for place in (room, other):
        await ann.post(place, CANARY)
    await later(swept, 3700, ann, bob)

    async def gone() -> bool:
        return await bob.texts(room) == []

    await until(gone)
    assert await bob.texts(other) == [CANARY]
    # Lowering it removes what is there already.
    await ann.must("PUT", f"/rooms/{other}/retention", {"messages": 60})

    async def gone_too() -> bool:
        return await bob.texts(other) == []

    await until(gone_too)


async def test_b17_files_may_go_before_their_messages(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    room = await ann.room(bob)
    await ann.must("PUT", f"/rooms/{room}/retention", {"messages": None, "files": 600})
    _, file = await ann.sent(room, b"x" * 5000, "stays")
    assert (await bob.ask("GET", f"/files/{file['id']}")).status == 200
    await later(swept, 700, ann, bob)

    async def gone() -> bool:
        return (await bob.ask("GET", f"/files/{file['id']}")).status == 404

    await until(gone)
    assert await bob.texts(room) == ["stays"]


async def test_a20_a_file_from_before_what_is_kept_has_expired(swept: Visit) -> None:
    """Its device begins anew with what is left, under the ident that it has."""
    ann, bob = await people(swept, 2)
    room = await ann.room(bob)
    path = f"room:{room}"
    async with seated(bob) as (peer,):
        before = await peer.bind(path)
        at = peer.cursors[1]
    await ann.must("PUT", f"/rooms/{room}/retention", {"messages": 60})
    for text in ("one", "two", "three"):
        await ann.post(room, text)
    await later(swept, 120, ann, bob)

    async def gone() -> bool:
        return await bob.texts(room) == []

    await until(gone)
    async with seated(bob) as (again,):
        told = await again.resume(path, peer.idents[1], **at)
        assert (told["code"], told["name"]) == (222, "client_file_expired")
        assert told["body"]["shouldClientReset"]
        fresh = await again.resume(path, peer.idents[1])
        assert fresh["bootstrap"] == "last" and fresh["floor"] >= before["to"] + 3


async def test_b17_a_legal_hold_stands_above_erasure_and_time(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    first, second = await person(swept, "compliance"), await person(swept, "compliance")
    room = await ann.room(bob)
    sent = await ann.post(room, CANARY)
    wish = {"reason": "case 17", "rooms": [room]}
    for who in (ann, await person(swept, "auditor"), await owner(swept)):
        assert (await who.ask("POST", "/holds", wish)).status == 403
    assert (await first.ask("POST", "/holds", {"reason": "nothing"})).status == 422
    hold = await first.must("POST", "/holds", wish)
    assert (await bob.must("GET", f"/rooms/{room}/retention"))["held"] is True
    asked = await ann.ask("POST", f"/rooms/{room}/erasures", {"messages": [sent["id"]]})
    assert (asked.status, asked.body["state"], asked.body["reason"]) == (202, "held", "legal_hold")
    whole = await ann.ask("DELETE", f"/rooms/{room}")
    assert (whole.status, whole.body["state"]) == (202, "held")
    await ann.must("PUT", f"/rooms/{room}/retention", {"messages": 60})
    await later(swept, 120, ann, bob)
    brief = await ann.post(room, "brief", ttl=1)
    swept.house.move_on(30)
    assert await bob.texts(room) == [CANARY]
    # Its place is empty to everybody, and nothing says that it was erased: it is kept.
    entries = await bob.log(room)
    assert [e["op"]["type"] for e in entries if e["seq"] == brief["seq"]] == ["erased"]
    assert "brief" not in str(entries) and brief["id"] not in str(entries)
    one = f"/holds/{hold['id']}/release"
    early = await second.ask("POST", one + "/approval")
    assert (early.status, early.code) == (409, "conflict")
    await first.must("POST", one)
    alone = await first.ask("POST", one + "/approval")
    assert (alone.status, alone.code) == (409, "second_approver_needed")
    assert await bob.texts(room) == [CANARY]
    released = await second.must("POST", one + "/approval")
    assert (released["release_asked_by"], released["released_by"]) == (first.id, second.id)
    assert released["released_at"] is not None
    await ann.erased(asked)
    await ann.erased(whole)
    assert (await bob.ask("GET", f"/rooms/{room}")).status == 404
    assert (await first.ask("POST", one)).status == 409
    auditor = await person(swept, "auditor")
    for action in ("placeHold", "askHoldRelease", "approveHoldRelease"):
        assert await swept.recorded(auditor.token, action, "allowed"), action


async def test_b17_a_hold_of_a_person_keeps_what_they_wrote_and_the_account(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    keeper, other = await person(swept, "compliance"), await person(swept, "compliance")
    room = await ann.room(bob)
    await bob.post(room, "not held")
    await ann.post(room, CANARY)
    await bob.post(room, "behind it")
    hold = await keeper.must("POST", "/holds", {"reason": "case 18", "accounts": [ann.id]})
    await ann.must("PUT", f"/rooms/{room}/retention", {"messages": 60})
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (asked.status, asked.body["state"]) == (202, "held")
    assert (await ann.ask("GET", "/account")).status == 401
    await later(swept, 120, bob)

    async def cut() -> bool:
        return await bob.texts(room) == [CANARY, "behind it"]

    await until(cut)
    await keeper.must("POST", f"/holds/{hold['id']}/release")
    await other.must("POST", f"/holds/{hold['id']}/release/approval")
    await bob.erased(asked)

    async def gone() -> bool:
        return await bob.texts(room) == []

    await until(gone)


async def test_c29_calls_leave_the_history_in_their_time(swept: Visit) -> None:
    """`ringing.history_days`, which nobody changed here: thirty."""
    ann, bob = await people(swept, 2)
    room = await ann.room(bob, kind="direct", name="")
    begun = await ann.must("POST", f"/rooms/{room}/call", {})
    await bob.must("POST", f"/rooms/{room}/call/reject", {})
    ident = begun["call"]["id"]
    await later(swept, 29 * DAY, ann)
    assert ident in [one["id"] for one in (await ann.must("GET", "/calls"))["items"]]
    assert (await ann.must("GET", f"/calls/{ident}"))["caller"] == ann.id
    await later(swept, 2 * DAY, ann)
    assert (await ann.must("GET", "/calls"))["items"] == []
    gone = await ann.ask("GET", f"/calls/{ident}")
    assert (gone.status, gone.code) == (404, "not_found")


async def test_c29_an_account_that_nobody_uses_goes(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    room = await bob.room(ann)
    await later(swept, 40 * DAY, bob)
    await later(swept, 21 * DAY, bob)

    async def gone() -> bool:
        members = (await bob.must("GET", f"/rooms/{room}/members"))["items"]
        return [one["account"] for one in members] == [bob.id]

    # Everybody of the tests before sleeps too, and each takes a moment.
    await until(gone, 120)
    refused = await swept.ask(
        "POST", "/sign-in/password", {"login": ann.login, "password": PASSWORD}
    )
    assert refused.status in (401, 403)
    assert (await (await owner(swept)).ask("GET", f"/accounts/{ann.id}")).status == 404


def test_c29_the_rule_of_the_configuration_holds_where_nobody_set_another(
    housed: Callable[..., House],
) -> None:
    made = housed({"retention.messages_days": "0", "retention.files_days": "2"})

    async def look() -> None:
        async with visiting(made) as there:
            said = await (await owner(there)).must("GET", "/retention")
            assert (said["messages"], said["files"]) == (None, 2 * DAY)

    apart(look())


async def test_c29_a_dry_run_of_a_rule_counts_what_the_sweeper_then_removes(swept: Visit) -> None:
    ann, bob = await people(swept, 2)
    room = await ann.room(bob)
    for number in range(3):
        await ann.post(room, f"{CANARY} {number}")
    await ann.sent(room, b"x" * 5000, CANARY)
    await later(swept, 10 * DAY, ann, bob)
    await bob.post(room, "young")
    rule, where = {"messages": 5 * DAY}, "/retention/dry-run"
    before = await bob.log(room)
    tried = await due_of(swept, room, rule)
    assert tried == {"room": room, "messages": 4, "files": 1, "held": False}
    # Files may go before their messages; a longer rule removes nothing of this.
    files = {"messages": None, "files": 5 * DAY}
    assert (await due_of(swept, room, files))["files"] == 1
    assert await due_of(swept, room, {"messages": 20 * DAY}) is None
    keeper, agreeing = [await person(swept, "compliance") for _ in range(2)]
    hold = await keeper.must("POST", "/holds", {"reason": "case 29", "rooms": [room]})
    assert (await due_of(swept, room, rule))["held"] is True
    await keeper.must("POST", f"/holds/{hold['id']}/release")
    await agreeing.must("POST", f"/holds/{hold['id']}/release/approval")
    assert await bob.log(room) == before
    assert (await ann.ask("POST", where, rule)).status == 403
    root = await owner(swept)
    for wrong in ({}, {"messages": 0}, {"messages": 5, "rooms": []}):
        refused = await root.ask("POST", where, wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid"), wrong
    await ann.must("PUT", f"/rooms/{room}/retention", rule)

    async def gone() -> bool:
        return await bob.texts(room) == ["young"]

    await until(gone)
    assert await due_of(swept, room, rule) is None


async def due_of(there: Visit, room: str, rule: object) -> Any:
    """What the report of a dry run says of a room."""
    found = await (await owner(there)).must("POST", "/retention/dry-run", rule)
    shown = [one for one in found["items"] if not one["held"]]
    sums = (len(shown), sum(one["messages"] for one in shown), sum(one["files"] for one in shown))
    assert len(found["items"]) < 100
    assert (found["rooms"], found["messages"], found["files"]) == sums
    return next((one for one in found["items"] if one["room"] == room), None)
