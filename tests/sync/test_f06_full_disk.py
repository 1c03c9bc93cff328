"""F6: the disk of the store is full: nothing is acknowledged that is not kept, calls and reading go
on, and a minute after there is room everything works again, of itself.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

from sotto_client import Backoff, Client, Local
from tests.interop.peer import Peer
from tests.rows.house import House, Visit
from tests.rows.rightful import Person, people
from tests.signaling.delivery.served import kill, living
from tests.signaling.files.test_endured import small_disk
from tests.soak import people as call

__all__ = ["small_disk"]

HEALED_SECONDS = 60.0
# Long enough that what the write-ahead log has room for is soon used up.
LONG = "tea " * 1000


def filled(disk: Path) -> Path:
    """All that was free belongs to this file."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            while shutil.disk_usage(disk).free >= size:
                file.write(bytes(size))
    return filler


async def said(who: Person, room: str, number: int) -> Any:
    """With a key of its own: it may be said again, and is there once."""
    headers = {"Idempotency-Key": f"f06-{number}"}
    body = {"text": f"{number} {LONG}"}
    return await who.ask("POST", f"/rooms/{room}/messages", body, headers=headers)


async def numbers(who: Person, room: str) -> list[int]:
    """Of the messages that somebody wrote, oldest first; that of the call has no text."""
    found: list[int] = []
    params = {"limit": "100"}
    while True:
        page = await who.must("GET", f"/rooms/{room}/messages", params=params)
        found += [int(m["body"]["text"].split()[0]) for m in page["items"] if "body" in m]
        if not (cursor := page["next_cursor"]):
            return found[::-1]
        params = {"limit": "100", "cursor": cursor}


def device(there: Visit, who: Person) -> Client:
    async def token() -> str:
        return who.token

    backoff = Backoff(lambda: 0.5, first=0.05)
    return Client(there.house.url, Local(":memory:"), token, http=there.client, backoff=backoff)


async def test_f06_a_full_disk_acknowledges_nothing_and_heals(
    small_disk: Path, tmp_path: Path
) -> None:
    here = call.own_address()
    media = {"media.bind": here, "media.advertise": here}
    house = House(tmp_path, {"process.state_dir": str(small_disk / "state"), **media})
    async with living(house) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        for number in range(10):
            assert (await said(ann, room, number)).status == 201
        acknowledged = list(range(10))
        talking = [
            call.Person("ann", ann.token, ann.id),
            call.Person("bob", bob.token, bob.id),
        ]
        async with (
            device(there, bob) as his,
            call.residents(call.Room(there, tmp_path, room, talking), "ann", "bob") as peers,
        ):
            await his.room(room).synced(120)
            filler = filled(small_disk)
            refused = await refusal(ann, room, acknowledged)
            assert (refused.status, refused.code) == (503, "unavailable"), refused.text
            assert int(refused.headers["Retry-After"]) >= 1
            assert str(small_disk) not in refused.text
            version = his.make(f"room:{room}", post(his, f"{len(acknowledged) + 1000} from bob"))
            for _ in range(10):
                assert await numbers(bob, room) == acknowledged, "reading goes on"
                assert (await there.send("GET", house.operator + "/healthz")).status == 200
                assert (await said(ann, room, len(acknowledged))).status == 503
                await asyncio.sleep(0.3)
            assert his.room(room).replica.file.acked < version, "a false acknowledgement"
            for peer in peers:
                await goes_on(peer)
            filler.unlink()
            began = time.monotonic()
            next_one = len(acknowledged)
            while (answer := await said(ann, room, next_one)).status != 201:
                assert answer.status in (409, 503), answer.text
                assert time.monotonic() - began < HEALED_SECONDS
                await asyncio.sleep(0.2)
            await his.room(room).synced(HEALED_SECONDS)
            print(f"F6: healed after {time.monotonic() - began:.1f} s, promised {HEALED_SECONDS}")
            assert his.room(room).replica.file.acked >= version
        everything = {*acknowledged, next_one, len(acknowledged) + 1000}
        await asyncio.to_thread(kill, house)
        await asyncio.to_thread(house.start)
        found = await numbers(bob, room)
        assert sorted(found) == sorted(everything), "lost, or doubled"
        assert [number for number in found if number < next_one] == acknowledged


async def goes_on(peer: Peer) -> None:
    """Somebody in a call hears the others from now on."""
    before = heard(await peer.stats())
    await peer.until(lambda stats: heard(stats) > before + 50, 60, "the other's voice")


def heard(stats: dict[str, Any]) -> int:
    return sum(track["packets"] for track in stats["tracks"] if track["kind"] == "audio")


async def refusal(who: Person, room: str, acknowledged: list[int]) -> Any:
    """What is still taken is noted; the first answer that is no acknowledgement."""
    for _ in range(3000):
        number = len(acknowledged)
        answer = await said(who, room, number)
        if answer.status != 201:
            return answer
        acknowledged.append(number)
    raise AssertionError("a full disk takes everything")


def post(client: Client, text: str) -> dict[str, Any]:
    body = {"format": "m.plain.v1", "text": text}
    return {"type": "post", "id": client.new_id(), "body": body}
