"""The state machine of sync: everything that goes wrong, and what must hold nevertheless.

Three devices (two of one account), each of the Python or the TypeScript client, and the processes
of a server over a bus that loses, repeats and reorders (`grounds`). `tests/sync/test_machine.py`
runs it, and plants bugs to see that it catches them. At rest it asks what reliability.md 2.3 asks.
Long because the rules of one machine share its state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signaling.chat.ops import Erased, Post
from tests.sync.findings import What, must
from tests.sync.grounds import Ground, PlainGround
from tests.sync.nodes import Node, NodeDevice
from tests.sync.wire import Crash, Device, settle, spelled

T = TypeVar("T")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
DEVICES = 3
PYTHON, TYPESCRIPT, ANY = (0,), (7,), tuple(range(8))
"""Where TypeScript sits, a bit for each device."""
WHO = st.integers(0, DEVICES - 1)
STATEMENTS = ("keep", "add", "drop_pending", "stage", "take_staged", "drop_pending_upto")


class SyncMachine(RuleBasedStateMachine):
    """See the module. `node` is where TypeScript devices live."""

    standing: ClassVar[Callable[[int, float, Path], Ground]] = PlainGround
    node: ClassVar[Node | None] = None
    masks: ClassVar[tuple[int, ...]] = PYTHON

    @initialize(
        seed=st.integers(0, 1000),
        loss=st.sampled_from([0.0, 0.3, 1.0]),
        mask=st.integers(0, 7),
        indexeddb=st.integers(0, 3),
    )
    def begin(self, seed: int, loss: float, mask: int, indexeddb: int) -> None:
        self.over = contextlib.ExitStack()
        """What is to be done at the end, whatever came before it."""
        self.loop = asyncio.new_event_loop()
        self.over.callback(self.loop.close)
        made = tempfile.TemporaryDirectory(prefix="sotto-machine-", dir=MEMORY)
        self.folder = Path(self.over.enter_context(made))
        self.ground = type(self).standing(seed, loss, self.folder)
        self.over.callback(lambda: self.run(self.ground.close()))
        self.run(self.ground.begin())
        self.mask = self.masks[mask % len(self.masks)]
        if self.node is not None:
            self.over.callback(self.node.ask, "forget")
        self.devices: list[Device] = []
        for place in range(DEVICES):
            device = self._device(place, indexeddb == 0)
            self.devices.append(device)
            self.over.callback(self._leave, device)
        self.made: dict[str, int] = {}
        """What was done, by its text; the device that did it."""
        self.voidable: set[str] = set()
        self.emptied: set[str] = set()
        """Messages that were erased: an edit that waits on its device loses what it says."""
        self.saved: tuple[Any, dict[int, str]] | None = None
        self.seen: dict[int, str] = {}
        """Every op that the log ever took, by seq: purged and erased ones too."""
        self.excused: set[str] = set()
        self.cursors = [(0, 0, 0)] * DEVICES
        self.count = 0

    def _device(self, place: int, indexeddb: bool) -> Device:
        servers, account = self.ground.servers, self.ground.accounts[place]
        server, clock = servers[place % len(servers)], self.ground.clock
        if self.mask >> place & 1:
            assert self.node is not None
            return NodeDevice(server, account, self.node, indexeddb=indexeddb, clock=clock)
        return Device(server, account, str(self.folder / f"{place}.db"), clock)

    def _leave(self, device: Device) -> None:
        self.run(device.drop())
        device.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if hasattr(self, "over"):
            with self.over:
                if sys.exception() is None:  # else a step found something: that is what is told
                    self.run(self._at_rest())

    # What people do

    def _name(self) -> str:
        """A message's id, of now (RFC 9562 section 5.7)."""
        self.count += 1
        now = int(self.ground.clock.unix() * 1000)
        return f"{now >> 16:08x}-{now & 0xFFFF:04x}-7000-8000-{self.count:012x}"

    @rule(who=WHO, kind=st.sampled_from(["post", "post", "edit", "react", "set", "topic"]))
    def act(self, who: int, kind: str) -> None:
        device, name = self.devices[who], self._name()
        text = f"t{self.count}"
        messages = device.view()["messages"]
        mine = [
            m["id"] for m in messages if m["account"] == device.account and not m.get("deleted")
        ]
        op: dict[str, Any] = {"type": "post", "id": name, "body": _body(text)}
        if kind == "edit" and mine:
            op = {"type": "edit", "id": mine[-1], "body": _body(text)}
        elif kind == "react" and messages:
            op = {"type": "react", "id": messages[0]["id"], "emoji": text}
        elif kind == "set":
            op = {"type": "set", "name": text}
        elif kind == "topic":
            op = {"type": "set", "topic": text}
        self.made[spelled(op)] = who
        if self.ground.may_be_void(who, op) or (kind == "edit" and op["id"] in self.emptied):
            self.voidable.add(spelled(op))
        _, frames = device.replica.make(op)
        device.send(frames)
        self._shows(device, op, text)

    def _shows(self, device: Device, op: dict[str, Any], text: str) -> None:
        """One's own change is there at once, whatever the clocks say."""
        view = device.view()
        if op["type"] == "set":
            shown = text in (view["state"].get("name"), view["state"].get("topic"))
            must(What.HIDDEN, shown, text)
        elif op["type"] in ("post", "edit"):
            found = next((m for m in view["messages"] if m["id"] == op["id"]), None)
            must(What.HIDDEN, found is not None and found["body"]["text"] == text, text)

    @rule(who=WHO, other=WHO)
    def follow(self, who: int, other: int) -> None:
        """Changes what another changed just now, whatever that one's clock said."""
        self.act(other, "topic")
        for at in (other, who):
            self.run(self.devices[at].rest())
        self._look()
        self.act(who, "topic")

    @rule(who=WHO)
    def connect(self, who: int) -> None:
        self.run(self.devices[who].connect())
        self._look()

    @rule(who=WHO)
    def drop(self, who: int) -> None:
        self.run(self.devices[who].drop())

    @rule(who=WHO)
    def move(self, who: int) -> None:
        """To another process, where there is one."""
        device, servers = self.devices[who], self.ground.servers
        self.run(device.drop())
        device.server = servers[(list(servers).index(device.server) + 1) % len(servers)]

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

    @rule(who=WHO, most=st.integers(1, 6))
    def send_while_the_store_is_away(self, who: int, most: int) -> None:
        self.run(self.devices[who].connect())
        self.ground.away(True)
        try:
            self.run(self.devices[who].flush(most))
            self.run(self.devices[who].receive())
        finally:
            self.ground.away(False)
        self._look()

    @rule(who=WHO)
    def bind_again(self, who: int) -> None:
        """On the same socket, after an error of the session."""
        device = self.devices[who]
        if device.pipe is not None and device.replica.phase == "away":
            device.send(device.replica.begin())
            self.run(device.flush())
            self._look()

    @rule(who=WHO)
    def upload_again(self, who: int) -> None:
        device = self.devices[who]
        if device.pipe is not None and device.last_upload is not None:
            again = {**device.last_upload, "session": device.replica.session}
            if device.replica.phase == "synced" and not device.is_outdated(again):
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
        self.run(self.devices[who].server.hub.poll())
        self.run(settle())
        self._crash(who, ("keep",), 0)

    def _crash(self, who: int, statements: tuple[str, ...], after: int) -> None:
        device = self.devices[who]
        self.run(device.connect())
        device.arm(statements, after)
        with contextlib.suppress(Crash):
            self.run(device.receive())
        self.run(device.crash())
        self._look()

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        """One process of the server dies, with all that it had not written."""
        servers = self.ground.servers
        server = servers[which % len(servers)]
        for device in self.devices:
            if device.server is server:
                self.run(device.drop())
        self.run(server.restart())

    @rule(upto=st.integers(1, 30))
    def compact(self, upto: int) -> None:
        self._look()
        if self.ground.log is not None:
            self.run(self.ground.purge(upto))

    @rule(place=st.integers(0, 200))
    def erase(self, place: int) -> None:
        """A post, for good. The server says so in the log."""
        self._look()
        room = self.ground.log
        there = [] if room is None else [op for op in room.ops if not op.erased]
        posts = [e for e in self.run(self.ground.opened(there)) if isinstance(e.op, Post)]
        if posts:
            post: Any = posts[place % len(posts)]
            self.run(self.ground.erase(post))
            self.emptied.add(post.op.id)
            self.voidable |= {t for t in self.made if '"edit"' in t and post.op.id in t}
            self._look()

    @rule(who=WHO, seconds=st.integers(-4000, 4000))
    def skew(self, who: int, seconds: int) -> None:
        self.devices[who].skew = min(seconds, 280) * 1000

    @rule(on=st.booleans())
    def forbid(self, on: bool) -> None:
        self.run(self.ground.forbid(on))
        self._look()

    @rule()
    def back_up(self) -> None:
        self._look()
        self.saved = (self.ground.save(), dict(self.seen))

    @precondition(lambda self: getattr(self, "saved", None) is not None)
    @rule(regrow=st.integers(0, 12))
    def restore(self, regrow: int) -> None:
        """The night before, and perhaps others who wrote since."""
        assert self.saved is not None
        self._look()
        before = dict(self.saved[1])
        # What its author no longer holds was lost with the disk.
        held = {text for device in self.devices for text in device.held()}
        self.excused |= set(self.seen.values()) - set(before.values()) - held
        self.run(self._from_the_backup())
        self.seen = before
        for _ in range(regrow):
            post = msgspec.convert({"type": "post", "id": self._name(), "body": _body("x")}, Post)
            self.run(self.ground.regrow(self.count, post))
        self._look()

    async def _from_the_backup(self) -> None:
        """Who restores a store stops its servers first."""
        assert self.saved is not None
        for device in self.devices:
            await device.drop()
        for server in self.ground.servers:
            server.end()
        await settle()
        self.ground.restore(self.saved[0])
        for server in self.ground.servers:
            server.begin()

    # What must hold

    def _look(self) -> None:
        """Contiguous, and nothing of anybody twice."""
        room = self.ground.log
        if room is None:
            return
        must(What.GAP, [op.seq for op in room.ops] == list(range(room.floor + 1, room.seq + 1)))
        places = [(op.ident, op.version) for op in room.ops]
        must(What.TWICE, len(set(places)) == len(places))
        fresh = [op for op in room.ops if op.seq not in self.seen and not op.erased]
        if fresh:
            for entry in self.run(self.ground.opened(fresh)):
                if not isinstance(entry.op, Erased):
                    self.seen[entry.seq] = _text(entry.op)

    @invariant()
    def cursors_rise(self) -> None:
        for place, device in enumerate(getattr(self, "devices", [])):
            now = (device.replica.file.cursor, device.replica.resets, id(device.replica))
            before = self.cursors[place]
            must(What.CURSOR, now[0] >= before[0] or now[1:] != before[1:])
            self.cursors[place] = now

    @invariant()
    def own_posts_stay(self) -> None:
        """What one did is there from then on: pending, or in the log."""
        for place, device in enumerate(getattr(self, "devices", [])):
            if not device.replica.file.cursor or self.excused or self._has_sunk():
                continue
            mine = {t for t, who in self.made.items() if who == place and t not in self.voidable}
            posts = {text for text in mine if json.loads(text)["type"] == "post"}
            there = device.held() | {spelled(entry["op"]) for entry in device.replica.entries()}
            must(What.VANISHED, posts <= there)

    def _has_sunk(self) -> bool:
        room = self.ground.log
        return room is not None and (room.floor > 0 or any(op.erased for op in room.ops))

    async def _at_rest(self) -> None:
        await self.ground.forbid(False)
        for _ in range(DEVICES):
            for device in self.devices:
                await device.rest()
        room = self.ground.log
        for device in self.devices:
            must(What.UNREST, not device.replica.pending(), "something is pending")
            seq = room.seq if room is not None else 0
            must(What.UNREST, device.replica.file.cursor == seq, "it is not at the head")
        views = [device.view() for device in self.devices]
        views += await self._readers()
        for shown in views:
            must(What.DIFFERENT, shown == views[0], f"{shown} is not {views[0]}"[:2000])
        await self._counted(room)

    async def _readers(self) -> list[Any]:
        """What a person of each account is told who had nothing before, by each client."""
        found, server, clock = [], self.ground.servers[-1], self.ground.clock
        for place in (0, DEVICES - 1):
            account = self.ground.accounts[place]
            fresh = [Device(server, account, ":memory:", clock)]
            if self.node is not None:
                fresh.append(NodeDevice(server, account, self.node, indexeddb=False, clock=clock))
            for device in fresh:
                await device.rest()
                found.append(device.view())
                await device.drop()
                device.close()
        return found

    async def _counted(self, room: Any) -> None:
        """Everything that was done is in the log once, in the order of who did it."""
        ops = [] if room is None else [op for op in room.ops if not op.erased]
        for entry in await self.ground.opened(ops):
            if not isinstance(entry.op, Erased):
                self.seen.setdefault(entry.seq, _text(entry.op))
        places: dict[str, list[int]] = {}
        for seq, text in self.seen.items():
            places.setdefault(text, []).append(seq)
        for text in self.made:
            times = len(places.get(text, ()))
            may_miss = text in self.excused or text in self.voidable
            right = times == 1 or (times == 0 and may_miss) or text in self.excused
            must(What.MISCOUNTED, right, f"{text} {times} times")
        for who in range(DEVICES):
            mine = [t for t, by in self.made.items() if by == who and t not in self.excused]
            seqs = [places[text][0] for text in mine if text in places]
            must(What.DISORDER, seqs == sorted(seqs), f"device {who}")


def _body(text: str) -> dict[str, str]:
    return {"format": "m.plain.v1", "text": text}


def _text(op: Any) -> str:
    return spelled(msgspec.to_builtins(op))
