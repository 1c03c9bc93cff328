"""Devices of the TypeScript client for the state machine, all in one Node process.

It is `web/e2e/sync-machine.ts`, asked by lines of JSON. An answer is waited for where it is asked
for, which holds up the loop: a machine does one thing at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
from typing import Any

import msgspec

from sotto_client.local import Pending
from sotto_client.replica import Frame, Phase
from tests.sync.seats import WEB
from tests.sync.wire import PATH, Crash, Device, Server, without_progress


class NodeGone(Exception):  # noqa: N818 - names what happened
    """The process is no more. That says nothing of what it was asked."""


class NodeFailed(Exception):  # noqa: N818 - names what happened
    """What one of its devices threw."""


class Node:
    """One process. `stop` ends it; it also ends with its input."""

    def __init__(self) -> None:
        node = shutil.which("node")
        assert node is not None, "node is missing"
        words = [node, "--no-warnings", "e2e/sync-driver.mjs", "machine"]
        self._process = subprocess.Popen(
            words, cwd=WEB, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._numbers = itertools.count(1)

    def ask(self, do: str, **words: Any) -> Any:
        """Raises NodeGone, and NodeFailed with what it says went wrong."""
        to, back = self._process.stdin, self._process.stdout
        assert to is not None and back is not None
        try:
            to.write(json.dumps({"do": do, **words}).encode() + b"\n")
            to.flush()
        except OSError as error:
            raise NodeGone from error
        line = back.readline()
        if not line.endswith(b"\n"):
            raise NodeGone
        said = json.loads(line)
        if "error" in said:
            raise NodeFailed(said["error"])
        return said["answer"]

    def ping(self) -> None:
        """Raises NodeGone."""
        self.ask("ping")

    def device(self, account: str, *, indexeddb: bool) -> int:
        number = next(self._numbers)
        self.ask("open", device=number, path=PATH, account=account, indexeddb=indexeddb)
        return number

    def plant(self, bug: str | None) -> None:
        """This bug from here on, and no other."""
        self.ask("plant", bug=bug)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what was written last, to one that is gone
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class File(msgspec.Struct):
    """As much of a file as is looked at."""

    ident: str
    cursor: int
    floor: int
    acked: int
    next: int


class NodeReplica:
    """What tests ask of a `Replica`, of a device in the Node process. Lives until a crash."""

    def __init__(self, node: Node, number: int, now: Any) -> None:
        self._node, self._number, self._now = node, number, now
        self._entries: tuple[int, list[Frame]] = (-1, [])
        self._take(self._ask("crash"))

    def _ask(self, do: str, **words: Any) -> Any:
        return self._node.ask(do, device=self._number, **words)

    def _take(self, said: Any) -> list[Frame]:
        """What it sends. Raises Crash."""
        if said.get("died"):
            raise Crash
        self.phase, self.session = Phase(said["phase"]), said["session"]
        self.resets, self.refused = said["resets"], said["refused"]
        self.file = msgspec.convert(said, File)
        self._pending, self._revision = said["pending"], said["revision"]
        frames: list[Frame] = said["frames"]
        return frames

    def begin(self) -> list[Frame]:
        return self._take(self._ask("begin"))

    def hear(self, frame: Frame) -> list[Frame]:
        return self._take(self._ask("hear", frame=frame))

    def make(self, op: Frame) -> tuple[int, list[Frame]]:
        frames = self._take(self._ask("make", op=op, now=self._now()))
        return self.file.next - 1, frames

    def gone(self) -> None:
        """Also of one that died."""
        self.phase = Phase.AWAY
        self._ask("gone")

    def pending(self) -> list[Pending]:
        return [
            Pending(version, clock, msgspec.json.encode(op)) for version, clock, op in self._pending
        ]

    def entries(self) -> list[Frame]:
        if self._entries[0] != self._revision:
            self._entries = (self._revision, self._ask("entries"))
        return self._entries[1]

    def view(self) -> Any:
        return self._ask("view")


class NodeDevice(Device):
    """See the module. Its storage is IndexedDB's stand-in, or memory that outlives its process."""

    def __init__(
        self, server: Server, account: str, node: Node, *, indexeddb: bool, clock: Any
    ) -> None:
        self.node = node
        self.number = node.device(account, indexeddb=indexeddb)
        super().__init__(server, account, "", clock)

    def open(self) -> None:
        self.replica: Any = NodeReplica(self.node, self.number, self.now)

    def arm(self, statements: tuple[str, ...], after: int) -> None:
        """Its transactions have no statements: it dies before one, or after it. At the cursor means
        where a copy and its cursor would come apart, if they were not one transaction."""
        moments = 1 if statements == ("keep",) else after
        self.node.ask("arm", device=self.number, moments=moments)

    async def crash(self) -> None:
        await self.drop()
        self.open()

    def view(self) -> Any:
        return without_progress(self.replica.view())

    def close(self) -> None:
        self.node.ask("close", device=self.number)
