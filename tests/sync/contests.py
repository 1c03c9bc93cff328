"""Several devices of each account mark what they have read and pass a room's ownership on, all
at once, while everything goes wrong (`nemesis`); `linear` says whether one order explains it.

What was not answered may have happened or not. What never reached a server has not.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.proofs.server import Api, client
from tests.signaling.accounts.rig import PASSWORD
from tests.sync.linear import NEVER, Call, Model, NotLinearizable, Undecided, explain
from tests.sync.models import Give, Look, Marker, Ownership, Read, Said, Take
from tests.sync.nemesis import Stage, torment
from tests.sync.stages import Patient

OWNER, MEMBER = "owner", "member"
NAMES = ("ana", "ben", "cy")
DEVICES = 2
"""Of each account, at different processes where there are two."""
WRITER = "dee"
"""Says what others read, before anything goes wrong."""
MESSAGES = 30
PATIENCE = 25.0
"""Seconds that a device waits for an answer: a process stands still for ten, a store has eight."""
PAUSE = 0.05
"""The longest that a device waits before it asks again."""
ANSWERS = {
    (200, ""): Said.DONE,
    (403, "not_permitted"): Said.REFUSED,
    (409, "last_owner"): Said.LAST,
}


@dataclass
class Room:
    """`messages` are the seqs of what there is to read."""

    id: str
    messages: list[int]

    def place(self, seq: int) -> int:
        """How many messages somebody has read who is at this seq."""
        return bisect.bisect_right(self.messages, seq)


@dataclass
class Histories:
    """Of each thing that is contested; a thing's model is made from its name."""

    calls: dict[tuple[str, ...], list[Call]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, thing: tuple[str, ...], call: Call) -> None:
        if isinstance(call.asked, Look):
            if not call.known:
                return  # nothing follows from it
            told = "looks"
        elif not call.known:
            told = "unknown"
        else:
            told = "marks" if isinstance(call.asked, Read) else call.answer.name
        self.answers[told] += 1
        self.calls[thing].append(call)

    def check(self) -> None:
        """Raises AssertionError with the thing and what cannot be explained of it."""
        for thing, calls in self.calls.items():
            model: Model = Marker() if len(thing) > 1 else Ownership(NAMES[0])
            try:
                explain(model, calls)
            except (NotLinearizable, Undecided) as error:
                raise AssertionError(f"{'/'.join(thing)}: {error}") from error


class Silence(Exception):  # noqa: N818 - names what happened
    """There was no answer."""


class NotSent(Exception):  # noqa: N818 - names what happened
    """There was no connection."""


@dataclass
class Device:
    """One session of an account, at one process."""

    name: str
    number: int
    url: str
    token: str
    http: aiohttp.ClientSession
    accounts: dict[str, str]
    histories: Histories

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Raises Silence or NotSent."""
        try:
            async with self.http.request(
                method, f"{self.url}/api/v1{path}", json=body,
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=aiohttp.ClientTimeout(total=PATIENCE),
            ) as answer:  # fmt: skip
                said = await answer.json()
        except aiohttp.ClientConnectorError as error:
            raise NotSent from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Silence from error
        if answer.status == 503:
            raise Silence
        return answer.status, said

    async def _call(
        self, thing: tuple[str, ...], asked: Hashable, words: tuple[Any, ...], read: Any
    ) -> bool:
        """Whether there was an answer. `read` makes of it what the model knows."""
        began = time.monotonic()
        who = f"{self.name}{self.number}"
        try:
            status, said = await self._ask(*words)
        except NotSent:
            return False
        except Silence:
            self.histories.add(thing, Call(who, asked, None, began, NEVER))
            return False
        answer = read(status, said)
        self.histories.add(thing, Call(who, asked, answer, began, time.monotonic()))
        return True

    # What a room says

    async def look_at_owners(self, room: Room) -> bool:
        names = {account: name for name, account in self.accounts.items()}

        def owners(status: int, said: Any) -> frozenset[str]:
            assert status == 200, said
            return frozenset(names[m["account"]] for m in said["items"] if m["part"] == OWNER)

        words = ("GET", f"/rooms/{room.id}/members")
        return await self._call((room.id,), Look(), words, owners)

    async def look_at_own_marker(self, room: Room) -> bool:
        words = ("GET", f"/rooms/{room.id}/unread")
        return await self._call((room.id, self.name), Look(), words, self._marker)

    async def look_at_marker(self, room: Room, other: str) -> bool:
        """Of another, as it is shown to the room."""

        def place(status: int, said: Any) -> int:
            assert status == 200, said
            shown = [one["read"] for one in said["items"] if one["account"] == self.accounts[other]]
            return room.place(shown[0]) if shown else 0

        words = ("GET", f"/rooms/{room.id}/receipts")
        return await self._call((room.id, other), Look(), words, place)

    @staticmethod
    def _marker(status: int, said: Any) -> int:
        assert status == 200, said
        return MESSAGES - int(said["messages"])

    # What it does

    async def read(self, room: Room, upto: int) -> bool:
        words = ("POST", f"/rooms/{room.id}/read", {"seq": room.messages[upto - 1]})
        return await self._call((room.id, self.name), Read(upto), words, self._marker)

    async def make(self, room: Room, other: str, part: str) -> bool:
        """Of another, or of itself, an owner or a plain member."""
        asked = Give(self.name, other) if part == OWNER else Take(self.name, other)

        def said(status: int, answer: Any) -> Said:
            told = ANSWERS.get((status, "" if status == 200 else answer["code"]))
            assert told is not None, (status, answer)
            return told

        words = ("PUT", f"/rooms/{room.id}/members/{self.accounts[other]}", {"part": part})
        return await self._call((room.id,), asked, words, said)

    async def act(self, room: Room, late: float, source: random.Random) -> None:
        """Anything, once. Who comes late to the room reads further, or again what was read."""
        other = source.choice([name for name in NAMES if name != self.name])
        chance = source.random()
        if chance < 0.2:
            await self.make(room, other, OWNER)
        elif chance < 0.4:
            await self.make(room, self.name, MEMBER)
        elif chance < 0.5:
            await self.make(room, other, MEMBER)
        elif chance < 0.65:
            await self.look_at_owners(room)
        elif chance < 0.8:
            upto = int(late * MESSAGES) + source.randint(-4, 4)
            await self.read(room, min(max(upto, 1), MESSAGES))
        elif chance < 0.9:
            await self.look_at_own_marker(room)
        else:
            await self.look_at_marker(room, other)


async def contest(
    stage: Stage, seed: int, seconds: float, rooms: int, pause: float
) -> Counter[str]:
    """One run of about so many seconds, over several rooms after each other, since a short history
    is quickly explained. Raises AssertionError with what is wrong."""
    source, began = random.Random(seed), time.monotonic()
    print(f"seed {seed}")
    async with _sessions() as http:
        histories = Histories()
        devices, grounds = await _begin(stage, http, histories, rooms)
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            nemesis = group.create_task(torment(stage, source, done, pause))
            start = time.monotonic()

            async def go_on(device: Device, own: random.Random) -> None:
                while not nemesis.done():
                    gone = (time.monotonic() - start) / seconds
                    if gone > 1:
                        done.set()
                    place, late = divmod(min(gone, 0.999) * rooms, 1)
                    await device.act(grounds[int(place)], late, own)
                    await asyncio.sleep(own.uniform(0, PAUSE))

            for device in devices:
                group.create_task(go_on(device, random.Random(source.random())))
        await _look_everywhere(devices, grounds)
    histories.check()
    print(
        f"seed {seed}: {dict(histories.answers)} kills {stage.kills} in"
        f" {time.monotonic() - began:.0f} s"
    )
    missing = {*Said.__members__, "marks", "looks"} - histories.answers.keys()
    assert not missing, f"nobody was told {missing}"
    return histories.answers


@contextlib.asynccontextmanager
async def _sessions() -> AsyncIterator[aiohttp.ClientSession]:
    """Which send nothing twice: what is asked once happens once at most."""
    async with client() as http:
        vars(http)["_retry_connection"] = False
        yield http


async def _begin(
    stage: Stage, http: aiohttp.ClientSession, histories: Histories, rooms: int
) -> tuple[list[Device], list[Room]]:
    """Everybody, and rooms that the first account owns, with something to read; all is well yet."""
    first, *others = stage.sites
    await first.start()
    api = Patient(first.there, http)
    owner = await api.owner()
    # Not before: each makes the owner's link anew, until there is an owner.
    for site in others:
        await site.start()
    for name in (*NAMES, WRITER):
        made = await api.invited(owner, f"some.{name}", "member")
        stage.tokens[name] = made["access_token"]
        account = await api.must("GET", "/account", None, made["access_token"])
        stage.accounts[name] = account["id"]
    devices = []
    for name in NAMES:
        for number in range(DEVICES):
            token = stage.tokens[name]
            if number:
                body = {"login": f"some.{name}", "password": PASSWORD}
                token = (await api.must("POST", "/sign-in/password", body))["access_token"]
            front = stage.sites[number % len(stage.sites)].front
            url = f"https://localhost:{front.port}"
            devices.append(Device(name, number, url, token, http, stage.accounts, histories))
    return devices, [await _room(stage, api) for _ in range(rooms)]


async def _room(stage: Stage, api: Api) -> Room:
    members = [stage.accounts[name] for name in (*NAMES[1:], WRITER)]
    body = {"kind": "group", "name": "Tea", "members": members}
    ident = (await api.must("POST", "/rooms", body, stage.tokens[NAMES[0]]))["id"]
    said = [
        await api.must("POST", f"/rooms/{ident}/messages", {"text": str(n)}, stage.tokens[WRITER])
        for n in range(MESSAGES)
    ]
    return Room(ident, [message["seq"] for message in said])


async def _look_everywhere(devices: list[Device], rooms: list[Room]) -> None:
    """All is well again: what each device is told of everything, until it is told."""
    async with asyncio.timeout(120):
        for device in devices:
            for room in rooms:
                while not await device.look_at_owners(room):
                    await asyncio.sleep(0.2)
                while not await device.look_at_own_marker(room):
                    await asyncio.sleep(0.2)
