"""The state machine of sync: everything that goes wrong, and what must hold nevertheless.

Three devices (two of one account) and one server over a bus that loses, repeats and reorders.
`tests/sync/test_machine.py` runs it, and plants bugs to see that it catches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signaling.chat.ops import Erased, Post
from signaling.clock import FakeClock
from signaling.storage.memory import MemoryStore
from sotto_client.room import view_of
from tests.signaling.bus.lossy import LossyBus
from tests.signaling.sync.partitions import PlainRooms, entry_of
from tests.sync.wire import APP, ROOM, Crash, Device, Server, settle

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ANA, BEN = "ana", "ben"
# How far a fold has come is not what it comes to.
BESIDE = ("seq", "clock", "changed")
WHO = st.integers(0, 2)
STATEMENTS = ("keep", "add", "drop_pending", "stage", "take_staged", "drop_pending_upto")


class SyncMachine(RuleBasedStateMachine):
    """See the module."""

    @initialize(seed=st.integers(0, 1000), loss=st.sampled_from([0.0, 0.3, 1.0]))
    def begin(self, seed: int, loss: float) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="sotto-machine-", dir=MEMORY)
        self.clock = FakeClock()
        self.rooms = PlainRooms(MemoryStore(self.clock), LossyBus(seed, loss, self.clock))
        self.server = Server(self.rooms, self.rooms.bus, self.clock)
        places = [str(Path(self.folder.name) / f"{n}.db") for n in range(3)]
        self.devices = [
            Device(self.server, account, place, self.clock)
            for account, place in zip((ANA, ANA, BEN), places, strict=True)
        ]
        self.made: dict[str, int] = {}
        """What was done, by its text; the device that did it."""
        self.saved: tuple[Any, dict[int, str]] | None = None
        self.seen: dict[int, str] = {}
        """Every op that the log ever took, by seq: purged and erased ones too."""
        self.excused: set[str] = set()
        self.cursors = [(0, 0, 0)] * 3
        self.count = 0

    def run(self, work: Any) -> None:
        self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.run(self._at_rest())
        finally:
            self.server.hub.close()
            self.run(settle())
            self.loop.close()
            for device in self.devices:
                device.local.close()
            self.folder.cleanup()

    # What people do

    @rule(who=WHO, kind=st.sampled_from(["post", "post", "edit", "react", "set", "topic"]))
    def act(self, who: int, kind: str) -> None:
        device, self.count = self.devices[who], self.count + 1
        text = f"t{self.count}"
        view = view_of(device.replica, device.account)
        mine = [m.id for m in view.messages if m.account == device.account and not m.deleted]
        name = f"00000000-0000-7000-8000-{self.count:012x}"
        op: dict[str, Any] = {"type": "post", "id": name, "body": _body(text)}
        if kind == "edit" and mine:
            op = {"type": "edit", "id": mine[-1], "body": _body(text)}
        elif kind == "react" and view.messages:
            op = {"type": "react", "id": view.messages[0].id, "emoji": text}
        elif kind == "set":
            op = {"type": "set", "name": text}
        elif kind == "topic":
            op = {"type": "set", "topic": text}
        self.made[json.dumps(op, sort_keys=True)] = who
        _, frames = device.replica.make(op)
        device.send(frames)
        self._shows(device, op, text)

    def _shows(self, device: Device, op: dict[str, Any], text: str) -> None:
        """One's own change is there at once, whatever the clocks say."""
        view = view_of(device.replica, device.account)
        if op["type"] == "set":
            assert text in (view.state.name, view.state.topic)
        elif op["type"] in ("post", "edit"):
            found = next((m for m in view.messages if m.id == op["id"]), None)
            assert found is not None and getattr(found.body, "text", "") == text

    @rule(who=WHO)
    def connect(self, who: int) -> None:
        self.run(self.devices[who].connect())
        self._look()

    @rule(who=WHO)
    def drop(self, who: int) -> None:
        self.run(self.devices[who].drop())

    @rule(who=WHO, most=st.integers(1, 6))
    def send(self, who: int, most: int) -> None:
        """Connects when it must: random rules alone hardly ever get this far."""
        self.run(self.devices[who].connect())
        self.run(self.devices[who].flush(most))
        self._look()

    @rule(who=WHO, most=st.integers(1, 6))
    def receive(self, who: int, most: int) -> None:
        self.run(self.devices[who].connect())
        self.run(self.devices[who].receive(most))
        self._look()

    @rule(who=WHO)
    def catch_up(self, who: int) -> None:
        self.run(self.devices[who].rest())
        self._look()

    # What goes wrong

    @rule(who=WHO)
    def lose_the_acknowledgement(self, who: int) -> None:
        device = self.devices[who]
        self.run(device.connect())
        self.run(device.flush())
        self.run(device.drop())
        self._look()

    @rule(who=WHO)
    def upload_again(self, who: int) -> None:
        device = self.devices[who]
        if device.pipe is not None and device.last_upload is not None:
            again = {**device.last_upload, "session": device.replica.session}
            if device.replica.phase == "synced" and not _outdated(device, again):
                device.waiting.append(again)
                self.run(device.flush())
                self._look()

    @rule(who=WHO, after=st.integers(0, 6))
    def crash_while_receiving(self, who: int, after: int) -> None:
        """Dies in the middle of a transaction, at one of its statements."""
        self._crash(who, STATEMENTS, after)

    @rule(who=WHO, other=WHO)
    def crash_at_the_cursor(self, who: int, other: int) -> None:
        """Entries that follow on the copy came, and it dies before it notes how far it has come."""
        self.run(self.devices[who].rest())
        self.act(other, "post")
        self.run(self.devices[other].rest())
        self._look()
        self.run(self.server.hub.poll())
        self.run(settle())
        self._crash(who, ("keep",), 0)

    def _crash(self, who: int, statements: tuple[str, ...], after: int) -> None:
        device = self.devices[who]
        self.run(device.connect())
        device.local = _Dying(device.local, statements, after)  # type: ignore[assignment]
        device.replica._local = device.local
        with contextlib.suppress(Crash):
            self.run(device.receive())
        self.run(device.crash())
        self._look()

    @rule()
    def restart(self) -> None:
        self._new_process()

    @rule(upto=st.integers(1, 30))
    def compact(self, upto: int) -> None:
        self.run(self.rooms.purge(APP, ROOM, upto))

    @rule(place=st.integers(0, 200))
    def erase(self, place: int) -> None:
        """A post, for good. The server says so in the log."""
        ops = self.run_log()
        posts = [entry for entry in map(entry_of, ops) if isinstance(entry.op, Post)]
        if not posts:
            return
        gone = posts[place % len(posts)]
        assert isinstance(gone.op, Post)
        self.run(self.rooms.store.log.erase(APP, ROOM, [gone.seq]))
        self.count += 1
        self.run(self.rooms.say(APP, ROOM, self.count, {"type": "erase", "seqs": [gone.seq],
                                                        "ids": [gone.op.id]}))  # fmt: skip
        self._look()

    @rule(who=WHO, seconds=st.integers(-4000, 4000))
    def skew(self, who: int, seconds: int) -> None:
        self.devices[who].skew = min(seconds, 280) * 1000

    @rule(on=st.booleans())
    def forbid(self, on: bool) -> None:
        self.rooms.forbidden = "react" if on else ""

    @rule()
    def back_up(self) -> None:
        log: Any = self.rooms.store.log
        kept = (copy.deepcopy(log._rooms), copy.deepcopy(self.rooms.kept))
        self.saved = (kept, dict(self.seen))

    @precondition(lambda self: getattr(self, "saved", None) is not None)
    @rule(regrow=st.integers(0, 12))
    def restore(self, regrow: int) -> None:
        """The night before, and perhaps others who wrote since."""
        assert self.saved is not None
        log: Any = self.rooms.store.log
        log._rooms, self.rooms.kept = copy.deepcopy(self.saved[0])
        before = dict(self.saved[1])
        # What its author no longer holds was lost with the disk.
        held = {text for device in self.devices for text in _pending(device)}
        lost = set(self.seen.values()) - set(before.values()) - held
        self.excused |= lost
        # Who restores a store stops its servers first; what their bus still held is gone.
        bus: Any = self.rooms.bus
        bus._held.clear()
        self.seen = before
        self._new_process()
        for _ in range(regrow):
            self.count += 1
            name = f"00000000-0000-7000-8000-{self.count:012x}"
            op = {"type": "post", "id": name, "body": _body("regrown")}
            self.run(self.rooms.say(APP, ROOM, self.count, op))
        self._look()

    def _new_process(self) -> None:
        for device in self.devices:
            self.run(device.drop())
        self.server.hub.close()
        self.run(settle())
        self.server.begin()

    # What must hold

    def run_log(self) -> list[Any]:
        found: list[Any] = []

        async def read() -> None:
            found.extend(await self.rooms.store.log.read(APP, ROOM, after=0, limit=10_000))

        self.run(read())
        return found

    def _look(self) -> None:
        """Contiguous, and nothing of anybody twice."""
        log: Any = self.rooms.store.log
        room = log._rooms.get((APP, ROOM))
        if room is None:
            return
        assert [op.seq for op in room.ops] == list(range(room.floor + 1, room.seq + 1))
        places = [(op.ident, op.version) for op in room.ops]
        assert len(set(places)) == len(places)
        for op in map(entry_of, room.ops):
            if not isinstance(op.op, Erased) and op.seq not in self.seen:
                self.seen[op.seq] = _text(op.op)

    @invariant()
    def cursors_rise(self) -> None:
        for place, device in enumerate(getattr(self, "devices", [])):
            now = (device.replica.file.cursor, device.replica.resets, id(device.replica))
            before = self.cursors[place]
            assert now[0] >= before[0] or now[1:] != before[1:]
            self.cursors[place] = now

    @invariant()
    def own_posts_stay(self) -> None:
        """What one did is there from then on: pending, or in the log."""
        for device in getattr(self, "devices", []):
            waiting = _pending(device)
            there = waiting | {_shown(entry["op"]) for entry in device.replica.entries()}
            if device.replica.file.cursor and not self.excused and not self._has_sunk():
                mine = {text for text, who in self.made.items() if self.devices[who] is device}
                gone = {t for t in mine - there if json.loads(t)["type"] == "post"}
                assert not gone, "a post vanished from the device that made it"

    def _has_sunk(self) -> bool:
        log: Any = self.rooms.store.log
        room = log._rooms.get((APP, ROOM))
        return room is not None and (room.floor > 0 or any(op.erased for op in room.ops))

    async def _at_rest(self) -> None:
        self.rooms.forbidden = ""
        for _ in range(3):
            for device in self.devices:
                await device.rest()
        self._look_at_rest()

    def _look_at_rest(self) -> None:
        log: Any = self.rooms.store.log
        room = log._rooms.get((APP, ROOM))
        head = room.seq if room is not None else 0
        views = []
        for device in self.devices:
            assert not device.replica.pending()
            assert device.replica.file.cursor == head
            view = view_of(device.replica, device.account)
            state = msgspec.structs.asdict(view.state)
            views.append(({k: v for k, v in state.items() if k not in BESIDE}, view.messages))
        for shown in views:
            assert shown == views[0], f"{shown} is not {views[0]}"[:2000]
        if room is not None:
            for op in map(entry_of, room.ops):
                if not isinstance(op.op, Erased):
                    self.seen.setdefault(op.seq, _text(op.op))
        counts: dict[str, int] = {}
        for text in self.seen.values():
            counts[text] = counts.get(text, 0) + 1
        for text in self.made:
            times = counts.get(text, 0)
            refused = "react" in text
            assert times == 1 or text in self.excused or (refused and times == 0), (text, times)


class _Dying:
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


def _body(text: str) -> dict[str, str]:
    return {"format": "m.plain.v1", "text": text}


def _text(op: Any) -> str:
    return json.dumps(msgspec.to_builtins(op), sort_keys=True)


def _shown(op: dict[str, Any]) -> str:
    return json.dumps(op, sort_keys=True)


def _pending(device: Device) -> set[str]:
    return {_shown(json.loads(change.op)) for change in device.replica.pending()}


def _outdated(device: Device, frame: dict[str, Any]) -> bool:
    """An upload from before the file had another name is another file's."""
    versions = {change.version: json.loads(change.op) for change in device.replica.pending()}
    return any(
        versions.get(change["version"], change["op"]) != change["op"]
        or change["version"] >= device.replica.file.next
        for change in frame["changes"]
    )
