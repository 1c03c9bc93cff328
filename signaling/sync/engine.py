"""One sync session as a state machine: frames and answers in, effects out. Pure; driven by the hub.

    BOUND --ident--> RESUMING --resumed--> CATCHING <--lagging, gap--> LIVE
      any --unbind, fault--> OVER

Every effect that asks something (`Resume`, `Read`, `Integrate`, `LookAtHead`) is answered by one
call of the method that its docstring names, or by `failed`; at most one of each kind is open.
"""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from signaling.chat.ports import Integrated
from signaling.storage.port import Head
from signaling.sync.batch import Batch, spell
from signaling.sync.errors import Action, Body, Fault, Rejected, SyncCode
from signaling.sync.faults import GONE, bad_version, disorder, reset, why_not
from signaling.sync.frames import ErrorFrame
from signaling.sync.session_frames import (
    DownloadHead,
    PartitionIdent,
    PartitionMark,
    PartitionUnbound,
)

PAGE = 500
"""Ops of one read, thus of one DOWNLOAD at most."""
PACK_FROM = 4096
"""Bytes of changes from which deflating them is worth the client's time."""
MOST_WAITING = 4000
"""Changes of one session that wait for the store; beyond, the client floods (104)."""

_encode = msgspec.json.Encoder().encode


class Phase(StrEnum):
    BOUND = "bound"
    RESUMING = "resuming"
    CATCHING = "catching"
    LIVE = "live"
    OVER = "over"


class Send(Struct, frozen=True):
    """One frame, encoded."""

    data: bytes


class Resume(Struct, frozen=True):
    """Answer with `resumed`: the head, this ident's cursor, the chain at `at` and, when `at` is 0
    or has fallen below the floor, the state for a bootstrap."""

    ident: str
    at: int


class Read(Struct, frozen=True):
    """Answer with `page`, once what was sent has left."""

    after: int


class Integrate(Struct, frozen=True):
    """Answer with `integrated`. The changes are of the partition's own type."""

    changes: Sequence[Any]


class LookAtHead(Struct, frozen=True):
    """Answer with `looked`."""

    request: int


class Fail(Struct, frozen=True):
    """The last effect of a session that its client is told the end of."""

    fault: Fault


Effect = Send | Resume | Read | Integrate | LookAtHead | Fail


class Session:
    """See the module. `number` is the client's name for it on its socket."""

    __slots__ = (
        "_bootstrap_to",
        "_claimed",
        "_compress",
        "_floor",
        "_integrating",
        "_kept",
        "_marks",
        "_newest",
        "_state",
        "_taken",
        "_told",
        "_waiting",
        "_window",
        "cursor",
        "ident",
        "number",
        "phase",
        "upload_cursor",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.phase = Phase.BOUND
        self.ident = ""
        self.cursor = 0
        """The newest op that the client was sent."""
        self.upload_cursor = 0
        """The newest version of the client that is in the log."""
        self._told = 0
        self._taken = 0
        self._waiting: deque[Any] = deque()
        self._integrating = False
        self._kept: list[Batch] = []
        self._marks: list[tuple[int, int]] = []
        self._newest = 0
        self._floor = 0
        self._bootstrap_to: int | None = None
        self._state: bytes | None = None
        self._window = 0
        self._compress = False
        self._claimed: PartitionIdent | None = None

    # From the client

    def identify(self, frame: PartitionIdent) -> list[Effect]:
        """Its salt was checked."""
        if self.phase is not Phase.BOUND:
            return self._fail(disorder("ident comes once, after bind."))
        self.phase = Phase.RESUMING
        self.ident, self.cursor = frame.client_file_ident, frame.download_server_version
        self._window, self._compress = frame.window, frame.compress
        self._claimed = frame
        return [Resume(self.ident, self.cursor)]

    def upload(self, changes: Sequence[Any]) -> list[Effect]:
        """Decoded; whether each may be made is the partition's to say."""
        if self.phase is Phase.BOUND:
            return self._fail(disorder("ident comes before upload."))
        if self.phase is Phase.OVER:
            return []
        if len(self._waiting) + len(changes) > MOST_WAITING:
            message = "Too many changes wait for the store."
            return self._fail(
                Fault(SyncCode.LIMITS_EXCEEDED, message, try_again=True, action=Action.TRANSIENT)
            )
        self._waiting.extend(changes)
        effects = self._pump()
        if not effects and not self._integrating and self._is_live():
            return [self._note()]  # all of it was known: say so once more
        return effects

    def mark(self, frame: PartitionMark) -> list[Effect]:
        if self.phase is Phase.BOUND:
            return self._fail(disorder("ident comes before mark."))
        return [] if self.phase is Phase.OVER else [LookAtHead(frame.request)]

    def unbind(self) -> list[Effect]:
        """The last frame of the session is its `unbound`."""
        self.phase = Phase.OVER
        return [Send(_encode(PartitionUnbound(session=self.number)))]

    # From the store

    def resumed(
        self, head: Head, upload_cursor: int, chain: bytes | None, state: bytes | None
    ) -> list[Effect]:
        """`state` is JSON; it holds what follows from the log up to somewhere below the head."""
        claimed = self._claimed
        if self.phase is not Phase.RESUMING or claimed is None:
            return []
        fault = why_not(claimed, head, upload_cursor, chain)
        if fault is not None:
            return self._fail(fault)
        self._claimed = None
        self.upload_cursor = self._taken = upload_cursor
        self._newest, self._floor = max(self._newest, head.seq), head.floor
        self.phase = Phase.CATCHING
        effects: list[Effect] = []
        if claimed.download_server_version == 0:
            self._bootstrap_to, self._state = head.seq, state
            self.cursor = max(head.floor, head.seq - self._window if self._window else 0)
        if self.cursor < self._newest:
            effects.append(Read(self.cursor))
        else:
            self.phase = Phase.LIVE
            effects.append(self._note(spell(head.chain)))
        return [*effects, *self._pump()]

    def page(self, page: Batch) -> list[Effect]:
        return self._took(page) if self.phase is Phase.CATCHING else []

    def sunk(self, floor: int) -> list[Effect]:
        """What was asked for is gone, or is not for this reader: a bootstrap begins above it."""
        if self.phase is not Phase.CATCHING:
            return []
        if self._bootstrap_to is None or self.cursor >= floor:
            return self._fail(reset(SyncCode.CLIENT_FILE_EXPIRED, GONE))
        self.cursor = floor
        self._bootstrap_to = max(self._bootstrap_to, floor)
        if self.cursor < self._newest:
            return [Read(self.cursor)]
        self.phase = Phase.LIVE
        return [self._note()]

    def news(self, batch: Batch) -> list[Effect]:
        """What is new. Our own waits for its acknowledgement: one frame for both."""
        self._newest = max(self._newest, batch.last)
        if self._kept or (self._integrating and batch.has(self.ident)):
            self._kept.append(batch)
            return []
        return self._fresh(batch)

    def own(self, batch: Batch) -> list[Effect]:
        """As `news`, of what was integrated just now, though the next is under way."""
        return [] if self._kept else self._fresh(batch)

    def _fresh(self, batch: Batch) -> list[Effect]:
        if self.phase is not Phase.LIVE or batch.last <= self.cursor:
            return []
        if batch.first > self.cursor + 1:
            return self.behind()
        rest = batch.after(self.cursor) if batch.first <= self.cursor else batch
        return [self._download(rest), *self._answer_marks()]

    def behind(self) -> list[Effect]:
        """Read on from the store: something is missing, or the client reads too slowly."""
        if self.phase is not Phase.LIVE:
            return []
        self.phase = Phase.CATCHING
        return [Read(self.cursor)]

    def floor(self, floor: int) -> list[Effect]:
        """What is at or below it is gone; told with the next download, or at once."""
        if floor <= self._floor:
            return []
        self._floor = floor
        return [self._note()] if self.phase is Phase.LIVE else []

    def integrated(self, done: Integrated) -> list[Effect]:
        self._integrating = False
        self.upload_cursor = max(self.upload_cursor, done.cursor)
        if self.phase is Phase.OVER:
            return []
        effects: list[Effect] = []
        if done.notices:
            effects.append(self._refused(done))
        kept, self._kept = self._kept, []
        for batch in kept:
            effects += self._fresh(batch)
        # The download that brings these ops acknowledges them; without ops, only this does.
        newest = done.entries[-1].seq if done.entries else 0
        if newest <= self.cursor and self.upload_cursor > self._told and self._is_live():
            effects.append(self._note())
        return [*effects, *self._pump()]

    def looked(self, request: int, head: int) -> list[Effect]:
        if self.phase is Phase.OVER:
            return []
        self._newest = max(self._newest, head)
        self._marks.append((head, request))
        effects = self._answer_marks()
        return effects or (self.behind() if self.cursor < head else [])

    def failed(self, fault: Fault) -> list[Effect]:
        self._integrating = False
        return self._fail(fault)

    # Within

    def _is_live(self) -> bool:
        return self.phase is Phase.LIVE

    def _fail(self, fault: Fault) -> list[Effect]:
        if self.phase is Phase.OVER:
            return []
        self.phase = Phase.OVER
        return [Fail(fault)]

    def _pump(self) -> list[Effect]:
        """Whatever waits goes to the store at once; what comes meanwhile is the next."""
        if self._integrating or self.phase not in (Phase.CATCHING, Phase.LIVE):
            return []
        fresh: list[Any] = []
        while self._waiting and len(fresh) < PAGE:
            change = self._waiting.popleft()
            if change.version <= self._taken:
                continue
            if change.version != self._taken + 1:
                return self._fail(bad_version(change.version, self._taken))
            self._taken = change.version
            fresh.append(change)
        if fresh:
            self._integrating = True
            return [Integrate(fresh)]
        return []

    def _took(self, page: Batch) -> list[Effect]:
        effects: list[Effect] = []
        if len(page) and page.first != self.cursor + 1:
            return self._fail(reset(SyncCode.CLIENT_FILE_EXPIRED, GONE))
        if len(page):
            effects.append(self._download(page))
        if len(page) and self.cursor < self._newest:
            return [*effects, Read(self.cursor)]
        self.phase = Phase.LIVE
        if self._told < self.upload_cursor:
            effects.append(self._note())
        return [*effects, *self._answer_marks()]

    def _answer_marks(self) -> list[Effect]:
        if not self._marks or self._bootstrap_to is not None:
            return []
        due = [request for seq, request in self._marks if seq <= self.cursor]
        self._marks = [mark for mark in self._marks if mark[0] > self.cursor]
        frames = [PartitionMark(session=self.number, request=request) for request in due]
        return [Send(_encode(frame)) for frame in frames]

    def _download(self, batch: Batch) -> Send:
        """The common case goes out as bytes that all sessions of the room share."""
        before, self.cursor, self._told = self.cursor, batch.last, self.upload_cursor
        fresh = self._bootstrap_to is not None
        if self.phase is Phase.LIVE and not fresh and not batch.has(self.ident):
            return Send(batch.frame(self.number, self._told, before, self._floor))
        changes = batch.changes_for("" if fresh else self.ident)
        left = self._newest - batch.last
        frame = DownloadHead(
            session=self.number,
            upload_client_version=self._told,
            from_=before,
            to=batch.last,
            head=max(self._newest, batch.last),
            floor=self._floor,
            chain=batch.chain,
            downloadable_bytes=len(changes) * left // len(batch) if left > 0 else 0,
        )
        return Send(self._with(self._of_bootstrap(frame, batch.last), changes))

    def _with(self, frame: DownloadHead, changes: bytes) -> bytes:
        if self._compress and len(changes) >= PACK_FROM:
            packed = base64.b64encode(zlib.compress(changes, 1)).decode()
            return _encode(msgspec.structs.replace(frame, packed=packed))
        return _encode(frame)[:-1] + b',"changes":' + changes + b"}"

    def _of_bootstrap(self, frame: DownloadHead, last: int) -> DownloadHead:
        if self._bootstrap_to is None:
            return frame
        if last < self._bootstrap_to:
            return msgspec.structs.replace(frame, bootstrap="more")
        state, self._state = self._state, None
        self._bootstrap_to = None
        rest = UNSET if state is None else msgspec.Raw(state)
        return msgspec.structs.replace(frame, bootstrap="last", state=rest)

    def _note(self, chain: str = "") -> Send:
        """Cursors alone. `chain` empty: unchanged."""
        self._told = self.upload_cursor
        frame = DownloadHead(
            session=self.number,
            upload_client_version=self._told,
            from_=self.cursor,
            to=self.cursor,
            head=max(self._newest, self.cursor),
            floor=self._floor,
            chain=chain,
        )
        return Send(self._with(self._of_bootstrap(frame, self.cursor), b"[]"))

    def _refused(self, done: Integrated) -> Send:
        body = Body(
            message="Some changes had no effect.",
            try_again=False,
            action=Action.WARNING,
            compensating_write_server_version=done.head.seq,
            rejected_updates=[
                Rejected(client_version=found.version, code=found.code, reason=found.message)
                for found in done.notices
            ],
        )
        code = SyncCode.COMPENSATING_WRITE
        frame = ErrorFrame(
            code=code, name=code.name.lower(), session=self.number, status=403, body=body
        )
        return Send(_encode(frame))
