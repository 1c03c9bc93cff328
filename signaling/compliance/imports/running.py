"""The second half of an import: rooms are made, and their messages brought in the archive's order.

Progress is noted after each batch, so whoever takes it over after a crash reads on from there:
what is behind is counted no more, and what the log has already it does not take twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from signaling.chat.accounts import Accounts
from signaling.chat.bodies import FileRef
from signaling.chat.ops import Mode
from signaling.chat.people import People
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.compliance.imports.archives import Archives, Lying
from signaling.compliance.imports.bringing import Bringing, Cast, opening, size
from signaling.compliance.imports.jobs import Jobs
from signaling.compliance.imports.keeping import Keeping
from signaling.compliance.imports.naming import Naming
from signaling.compliance.imports.port import Attached, Job, Message, Source, Told
from signaling.compliance.imports.rooms import Filling, opened
from signaling.compliance.imports.threads import called, one_by_one, walked
from signaling.errors import ClientError
from signaling.files.bringing import bring
from signaling.files.port import State as FileState
from signaling.files.service import Files, Wish
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.claims import Claimed

log = logging.getLogger(__name__)

STEP = 200
SHOWN_ROOMS = 100


@dataclass(frozen=True, slots=True)
class Tools:
    """What an import borrows from the rooms of the house."""

    chat: Chat
    people: People
    accounts: Accounts
    files: Files
    sealer: Sealer
    clock: Clock


@dataclass(slots=True)
class _Run:
    """One import under way here."""

    app: str
    claimed: Claimed[Job]
    source: Source
    naming: Naming
    bringing: Bringing
    rooms: dict[str, Filling | None]
    counts: Counter[str]
    touched: dict[str, Filling] = field(default_factory=dict)
    position: int = 0

    @property
    def job(self) -> Job:
        return self.claimed.job

    def count(self, **counts: int) -> None:
        """Of what an earlier process did not count already."""
        if self.position > self.job.position:
            self.counts.update(counts)


class Running:
    """Holds nothing of a job."""

    def __init__(self, tools: Tools, jobs: Jobs, archives: Archives) -> None:
        self._tools, self._jobs, self._archives = tools, jobs, archives

    async def run(self, app: str, claimed: Claimed[Job], lying: Lying) -> Mapping[str, int]:
        """What was brought. Raises Bad, Lost."""
        job = claimed.job
        source = await called(lambda: self._archives.source(job, lying))
        crowd = await self._jobs.crowd(app, job.id)
        naming = Naming(lambda text: self._tools.sealer.blind(app, text), job.format, job.label)
        names = {person.id: person.name for person in crowd.people}
        accounts = {person.id: person.account for person in crowd.people if person.account}
        bringing = Bringing(naming, Cast(naming, names, accounts), job.format)
        run = _Run(app, claimed, source, naming, bringing, {}, Counter(job.counts))
        await self._rooms(run)
        async for told in walked(source.messages(), STEP):
            for one in told:
                await self._message(run, one)
            await self._flush(run)
        for filling in filter(None, run.rooms.values()):
            await filling.settle()
        counts = Counter(run.counts)
        counts.update(await self._kept(run))
        return {**counts, **source.skipped}

    async def _kept(self, run: _Run) -> Mapping[str, int]:
        now = self._tools.clock.unix()
        keeping = Keeping(self._tools.accounts, run.app, run.bringing, now)
        async for some in walked(run.source.kept(), STEP):
            await keeping.bring([(one, run.rooms.get(one.room)) for one in some])
            await run.claimed.change()
        return keeping.found

    async def _rooms(self, run: _Run) -> None:
        shown: list[str] = []
        async for places in walked(run.source.places(), STEP):
            for place in places:
                acts = opening(place, run.bringing.cast, run.job.owner, run.job.format)
                ids = (run.naming.room(place.id), run.naming.ident(run.job.digest, place.id))
                # Members are many and needed no more.
                slim = replace(place, members=())
                tools = self._tools
                run.rooms[place.id] = await opened(
                    tools.chat, tools.people, self._jobs, run.app, slim, ids, acts
                )  # fmt: skip
                if run.rooms[place.id] is not None:
                    shown.append(ids[0])
            await run.claimed.change(rooms=tuple(shown[:SHOWN_ROOMS]))
        made = sum(filling is not None for filling in run.rooms.values())
        run.counts["rooms"], run.counts["rooms_erased"] = made, len(run.rooms) - made

    async def _flush(self, run: _Run) -> None:
        for filling in run.touched.values():
            try:
                await filling.flush()
            except KeyDestroyed:
                run.rooms[filling.place.id] = None  # erased while it was being filled
        run.touched.clear()
        done = max(run.position, run.job.position)
        await run.claimed.change(position=done, done=done, counts=dict(+run.counts))

    async def _message(self, run: _Run, told: Told) -> None:
        place, message = told
        run.position += 1
        filling = run.rooms.get(place)
        if filling is None or filling.place.mode is Mode.TRANSIENT:
            run.count(skipped=1)
            return
        first = filling.version + 1
        filling.version += size(message)
        if filling.version <= filling.cursor:
            run.count(known=1)
            return
        try:
            await self._bring(run, filling, message, first)
            if filling.full:
                await filling.flush()
        except KeyDestroyed:
            # A mapped account was erased meanwhile, or the room.
            run.rooms[place] = None
            run.count(skipped=1)

    async def _bring(self, run: _Run, filling: Filling, message: Message, first: int) -> None:
        ident = run.bringing.ident(filling.place.id, message.id)
        if first > filling.cursor and await filling.has(ident):
            run.count(known=1)
            return
        now = self._tools.clock.unix()
        if message.until is not None and message.until <= now:
            run.count(expired=1)
            return
        files, missing = await self._files(run, filling, message)
        acts = run.bringing.acts(
            filling.place, message, await self._points(run, filling, message, message.parent),
            await self._points(run, filling, message, message.reply_to), files, missing, now,
        )  # fmt: skip
        unfit = filling.take(first, acts, run.bringing.cast.seen)
        if message.call is not None:
            names = run.bringing.cast.seen
            there = run.bringing.called(message.call)
            filling.call({one: names[one] for one in there if one in names})
        run.touched[filling.place.id] = filling
        run.count(
            messages=1, calls=int(message.call is not None), unreadable=unfit,
            replies=int(bool(message.parent)),
            edits=len(message.bodies) - 1,
            reactions=sum(len(users) for _, users in message.reactions), files=len(files),
            files_missing=len(missing),
        )  # fmt: skip

    async def _points(
        self, run: _Run, filling: Filling, message: Message, foreign: str
    ) -> str | None:
        """What is pointed at, if that came as well: else nobody would find the message."""
        if not foreign or foreign == message.id:
            return None
        ident = run.bringing.ident(filling.place.id, foreign)
        return ident if await filling.has(ident) else None

    # Files

    async def _files(
        self, run: _Run, filling: Filling, message: Message
    ) -> tuple[list[FileRef], list[str]]:
        found: list[FileRef] = []
        missing: list[str] = []
        for file in message.files:
            ref = await self._file(run, filling, message, file) if file.path else None
            if ref is None:
                missing.append(f"{file.name} ({file.media_type or 'file'}, {file.size} bytes)")
            else:
                found.append(ref)
        return found, missing

    async def _file(
        self, run: _Run, filling: Filling, message: Message, file: Attached
    ) -> FileRef | None:
        """None when it is one that is not taken here, from anybody."""
        told = file.ref or FileRef(id="none")
        place = filling.place.id
        ident = run.naming.file(run.job.digest, place, message.id, file.id)
        wish = Wish(
            room=filling.id, size=file.size, name=file.name, media_type=file.media_type,
            voice=told.voice, keep_location=told.latitude is not None,
        )  # fmt: skip
        owner = run.bringing.cast.author(message.author, message.name)
        holder = run.bringing.ident(place, message.id)
        data = one_by_one(run.source.data(file.path))
        try:
            info = await bring(self._tools.files, run.app, owner, ident, wish, holder, data)
        except KeyDestroyed:
            raise
        except ClientError as error:
            log.info("a file of an import was not taken: %s", error.code)
            return None
        if info.state is not FileState.READY or not info.key:
            return None
        return replace(
            told, id=info.id, key=info.key, name=info.name, media_type=info.media_type,
            size=info.size, sha256=info.sha256, width=info.width, height=info.height,
            duration=info.duration, waveform=info.waveform, latitude=info.latitude,
            longitude=info.longitude,
        )  # fmt: skip
