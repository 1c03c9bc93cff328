"""The steps that erase a room: its members are told, then its rows, files, log and keys go.

    close -> count -> files -> people's own -> log -> keys -> others

The room is closed first: from there on nobody finds it, in no process, so nothing is added to what
is being removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from signaling.chat.ops import Erase
from signaling.chat.ports import RightsChanged
from signaling.chat.room import ROOM
from signaling.chat.sealing import KEPT
from signaling.chat.sealing import KIND as MESSAGE_KEY
from signaling.compliance.erasure.messages import is_message
from signaling.compliance.erasure.parts import PAGE, Parts
from signaling.compliance.erasure.port import Progress, Step


class RoomErasing:
    """Holds nothing of a job."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def steps(self) -> Sequence[Step]:
        return (
            self._close, self._count, self._files, self._own, self._log, self._keys, self._others,
        )  # fmt: skip

    def dry(self) -> Sequence[Step]:
        """What would go, counted; nothing is changed."""
        return (self._count, self._dry_files)

    async def _close(self, app: str, progress: Progress) -> None:
        chat, ident = self._parts.chat, progress.job.room
        room = await chat.rooms.find_there(app, ident)
        if room is not None:
            await chat.say(room, Erase(seqs=(), reason=ROOM))
        await chat.rooms.remove(app, ident)
        # Whoever has it open asks again whether they may read, and hears that there is no room.
        await chat.hub.tell(app, ident, RightsChanged())

    async def _count(self, app: str, progress: Progress) -> None:
        log, ident = self._parts.store.log, progress.job.room
        head = await log.head(app, ident)
        after = max(head.floor, int(progress.job.after or 0))
        while stored := await log.read(app, ident, after=after, limit=PAGE):
            entries = await self._parts.chat.sealing.envelopes(app, ident, stored)
            after = stored[-1].seq
            counts = {"messages": sum(map(is_message, entries)), "ops": len(stored)}
            await progress.note(counts, after=str(after), done=after, total=head.seq)

    async def _files(self, app: str, progress: Progress) -> None:
        files, ident = self._parts.files, progress.job.room
        register = files.parts.register
        gone = await files.room_erased(app, ident)
        owned = [row.key async for row in register.all_files(app, f"room:{ident}")]
        for file in owned:
            # What another room holds too stays there.
            if not await register.held(app, file):
                await files.delete(app, file)
                gone += 1
        await register.used.delete(app, f"room:{ident}")
        await progress.note({"files": gone})

    async def _dry_files(self, app: str, progress: Progress) -> None:
        register, ident = self._parts.files.parts.register, progress.job.room
        files = {reference.file for reference in await register.of_room(app, ident)}
        files |= {row.key async for row in register.all_files(app, f"room:{ident}")}
        gone = 0
        for file in files:
            gone += {one.room for one in await register.held(app, file)} <= {ident}
        await progress.note({"files": gone})

    async def _own(self, app: str, progress: Progress) -> None:
        """What members keep of it, their cursors, and who waits before its doors."""
        parts, job = self._parts, progress.job
        kept = 0
        for place, account in enumerate(job.people):
            kept += await parts.forget_own(app, account, job.room)
            kept += await parts.later.forget(app, account, job.room)
            if place % PAGE == 0:
                await progress.note(done=place, total=len(job.people))
        await parts.people.forget_room(app, job.room, job.people)
        kept += await parts.receipts.forget_room(app, job.room)
        kept += await parts.doors.forget_room(app, job.room)
        kept += await parts.reports.forget_room(app, job.room)
        await progress.note({"rows": kept})

    async def _log(self, app: str, progress: Progress) -> None:
        """The keys of its messages first, as long as the log still names them."""
        log, ident = self._parts.store.log, progress.job.room
        head = await log.head(app, ident)
        after, keys = head.floor, set[bytes]()
        while stored := await log.read(app, ident, after=after, limit=PAGE):
            for op in stored:
                if not op.erased:
                    kept = KEPT.decode(op.body)
                    keys |= {kept.envelope_key, kept.body_key}
            after = stored[-1].seq
            await progress.note(done=after, total=head.seq)
        gone = 0
        for key in keys - {b""}:
            gone += await self._parts.store.meta.delete(app, MESSAGE_KEY, key.hex())
        await log.purge(app, ident, head.seq)
        await progress.note({"keys": gone})

    async def _keys(self, app: str, progress: Progress) -> None:
        await self._parts.sealer.shred(app, f"room:{progress.job.room}")
        self._parts.chat.sealing.forget()

    async def _others(self, app: str, progress: Progress) -> None:
        await progress.note(await self._parts.ask_others(app, room=progress.job.room))
