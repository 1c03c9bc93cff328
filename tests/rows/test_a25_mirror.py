"""Row A25: what is said lands in a MongoDB that tools read, and what is put there reaches devices.

The servers: a stand-in with change streams, one without, and FerretDB, which asks for sign-in and
TLS and has none either. `SOTTO_TEST_MONGODB` adds a real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import pytest

from signaling.config.store import Store as Settings
from sotto_client import Backoff, Client, Local
from tests.peers.mongo.fault_proxy import Fault, FaultProxy
from tests.rows.house import House, visiting
from tests.rows.mirrored import Mirrored, alone, bot, mirrored
from tests.rows.mirrors import SERVERS, port_of
from tests.rows.rightful import Person, people, person, until

# As promised, for the middle of five; one alone may meet a machine that does much else.
SECONDS, WORST = 2.0, 30.0


def device(at: Mirrored, who: Person) -> Client:
    async def token() -> str:
        return who.token

    return Client(
        at.house.url, Local(":memory:"), token, http=at.there.client,
        backoff=Backoff(lambda: 0.5, first=0.05),
    )  # fmt: skip


def has(client: Client, room: str, text: str) -> bool:
    return text in [getattr(m.body, "text", "") for m in client.room(room).messages()]


@pytest.mark.parametrize("name", SERVERS)
async def test_a25_a_post_lands_in_mongodb_and_a_document_reaches_a_device(
    mirroring: House, servers: Callable[[str], Settings], name: str
) -> None:
    async with visiting(mirroring) as there, mirrored(there, servers(name)) as at:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        orders = await bot(there, (ann, room))
        before = len(at.house.written())
        await at.on(room, inbox_authors=orders)
        phone = device(at, bob)
        await phone.start()
        await phone.room(room).synced(240)
        out, back = [], []
        for number in range(5):
            began = time.monotonic()
            sent = await ann.post(room, f"out {number}")
            found = await at.becomes(room, sent["id"], bool)
            out.append(time.monotonic() - began)
            assert (found["account"], found["seq"]) == (ann.id, sent["seq"])
            assert found["body"] is None and "out" not in repr(found)
            began = time.monotonic()
            await at.put(room, orders, f"back {number}", custom={"order": number})
            await phone.wait(partial(has, phone, room, f"back {number}"), 180)
            back.append(time.monotonic() - began)
        await phone.stop()
        streams = "no change streams" not in at.house.written()[before:]
        print(f"{name}: out {max(out):.2f} s, back {max(back):.2f} s, streams: {streams}")
        for took in (out, back):
            assert median(took) <= SECONDS and max(took) <= WORST, took
        assert streams is (name in ("streams", "mongodb"))
        said = [m for m in phone.room(room).messages() if m.account == orders]
        assert [m.custom["order"] for m in said] == list(range(5))
        await at.emptied()
        assert len(await at.all("posted", room=room, author=orders)) == 5
        assert await at.reasons() == {}


async def test_a25_edits_deletions_and_erasures_reach_the_mirror(at: Mirrored) -> None:
    ann, bob = await people(at.there, 2)
    tea, other = await ann.room(bob), await bob.room(ann)
    await at.on(tea, other, bodies="true")
    sent = await ann.post(tea, "canary-first")
    path = f"/rooms/{tea}/messages"
    await at.becomes(tea, sent["id"], lambda one: one.get("body"))
    await ann.must("PATCH", f"{path}/{sent['id']}", {"text": "canary-second"})
    await bob.must("PUT", f"{path}/{sent['id']}/reactions/x", {})
    found = await at.becomes(tea, sent["id"], lambda one: one.get("reactions"))
    assert found["body"]["text"] == "canary-second"
    assert [one["body"]["text"] for one in found["edits"]] == ["canary-first"]
    reply = await bob.post(tea, "canary-reply", parent=sent["id"])
    await at.becomes(tea, sent["id"], lambda one: one.get("thread"))
    await bob.must("DELETE", f"{path}/{reply['id']}")
    found = await at.becomes(tea, reply["id"], lambda one: one.get("deleted"))
    assert found["body"] is None and "canary-reply" not in repr(found)
    await ann.erased(await ann.ask("POST", f"/rooms/{tea}/erasures", {"messages": [sent["id"]]}))
    tomb = await at.becomes(tea, sent["id"], lambda one: one.get("erased"))
    assert "body" not in tomb and "account" not in tomb
    his = [await bob.post(other, f"canary-{n}") for n in range(3)]
    hers = await ann.post(other, "stays")
    await bob.must("PUT", f"/rooms/{other}/messages/{hers['id']}/reactions/x", {})
    await at.becomes(other, hers["id"], lambda one: one.get("reactions"))
    await ann.erased(await bob.ask("POST", "/account/erasure", {"confirm": bob.id}))
    for message in his:
        assert (await at.message(other, message["id"]))["erased"] is True
    await at.becomes(other, hers["id"], lambda one: not one["reactions"])
    assert b"canary" not in await at.everything()
    assert (await at.message(other, hers["id"]))["body"]["text"] == "stays"
    await ann.erased(await ann.ask("DELETE", f"/rooms/{tea}"))
    assert await at.messages(tea) == []
    assert await at.one("rooms", tea) is None


def nested(times: int) -> Any:
    return "x" if not times else {"a": nested(times - 1)}


async def test_a25_bad_documents_are_quarantined_and_the_rest_goes_on(at: Mirrored) -> None:
    ann, bob = await people(at.there, 2)
    auditor = await person(at.there, "auditor")
    room = await ann.room(bob)
    sealed = await ann.room(bob, mode="e2ee")
    whispers = await ann.room(bob, mode="transient")
    health = await ann.room(bob, settings={"phi": True})
    board = await ann.room(bob, kind="announcement")
    closed = await ann.room(bob)
    nowhere = "01926f0e-7c1a-7000-8000-00000000000a"
    rooms = (room, sealed, whispers, health, board)
    orders = await bot(at.there, *((ann, one) for one in rooms))
    other = await bot(at.there, (ann, room), name="Others")
    good = {"room": room, "author": orders, "text": "canary-bad"}
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "number": ({**good, "room": 5}, "shape"),
        "missing": ({"room": room, "author": orders}, "shape"),
        "operator": ({**good, "$set": {"text": "x"}}, "shape"),
        "operators": ({**good, "room": {"$ne": ""}, "author": {"$gt": ""}}, "shape"),
        "nested": ({**good, "custom": {"a": {"$where": "1"}}}, "shape"),
        "deep": ({**good, "custom": nested(60)}, "shape"),
        "forged": ({**good, "account": ann.id}, "shape"),
        "infinite": ({**good, "custom": {"a": float("nan")}}, "shape"),
        "long": ({**good, "text": "x" * 20_000}, "shape"),
        "huge": ({**good, "text": "x" * 5_000_000}, "too_large"),
        "nul": ({**good, "text": "a\0b"}, "fields_invalid"),
        "thread": ({**good, "parent": "x"}, "shape"),
        "person": ({**good, "author": ann.id}, "author_refused"),
        "other": ({**good, "author": other}, "author_refused"),
        "nobody": ({**good, "author": nowhere}, "author_refused"),
        "unnamed": ({**good, "room": "01926f0e-7c1a-7000-8000-00000000000b"}, "room_not_named"),
        "unknown": ({**good, "room": nowhere}, "room_not_found"),
        "sealed": ({**good, "room": sealed}, "plaintext_refused"),
        "whispers": ({**good, "room": whispers}, "room_transient"),
        "health": ({**good, "room": health}, "room_phi"),
        "no right": ({**good, "room": board}, "not_permitted"),
        "no member": ({**good, "room": closed}, "room_not_found"),
    }
    await at.on(*rooms, closed, nowhere, inbox_authors=orders)
    await at["inbox"].insert_many([{"_id": name, **one} for name, (one, _) in bad.items()])
    # Ids that are none: each is removed by its own bytes, and nothing else with it.
    await at["inbox"].insert_many([{"_id": {"$gt": ""}, **good}, {"_id": 5, **good}])
    await at.put(room, orders, "good", _id="zzz")
    await until(lambda: _posted(at, "zzz"))
    await at.emptied()
    found = await at.all("quarantine")
    reasons = {one["document"]: one["reason"] for one in found if one["document"]}
    assert reasons == {f"text:{name}": why for name, (_, why) in bad.items()}
    assert sorted(one["reason"] for one in found if not one["document"]) == ["shape", "shape"]
    (large,) = [one for one in found if one["reason"] == "too_large"]
    assert large["source"] is None and large["size"] > 5_000_000
    assert await bob.texts(room) == ["good"]
    for elsewhere in (board, closed, health):
        assert await ann.texts(elsewhere) == []
    records = await at.there.recorded(
        auditor.token, "mirror.quarantined", "denied", count=len(found)
    )
    assert {one["target"] for one in records} >= {f"document:{one['_id']}" for one in found}
    assert "canary" not in repr(records) and "canary" not in at.house.written()


async def _posted(at: Mirrored, name: str) -> bool:
    return await at.one("posted", f"text:{name}") is not None


class Without(FaultProxy):
    """Breaks whatever is written into one collection, as long as one is named."""

    collection = ""

    def _hit(self, request: bytes) -> Fault | None:
        name = self.collection.encode() + b"\0"
        hit = bool(self.collection) and b"\x02update\0" in request[:64] and name in request[:128]
        return Fault(0, reply=False) if hit else None


async def test_a25_killed_between_post_and_receipt_it_is_one_post(
    mirroring: House, servers: Callable[[str], Settings]
) -> None:
    straight = servers("streams")
    proxy = Without(port_of(straight))
    await proxy.start()
    async with visiting(mirroring) as there, mirrored(there, straight) as at:
        at.settings = alone(proxy.port)
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        orders = await bot(there, (ann, room))
        await at.on(room, inbox_authors=orders)
        proxy.collection = "posted"
        await at.put(room, orders, "once", _id="one")

        async def is_said() -> bool:
            return await bob.texts(room) == ["once"]

        await until(is_said, 180)
        assert not await _posted(at, "one")
        await at.killed()
        proxy.collection = ""
        # Even if nobody would let it post now.
        await ann.must("DELETE", f"/rooms/{room}/members/{orders}")
        await until(lambda: _posted(at, "one"), 180)
        await at.emptied()
        assert await bob.texts(room) == ["once"]
        assert await at.reasons() == {}
    await proxy.stop()


async def test_a25_c30_readers_of_the_mirror_are_told_what_became_of_people(at: Mirrored) -> None:
    ann, bob, cy = await people(at.there, 3)
    tea = await ann.room(bob)
    await at.on(tea, bodies="true")
    name = {"name": "Canary Thirty"}
    for one in (bob, cy):
        await one.must("PATCH", "/account", name, headers={"If-Match": "*"})
    first = await bob.post(tea, "before")
    await at.becomes(tea, first["id"], bool)
    await bob.must("PUT", "/account/restriction")
    held = await bob.post(tea, "canary-restricted")
    last = await ann.post(tea, "after")
    await at.becomes(tea, last["id"], bool)
    assert await at.message(tea, held["id"]) == {}
    await ann.erased(await bob.ask("POST", "/account/erasure", {"confirm": bob.id}))

    async def told() -> bool:
        found = await at.all("notices")
        by_time = sorted(found, key=lambda one: one["at"])
        events = [one["event"].removeprefix("sotto.account.") for one in by_time]
        assert {one["account"] for one in found} <= {bob.id}
        return events == ["rectified", "restricted", "erased"]

    await until(told, 180)
    (rectified,) = await at.all("notices", event="sotto.account.rectified")
    assert rectified["fields"] == ["name"]
    assert b"anary" not in await at.everything()
