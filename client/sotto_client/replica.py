"""One partition on one device: frames of its session in, frames out, the local copy between them.

    AWAY --begin--> BOUND --first download--> SYNCED --socket gone, error--> AWAY

What is seen is the fold of what the log has, with what is pending replayed on top. A pending change
leaves when it comes back from the log, not when it is acknowledged. No sockets, clocks or
randomness of its own; every step is one transaction of `Local`. Driven by `Client`, and by tests.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from sotto_client.erasing import Erasing, ends_the_room, key_of
from sotto_client.local import EVERYTHING, File, Local, Pending
from sotto_client.verdicts import Fate, fate_of

UPLOAD_BYTES = 40_000
UPLOAD_CHANGES = 500
UPLOADS_AHEAD = 2000
"""Changes under way: the server holds at most 4,000 of a session that wait for its store (104)."""

Frame = dict[str, Any]


class Phase(StrEnum):
    AWAY = "away"
    BOUND = "bound"
    SYNCED = "synced"


class NeedsReset(Exception):  # noqa: N818 - names what happened
    """What came does not follow on what is here."""


class Replica:
    """See the module. `now` gives milliseconds of Unix time; `number` gives each session of it a
    number that its socket did not have before; `advanced` folds entries that leave into a state."""

    def __init__(
        self,
        local: Local,
        path: str,
        now: Callable[[], int],
        number: Callable[[Replica], int],
        advanced: Callable[[bytes, list[Frame]], bytes],
    ) -> None:
        self.path = path
        self.phase = Phase.AWAY
        self.session = 0
        self.file: File = local.file(path)
        self.refused: list[dict[str, Any]] = []
        """What the server gave no effect: `client_version`, `code`, `reason`."""
        self.marks: set[int] = set()
        """Requests whose answer came."""
        self.resets = 0
        """How often this copy was begun anew."""
        self.version = 0
        """Grows with every change of the copy, for who caches."""
        self._local = local
        self._now = now
        self._advanced = advanced
        self._number = number
        self._erasing = Erasing(local, self.file)
        self._sent = 0
        self._mark = 0

    # Local changes

    def make(self, op: Frame) -> tuple[int, list[Frame]]:
        """A change of this device, durable here at once. Its version, and what to send now."""
        file = self.file
        clock = max(self._now(), file.clock + 1)
        change = Pending(file.next, clock, dumped(self._erasing.quiet(op)).encode())
        with self._local.transaction():
            self._local.put_pending(self.path, change)
            file.next, file.clock = file.next + 1, clock
            self._local.keep(file)
        self._touched()
        return change.version, self.uploads()

    def uploads(self) -> list[Frame]:
        """What was not sent yet on this socket, in frames that servers take."""
        if self.phase is not Phase.SYNCED:
            return []
        frames: list[Frame] = []
        size = UPLOAD_BYTES
        most = self.file.acked + UPLOADS_AHEAD - self._sent
        for change in self._local.pending(self.path, self._sent, max(0, most)):
            shown = {
                "version": change.version,
                "clock": change.clock,
                "op": json.loads(change.op),
            }
            size += len(change.op) + 60
            if size > UPLOAD_BYTES or len(frames[-1]["changes"]) >= UPLOAD_CHANGES:
                frames.append({"type": "upload", "session": self.session, "changes": []})
                size = len(change.op) + 60
            frames[-1]["changes"].append(shown)
            self._sent = change.version
        return frames

    def mark(self) -> tuple[int, Frame]:
        """A request number, and the frame that asks whether all has come."""
        self._mark += 1
        return self._mark, {"type": "mark", "session": self.session, "request": self._mark}

    # The session

    def begin(self) -> list[Frame]:
        """A session on the socket that is there now."""
        self.session = session = self._number(self)
        self.phase = Phase.BOUND
        self._sent = self.file.acked
        self._local.unstage(self.path)
        bind: Frame = {"type": "bind", "session": session, "path": self.path}
        if not self.file.ident:
            return [{**bind, "need_client_file_ident": True}]
        return [bind, self._identify()]

    def _identify(self) -> Frame:
        file = self.file
        return {
            "type": "ident",
            "session": self.session,
            "client_file_ident": file.ident,
            "client_file_ident_salt": file.salt,
            "download_server_version": file.cursor,
            "chain": file.chain if file.cursor else "",
            "upload_client_version": file.acked,
            "compress": True,
        }

    def _unbind(self) -> Frame:
        return {"type": "unbind", "session": self.session}

    def gone(self) -> None:
        self.phase = Phase.AWAY

    def _is_away(self) -> bool:
        return self.phase is Phase.AWAY

    def hear(self, frame: Frame) -> list[Frame]:
        """A frame of this session; what to send for it."""
        kind = frame["type"]
        if kind == "download":
            return self._download(frame)
        if kind == "ident":
            return self._named(frame)
        if kind == "mark":
            self.marks.add(frame["request"])
        elif kind == "error":
            return self._error(frame)
        return []

    def _named(self, frame: Frame) -> list[Frame]:
        """Kept before anything else is done with it."""
        self.file.ident = frame["client_file_ident"]
        self.file.salt = frame["client_file_ident_salt"]
        self._local.keep(self.file)
        return [self._identify()]

    def _error(self, frame: Frame) -> list[Frame]:
        fate = fate_of(frame)
        if fate is Fate.WARN:
            self.refused += frame["body"].get("rejectedUpdates", [])
        if fate in (Fate.WARN, Fate.IGNORE):
            return []
        self.phase = Phase.AWAY
        if fate is Fate.FORGET:
            self._forget()
        if fate is Fate.RENAME:
            self._rename()
            return self.begin()
        return self._begin_anew() if fate is Fate.BEGIN_ANEW else []

    def _begin_anew(self) -> list[Frame]:
        """The copy stays visible until the new one is complete."""
        self.resets += 1
        self.file.cursor, self.file.chain = 0, ""
        self._local.keep(self.file)
        return self.begin()

    def _forget(self) -> None:
        """The partition is there no more, and this copy says nothing of it; what was not sent is
        its author's, and stays.
        """
        file = self.file
        self.phase = Phase.AWAY
        with self._local.transaction():
            self._local.forget_upto(self.path, EVERYTHING)
            self._local.unstage(self.path)
            file.cursor, file.floor, file.chain, file.state = 0, 0, "", b""
            self._local.keep(file)
        self._erasing.forgot()
        self._touched()

    def _rename(self) -> None:
        """Another ident, with what is pending under new versions: an ident is never used again."""
        file = self.file
        self.resets += 1
        with self._local.transaction():
            waiting = self._local.pending(self.path)
            self._local.drop_pending_upto(self.path, file.next)
            for version, change in enumerate(waiting, 1):
                moved = Pending(version, change.clock, change.op)
                self._local.put_pending(self.path, moved)
            file.ident = file.salt = file.chain = ""
            file.cursor = file.acked = 0
            file.next = len(waiting) + 1
            self._local.keep(file)
        self._sent = 0

    # Downloads

    def _download(self, frame: Frame) -> list[Frame]:
        if self.phase is Phase.AWAY:
            return []
        changes = _changes(frame)
        try:
            if "bootstrap" in frame:
                if not self._bootstrap(frame, changes):
                    return []
            elif not self._follow(frame, changes):
                return []
        except NeedsReset:
            return [self._unbind(), *self._begin_anew()]
        self._touched()
        if self._is_away():
            return [self._unbind()]
        uploaded = frame["upload_client_version"]
        if uploaded < self.file.acked or uploaded >= self.file.next:
            # A restored server, or a restored device: this name is used up.
            unbind = self._unbind()
            self._rename()
            return [unbind, *self.begin()]
        self._acknowledged(uploaded)
        self.phase = Phase.SYNCED
        return self.uploads()

    def _acknowledged(self, uploaded: int) -> None:
        self._sent = max(self._sent, uploaded)
        if uploaded > self.file.acked:
            self.file.acked = uploaded
            self._local.keep(self.file)

    def _bootstrap(self, frame: Frame, changes: list[Frame]) -> bool:
        """True when it is complete: only then anything of it is seen."""
        file = self.file
        with self._local.transaction():
            for change in changes:
                if "op" not in change:  # a bootstrap brings everything whole
                    raise NeedsReset
                file.clock = max(file.clock, change["clock"])
                self._local.stage(self.path, change["seq"], _dump(change), key_of(change["op"]))
            if frame["bootstrap"] == "more":
                self._local.keep(file)
                return False
            self._local.take_staged(self.path)
            if frame["upload_client_version"] < file.next:
                self._local.drop_pending_upto(self.path, frame["upload_client_version"])
            state = frame.get("state") or {}
            file.clock = max(file.clock, state.get("clock", 0))
            file.state = _dump(state) if state else b""
            self._erasing.anew()
            self._arrived(frame)
        return True

    def _follow(self, frame: Frame, changes: list[Frame]) -> bool:
        """False for what is here already."""
        file = self.file
        if frame["to"] < file.cursor:
            return False
        if frame["from"] != file.cursor or frame["floor"] < file.floor:
            # A floor never sinks, but on a server that was restored.
            raise NeedsReset
        with self._local.transaction():
            places = [self._integrate(change) for change in changes]
            self._erasing.heard(places)
            self._sink_to(frame["floor"])
            self._arrived(frame)
            if any(map(ends_the_room, places)):
                self._forget()
        return True

    def _sink_to(self, floor: int) -> None:
        """What is at or below the floor leaves; what it did to the room itself stays."""
        if floor > self.file.floor:
            leaving = [json.loads(data) for data in self._local.entries(self.path, floor)]
            self.file.state = self._advanced(self.file.state, leaving)
            self._local.forget_upto(self.path, floor)
            self._erasing.forgot()

    def _integrate(self, change: Frame) -> Frame:
        file = self.file
        if change["ident"] == file.ident:
            if "op" not in change:
                change = {**change, "op": self._own(change["version"])}
            else:
                self._local.taint()  # nothing may be left of what was sent
            self._local.drop_pending(self.path, change["version"])
        file.clock = max(file.clock, change["clock"])
        self._local.add(self.path, change["seq"], _dump(change), key_of(change["op"]))
        return change

    def _own(self, version: int) -> Frame:
        change = self._local.one_pending(self.path, version)
        if change is None:
            raise NeedsReset
        op: Frame = json.loads(change.op)
        return op

    def _arrived(self, frame: Frame) -> None:
        file = self.file
        file.cursor, file.floor = frame["to"], frame["floor"]
        file.chain = frame["chain"] or file.chain
        self._local.keep(file)

    def _touched(self) -> None:
        self.version += 1

    # What there is

    def entries(self) -> list[Frame]:
        """As the log has them."""
        return [json.loads(data) for data in self._local.entries(self.path)]

    def pending(self) -> list[Pending]:
        return self._local.pending(self.path)


def _changes(frame: Frame) -> list[Frame]:
    if "packed" in frame:
        plain = zlib.decompress(base64.b64decode(frame["packed"]))
        unpacked: list[Frame] = json.loads(plain)
        return unpacked
    found: list[Frame] = frame.get("changes", [])
    return found


def dumped(value: Frame) -> str:
    """As short as it can be: escaped, a long text of most scripts would not fit a frame."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _dump(value: Frame) -> bytes:
    return dumped(value).encode()
