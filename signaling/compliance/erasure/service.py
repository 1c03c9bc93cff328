"""Erasures as the server uses them: asked for here, carried out here, one process at a job.

    ask -> job in the store -> round: claim, look for holds, step by step -> certificate, audit

What is held waits in the same place: `round` looks again, and at once when a hold ends. `run`
belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from signaling.chat.room import Room
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.erasure.certificate import Sign, certify
from signaling.compliance.erasure.jobs import Claimed, Jobs
from signaling.compliance.erasure.messages import MessageErasing
from signaling.compliance.erasure.parts import Parts
from signaling.compliance.erasure.people import PersonErasing, Who
from signaling.compliance.erasure.port import Job, Kind, State, Step
from signaling.compliance.erasure.rooms import RoomErasing
from signaling.compliance.holds.holds import Holds
from signaling.compliance.pseudonyms.names import Pseudonyms
from signaling.errors import ClientError, Unavailable
from signaling.storage.claims import Lost
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

EVERY = 5.0
DRY_SECONDS = 86400.0
"""For so long the counts of a dry run are kept."""
ACTOR = "system:erasure"


class Erasures:
    """One for each process."""

    def __init__(
        self,
        parts: Parts,
        who: Who,
        jobs: Jobs,
        holds: Holds,
        audit: Audit,
        clock: Clock,
        sign: Sign,
        names: Pseudonyms,
        cache_seconds: float,
    ) -> None:
        self.jobs, self._holds, self._audit, self._clock = jobs, holds, audit, clock
        self._sign, self._names, self._cache_seconds = sign, names, cache_seconds
        messages, counting = MessageErasing(parts), MessageErasing(parts, dry=True)
        people, rooms = PersonErasing(parts, who, self._empty_room), RoomErasing(parts)
        self._steps: dict[Kind, Sequence[Step]] = {
            Kind.MESSAGES: messages.named(),
            Kind.RANGE: messages.stretch(),
            Kind.ROOM: rooms.steps(),
            Kind.PERSON: people.steps(),
        }
        self._dry: dict[Kind, Sequence[Step]] = {
            Kind.MESSAGES: counting.named(),
            Kind.RANGE: counting.stretch(),
            Kind.ROOM: rooms.dry(),
            Kind.PERSON: people.dry(),
        }
        self._wake = asyncio.Event()
        holds.changed.append(self._wake.set)

    # Asking

    async def messages(
        self, room: Room, by: str, ids: Sequence[str], authors: Sequence[str], *, dry: bool = False
    ) -> tuple[Job, bool]:
        """`authors` are those whose hold stops it."""
        named = tuple(sorted(set(ids)))
        ident = self.jobs.ident(room.app, Kind.MESSAGES, room.id, *named)
        return await self._ask(
            room.app,
            Job(
                id=ident, kind=Kind.MESSAGES, by=by, asked=self._clock.unix(), room=room.id,
                messages=named, people=tuple(sorted(set(authors))), dry=dry,
            ),
        )  # fmt: skip

    async def stretch(
        self, room: Room, by: str, first: int, last: int, *, dry: bool = False
    ) -> tuple[Job, bool]:
        ident = self.jobs.ident(room.app, Kind.RANGE, room.id, str(first), str(last))
        return await self._ask(
            room.app,
            Job(
                id=ident, kind=Kind.RANGE, by=by, asked=self._clock.unix(), room=room.id,
                first=first, last=last, people=_everybody(room), dry=dry,
            ),
        )  # fmt: skip

    async def room(self, room: Room, by: str, *, dry: bool = False) -> tuple[Job, bool]:
        ident = self.room_id(room.app, room.id)
        return await self._ask(
            room.app,
            Job(
                id=ident, kind=Kind.ROOM, by=by, asked=self._clock.unix(), room=room.id,
                people=_everybody(room), dry=dry,
            ),
        )  # fmt: skip

    def room_id(self, app: str, room: str) -> str:
        return self.jobs.ident(app, Kind.ROOM, room)

    def person_id(self, app: str, account: str) -> str:
        return self.jobs.ident(app, Kind.PERSON, account)

    async def person(
        self, app: str, account: str, by: str, *, dry: bool = False
    ) -> tuple[Job, bool]:
        return await self._ask(
            app,
            Job(
                id=self.person_id(app, account), kind=Kind.PERSON, by=by,
                asked=self._clock.unix(), account=account, people=(account,), dry=dry,
            ),
        )  # fmt: skip

    async def may_forget(self, app: str, account: str) -> bool:
        """Whenever an account is about to go: the rest of the person goes too. False: it is held,
        and goes when the hold ends.
        """
        job, _ = await self.person(app, account, ACTOR)
        return job.state is State.DONE or not await self._held(app, job)

    async def _empty_room(self, app: str, room: Room) -> None:
        await self.room(room, ACTOR)

    async def _ask(self, app: str, job: Job) -> tuple[Job, bool]:
        if job.dry:
            return await self._ask_dry(app, job)
        hold = await self._held(app, job)
        if hold:
            job = replace(job, state=State.HELD, hold=hold)
        found, fresh = await self.jobs.ask(app, job)
        if fresh:
            await self._audit.record(self._event(app, found, "erasure.ask", hold))
        self._wake.set()
        return found, fresh

    async def _ask_dry(self, app: str, job: Job) -> tuple[Job, bool]:
        """With an id of its own: it never stands for the erasure itself."""
        job = replace(job, id=self.jobs.ident(app, job.kind, "dry", job.id))
        found, fresh = await self.jobs.again(app, job, self._clock.unix() + DRY_SECONDS)
        if fresh:
            await self._audit.record(self._event(app, found, "erasure.try", ""))
        self._wake.set()
        return found, fresh

    async def _held(self, app: str, job: Job) -> str:
        return await self._holds.of_any(app, job.room, job.people)

    # Carrying out

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.info("erasures wait: %s", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            self._wake.clear()

    async def round(self, app: str) -> int:
        """How many were completed."""
        done = 0
        for row in await self.jobs.open(app):
            claimed = await self.jobs.claim(app, row)
            if claimed is None:
                continue
            try:
                done += await self._work(app, claimed)
            except Lost:
                continue
            except (Unavailable, ClientError, Conflict) as error:
                # What it did so far stands; the next round goes on from there.
                log.warning("an erasure waits: %s", type(error).__name__)
            except Exception:
                # Our bug in one must not stop the others.
                log.exception("an erasure failed")
        return done

    async def _work(self, app: str, claimed: Claimed) -> bool:
        if claimed.job.dry:
            return await self._count(app, claimed)
        steps = self._steps[claimed.job.kind]
        while claimed.job.step < len(steps):
            if hold := await self._held(app, claimed.job):
                if claimed.job.state is not State.HELD or claimed.job.hold != hold:
                    await claimed.change(state=State.HELD, hold=hold, claim=0.0)
                return False
            if claimed.job.state is not State.RUNNING:
                await claimed.change(state=State.RUNNING, hold="")
            await steps[claimed.job.step](app, claimed)
            await claimed.change(step=claimed.job.step + 1, after="", done=0, total=0)
        await self._finish(app, claimed)
        return True

    async def _count(self, app: str, claimed: Claimed) -> bool:
        steps = self._dry[claimed.job.kind]
        while claimed.job.step < len(steps):
            await claimed.change(state=State.RUNNING)
            await steps[claimed.job.step](app, claimed)
            await claimed.change(step=claimed.job.step + 1, after="", done=0, total=0)
        await claimed.change(
            state=State.DONE, finished=self._clock.unix(), hold=await self._held(app, claimed.job),
            account="", people=(), messages=(), claim=0.0, worker="",
        )  # fmt: skip
        return True

    async def _finish(self, app: str, claimed: Claimed) -> None:
        """What is kept of it names nobody."""
        job, now = claimed.job, self._clock.unix()
        subject = job.room
        if job.account:
            subject = await self._names.of(app, job.account)
            await self._names.erased(app, job.account)
        text, key, signature = certify(app, job, subject, now, self._cache_seconds, self._sign)
        await self._audit.record(self._event(app, job, "erasure.finish", ""))
        await claimed.change(
            state=State.DONE, finished=now, certificate=text, key=key, signature=signature,
            account="", people=(), messages=(), claim=0.0, worker="",
        )  # fmt: skip

    def _event(self, app: str, job: Job, action: str, hold: str) -> AuditEvent:
        details = {"kind": job.kind.value, "count": str(sum(job.counts.values()))}
        if job.room:
            details["room"] = job.room
        if hold:
            details["state"] = State.HELD.value
        target = f"room:{job.room}" if job.room else f"account:{job.account}"
        actor = job.by if ":" in job.by else f"account:{job.by}"
        return AuditEvent(
            at=self._clock.unix(), app=app, actor=ACTOR if action == "erasure.finish" else actor,
            action=action, target=target, details=details,
        )  # fmt: skip


def _everybody(room: Room) -> tuple[str, ...]:
    return tuple(room.state.accounts())
