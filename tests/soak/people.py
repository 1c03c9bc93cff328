"""What goes on during a soak: a call whose people come and go, a chat, devices that follow it.

Knows nothing of what is measured; `test_soak.py` drives it.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sotto_client import Backoff, Client, Local
from tests.interop import clients, scenario
from tests.interop.peer import Peer, running
from tests.rows.house import Visit

CALL_SECONDS = 8.0
"""How long who comes stays, beside joining and hearing the others."""
DEVICE_SECONDS = 15.0
MESSAGE_SECONDS = 1.0
KILLED = 4
"""Of so many who come one closes nothing: its process is killed."""


@dataclass
class Person:
    name: str
    token: str
    account: str


@dataclass
class Room:
    """A room with its members; the first begins and owns it."""

    visit: Visit
    folder: Path
    id: str
    people: list[Person]

    def person(self, name: str) -> Person:
        return next(person for person in self.people if person.name == name)


def own_address() -> str:
    """One that `sotto serve` advertises: it refuses loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


async def made(visit: Visit, folder: Path, names: tuple[str, ...]) -> Room:
    people = []
    for name in names:
        token, _ = await visit.joined()
        answer = await visit.ask("GET", "/account", token=token)
        people.append(Person(name, token, str(answer.body["id"])))
    body = {"kind": "group", "name": "Soak", "members": [p.account for p in people[1:]]}
    answer = await visit.ask("POST", "/rooms", body, people[0].token)
    assert answer.status == 201, answer.text
    return Room(visit, folder, str(answer.body["id"]), people)


async def entered(room: Room, peer: Peer, *, single: bool = True) -> None:
    """The call of the room, by a call token of the account; with one peer connection or two."""
    token = room.person(peer.name.partition("-")[0]).token
    answer = await room.visit.ask("POST", f"/rooms/{room.id}/call", {}, token)
    assert answer.status == 200, answer.text
    url = room.visit.house.plain.replace("http", "ws", 1)
    await peer.do("join", url=url, token=answer.body["token"], single=single)


@asynccontextmanager
async def residents(room: Room, *names: str) -> AsyncIterator[list[Peer]]:
    """Stay for the whole time: all are heard, the first is seen as well."""
    starting = (clients.start("libwebrtc", room.folder, name=name) for name in names)
    async with running(*starting) as peers:
        for peer in peers:
            await entered(room, peer)
            await peer.do("publish", kind="audio")
        await peers[0].do("publish", kind="video", simulcast=True, width=640, height=360)
        yield peers


async def visitors(room: Room, name: str, end: float) -> int:
    """One after the other joins, is heard, sees, says something and leaves; how many it were."""
    for number in itertools.count(1):
        if time.monotonic() > end:
            return number - 1
        label = f"{name}-{number}"
        async with running(clients.start("libwebrtc", room.folder, name=label)) as (peer,):
            await entered(room, peer, single=number % 2 == 0)
            await peer.do("publish", kind=("audio", "video")[number // 2 % 2])
            await scenario.hears_and_sees(peer, within=60)
            await peer.do("send", data=f"here is {label}", reliable=True, topic="soak")
            await asyncio.sleep(CALL_SECONDS)
            if number % KILLED == 0:
                peer.kill()
    raise AssertionError


async def writing(room: Room, end: float) -> int:
    """A message a second by REST, with an edit or a reaction now and then; how many posts."""
    posted = 0
    path = f"/rooms/{room.id}/messages"
    while time.monotonic() < end:
        token = room.people[posted % len(room.people)].token
        answer = await room.visit.ask("POST", path, {"text": f"message {posted}"}, token)
        assert answer.status == 201, answer.text
        posted += 1
        await asyncio.sleep(MESSAGE_SECONDS)
    return posted


async def following(room: Room, who: Person, end: float) -> int:
    """A device that comes, catches up, writes, and goes again; how often."""

    async def token() -> str:
        return who.token

    local = Local(str(room.folder / f"device-{who.name}"))
    for number in itertools.count(1):
        if time.monotonic() > end:
            return number - 1
        client = Client(
            room.visit.house.url,
            local,
            token,
            http=room.visit.client,
            backoff=Backoff(lambda: 0.5, first=0.05),
        )
        async with client:
            here = client.room(room.id)
            await here.synced(60)
            here.post(f"{who.name} was here {number} times")
            await here.synced(60)
            await asyncio.sleep(DEVICE_SECONDS)
            assert not client.trouble, client.trouble
    raise AssertionError
