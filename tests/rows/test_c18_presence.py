"""Row C18: presence through the server, between two people, a stranger and who runs the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from signaling.chat.circles import PACE
from tests.rows.house import Visit
from tests.rows.peer import Peer, seated
from tests.rows.rightful import Person, owner, people, until


@dataclass
class Watching:
    """A device on `presence`: what it was told last of each, and every frame."""

    peer: Peer
    people: dict[str, Any]
    frames: list[Any] = field(default_factory=list)

    async def until(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; what is told of people meanwhile is kept."""
        found = await self.peer.until(lambda one: one["type"] == kind)
        for frame in found:
            if frame["type"] == "presence":
                self.frames.append(frame)
                self.people |= {one["account"]: one for one in frame["people"]}
        return found[-1]

    def state(self, account: str) -> str:
        return str(self.people.get(account, {"state": "offline"})["state"])

    async def sees(self, account: str, state: str) -> None:
        async with asyncio.timeout(60):
            while self.state(account) != state:
                await self.until("presence")

    async def asks(self, *accounts: str) -> dict[str, str]:
        """By the frame of the socket itself."""
        await self.peer.send("presence", id="q", accounts=list(accounts))
        found = await self.until("present")
        return {one["account"]: one["state"] for one in found["people"]}


@contextlib.asynccontextmanager
async def watching(person: Person) -> AsyncIterator[Watching]:
    async with seated(person) as (peer,):
        first = await peer.bind("presence")
        assert (first["bootstrap"], first["to"]) == ("last", 0)
        state = first["state"]["people"]
        yield Watching(peer, {one["account"]: one for one in state})


async def state_of(viewer: Person, account: str) -> str:
    return str((await viewer.must("GET", f"/presence/{account}"))["state"])


async def test_c18_a_live_device_is_online_on_every_way_and_the_last_one_leaves(
    there: Visit,
) -> None:
    ann, bob, stranger = await people(there, 3)
    await ann.room(bob)
    async with watching(ann) as here, watching(stranger) as outside:
        assert bob.id not in here.people
        async with seated(bob):
            await here.sees(bob.id, "online")
            assert await state_of(ann, bob.id) == "online"
            assert await here.asks(bob.id, stranger.id) == {bob.id: "online"}
            assert await state_of(stranger, bob.id) == "offline", "they share no room"
            assert await outside.asks(bob.id) == {}
        await here.sees(bob.id, "offline")
        assert await state_of(ann, bob.id) == "offline"
        (seen,) = [one for one in here.frames[-1]["people"] if one["account"] == bob.id]
        assert seen["seen_at"] is not None
        assert outside.people.keys() <= {stranger.id}


async def test_c18_a_device_in_the_background_is_away_and_what_is_said_is_told(
    there: Visit,
) -> None:
    ann, bob = await people(there, 2)
    await ann.room(bob)
    async with watching(ann) as here, seated(bob) as (phone,):
        await here.sees(bob.id, "online")
        await phone.send("pace", background=True)
        await here.sees(bob.id, "away")
        await phone.send("pace", background=False)
        await here.sees(bob.id, "online")
        await bob.must("PUT", "/presence", {"state": "busy", "text": "writing", "emoji": "x"})
        await here.sees(bob.id, "busy")
        assert here.people[bob.id]["text"] == "writing"


@pytest.mark.parametrize("hides", ["nobody", "blocked", "invisible", "left"])
async def test_c18_who_hides_is_offline_at_once_and_on_every_way(there: Visit, hides: str) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    ways: dict[str, tuple[str, str, Any]] = {
        "nobody": ("PATCH", "/preferences", {"presence": "nobody", "status": "nobody"}),
        "blocked": ("PUT", f"/blocks/{ann.id}", None),
        "invisible": ("PUT", "/presence", {"state": "invisible"}),
        "left": ("DELETE", f"/rooms/{room}/members/{bob.id}", None),
    }
    async with watching(ann) as here, seated(bob):
        await here.sees(bob.id, "online")
        await bob.must(*ways[hides])
        await here.sees(bob.id, "offline")
        assert await here.asks(bob.id) == {}
        assert await state_of(ann, bob.id) == "offline"
        assert (here.people[bob.id]["text"], await state_of(bob, bob.id) != "offline") == ("", True)
    async with watching(ann) as again, seated(bob):
        assert again.state(bob.id) == "offline"


async def test_c18_who_runs_the_server_has_no_way_around_it(there: Visit) -> None:
    (bob,) = await people(there, 1)
    root = await owner(there)
    room = await bob.room()
    async with watching(root) as here, seated(bob):
        assert await here.asks(bob.id) == {}, "they share no room"
        assert await state_of(root, bob.id) == "offline"
        await bob.must("PUT", f"/rooms/{room}/members/{root.id}", {})
        await here.sees(bob.id, "online")
        await bob.must("PATCH", "/preferences", {"presence": "nobody"})
        await here.sees(bob.id, "offline")
        assert await here.asks(bob.id) == {}
        assert await state_of(root, bob.id) == "offline"
        await here.peer.raw("bind", session=7, channels=[room, f"{room}-pnpres"])
        assert bob.id not in (await here.until("here"))["uuids"]
        # Which devices somebody is signed in on belongs to the sessions.
        await here.peer.send("presence", id="own", accounts=[root.id, bob.id])
        assert len((await here.until("present"))["devices"]) == 1


async def test_c18_who_is_in_a_room_is_told_as_each_shows_it(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)

    async def named(peer: Peer, names: set[str]) -> None:
        await peer.until(lambda one: one["type"] == "here" and set(one["uuids"]) == names)

    async with seated(ann, bob) as (here, phone):
        await here.raw("bind", session=1, channels=[room, f"{room}-pnpres"])
        await named(here, {ann.id})
        await phone.raw("bind", session=1, channels=[room])
        await named(here, {ann.id, bob.id})
        await bob.must("PATCH", "/preferences", {"presence": "nobody"})
        await named(here, {ann.id})
        await bob.must("PATCH", "/preferences", {"presence": "contacts"})
        await named(here, {ann.id, bob.id})
        await bob.must("PUT", f"/blocks/{ann.id}")
        await named(here, {ann.id})


async def test_c18_a_device_that_was_offline_finds_how_everybody_is(there: Visit) -> None:
    ann, bob = await people(there, 2)
    await ann.room(bob)
    async with watching(ann) as here:
        assert here.state(bob.id) == "offline"
    await bob.must("PUT", "/presence", {"state": "busy", "text": "while you were away"})
    async with watching(ann) as here:
        assert here.people[bob.id]["text"] == "while you were away"


async def test_c18_sockets_that_flap_flood_nobody(there: Visit) -> None:
    ann, bob = await people(there, 2)
    await ann.room(bob)
    loop = asyncio.get_running_loop()
    async with watching(ann) as here:
        began = loop.time()
        for _ in range(30):
            async with seated(bob):
                pass
            await bob.must("PUT", "/presence", {"state": "busy"})
            await bob.must("PUT", "/presence", {"state": "online"})
        await bob.must("PUT", "/presence", {"state": "away", "text": "the last word"})
        while here.people.get(bob.id, {}).get("text") != "the last word":
            await here.until("presence")
        assert len(here.frames) <= 2 + (loop.time() - began) / PACE


async def test_c18_presence_takes_no_upload_no_token_and_needs_its_scope(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    async with seated(ann) as (peer,):
        await peer.bind("presence")
        op = {"type": "hide_upto", "room": room, "seq": 1}
        await peer.upload({"version": 1, "clock": 1, "op": op})
        assert (await peer.error(206))["status"] == 403
        await peer.send("bind", session=2, path="presence:everybody")
        await peer.error(204, 2)
        signer = await there.signer()
        token = await signer.granted({"resources": {"channels": {room: 1}}})
        await peer.send("bind", session=3, path="presence", token=token)
        await peer.error(206, 3)
        await peer.bind("presence", 4)
        await peer.send("mark", session=4, request=1)
        assert await peer.next("mark")
        await peer.send("unbind", session=4)
        assert await peer.next("unbound")


async def test_c18_an_account_without_rooms_sees_itself(there: Visit) -> None:
    (ann,) = await people(there, 1)
    async with watching(ann) as here:
        assert here.state(ann.id) == "online"
        await ann.must("PUT", "/presence", {"state": "invisible", "text": "mine"})
        await here.sees(ann.id, "invisible")
    await until(lambda: _is(ann, "invisible"))


async def _is(person: Person, state: str) -> bool:
    return await state_of(person, person.id) == state
