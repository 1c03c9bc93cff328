"""What the state machine of sync stands on: processes of a server, their store, and a bad bus.

`PlainGround` is a partition without rights in one process, quick. `ChatGround` is what is served:
real rooms, judged, sealed and remembered, in two processes that share the store and hear of each
other over the bus, or not.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from signaling.accounts.principal import Principal
from signaling.bus.port import Bus
from signaling.chat.ops import Create, Entry, Kind, Member, Mode, Part, Post
from signaling.chat.state import RoomState
from signaling.clock import FakeClock
from signaling.compose.syncing import Acting
from signaling.errors import Unavailable
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Op
from signaling.sync.binding import Paths
from signaling.sync.hub import Hub
from signaling.sync.idents import Idents
from signaling.sync.registry import Registry
from tests.signaling.access.rig import Ground as Keys
from tests.signaling.access.rig import ground
from tests.signaling.bus.lossy import LossyBus
from tests.signaling.chat.rig import House
from tests.signaling.storage.places import MemoryPlace
from tests.signaling.sync.partitions import PlainRooms, entry_of
from tests.sync.wire import APP, ROOM, Server, settle

Rows = dict[Any, Any]


class Ground(Protocol):
    """See the module. Begun once, closed once. Accounts: two devices of one, and somebody else."""

    @property
    def accounts(self) -> tuple[str, str, str]: ...
    @property
    def clock(self) -> FakeClock: ...
    @property
    def servers(self) -> Sequence[Server]: ...

    async def begin(self) -> None: ...
    async def close(self) -> None: ...

    @property
    def log(self) -> Any:
        """The room as the store has it; None before its first op."""

    async def opened(self, ops: Sequence[Op]) -> list[Entry]: ...
    async def purge(self, upto: int) -> None: ...
    async def erase(self, post: Entry) -> None: ...

    async def regrow(self, number: int, post: Post) -> None:
        """Somebody whom the machine does not know writes."""

    async def forbid(self, on: bool) -> None: ...
    def away(self, on: bool) -> None:
        """The store takes nothing."""

    def may_be_void(self, who: int, op: dict[str, Any]) -> bool:
        """Whether `forbid` forbids this to that device."""

    def save(self) -> Any: ...
    def restore(self, saved: Any) -> None:
        """While no process runs. What the bus still held is gone as well."""


def _copied(rooms: Rows) -> Rows:
    """Ops are immutable."""
    return {
        place: replace(room, ops=list(room.ops), cursors=dict(room.cursors))
        for place, room in rooms.items()
    }


class PlainGround:
    """See the module."""

    accounts = ("ana", "ana", "ben")

    def __init__(self, seed: int, loss: float, folder: Path) -> None:
        self.clock = FakeClock()
        self.bus = LossyBus(seed, loss, self.clock)
        self.rooms = PlainRooms(MemoryStore(self.clock), self.bus)
        self.servers = [Server(self.rooms, self.bus, self.clock)]

    async def begin(self) -> None:
        return None

    async def close(self) -> None:
        for server in self.servers:
            server.end()
        await settle()

    @property
    def log(self) -> Any:
        log: Any = self.rooms.store.log
        return log._rooms.get((APP, ROOM))

    async def opened(self, ops: Sequence[Op]) -> list[Entry]:
        return [entry_of(op) for op in ops]

    async def purge(self, upto: int) -> None:
        await self.rooms.purge(APP, ROOM, upto)

    async def erase(self, post: Entry) -> None:
        assert isinstance(post.op, Post)
        await self.rooms.store.log.erase(APP, ROOM, [post.seq])
        gone = {"type": "erase", "seqs": [post.seq], "ids": [post.op.id]}
        await self.rooms.say(APP, ROOM, 0, gone)

    async def regrow(self, number: int, post: Post) -> None:
        await self.rooms.say(APP, ROOM, number, msgspec.to_builtins(post))

    async def forbid(self, on: bool) -> None:
        self.rooms.forbidden = "react" if on else ""

    def away(self, on: bool) -> None:
        self.rooms.fails = Unavailable("away", 1) if on else None

    def may_be_void(self, who: int, op: dict[str, Any]) -> bool:
        return bool(op["type"] == "react")

    def save(self) -> Any:
        log: Any = self.rooms.store.log
        return _copied(log._rooms), copy.deepcopy(self.rooms.kept)

    def restore(self, saved: Any) -> None:
        log: Any = self.rooms.store.log
        rooms, kept = saved
        log._rooms.clear()
        log._rooms.update(_copied(rooms))
        self.rooms.kept = copy.deepcopy(kept)
        self.bus.forget()


class ChatServer(Server):
    """One process with everything that a room has, killed without a word at its `end`."""

    def __init__(self, keys: Keys, bus: Bus) -> None:
        self.keys, self.bus, self.clock = keys, bus, keys.clock
        self.begin()

    def begin(self) -> None:
        self.registry = Registry()
        self.house = House(self.keys, self.bus)
        chatting, holders = self.house.chatting, None
        self.hub = Hub(
            Paths(
                chatting.chat,
                chatting.accounts,
                chatting.circles,
                Acting(chatting, self.house.door),
            ),
            Idents(self.keys.sealer.blind, self.entropy),
            holders,  # type: ignore[arg-type]
            self.bus,
            self.clock,
        )
        self.hub.pace_seconds = 0.0  # no clock moves here: what is held would never come
        self.hub.register(self.registry)

    def end(self) -> None:
        self.hub.close()
        self.house.chat.hub.close()

    def principal(self, account: str) -> Principal:
        return self.house.principal(account)


class ChatGround:
    """See the module. Forbidden is what only moderators may do: Bob is one, or is not."""

    accounts = ("ann", "ann", "bob")

    def __init__(self, seed: int, loss: float, folder: Path) -> None:
        self._seed, self._loss, self._folder = seed, loss, folder
        self._stack = contextlib.AsyncExitStack()

    async def begin(self) -> None:
        self.keys = await self._stack.enter_async_context(ground(MemoryPlace(), self._folder))
        self.clock = self.keys.clock
        self.bus = LossyBus(self._seed, self._loss, self.clock)
        self.servers = [ChatServer(self.keys, self.bus) for _ in range(2)]
        chatting = self.servers[0].house.chatting
        owner, member = "ann", "bob"
        for account in (owner, member):
            await chatting.people.enter(APP, ROOM, account)
            # Its key is there before anything is backed up, as it is where accounts are made.
            await self.keys.sealer.seal(APP, f"account:{account}", b"", b"")
        state = RoomState(kind=Kind.GROUP, mode=Mode.SEARCHABLE)
        room = await chatting.chat.rooms.create(APP, ROOM, state)
        create = Create(kind=Kind.GROUP, mode=Mode.SEARCHABLE, name="Tea")
        await chatting.chat.say_as(room, owner, Part.OWNER, create)
        joins = Member(account=member, part=Part.MEMBER)
        await chatting.chat.say_as(room, owner, Part.OWNER, joins)

    async def close(self) -> None:
        for server in self.servers:
            server.end()
        await settle()
        await self._stack.aclose()

    @property
    def _chat(self) -> Any:
        return self.servers[0].house.chat

    async def _room(self) -> Any:
        return await self._chat.rooms.find(APP, ROOM)

    @property
    def log(self) -> Any:
        log: Any = self.keys.store.log
        return log._rooms.get((APP, ROOM))

    async def opened(self, ops: Sequence[Op]) -> list[Entry]:
        found: list[Entry] = await self._chat.sealing.open(APP, ROOM, ops)
        return found

    async def purge(self, upto: int) -> None:
        """As retention does: the room's row first, then the log, then what points to it."""
        room = await self._room()
        upto = min(upto, self.log.seq)
        leaving = [op for op in self.log.ops if op.seq <= upto]
        entries = await self.opened(leaving)
        await self._chat.rooms.save(room)
        await room.log.purge(APP, ROOM, upto)
        for entry in entries:
            if isinstance(entry.op, Post):
                await self._chat.rooms.forget_message(room, entry.op.id)
        room.raise_floor(upto)

    async def erase(self, post: Entry) -> None:
        assert isinstance(post.op, Post)
        await self._chat.erase(await self._room(), [(post.op.id, post.seq)], "erasure")

    async def regrow(self, number: int, post: Post) -> None:
        await self._chat.say_as(await self._room(), "bob", Part.MEMBER, post)

    async def forbid(self, on: bool) -> None:
        part = Part.MEMBER if on else Part.MODERATOR
        await self._chat.say(await self._room(), Member(account="bob", part=part))

    def away(self, on: bool) -> None:
        log: Any = self.keys.store.log
        if on:
            log.append = _refuse
        else:
            del log.append

    def may_be_void(self, who: int, op: dict[str, Any]) -> bool:
        return self.accounts[who] == "bob" and op["type"] == "set"

    def save(self) -> Any:
        store: Any = self.keys.store
        return _copied(store.log._rooms), {
            kind: dict(rows) for kind, rows in store.meta._kinds.items()
        }

    def restore(self, saved: Any) -> None:
        store: Any = self.keys.store
        rooms, kinds = saved
        store.log._rooms.clear()
        store.log._rooms.update(_copied(rooms))
        store.meta._kinds.clear()
        store.meta._kinds.update({kind: dict(rows) for kind, rows in kinds.items()})
        self.bus.forget()


async def _refuse(*ops: Any, **more: Any) -> Any:
    raise Unavailable("away", 1)
