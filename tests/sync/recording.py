"""One device against real sessions of the server, written down: what it does, hears, sends, keeps.

The server is `wire.Server` over a store in memory and a bus that loses nothing; the device is the
Python client's replica. Nothing is random, so that the same scene is the same transcript.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

import signaling.sync.engine
import signaling.sync.live
from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import FakeClock
from signaling.ids import SeededEntropy
from signaling.storage.memory import MemoryStore
from signaling.sync.idents import Idents
from sotto_client import account as own
from sotto_client.local import Local
from sotto_client.replica import Frame, Replica
from sotto_client.room import advanced, view_of
from tests.signaling.sync.documented import checked
from tests.signaling.sync.partitions import PlainRooms, topic
from tests.signaling.sync.test_sessions import blind
from tests.sync.wire import APP, PATH, ROOM, Device, Pipe, Server, settle

ANA, BEN = "ana", "ben"
WRITTEN = ("text", "note")
"""The fields with what people write, in ops and states."""
Step = dict[str, Any]


class Recording:
    """Owned by one scene. `steps` is what came of it; `ben` is somebody else, not written down."""

    def __init__(self, path: str = PATH) -> None:
        self.path = path
        self.name = ROOM if path == PATH else ANA
        self.clock = FakeClock()
        self.rooms = PlainRooms(MemoryStore(self.clock), LocalBus(self.clock))
        self.server = _Seeded(self.rooms, self.rooms.bus, self.clock)
        self.ben = Device(self.server, BEN, ":memory:", self.clock)
        self.others = {BEN: self.ben}
        self.steps: list[Step] = []
        self.local = Local(":memory:")
        self.replica = self._open()
        self.pipe: Pipe | None = None
        self.waiting: list[Frame] = []
        self._sessions = 0
        self._messages = 0

    def _open(self) -> Replica:
        return Replica(self.local, self.path, self._now, self._number, folds_of(self.path))

    def _now(self) -> int:
        return int(self.clock.unix() * 1000)

    def _number(self, _: Replica) -> int:
        self._sessions += 1
        return self._sessions

    async def close(self) -> None:
        for other in self.others.values():
            await other.drop()
        if self.pipe is not None:
            self.server.closed(self.pipe)
        self.server.hub.close()
        await settle()
        self.local.close()
        for other in self.others.values():
            other.local.close()

    def _write(self, step: str, sends: list[Frame] | None = None, **more: Any) -> None:
        for frame in sends or ():
            checked(frame, sender="client")
        shown = {} if sends is None else {"sends": sends}
        self.steps.append({"do": step, **more, **shown, "local": snapshot(self.replica)})

    # What the device does

    async def connect(self) -> None:
        """The server gets what is sent at once, unless `lost` is asked for later."""
        self.pipe = Pipe(self.server.principal(ANA))
        frames = self.replica.begin()
        self._write("connect", frames)
        await self._send(frames)

    async def _send(self, frames: list[Frame]) -> None:
        for frame in frames:
            assert self.pipe is not None
            await self.server.take(self.pipe, frame)

    async def hear(self, most: int = 1000) -> None:
        """Frames that wait arrive, and what is sent for each goes to the server."""
        for _ in range(most):
            await settle()
            if self.pipe is None or not self.pipe.out:
                return
            frame = checked(json.loads(self.pipe.out.popleft()), sender="server")
            ours = frame.get("session") == self.replica.session
            frames = self.replica.hear(frame) if ours else []
            self._write("hear", frames, frame=frame)
            await self._send(frames)

    async def make(self, op: Frame, *, lost: bool = False) -> None:
        """`lost`: it never reaches the server, though the socket stays."""
        self.clock.advance(1)
        _, frames = self.replica.make(op)
        self._write("make", frames, now=self._now(), op=op)
        if not lost:
            await self._send(frames)

    async def post(self, text: str, *, lost: bool = False) -> str:
        name = self.message()
        await self.make(post(name, text), lost=lost)
        return name

    async def mark(self) -> None:
        _, frame = self.replica.mark()
        self._write("mark", [frame])
        await self._send([frame])

    async def gone(self) -> None:
        """The socket ends, with what was on its way."""
        if self.pipe is not None:
            self.server.closed(self.pipe)
        self.pipe = None
        self.replica.gone()
        await settle()
        self._write("gone")

    async def restart(self) -> None:
        """The device's process dies and starts: what was kept is all there is."""
        if self.pipe is not None:
            self.server.closed(self.pipe)
        self.pipe = None
        self.replica = self._open()
        await settle()
        self._write("restart")

    # What others and the server do

    def message(self) -> str:
        self._messages += 1
        return message_id(self._messages)

    async def ben_posts(self, *texts: str) -> None:
        await self.other_makes(BEN, *(post(self.message(), text) for text in texts))

    async def other_makes(self, account: str, *ops: Frame) -> None:
        """On another device, of this account or of somebody else's."""
        other = self.others.get(account) or self._other(account)
        for op in ops:
            self.clock.advance(1)
            other.replica.make(op)
        await other.drop()
        await other.rest()
        await other.drop()

    def _other(self, account: str) -> Device:
        made = self.others[account] = Device(self.server, account, ":memory:", self.clock)
        if self.path != PATH:
            folds = folds_of(self.path)
            made.replica = Replica(made.local, self.path, made.now, made._number, folds)
        return made

    async def say(self, op: Frame) -> None:
        """The server's own op."""
        await self.rooms.say(APP, self.name, 1, op)
        await settle()

    def back_up(self) -> Any:
        log: Any = self.rooms.store.log
        return copy.deepcopy((log._rooms, self.rooms.kept))

    async def restore(self, saved: Any) -> None:
        """Of a server that was stopped first: the socket is gone."""
        await self.gone()
        await self.ben.drop()
        self.server.hub.close()
        await settle()
        log: Any = self.rooms.store.log
        log._rooms, self.rooms.kept = copy.deepcopy(saved)
        self.server.begin()

    async def other_keys(self) -> None:
        """The same store behind a server that did not give this file its name."""
        await self.gone()
        self.server.hub.close()
        await settle()
        self.server.salted = "other"
        self.server.begin()

    async def bar(self) -> None:
        self.rooms.barred.add(ANA)
        await self.rooms.bus.publish(topic(APP, self.name), b"rights")
        await settle()


class _Seeded(Server):
    """Its idents are the same each time."""

    def __init__(self, rooms: PlainRooms, bus: Bus, clock: FakeClock) -> None:
        self.salted = ""
        self.entropy = SeededEntropy(11)
        super().__init__(rooms, bus, clock)

    def begin(self) -> None:
        super().begin()
        self.hub._idents = Idents(lambda app, text: blind(app, self.salted + text), self.entropy)


def message_id(number: int) -> str:
    return f"0192aaaa-0000-7000-8000-{number:012x}"


def folds_of(path: str) -> Callable[[bytes, list[Frame]], bytes]:
    return own.advanced if path == own.PATH else advanced


def post(name: str, text: str) -> Frame:
    body = {"format": "m.plain.v1", "text": text}
    return {"type": "post", "id": name, "body": body}


def snapshot(replica: Replica) -> dict[str, Any]:
    """What a client keeps and shows, in the words of the transcripts."""
    file, local = replica.file, replica._local
    rows = local._on.execute("SELECT seq FROM staged WHERE path = ? ORDER BY seq", (file.path,))
    return {
        "phase": replica.phase.value,
        "ident": file.ident, "salt": file.salt, "cursor": file.cursor, "chain": file.chain,
        "floor": file.floor, "acked": file.acked, "next": file.next, "clock": file.clock,
        "state": json.loads(file.state) if file.state else None,
        "entries": [entry["seq"] for entry in replica.entries()],
        "staged": [row[0] for row in rows],
        "pending": [[change.version, change.clock] for change in replica.pending()],
        "refused": [found["client_version"] for found in replica.refused],
        "marks": sorted(replica.marks),
        "shows": [_said(message) for message in view_of(replica, ANA).messages],
        "holds": sorted(_words([*_rows(replica), json.loads(file.state or b"null")])),
    }  # fmt: skip


def _rows(replica: Replica) -> list[Any]:
    """All that is kept of entries and changes, shown or not."""
    on, path = replica._local._on, (replica.path,)
    rows = on.execute("SELECT data FROM entry WHERE path = ?", path).fetchall()
    rows += on.execute("SELECT data FROM staged WHERE path = ?", path).fetchall()
    rows += on.execute("SELECT op FROM pending WHERE path = ?", path).fetchall()
    return [json.loads(row[0]) for row in rows]


def _words(kept: Any) -> set[str]:
    """What people wrote, wherever it is in it."""
    if isinstance(kept, list):
        return set().union(*map(_words, kept))
    if not isinstance(kept, dict):
        return set()
    here = {value for name, value in kept.items() if name in WRITTEN and isinstance(value, str)}
    return here.union(*map(_words, kept.values()))


def _said(message: Any) -> str:
    return str(getattr(message.body, "text", ""))


def view_in_the_end(replica: Replica) -> Any:
    if replica.path == own.PATH:
        return json.loads(msgspec.json.encode(own.state_of(replica)))
    return json.loads(msgspec.json.encode(view_of(replica, ANA)))


@contextmanager
def pages_of(size: int) -> Iterator[None]:
    """How many ops one DOWNLOAD has at most."""
    modules: tuple[Any, ...] = (signaling.sync.engine, signaling.sync.live)
    before = signaling.sync.engine.PAGE
    for module in modules:
        module.PAGE = size
    try:
        yield
    finally:
        for module in modules:
            module.PAGE = before
