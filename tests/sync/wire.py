"""Real sessions of the server and real replicas of the Python client, without sockets between:
what is sent waits in lists, so that a test says what arrives, when, and what never does.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import msgspec

from signaling.accounts.principal import Kind, Principal
from signaling.bus.port import Bus
from signaling.clock import FakeClock
from signaling.ids import SeededEntropy
from signaling.sync import frames
from signaling.sync.binding import Paths
from signaling.sync.errors import Fault
from signaling.sync.hub import Hub
from signaling.sync.idents import Idents
from signaling.sync.registry import Registry
from sotto_client.local import Local
from sotto_client.replica import Phase, Replica
from sotto_client.room import advanced
from tests.signaling.sync.documented import typed
from tests.signaling.sync.partitions import PlainRooms, actor_of
from tests.signaling.sync.test_sessions import blind

APP, ROOM = "default", "0192aaaa-0000-7000-8000-00000000aaaa"
PATH = f"room:{ROOM}"


class Pipe:
    """What a `Connection` is to sessions; `out` is what its client has not read yet."""

    def __init__(self, account: str) -> None:
        self.principal = Principal(app=APP, kind=Kind.ACCOUNT, account=account)
        self.out: deque[bytes] = deque()
        self.answering: Any = None
        self.backlog = 0
        self.over = False

    def send(self, frame: msgspec.Struct) -> None:
        self.send_bytes(frames.encode(frame))

    def send_bytes(self, data: bytes) -> None:
        if not self.over:
            self.out.append(data)

    def fault(self, fault: Fault, *, session: int = 0, reply_to: str | None = None) -> None:
        self.send(
            frames.ErrorFrame(
                code=fault.code,
                name=fault.code.name.lower(),
                session=session,
                status=fault.status,
                reply_to=reply_to,
                body=fault.body,
            )
        )

    def cut(self) -> None:
        self.over = True

    def end(self, code: int, reason: str) -> None:
        self.over = True


class Server:
    """One process: sessions over a partition. `restart` forgets all but the store."""

    def __init__(self, rooms: PlainRooms, bus: Bus, clock: FakeClock) -> None:
        self.rooms, self.bus, self.clock = rooms, bus, clock
        self.begin()

    def begin(self) -> None:
        self.registry = Registry()
        holders: Any = None
        self.hub = Hub(
            Paths(self.rooms, self.rooms, actor_of),
            Idents(blind, self.entropy),
            holders,
            self.bus,
            self.clock,
        )
        self.hub.register(self.registry)

    entropy = SeededEntropy(7)

    async def take(self, pipe: Pipe, frame: dict[str, Any]) -> None:
        connection: Any = pipe
        data = json.dumps(typed(frame, sender="client"))
        try:
            await self.registry.dispatch(connection, data)
        except Fault as fault:
            pipe.fault(fault)
            pipe.over = True
        await settle()

    def closed(self, pipe: Pipe) -> None:
        pipe.over = True
        connection: Any = pipe
        self.registry.closed(connection)


async def settle() -> None:
    """Until nothing happens any more without a frame or a clock."""
    for _ in range(25):
        await asyncio.sleep(0)


class Crash(Exception):  # noqa: N818 - names what happened
    """A device dies in the middle of a transaction."""


class Device:
    """One device of an account. `crash` keeps what SQLite has, and nothing else."""

    def __init__(self, server: Server, account: str, place: str, clock: FakeClock) -> None:
        self.server, self.account, self.place, self.clock = server, account, place, clock
        self.skew = 0
        self.numbers = 0
        self.pipe: Pipe | None = None
        self.last_upload: dict[str, Any] | None = None
        self.waiting: deque[dict[str, Any]] = deque()
        """Frames that this device sent and the server did not get yet."""
        self.local = Local(place)
        self.replica = self._open()

    def _open(self) -> Replica:
        def number(replica: Replica) -> int:
            self.numbers += 1
            return self.numbers

        return Replica(self.local, PATH, self._now, number, advanced)

    def _now(self) -> int:
        return int(self.clock.unix() * 1000) + self.skew

    def send(self, found: list[dict[str, Any]]) -> None:
        for frame in found:
            if frame["type"] == "upload":
                self.last_upload = frame
            self.waiting.append(frame)

    async def connect(self) -> None:
        if self.pipe is None:
            self.pipe = Pipe(self.account)
            self.waiting.clear()
            self.send(self.replica.begin())
            await self.flush()

    async def flush(self, most: int = 1000) -> None:
        """What was sent arrives."""
        for _ in range(most):
            if not self.waiting or self.pipe is None or self.pipe.over:
                return
            await self.server.take(self.pipe, self.waiting.popleft())

    async def receive(self, most: int = 1000) -> None:
        for _ in range(most):
            if self.pipe is None or not self.pipe.out:
                return
            frame = typed(json.loads(self.pipe.out.popleft()), sender="server")
            if frame.get("session") == self.replica.session:
                self.send(self.replica.hear(frame))
                await self.flush()

    async def drop(self) -> None:
        """The socket is gone, with all that was on its way."""
        if self.pipe is not None:
            self.server.closed(self.pipe)
            self.pipe = None
            self.waiting.clear()
            self.replica.gone()
            await settle()

    async def crash(self) -> None:
        await self.drop()
        self.local.close()
        self.local = Local(self.place)
        self.replica = self._open()

    async def rest(self) -> None:
        """Everything arrives, over as many sessions as it takes."""
        for _ in range(20):
            if self.pipe is not None and (self.pipe.over or self.replica.phase is Phase.AWAY):
                await self.drop()
            await self.connect()
            await self.flush()
            await self.receive()
            await self.server.hub.poll()
            await settle()
            await self.receive()
            if self.replica.phase is Phase.SYNCED and not self.replica.pending():
                return
        raise AssertionError(f"{self.account} does not come to rest")
