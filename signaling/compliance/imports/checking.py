"""The first half of an import: every byte is looked at, everything in it is read once.

Nothing is brought before all of it was good. What comes out: the archive's own digest, who is in
it, how many rooms and messages there are. Begins again after a crash: nothing hangs on it.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from signaling.compliance.imports.archives import Archives, Lying
from signaling.compliance.imports.jobs import Jobs
from signaling.compliance.imports.port import Bad, Crowd, Job, Known, Source, State
from signaling.compliance.imports.threads import called, walked
from signaling.errors import Code
from signaling.storage.claims import Claimed

PIECE = 1024 * 1024
# Counts of pieces of 64 KiB, and messages, between two notes of progress.
STEP = 256
MOST_ROOMS = 50_000


class Checking:
    """Holds nothing of a job."""

    def __init__(self, jobs: Jobs, archives: Archives) -> None:
        self._jobs, self._archives = jobs, archives

    async def check(self, app: str, claimed: Claimed[Job], lying: Lying) -> None:
        """Raises Bad, Lost."""
        job = claimed.job
        digest = await self._digest(claimed, lying)
        if job.sha256 and job.sha256 != digest:
            raise Bad("Its SHA-256 is not the one that was told.", Code.ARCHIVE_TAMPERED)
        source = await called(lambda: self._archives.source(job, lying))
        done = job.size
        async for counts in walked(source.check(), STEP):
            done += sum(counts)
            await claimed.change(done=done)
        counted = await self._read(app, job, source)
        await claimed.change(
            state=State.READY, digest=digest, counts=dict(counted), done=0, total=0, claim=0.0
        )

    async def _digest(self, claimed: Claimed[Job], lying: Lying) -> str:
        made, done, size = hashlib.sha256(), 0, claimed.job.size
        await called(lambda: lying.seek(0))
        await claimed.change(done=0, total=size)
        while done < size:
            part = await called(lambda: lying.read(PIECE))
            made.update(part)
            done += len(part)
            if done % (16 * PIECE) < PIECE:
                await claimed.change(done=done)
        return made.hexdigest()

    async def _read(self, app: str, job: Job, source: Source) -> Counter[str]:
        counted: Counter[str] = Counter()
        people: list[Known] = []
        async for some in walked(source.people(), STEP):
            people += [Known(id=person.id, name=person.name) for person in some]
        if len({person.id for person in people}) != len(people):
            raise Bad("Two of its people have the same id.")
        await self._jobs.know(app, job.id, Crowd(people=tuple(people)))
        places: set[str] = set()
        async for rooms in walked(source.places(), STEP):
            for room in rooms:
                if room.id in places:
                    raise Bad("Two of its rooms have the same id.")
                places.add(room.id)
            if len(places) > MOST_ROOMS:
                raise Bad(f"It may have {MOST_ROOMS} rooms.", Code.ARCHIVE_TOO_LARGE)
        async for told in walked(source.messages(), STEP):
            counted["messages"] += len(told)
        async for own in walked(source.kept(), STEP):
            for one in own:
                counted["saved" if one.body is None else "drafts"] += 1
        return counted + Counter(people=len(people), rooms=len(places), **source.skipped)
