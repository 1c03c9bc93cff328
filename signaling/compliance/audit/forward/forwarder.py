"""Sends every app's audit to one receiver: in the log's order, from where it stopped last time.

A cursor for each app is kept in the store. For a receiver that acknowledges nothing (syslog) it
stays behind by the overlap, and a lost connection goes back to it: each record arrives at least
once, duplicates are known by their id. Driven by one task from `run`; one process at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass

import msgspec

from signaling.clock import Clock
from signaling.compliance.audit.forward.lease import Lease
from signaling.compliance.audit.forward.port import Sink
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.audit.reader import Reader
from signaling.compliance.audit.writer import audited_apps
from signaling.errors import ClientError, Unavailable
from signaling.keys.port import INSTALLATION
from signaling.storage.port import Conflict, Meta

log = logging.getLogger(__name__)

CURSORS = "audit_sink"
BATCH = 200


@dataclass(frozen=True)
class Rhythm:
    """In seconds: how often to look, how long to wait after failures, how often to save."""

    poll: float = 0.5
    retry: float = 0.5
    retry_most: float = 30.0
    save: float = 1.0
    lease: float = 30.0


class Cursors(msgspec.Struct):
    """By app: up to where the receiver surely has everything."""

    apps: dict[str, int] = {}


@dataclass
class State:
    """What an operator wants to know of one receiver. `since`: monotonic, of this state."""

    up: bool = True
    since: float = 0.0
    sent: int = 0
    error: str = ""


@dataclass
class _Sent:
    at: float
    app: str
    seq: int


class Forwarder:
    """States: waiting for the lease, sending, failing. Owned by the composition root."""

    def __init__(
        self,
        sink: Sink,
        meta: Meta,
        reader: Reader,
        audit: Audit,
        clock: Clock,
        holder: str,
        rhythm: Rhythm | None = None,
    ) -> None:
        self._sink = sink
        self._meta = meta
        self._reader = reader
        self._audit = audit
        self._clock = clock
        self._rhythm = rhythm or Rhythm()
        self._lease = Lease(meta, clock, f"audit:{sink.name}", holder, self._rhythm.lease)
        self._next: dict[str, int] = {}
        self._safe: dict[str, int] = {}
        self._recent: deque[_Sent] = deque()
        self._saved_at = 0.0
        self._loaded = False
        self._failures = 0
        self.state = State(since=clock.monotonic())

    @property
    def name(self) -> str:
        return self._sink.name

    async def run(self) -> None:
        """Until cancelled; then the cursor is saved and the lease given back."""
        try:
            while True:  # noqa: ASYNC110 - the store wakes nobody
                await asyncio.sleep(await self._round())
        finally:
            await self._end()

    async def _round(self) -> float:
        """One look at everything; how long to wait until the next."""
        try:
            if not await self._lease.hold():
                self._loaded = False
                return self._rhythm.poll
            if not self._loaded:
                await self._load()
            await self._sink.check()
            busy = await self._send_all()
        except (Unavailable, ClientError) as error:
            return self._failed(error)
        except Exception:
            # Our error. Ending here would end forwarding until somebody restarts the server.
            log.exception("forwarding the audit to %s", self._sink.name)
            return self._failed(Unavailable("our error, see the log"))
        self._recovered()
        return 0.0 if busy else self._rhythm.poll

    async def _send_all(self) -> bool:
        """A batch of each app. True when there may be more."""
        busy = False
        for app in await audited_apps(self._meta):
            after = self._next.get(app, 0)
            found = await self._reader.following(app, after, BATCH)
            if not found:
                continue
            if found[0][0] > after + 1 and after:
                self._note("audit.sink_gap", {"from": str(after + 1), "to": str(found[0][0] - 1)})
            records = [record for _, record in found if record is not None]
            if records:
                await self._sink.send(app, records)
            self.state.sent += len(records)
            self._next[app] = found[-1][0]
            self._recent.append(_Sent(self._clock.monotonic(), app, found[-1][0]))
            busy = busy or len(found) >= BATCH
        self._age()
        if self._clock.monotonic() - self._saved_at >= self._rhythm.save:
            await self._save()
        return busy

    def _age(self) -> None:
        """What was sent longer ago than the overlap is safe."""
        oldest = self._clock.monotonic() - self._sink.overlap
        while self._recent and self._recent[0].at <= oldest:
            sent = self._recent.popleft()
            self._safe[sent.app] = sent.seq

    def _failed(self, error: Unavailable | ClientError) -> float:
        """Goes back to what is surely there, counted from now on: the time of the loss."""
        self._age()
        self._recent.clear()
        self._next = dict(self._safe)
        self._failures += 1
        text = error.message
        if self.state.up:
            self.state = State(False, self._clock.monotonic(), self.state.sent, text)
            log.warning("the audit does not reach %s: %s", self._sink.name, text)
            self._note("audit.sink_down", {"reason": text})
        self.state.error = text
        # The exponent is bounded too: an outage of hours has more failures than a float has room.
        return min(self._rhythm.retry * 2.0 ** min(self._failures - 1, 20), self._rhythm.retry_most)

    def _recovered(self) -> None:
        self._failures = 0
        if not self.state.up:
            self.state = State(True, self._clock.monotonic(), self.state.sent)
            log.info("the audit reaches %s again", self._sink.name)
            self._note("audit.sink_up", {})

    def _note(self, action: str, details: dict[str, str]) -> None:
        up = action == "audit.sink_up"
        self._audit.note(
            AuditEvent(
                at=self._clock.unix(),
                app=INSTALLATION,
                actor="system:audit",
                action=action,
                result="allowed" if up else "failed",
                details={"sink": self._sink.name, **details},
            )
        )

    async def _load(self) -> None:
        document = await self._meta.get(INSTALLATION, CURSORS, self._sink.name)
        kept = Cursors()
        if document is not None:
            kept = msgspec.msgpack.decode(document.value, type=Cursors)
        self._safe, self._next = dict(kept.apps), dict(kept.apps)
        self._recent.clear()
        self._loaded = True

    async def _save(self) -> None:
        """Only forwards: a process that lost the lease without noticing cannot take it back."""
        self._saved_at = self._clock.monotonic()
        document = await self._meta.get(INSTALLATION, CURSORS, self._sink.name)
        kept = Cursors()
        if document is not None:
            kept = msgspec.msgpack.decode(document.value, type=Cursors)
        ahead = {app: max(seq, kept.apps.get(app, 0)) for app, seq in self._safe.items()}
        if ahead.items() <= kept.apps.items():
            return
        with contextlib.suppress(Conflict):
            await self._meta.put(
                INSTALLATION,
                CURSORS,
                self._sink.name,
                msgspec.msgpack.encode(Cursors({**kept.apps, **ahead})),
                expect=0 if document is None else document.version,
            )

    async def _end(self) -> None:
        with contextlib.suppress(Unavailable):
            await self._sink.close()
        with contextlib.suppress(Unavailable):
            self._age()
            if self._loaded:
                await self._save()
            await self._lease.release()
