"""Imports as the server uses them: asked for here, carried out here, one process at a job.

    ask -> archive uploaded -> check -> people are shown, and named -> start -> run -> audit

An import is an administrator's act; nothing in an archive makes anybody an author here. `run`
belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.imports.archives import Archives
from signaling.compliance.imports.checking import Checking
from signaling.compliance.imports.jobs import LEFT, OPEN, RENEW_SECONDS, WORK, Jobs, over
from signaling.compliance.imports.port import OVER, Bad, Crowd, Format, Job, State
from signaling.compliance.imports.running import Running
from signaling.config.imports import Imports as Settings
from signaling.errors import ClientError, Code, FieldError, Unavailable
from signaling.files.model import KEY_BYTES
from signaling.ids import Entropy, Ids
from signaling.keys.port import KeyDestroyed
from signaling.storage.claims import Claimed, Lost
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

EVERY = 5.0
ACTOR = "system:import"


class Imports:
    """One for each process."""

    def __init__(
        self,
        jobs: Jobs,
        archives: Archives,
        running: Running,
        audit: Audit,
        clock: Clock,
        ids: Ids,
        entropy: Entropy,
        settings: Settings,
    ) -> None:
        self.jobs, self.archives = jobs, archives
        self._checking, self._running = Checking(jobs, archives), running
        self._audit, self._clock, self._settings = audit, clock, settings
        self._ids, self._entropy = ids, entropy
        self._wake = asyncio.Event()

    # Asking

    async def ask(self, app: str, by: str, kind: Format, size: int, label: str, sha: str) -> Job:
        """Raises 409 while there are too many, 413."""
        if size > self._settings.max_bytes:
            message = f"An archive has at most {self._settings.max_bytes} bytes."
            raise ClientError(Code.TOO_LARGE, 413, message)
        now = self._clock.unix()
        made = Job(
            id=self._ids.new(), format=kind, by=by, asked=now, touched=now, size=size, label=label,
            sha256=sha, key=self._entropy.token(KEY_BYTES),
        )  # fmt: skip
        await self.archives.begin(app, made)
        return await self.jobs.ask(app, made)

    async def append(self, app: str, ident: str, offset: int, data: AsyncIterator[bytes]) -> int:
        """The new offset; with the last byte the archive is checked."""
        job = await self.jobs.get(app, ident)
        if job.state is not State.UPLOADING:
            raise ClientError(Code.CONFLICT, 409, "The archive is complete.")
        offset = await self.archives.append(app, job, offset, data)
        complete, now = offset == job.size, self._clock.unix()

        def go_on(job: Job) -> Job:
            if job.state is not State.UPLOADING:
                raise ClientError(Code.CONFLICT, 409, "The import was ended.")
            return replace(job, touched=now, state=State.CHECKING if complete else job.state)

        await self.jobs.change(app, ident, go_on)
        self._wake.set()
        return offset

    async def start(self, app: str, ident: str, owner: str, accounts: Mapping[str, str]) -> Job:
        """`accounts`, which are there, by foreign id. Raises 409, 422, and why it was refused."""
        job = await self.jobs.get(app, ident)
        if job.state is State.REFUSED:
            raise ClientError(Code(job.code), 422, job.detail)
        crowd = await self.jobs.crowd(app, ident)
        unknown = set(accounts) - {person.id for person in crowd.people}
        if job.state is State.READY and unknown:
            errors = [FieldError(f"/people/{min(unknown)[:64]}", "unknown", "Nobody is called so.")]
            message = "The archive has no such people."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        named = [replace(one, account=accounts.get(one.id, "")) for one in crowd.people]

        def begin(job: Job) -> Job:
            if job.state is not State.READY:
                message = f"It cannot be started: it is {job.state.value}."
                raise ClientError(Code.CONFLICT, 409, message)
            total = job.counts.get("messages", 0)
            return replace(job, state=State.RUNNING, owner=owner, counts={}, total=total)

        if job.state is State.READY:
            await self.jobs.know(app, ident, Crowd(people=tuple(named)))
        job = await self.jobs.change(app, ident, begin)
        self._wake.set()
        return job

    async def cancel(self, app: str, ident: str) -> Job:
        """What was brought stays. Ending what is over does no harm."""
        now = self._clock.unix()

        def end(job: Job) -> Job:
            return job if job.state in OVER else over(job, State.CANCELLED, now)

        job = await self.jobs.change(app, ident, end)
        if job.key:
            await self._tidy(app, ident)
        return job

    async def _tidy(self, app: str, ident: str) -> None:
        """Its archive goes, and who was in it."""
        await self.archives.drop(app, ident)
        await self.jobs.forget_crowd(app, ident)
        await self.jobs.change(app, ident, lambda job: replace(job, key=b""))

    # Carrying out

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.info("imports wait: %s", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            self._wake.clear()

    async def round(self, app: str) -> None:
        for row in await self.jobs.open(app, WORK):
            claimed = await self.jobs.claim(app, row)
            if claimed is not None:
                await self._work(app, claimed)
        before = self._clock.unix() - self._settings.unfinished_seconds
        for row in await self.jobs.open(app, OPEN):
            if row.value.state in (State.UPLOADING, State.READY) and row.value.touched < before:
                await self.cancel(app, row.key)
        for row in await self.jobs.open(app, LEFT):
            await self._tidy(app, row.key)

    async def _work(self, app: str, claimed: Claimed[Job]) -> None:
        """What it did so far stands whatever happens; the next round goes on from there."""
        lying = self.archives.lying(app, claimed.job)
        keeping = asyncio.create_task(claimed.kept(RENEW_SECONDS))
        try:
            if claimed.job.state is State.CHECKING:
                await self._checking.check(app, claimed, lying)
            else:
                counts = await self._running.run(app, claimed, lying)
                await self._over(app, claimed, State.DONE, counts=dict(counts))
        except Bad as error:
            await self._refuse(app, claimed, error.code, error.message)
        except KeyDestroyed as error:
            await self._refuse(app, claimed, error.code, error.message)
        except Lost:
            log.info("an import was ended, or taken over")
        except (Unavailable, ClientError, Conflict) as error:
            log.warning("an import waits: %s", type(error).__name__)
        except Exception:
            # Our bug in one must not stop the others.
            log.exception("an import failed")
        finally:
            lying.stop()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _refuse(self, app: str, claimed: Claimed[Job], code: Code, message: str) -> None:
        with contextlib.suppress(Lost):
            await self._over(app, claimed, State.REFUSED, code=code.value, detail=message)

    async def _over(self, app: str, claimed: Claimed[Job], state: State, **fields: object) -> None:
        job, now = claimed.job, self._clock.unix()
        counts = fields.get("counts")
        count = counts.get("messages", 0) if isinstance(counts, dict) else 0
        await self._audit.record(
            AuditEvent(
                at=now,
                app=app,
                actor=ACTOR,
                action="import.finish",
                target=f"import:{job.id}",
                result="allowed" if state is State.DONE else "denied",
                details={"state": state.value, "count": str(count), "kind": job.format.value},
            )
        )
        await claimed.change(
            state=state, finished=now, claim=0.0, worker="", **fields
        )  # fmt: skip
        await self._tidy(app, job.id)
