"""The `Audit` that servers use: a bounded queue for each app, written in groups, heads signed.

Driven by one task of its own from `start` to `close`. A group is one append to the app's log; what
failed is appended again under the same numbers, so that nothing is lost or written twice. Signing
trusts no chain that the store tells: it is computed from what was written and read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit import entry
from signaling.compliance.audit.port import AuditEvent
from signaling.compliance.audit.signer import Signers
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Ids
from signaling.keys.port import INSTALLATION, Sealer
from signaling.storage.port import (
    GENESIS,
    Appended,
    Conflict,
    Log,
    Meta,
    NewOp,
    digest_of,
    link,
)

log = logging.getLogger(__name__)

HEADS = "audit_head"
APPS = "audit_app"
# Records of one append.
GROUP = 512  # the store takes 1,000 entries
# Records that are cleaned in one step of the loop, while requests wait.
STEP = 16
# A store that is away while we close gets so many chances, `retry_seconds` apart.
LAST_TRIES = 5


@dataclass(frozen=True)
class Pace:
    """In seconds and numbers: how late, how much, how often signed."""

    flush_seconds: float = 0.15
    queue: int = 50_000
    head_seconds: float = 10.0
    head_records: int = 1000
    retry_seconds: float = 1.0
    record_seconds: float = 5.0
    """How long `record` waits before it says that the audit cannot be written."""


class _Waiting(msgspec.Struct):
    event: AuditEvent
    done: asyncio.Future[None] | None = None


@dataclass
class _App:
    """One app's queue, the group under way, and the end of its log as we have followed it."""

    name: str
    queue: deque[_Waiting] = field(default_factory=deque)
    group: list[NewOp] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)
    lost: int = 0
    number: int = 0
    seq: int = -1
    chain: bytes = GENESIS
    unsigned: int = 0
    signed_at: float = 0.0
    alarmed: bool = False


class AuditLog:
    """States: new (notes are kept), running, closed. Owned by the composition root."""

    def __init__(
        self, meta: Meta, ops: Log, clock: Clock, ids: Ids, pace: Pace | None = None
    ) -> None:
        self._meta = meta
        self._ops = ops
        self._clock = clock
        self._ids = ids
        self._pace = pace or Pace()
        self._writer = ids.new()
        self._apps: dict[str, _App] = {}
        self._queued = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False  # a note has set the timer, which no later note needs to look at
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._stuck = False

    async def start(self, sealer: Sealer, signers: Signers) -> None:
        """Not in the constructor: the sealer itself leaves notes here. `signers` has started."""
        self._sealer = sealer
        self._signers = signers
        self._task = asyncio.create_task(self._run())
        self._wake.set()

    async def close(self) -> None:
        """Writes what is queued and signs it, unless the store is away."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self._queued:
            log.error("%d audit records could not be written before the end", self._queued)

    @property
    def healthy(self) -> bool:
        """False while records cannot be written, or when the loss of some is not recorded yet."""
        return not self._stuck and not any(app.lost for app in self._apps.values())

    @property
    def queued(self) -> int:
        return self._queued

    def note(self, event: AuditEvent) -> None:
        app = self._apps.get(event.app) or self._app(event.app)
        if self._queued >= self._pace.queue:
            app.lost += 1
        else:
            self._enqueue(app, _Waiting(event))
        if not self._flushing and self._task is not None and not self._stuck:
            self._soon(self._pace.flush_seconds)

    async def record(self, event: AuditEvent) -> None:
        if self._queued >= self._pace.queue or self._task is None:
            raise Unavailable("The audit cannot be written.", 5)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(self._app(event.app), _Waiting(event, done))
        self._wake.set()
        try:
            async with asyncio.timeout(self._pace.record_seconds):
                await done
        except (TimeoutError, Unavailable):
            # Whether it is stored is open, so a second record says what became of the act.
            reason = {"reason": "refused, since the audit did not answer"}
            self.note(
                replace(
                    event,
                    result="failed",
                    code=Code.UNAVAILABLE.value,
                    details={**event.details, **reason},
                )
            )
            raise Unavailable("The audit cannot be written.", 5) from None

    async def apps(self) -> list[str]:
        """Every app that has an audit log."""
        return await audited_apps(self._meta)

    def _app(self, name: str) -> _App:
        app = self._apps.get(name)
        if app is None:
            app = self._apps[name] = _App(name, signed_at=self._clock.monotonic())
        return app

    def _enqueue(self, app: _App, waiting: _Waiting) -> None:
        app.queue.append(waiting)
        self._queued += 1

    def _soon(self, seconds: float) -> None:
        """At the latest after so long: the timer may be set for the next head, which is later."""
        if self._flushing:
            return
        self._flushing = True
        timer = self._timer
        if timer is not None:
            if timer.when() <= asyncio.get_running_loop().time() + seconds:
                return
            timer.cancel()
        self._later(seconds)

    def _later(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)

    async def _run(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            self._flushing = False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self._flush()
            if self._stuck:
                self._later(self._pace.retry_seconds)
            elif self._queued:
                self._soon(self._pace.flush_seconds)
            elif any(app.unsigned for app in self._apps.values()):
                self._later(self._pace.head_seconds)
        if self._timer is not None:
            self._timer.cancel()
        for _ in range(LAST_TRIES):
            await self._flush()
            if not self._stuck:
                return
            await asyncio.sleep(self._pace.retry_seconds)

    async def _flush(self) -> None:
        apps = [app for app in list(self._apps.values()) if self._due(app)]
        results = await asyncio.gather(
            *(self._flush_app(app) for app in apps), return_exceptions=True
        )
        failed = [error for error in results if isinstance(error, BaseException)]
        self._stuck = bool(failed)
        for error in failed:
            expected = isinstance(error, Unavailable | ClientError)
            log.error("the audit cannot be written", exc_info=None if expected else error)

    def _due(self, app: _App) -> bool:
        return bool(app.queue or app.group or app.lost) or self._head_due(app)

    def _head_due(self, app: _App) -> bool:
        if not app.unsigned:
            return False
        age = self._clock.monotonic() - app.signed_at
        enough = app.unsigned >= self._pace.head_records
        return self._closing or enough or age >= self._pace.head_seconds

    async def _flush_app(self, app: _App) -> None:
        try:
            if app.seq < 0:
                await self._meet(app)
            # What comes meanwhile has set its own time: else a busy server commits without end.
            due = len(app.waiting) + len(app.queue)
            while app.group or app.lost or due > 0 or (self._closing and app.queue):
                if not app.group:
                    await self._form(app)
                due -= len(app.waiting)
                await self._append(app)
            if self._head_due(app):
                await self._sign(app)
        except Exception:
            # Who waits is told at once; the records themselves are tried again.
            self._stuck = True
            for waiting in [*app.waiting, *app.queue]:
                if waiting.done is not None and not waiting.done.done():
                    waiting.done.set_exception(Unavailable("The audit cannot be written.", 5))
            raise

    async def _meet(self, app: _App) -> None:
        """The first record of an app in this process: where its log ends, by its last head."""
        if await self._meta.get(INSTALLATION, APPS, app.name) is None:
            with contextlib.suppress(Conflict):
                await self._meta.put(INSTALLATION, APPS, app.name, b"", expect=0)
        there = await self._ops.head(app.name, entry.ROOM)
        last = await last_head(self._meta, app.name, await self._signers.public_keys())
        if last is not None and there.floor <= last.seq <= there.seq:
            app.seq, app.chain = last.seq, last.chain
        elif there.floor == 0 and last is None:
            app.seq, app.chain = 0, GENESIS
        else:
            app.seq, app.chain = there.seq, there.chain
            if last is not None and last.seq > there.seq:
                self._alarm(app, "audit.truncated", last.seq, there.seq)

    async def _form(self, app: _App) -> None:
        """The next group: sealed once, so that a repeated append carries the same bytes. Requests
        get their turn between two steps.
        """
        if app.lost:
            details, app.lost = {"lost": str(app.lost)}, 0
            self._enqueue(app, _Waiting(self._own(app, "audit.lost", details)))
        group: list[NewOp] = []
        taken = list(islice(app.queue, GROUP))
        for at in range(0, len(taken), entry.MOST):
            records = await self._made(taken[at : at + entry.MOST])
            for count, data in entry.packed(records):
                number = app.number + len(group) + 1
                group.append(await self._seal(app.name, number, count, data))
        app.waiting = [app.queue.popleft() for _ in taken]
        app.number += len(group)
        app.group = group

    async def _made(self, some: list[_Waiting]) -> list[entry.Record]:
        records: list[entry.Record] = []
        for at in range(0, len(some), STEP):
            records += entry.make_all([one.event for one in some[at : at + STEP]], self._ids)
            await asyncio.sleep(0)
        return records

    async def _seal(self, app: str, number: int, count: int, data: bytes) -> NewOp:
        aad = entry.place(app, self._writer, number, count)
        sealed = await self._sealer.seal(app, entry.SCOPE, aad, data)
        return NewOp(self._writer, number, entry.body(count, sealed))

    async def _append(self, app: _App) -> None:
        done = await self._ops.append(app.name, entry.ROOM, app.group)
        self._queued -= len(app.waiting)
        app.unsigned += len(app.waiting)
        for waiting in app.waiting:
            if waiting.done is not None and not waiting.done.done():
                waiting.done.set_result(None)
        group, app.group, app.waiting = app.group, [], []
        await self._follow(app, group, done)

    async def _follow(self, app: _App, group: list[NewOp], done: list[Appended]) -> None:
        """The chain behind this group. Ours alone needs no reading; others' are read between."""
        if [item.seq for item in done] == list(range(app.seq + 1, app.seq + 1 + len(group))):
            for new in group:
                digest = hashlib.sha256(new.body).digest()
                app.chain = link(app.chain, new.ident, new.version, digest)
            app.seq += len(group)
            return
        await self._catch_up(app)

    async def _catch_up(self, app: _App) -> None:
        while ops := await self._ops.read(app.name, entry.ROOM, after=app.seq, limit=GROUP):
            for op in ops:
                app.chain = link(app.chain, op.ident, op.version, digest_of(op))
                app.seq = op.seq

    async def _sign(self, app: _App) -> None:
        await self._catch_up(app)
        there = await self._ops.head(app.name, entry.ROOM)
        if there.seq == app.seq and there.chain != app.chain and not app.alarmed:
            # What we wrote is signed, not what stands there now: verifying shows the difference.
            app.alarmed = True
            self._alarm(app, "audit.mismatch", app.seq, there.seq)
        head = self._signers.sign(app.name, app.seq, app.chain)
        app.number += 1
        app.group = [NewOp(self._writer, app.number, entry.encode_head(head))]
        app.signed_at, app.unsigned = self._clock.monotonic(), 0
        await self._append(app)
        await self._keep_aside(app.name, head)

    async def _keep_aside(self, app: str, head: entry.SignedHead) -> None:
        """The newest head, where cutting the log's end does not reach it. A newer one of another
        process stays, but not one ahead of the whole log: that was recorded as a cut.
        """
        document = await self._meta.get(app, HEADS, HEADS)
        if document is not None:
            kept = _decoded(document.value)
            there = await self._ops.head(app, entry.ROOM)
            if kept is not None and head.seq <= kept.seq <= there.seq:
                return
        version = 0 if document is None else document.version
        with contextlib.suppress(Conflict):
            await self._meta.put(app, HEADS, HEADS, entry.encode_head(head), expect=version)

    def _alarm(self, app: _App, action: str, known: int, found: int) -> None:
        log.error("the audit log of an app is not the one that was written: %s", action)
        details = {"from": str(known), "to": str(found)}
        self._enqueue(app, _Waiting(self._own(app, action, details)))

    def _own(self, app: _App, action: str, details: dict[str, str]) -> AuditEvent:
        return AuditEvent(
            at=self._clock.unix(),
            app=app.name,
            actor="system:audit",
            action=action,
            result="failed",
            details=details,
        )


async def audited_apps(meta: Meta) -> list[str]:
    """Every app that has an audit log."""
    found: list[str] = []
    while page := await meta.scan(INSTALLATION, APPS, after=found[-1] if found else ""):
        found.extend(document.key for document in page)
    return found


async def last_head(meta: Meta, app: str, public: Mapping[str, bytes]) -> entry.SignedHead | None:
    """The head kept aside, when one of our keys signed it."""
    document = await meta.get(app, HEADS, HEADS)
    if document is None:
        return None
    head = _decoded(document.value)
    if head is None:
        return None
    signed = head.key in public and entry.is_signed(head, public[head.key])
    return head if signed and head.app == app else None


def _decoded(value: bytes) -> entry.SignedHead | None:
    try:
        return entry.decode_head(value)
    except msgspec.DecodeError:
        return None
