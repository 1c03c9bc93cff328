"""Real sessions of the server and real replicas of the Python client, without sockets between:
what is sent waits in lists, so that a test says what arrives, when, and what never does.

`nodes` has devices of the TypeScript client for the same, `grounds` servers with real rooms.
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
from sotto_client.room import advanced, view_of
from tests.signaling.sync.documented import typed
from tests.signaling.sync.partitions import PlainRooms, actor_of
from tests.signaling.sync.test_sessions import blind
from tests.sync.findings import What, Wrong

APP, ROOM = "default", "0192aaaa-0000-7000-8000-00000000aaaa"
PATH = f"room:{ROOM}"
# How far a fold has come is not what it comes to.
BESIDE = ("seq", "clock", "changed")


class Pipe:
    """What a `Connection` is to sessions; `out` is what its client has not read yet."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
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
    """One process: sessions over a partition. `end` and `begin` forget all but the store."""

    def __init__(self, rooms: PlainRooms, bus: Bus, clock: FakeClock) -> None:
        self.rooms, self.bus, self.clock = rooms, bus, clock
        self.begin()

    def begin(self) -> None:
        self.registry = Registry()
        holders: Any = None
        self.hub = Hub(
            Paths(self.rooms, self.rooms, self.rooms, actor_of),
            Idents(blind, self.entropy),
            holders,
            self.bus,
            self.clock,
        )
        self.hub.pace_seconds = 0.0  # no clock moves here: what is held would never come
        self.hub.register(self.registry)

    entropy = SeededEntropy(7)

    def end(self) -> None:
        self.hub.close()

    async def restart(self) -> None:
        """Its sockets are gone already."""
        self.end()
        await settle()
        self.begin()

    def principal(self, account: str) -> Principal:
        return Principal(app=APP, kind=Kind.ACCOUNT, account=account)

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
    loop: Any = asyncio.get_running_loop()
    quiet = 0
    for _ in range(10_000):
        await asyncio.sleep(0)
        quiet = 0 if loop._ready else quiet + 1
        if quiet == 3:
            return
    raise AssertionError("something goes on and on")


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
        self.open()

    def open(self) -> None:
        """From what it kept."""
        self.local: Any = Local(self.place)
        self.replica: Any = Replica(self.local, PATH, self.now, self._number, advanced)

    def _number(self, _: Replica) -> int:
        self.numbers += 1
        return self.numbers

    def now(self) -> int:
        return int(self.clock.unix() * 1000) + self.skew

    def send(self, found: list[dict[str, Any]]) -> None:
        for frame in found:
            if frame["type"] == "upload":
                self.last_upload = frame
            self.waiting.append(frame)

    async def connect(self) -> None:
        if self.pipe is None:
            self.pipe = Pipe(self.server.principal(self.account))
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

    def arm(self, statements: tuple[str, ...], after: int) -> None:
        """It will die before one of these statements, after so many of them."""
        self.local = self.replica._local = Dying(self.local, statements, after)

    async def crash(self) -> None:
        await self.drop()
        self.local.close()
        self.open()

    def view(self) -> Any:
        """As JSON has it."""
        shown = view_of(self.replica, self.account)
        return without_progress(json.loads(msgspec.json.encode(shown)))

    def close(self) -> None:
        self.local.close()

    def held(self) -> set[str]:
        """What has not come back from the log, as text."""
        return {spelled(json.loads(change.op)) for change in self.replica.pending()}

    def is_outdated(self, frame: dict[str, Any]) -> bool:
        """An upload from before the file had another name is another file's."""
        versions = {change.version: json.loads(change.op) for change in self.replica.pending()}
        return any(
            versions.get(change["version"], change["op"]) != change["op"]
            or change["version"] >= self.replica.file.next
            for change in frame["changes"]
        )

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
        raise Wrong(What.UNREST, self.account)


class Dying:
    """A `Local` whose process dies before one of its statements."""

    def __init__(self, local: Any, statements: tuple[str, ...], after: int) -> None:
        self._inner, self._statements, self._left = local, statements, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in self._statements:
            if self._left == 0:
                raise Crash
            self._left -= 1
        return found


def spelled(op: Any) -> str:
    """The same for equal ops."""
    return json.dumps(op, sort_keys=True)


def without_progress(view: Any) -> Any:
    """A room's view for comparing with another device's: settings that nobody changed are spelled
    as nothing by one who folded them, and as `{}` by one who was told them."""
    told = {k: v for k, v in view["state"].items() if k not in BESIDE and v != {}}
    return {**view, "state": told}
