"""Row B20: of a room that keeps nothing there is nothing, while it is lively and afterwards."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.peers.redis_server import USER, WORD
from tests.proofs.redis_dump import Monitor, keeping_redis, redis_files
from tests.rows.house import House, Visit, visiting
from tests.rows.kept import Kept
from tests.rows.peer import posted, seated
from tests.rows.rightful import Person, people


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_b20_of_a_transient_room_nothing_is_kept(there: Visit) -> None:
    """Who is there gets it; who is not does not; and it is in no file and no document."""
    ann, bob, cy = await people(there, 3)
    canary = f"canary-{secrets.token_hex(8)}"
    room = await ann.room(bob, cy, mode="transient")
    async with seated(bob, ann) as (listener, writer):
        await listener.bind(f"room:{room}")
        await writer.bind(f"room:{room}")
        sent = await ann.post(room, f"{canary} one", custom={"note": canary})
        await writer.upload(posted(1, f"{canary} two"))
        assert await listener.texts(2) == [f"{canary} one", f"{canary} two"]
    for who in (ann, cy):
        assert await who.texts(room) == []
        log = await who.must("GET", f"/rooms/{room}/log")
        assert log["entries"] == [] and log["floor"] == log["head"]
        assert (await who.must("GET", f"/rooms/{room}/unread"))["messages"] == 0
        gone = await who.ask("GET", f"/rooms/{room}/messages/{sent['id']}")
        assert (gone.status, gone.code) == (404, "message_not_found")
        assert await who.found(canary) == []
    async with seated(cy) as (late,):
        began = await late.bind(f"room:{room}")
        assert not began.get("changes") and canary not in json.dumps(began)
    await refusals(ann, room, canary)
    house = there.house
    assert canary.encode() not in Kept(house).dump(house.state)
    assert not [path for path in files(house.folder) if canary.encode() in path.read_bytes()]


async def refusals(ann: Person, room: str, canary: str) -> None:
    """What would keep something of it."""
    file = await ann.ask("POST", "/files", {"room": room, "size": 5, "name": canary})
    assert (file.status, file.code) == (422, "file_mode_mismatch")
    searched = await ann.ask("GET", "/search", params={"q": canary, "room": room})
    assert (searched.status, searched.code) == (409, "conflict")
    root = await ann.there.owner()
    url = "https://1.1.1.1/in"  # never called: it is refused
    wishes: dict[str, Any] = {
        "/webhooks": {"url": url}, "/routes": {"to": {"type": "https", "url": url}},
    }  # fmt: skip
    for path, wish in wishes.items():
        refused = await ann.there.ask("POST", path, {**wish, "room": room}, root)
        assert refused.status == 422, refused.text
        assert refused.body["errors"][0]["pointer"] == "/transient"


async def test_b20_nor_in_a_redis_that_keeps_all_it_is_told(
    housed: Callable[..., House], tmp_path: Path
) -> None:
    """Its snapshot and its log of appends are made in the midst of the traffic; it is all it ever
    heard that is looked through, too.
    """
    canary = f"canary-{secrets.token_hex(8)}"
    redis = keeping_redis(tmp_path / "redis")
    monitor = Monitor(redis)
    client = tmp_path / "redis" / "ca" / "client.pem"
    settings = {
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
    }  # fmt: skip
    try:
        house = housed(settings, environment={"SOTTO_BUS__PASSWORD": WORD})
        async with visiting(house) as there:
            ann, bob = await people(there, 2)
            room = await ann.room(bob, mode="transient")
            async with seated(bob, ann) as (listener, writer):
                await listener.bind(f"room:{room}")
                await writer.bind(f"room:{room}")
                for number in range(1, 41):
                    await writer.upload(posted(number, f"{canary} {number}"))
                    if number == 20:
                        await asyncio.to_thread(monitor.say, "SAVE", "BGREWRITEAOF")
                        assert canary.encode() not in Kept(house).dump(house.state)
                heard = await listener.texts(40)
            assert heard == [f"{canary} {number}" for number in range(1, 41)]
            await asyncio.to_thread(monitor.say, "SAVE")
    finally:
        told = monitor.stop()
        redis.stop()
    kept = redis_files(tmp_path / "redis")
    assert "dump.rdb" in kept and any("aof" in name for name in kept)
    assert told.count(b"sotto:") > 20
    places = {**kept, "MONITOR": told, **{str(f): f.read_bytes() for f in files(house.folder)}}
    assert not [name for name, data in places.items() if canary.encode() in data]
