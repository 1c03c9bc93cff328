"""From uploaded to ready: scan, find out what it is, make it harmless, keep what comes out.

One file at a time by a claim in its row; a process that dies leaves a claim that runs out, or is
void where no other process can live, and the next who asks begins again from the sealed source.
Nothing here is written in the clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.config.files import Files as Settings
from signaling.errors import ClientError, Code, Unavailable
from signaling.files import names, sniff
from signaling.files.model import (
    NONCE_BYTES,
    Private,
    Stored,
    open_private,
    seal_private,
)
from signaling.files.port import OPAQUE, Scanner, Shape, State, Variant
from signaling.files.quota import Quotas
from signaling.files.register import Register, changed
from signaling.files.sniff import Family, Format
from signaling.files.uploads import Uploads
from signaling.files.vault import Vault
from signaling.files.work.job import Done, Job
from signaling.files.work.pool import Workers
from signaling.ids import Entropy
from signaling.storage.port import Conflict
from signaling.storage.table import Missing, Row

log = logging.getLogger(__name__)

# Beyond scanner and worker: to read and write the file itself.
CLAIM_ROOM = 120.0
REFUSED = frozenset(
    {
        Code.FILE_TYPE_REFUSED, Code.FILE_TYPE_MISMATCH, Code.FILE_UNREADABLE,
        Code.FILE_TOO_COMPLEX, Code.QUOTA_EXCEEDED,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """What completing needs of the others. `alone`: the store lets no other process in, so that the
    claim of another one is of one that is gone.
    """

    settings: Settings
    register: Register
    vault: Vault
    uploads: Uploads
    quotas: Quotas
    workers: Workers
    scanner: Scanner | None
    audit: Audit
    clock: Clock
    entropy: Entropy
    process: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of the content."""

    shapes: tuple[Shape, ...]
    media_type: str
    private: Private


class Completing:
    """Owned by the service; one for each process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running: dict[tuple[str, str], asyncio.Task[Row[Stored]]] = {}

    def task(self, app: str, ident: str) -> asyncio.Task[Row[Stored]]:
        """The one that works on this file here; whoever waits may go away."""
        running = self._running.get((app, ident))
        if running is None:
            running = asyncio.create_task(self._complete(app, ident))
            self._running[(app, ident)] = running
            running.add_done_callback(lambda task: self._ended((app, ident), task))
        return running

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Row[Stored]]) -> None:
        self._running.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            expected = isinstance(error, ClientError | Unavailable | Conflict)
            log.log(
                logging.INFO if expected else logging.ERROR,
                "files: a file was not completed: %s",
                error,
                exc_info=None if expected else error,
            )

    async def stop(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _complete(self, app: str, ident: str) -> Row[Stored]:
        """Raises Unavailable (scanner, workers, store), after which it can be tried again."""
        row = await self._claim(app, ident)
        try:
            ended = await self._judge(app, ident, row.value)
        except BaseException:
            await asyncio.shield(self._release(app, ident, row))
            raise
        register = self._parts.register
        noted = register.untold.noted(app, ident, row.value, ended)
        row = await register.files.replace(app, row, noted)
        if noted.untold:
            register.untold.nudge(app, ident)
        return await self._tidy(app, ident, row)

    async def _claim(self, app: str, ident: str) -> Row[Stored]:
        """Raises 409 while another process may have it."""
        parts = self._parts
        row = await parts.register.get(app, ident)
        now = parts.clock.unix()
        if row.value.state is not State.UPLOADED:
            raise ClientError(Code.FILE_NOT_READY, 409, "The file is not complete.")
        others = row.value.worker != parts.process and not parts.alone
        if row.value.claim > now and others:
            raise ClientError(Code.FILE_NOT_READY, 409, "The file is being checked.")
        until = now + CLAIM_ROOM + parts.settings.scan_seconds + parts.settings.worker_seconds
        mine = changed(row.value, claim=until, worker=parts.process, touched=now)
        try:
            return await parts.register.files.replace(app, row, mine)
        except Conflict:
            raise ClientError(Code.FILE_NOT_READY, 409, "The file is being checked.") from None

    async def _release(self, app: str, ident: str, row: Row[Stored]) -> None:
        try:
            await self._parts.register.files.replace(app, row, changed(row.value, claim=0.0))
        except (Conflict, Unavailable):
            log.info("files: a claim is left to run out")

    async def _judge(self, app: str, ident: str, stored: Stored) -> Stored:
        """The row as it is to become."""
        key = await self._parts.register.key_of(app, ident, stored)
        if key is None:
            raise ClientError(Code.FILE_NOT_READY, 409, "The file is not complete.")
        private = open_private(key, ident, stored.private)
        scanned = False
        if not stored.opaque:
            scanned, infected = await self._scan(app, ident, stored, key)
            if infected:
                self._note(app, ident, stored, "files.quarantine", infected)
                return changed(
                    stored, state=State.QUARANTINED, scanned=True, reason=infected, claim=0.0
                )
        try:
            made = await self._make(app, ident, stored, key, private)
            await self._afford(app, stored, made)
        except ClientError as error:
            if error.code not in REFUSED:
                raise
            self._note(app, ident, stored, "files.refuse", error.code)
            return changed(stored, state=State.REFUSED, reason=str(error.code), claim=0.0)
        nonce = self._parts.entropy.token(NONCE_BYTES)
        return changed(
            stored,
            state=State.READY,
            scanned=scanned,
            shapes=made.shapes,
            size=made.shapes[0].size,
            charged=sum(shape.size for shape in made.shapes),
            media_type=made.media_type,
            private=seal_private(key, ident, made.private, nonce),
            claim=0.0,
            touched=self._parts.clock.unix(),
        )

    def _read(self, app: str, ident: str, stored: Stored, key: bytes) -> AsyncIterator[bytes]:
        return self._parts.vault.read(app, ident, Variant.SOURCE, key, 0, stored.size)

    # Scanning

    async def _scan(self, app: str, ident: str, stored: Stored, key: bytes) -> tuple[bool, str]:
        """(scanned, what was found). Raises Unavailable where the operator wants a verdict."""
        parts = self._parts
        if parts.scanner is None:
            return False, ""
        try:
            data = self._read(app, ident, stored, key)
            return True, (await parts.scanner.scan(data, stored.size)).infected
        except Unavailable:
            self._note(app, ident, stored, "files.unscanned", parts.settings.scan_failure)
            if parts.settings.scan_failure == "closed":
                raise
            return False, ""

    def _note(self, app: str, ident: str, stored: Stored, action: str, reason: str) -> None:
        self._parts.audit.note(
            AuditEvent(
                at=self._parts.clock.unix(),
                app=app,
                actor="system:files",
                action=action,
                target=ident,
                result="allowed" if action == "files.unscanned" else "denied",
                details={"reason": reason, "room": stored.room, "account": stored.owner},
            )
        )

    # Making

    async def _make(
        self, app: str, ident: str, stored: Stored, key: bytes, private: Private
    ) -> _Made:
        if stored.opaque:
            return await self._as_it_is(app, ident, stored, key, private, OPAQUE)
        head = b""
        async for piece in self._parts.vault.read(
            app, ident, Variant.SOURCE, key, 0, min(stored.size, sniff.HEAD)
        ):
            head += piece
        form = sniff.identify(head, private.name, private.declared)
        if form.family is Family.OTHER:
            return await self._as_it_is(app, ident, stored, key, private, form.media_type)
        job = self._job(stored, form)
        with await self._parts.workers.run(job, self._read(app, ident, stored, key)) as result:
            if not result.done.outputs:
                return await self._as_it_is(app, ident, stored, key, private, form.media_type)
            for output in result.done.outputs:
                data = result.form(output.start, output.size)
                await self._parts.vault.write(app, ident, output.variant, key, data)
            main = result.done.outputs[0]
            digest = hashlib.sha256(result.form(main.start, main.size)).hexdigest()
            return _Made(
                _shapes(result.done), main.media_type, _told(result.done, form, private, digest)
            )

    def _job(self, stored: Stored, form: Format) -> Job:
        settings = self._parts.settings
        return Job(
            family=form.family,
            reader=form.reader,
            size=stored.size,
            max_pixels=settings.max_pixels,
            max_unpacked=settings.max_unpacked_bytes,
            keep_location=stored.keep_location,
        )

    async def _as_it_is(
        self, app: str, ident: str, stored: Stored, key: bytes, private: Private, kind: str
    ) -> _Made:
        digest = hashlib.sha256()
        async for piece in self._read(app, ident, stored, key):
            digest.update(piece)
        shape = Shape(variant=Variant.SOURCE, media_type=kind, size=stored.size)
        told = Private(name=private.name, declared=private.declared, sha256=digest.hexdigest())
        return _Made((shape,), kind, told)

    async def _afford(self, app: str, stored: Stored, made: _Made) -> None:
        """Forms count too. Raises 413 when they do not fit; then they are removed by `_tidy`."""
        difference = sum(shape.size for shape in made.shapes) - stored.charged
        await self._parts.quotas.settle(app, stored.owner, stored.room, difference, False)

    async def _tidy(self, app: str, ident: str, row: Row[Stored]) -> Row[Stored]:
        """What is not part of the file any more leaves the disk; repeated by the sweep."""
        stored = row.value
        kept = {shape.variant for shape in stored.shapes}
        if stored.state is State.QUARANTINED:
            kept = {Variant.SOURCE}
        for variant in Variant:
            if variant not in kept:
                await self._parts.vault.drop(app, ident, variant)
        await self._parts.register.uploads.delete(app, ident)
        if stored.state is State.REFUSED and stored.charged:
            await self._parts.quotas.settle(app, stored.owner, stored.room, -stored.charged, False)
            # What is told of it meanwhile changes the row too.
            with contextlib.suppress(Missing):
                row = await self._parts.register.files.change(
                    app, ident, lambda now: changed(now, charged=0)
                )
        return row


def _shapes(done: Done) -> tuple[Shape, ...]:
    return tuple(
        Shape(
            variant=output.variant,
            media_type=output.media_type,
            size=output.size,
            width=output.width,
            height=output.height,
        )
        for output in done.outputs
    )


def _told(done: Done, form: Format, private: Private, digest: str) -> Private:
    """The name gets an ending that fits what the file became."""
    name = private.name
    fits = names.ending_of(name) in form.endings and done.ending in form.endings
    if done.ending and not fits and names.ending_of(name) != done.ending:
        name = names.with_ending(name, done.ending)
    return Private(
        name=name,
        declared=private.declared,
        sha256=digest,
        width=done.width,
        height=done.height,
        duration=done.duration,
        waveform=done.waveform,
        latitude=done.latitude,
        longitude=done.longitude,
    )
