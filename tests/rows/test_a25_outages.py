"""Row A25 under strain: rooms that may not be mirrored, a flood, kills and an outage of 30 s.

`SOTTO_OUTAGE_SECONDS` changes how long the mirror's database is away.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import secrets
import time
from collections.abc import Callable

from signaling.chat.bodies import PADDED, TAG_BYTES
from signaling.config.store import Store as Settings
from tests.peers.mongo.fault_proxy import FaultProxy
from tests.rows.house import House, visiting
from tests.rows.mirrored import Mirrored, alone, bot, mirrored
from tests.rows.mirrors import port_of
from tests.rows.rightful import people, person, until
from tests.seeds import run_seed

OUTAGE = float(os.environ.get("SOTTO_OUTAGE_SECONDS", "30"))


async def test_a25_what_may_not_be_mirrored_is_not(at: Mirrored) -> None:
    """Bytes that only devices can read, a room in memory only, and one of health data."""
    ann, bob = await people(at.there, 2)
    auditor = await person(at.there, "auditor")
    sealed = await ann.room(bob, mode="e2ee")
    whispers = await ann.room(bob, mode="transient")
    health = await ann.room(bob, settings={"phi": True})
    noise = base64.b64encode(secrets.token_bytes(PADDED[0] + TAG_BYTES)).decode()
    session = await ann.must("GET", "/session")
    body = {
        "format": "m.e2ee.v1", "account": ann.id, "device": session["device"],
        "group_id": "AAAAAAAAAAAAAAAAAAAAAA==", "epoch": 1, "leaf": 0, "sent_at": 1,
        "salt": "A" * 22 + "==", "ct": noise, "sig": "A" * 86 + "==",
    }  # fmt: skip
    sent = await ann.must("POST", f"/rooms/{sealed}/messages", {"body": body})
    await at.on(sealed, whispers, health, bodies="true")
    for room in (whispers, health):
        await bob.post(room, "canary-never")
    found = await at.becomes(sealed, sent["id"], bool)
    assert (found["account"], found["body"]) == (ann.id, None)
    refused = await at.there.recorded(auditor.token, "mirror.refused", "denied", count=2)
    reasons = {one["details"]["room"]: one["details"]["reason"] for one in refused}
    assert {whispers: "room_transient", health: "room_phi"}.items() <= reasons.items()
    everything = await at.everything()
    for word in (noise.encode(), base64.b64decode(noise), b"canary", whispers.encode()):
        assert word not in everything
    await at.on(sealed, health, bodies="true", phi="true")
    await at.count(health, 1)
    assert b"canary-never" in await at.everything()
    await at.on(sealed, bodies="false")
    await until(lambda: _none(at, health))


async def _none(at: Mirrored, room: str) -> bool:
    return await at.one("rooms", room) is None and not await at.messages(room)


async def _posted(at: Mirrored, name: str) -> bool:
    return await at.one("posted", f"text:{name}") is not None


async def test_a25_a_flood_is_taken_at_its_pace_and_the_same_document_once(at: Mirrored) -> None:
    ann, bob = await people(at.there, 2)
    room, second = await ann.room(bob), await ann.room(bob)
    orders = await bot(at.there, (ann, room), (ann, second))
    await at.on(room, second, inbox_authors=orders, inbox_per_minute="60")
    began = time.monotonic()
    await at["inbox"].insert_many([
        {"_id": f"{n:03d}", "room": room, "author": orders, "text": f"{n}"} for n in range(60)
    ])  # fmt: skip

    async def some() -> bool:
        return len(await at.all("posted")) >= 16

    await until(some, 180)
    taken = len(await at.all("posted"))
    assert taken <= 60 / 4 + (time.monotonic() - began) + 2
    # Ann is not slowed down by it.
    await ann.post(room, "hers")
    await at.on(room, second, inbox_authors=orders)
    await at.emptied()
    for again in (room, second):
        await at.put(again, orders, "once more", _id="007")
        await at.emptied()
    said = await bob.texts(room)
    assert [text for text in said if text != "hers"] == [f"{n}" for n in range(60)]
    assert await bob.texts(second) == []


async def test_a25_nothing_is_lost_or_doubled_by_kills_and_an_outage(
    mirroring: House, servers: Callable[[str], Settings]
) -> None:
    """The mirror's database goes away in the middle of it, the server dies three times."""
    chance = random.Random(run_seed())
    straight = servers("streams")
    proxy = FaultProxy(port_of(straight))
    await proxy.start()
    async with visiting(mirroring) as there, mirrored(there, straight) as at:
        at.settings = alone(proxy.port)
        ann, bob = await people(at.there, 2)
        room = await ann.room(bob)
        orders = await bot(at.there, (ann, room))
        await at.on(room, inbox_authors=orders, bodies="true")
        said: list[str] = []
        for turn in range(3):
            for n in range(15):
                await at.put(room, orders, f"in {turn}.{n:02d}", _id=f"{turn}.{n:02d}")
                said.append((await ann.post(room, f"out {turn}.{n:02d}"))["id"])
            if turn == 1:
                await proxy.stop()
                slow = time.monotonic()
                said += [(await ann.post(room, f"away {n}"))["id"] for n in range(20)]
                assert time.monotonic() - slow < OUTAGE / 2 + 30
                await at.killed()
                await asyncio.sleep(OUTAGE)
                said.append((await ann.post(room, "still away"))["id"])
                await proxy.start()
            else:
                await until(lambda n=f"{turn}.00": _posted(at, n))
                await asyncio.sleep(chance.random() * 0.3)
                await at.killed()
        await at.emptied(240)
        wanted = [f"in {turn}.{n:02d}" for turn in range(3) for n in range(15)]
        log = await bob.log(room)
        posts = [one["op"] for one in log if one["op"]["type"] == "post"]
        texts = [op["body"]["text"] for op in posts]
        assert [text for text in texts if text.startswith("in ")] == wanted
        await at.count(room, len(posts))
        found = await at.messages(room)
        assert [one["id"] for one in found] == [op["id"] for op in posts]
        assert [one["body"]["text"] for one in found] == texts
        assert {one["id"] for one in found} >= set(said)
    await proxy.stop()
