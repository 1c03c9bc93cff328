"""The steps that erase messages: some by id, or all in a stretch of a room's log.

Everything about them goes with them: edits, reactions, votes, pins, what members saved or drafted
about them, reports, and files that no other message holds. Their places stay, empty, so that
versions and chains of other devices hold. There is no search index: search reads the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from signaling.chat.erasing import erase
from signaling.chat.ops import CallOp, Entry, Post
from signaling.chat.reduce import subject_of
from signaling.chat.room import Room
from signaling.compliance.erasure.parts import PAGE, Parts
from signaling.compliance.erasure.port import Progress, Step

COUNTED = "counted"


class MessageErasing:
    """Holds nothing of a job."""

    def __init__(self, parts: Parts, *, dry: bool = False) -> None:
        """`dry`: counts, and leaves everything where it is."""
        self._parts, self._chat, self._dry = parts, parts.chat, dry

    def named(self) -> Sequence[Step]:
        return (self._named,)

    def stretch(self) -> Sequence[Step]:
        return (self._stretch,)

    async def _named(self, app: str, progress: Progress) -> None:
        job = progress.job
        room = await self._chat.rooms.find_there(app, job.room)
        if room is None:
            return
        seqs = []
        for ident in job.messages:
            known = await self._chat.rooms.known(room, ident)
            if known is not None:
                seqs.append(known.seq)
        posts: list[Entry] = []
        for seq in seqs:
            stored = await room.log.read(app, room.id, after=seq - 1, limit=1)
            posts += await self._chat.sealing.envelopes(app, room.id, stored)
        await self._erase(app, room, [one for one in posts if is_message(one)], progress, "")

    async def _stretch(self, app: str, progress: Progress) -> None:
        job = progress.job
        room = await self._chat.rooms.find_there(app, job.room)
        if room is None:
            return
        last = min(job.last, room.state.seq)
        after = int(job.after.partition(":")[0] or job.first - 1)
        while after < last:
            stored = await room.log.read(app, room.id, after=after, before=last + 1, limit=PAGE)
            if not stored:
                return
            entries = await self._chat.sealing.envelopes(app, room.id, stored)
            found = [entry for entry in entries if is_message(entry)]
            await self._erase(app, room, found, progress, str(after))
            after = stored[-1].seq
            await progress.note(after=str(after), done=after - job.first + 1, total=last)

    async def _erase(
        self, app: str, room: Room, posts: Sequence[Entry], progress: Progress, at: str
    ) -> None:
        """Counted first: what is done twice after a crash is counted once."""
        if not posts:
            return
        counted = f"{at}:{COUNTED}"
        if progress.job.after != counted:
            files = sum(len(one.op.attachments) for one in posts if isinstance(one.op, Post))
            await progress.note({"messages": len(posts), "files": files}, after=counted)
        if self._dry:
            return
        ids = [ident for one in posts if (ident := subject_of(one)) is not None]
        messages = list(zip(ids, (one.seq for one in posts), strict=True))
        await erase(self._chat, room, messages, (), "erasure")
        for account in room.state.accounts():
            await self._parts.forget_own(app, account, room.id, frozenset(ids))
        await self._parts.reports.forget_about(app, room.id, messages=frozenset(ids))
        await self._parts.ask_others(app, room=room.id, messages=ids)


def is_message(entry: Entry) -> bool:
    return isinstance(entry.op, Post | CallOp)
