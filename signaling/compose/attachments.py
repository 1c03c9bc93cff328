"""Between rooms and files: which mode a room has, which posts hold which files, and their end."""

from __future__ import annotations

from collections.abc import Sequence

from signaling.chat.ending import is_over
from signaling.chat.later import Later
from signaling.chat.ops import Delete, Edit, Entry, Erase, Post, attachments_of
from signaling.chat.ports import Actor
from signaling.chat.reduce import may_end
from signaling.chat.service import Chat, hidden_before
from signaling.files.asking import Asking
from signaling.files.port import Mode
from signaling.files.service import Files
from signaling.keys.port import KeyDestroyed


class ChatRooms:
    """`files.port.Rooms` over chat."""

    def __init__(self, chat: Chat, later: Later) -> None:
        self._chat, self._later = chat, later

    async def mode(self, app: str, room: str) -> Mode | None:
        try:
            found = await self._chat.rooms.find(app, room)
        except KeyDestroyed:
            return None
        return None if found is None else Mode(found.state.mode)

    async def shows(self, app: str, room: str, message: str, account: str) -> bool:
        rooms = self._chat.rooms
        found = await rooms.find_there(app, room)
        if found is None or is_over(await rooms.end_of(found, message), self._chat.clock.unix()):
            return False
        if not (hidden := hidden_before(found.state, account)):
            return True
        known = await rooms.known(found, message)
        return known is not None and known.seq > hidden

    async def holds(self, app: str, room: str, message: str, file: str) -> bool:
        rooms = self._chat.rooms
        found = await rooms.find_there(app, room)
        known = None if found is None else await rooms.known(found, message)
        if found is None or known is None:
            return False
        about = await rooms.about(found, message, known.seq)
        entries = await rooms.entries(found, [known.seq, *about.seqs])
        if any(isinstance(one.op, Delete) and may_end(one, known.account) for one in entries):
            return False
        return any(
            file in [held.id for held in attachments_of(one.op) or ()]
            for one in entries
            if isinstance(one.op, Post | Edit)
        )

    async def expects(self, app: str, message: str) -> bool:
        return await self._later.waits(app, message)


class Attachments:
    """Chat's `Attachable`, and a hook on what it commits."""

    def __init__(self, chat: Chat, files: Files) -> None:
        self._chat, self._files = chat, files

    async def attach(self, actor: Actor, room: str, message: str, files: Sequence[str]) -> None:
        """An access token's files are its uuid's, told apart from an account of that name."""
        account = f"uuid:{actor.account}" if actor.token else actor.account
        caller = Asking(app=actor.app, account=account, holder=actor.holder, who=actor.who)
        await self._files.attach(caller, room, message, files)

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        for entry in entries:
            op = entry.op
            if isinstance(op, Post | Edit) and (held := attachments_of(op)):
                await self._files.posted(app, room, op.id, [file.id for file in held])
            elif isinstance(op, Delete):
                await self._deleted(app, room, entry, op)
            elif isinstance(op, Erase):
                for message in op.ids:
                    await self._files.released(app, room, message)

    async def folded(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """Another process took it, and died perhaps before it came to say so."""
        for entry in entries:
            op = entry.op
            if isinstance(op, Post | Edit) and (held := attachments_of(op)):
                begun = [f.id for f in held if await self._files.awaits(app, room, op.id, f.id)]
                await self._files.posted(app, room, op.id, begun)
            elif isinstance(op, Delete):
                await self._deleted(app, room, entry, op)

    async def _deleted(self, app: str, room: str, entry: Entry, op: Delete) -> None:
        """If it was its author's or a moderator's word."""
        rooms = self._chat.rooms
        found = rooms.held(app, room) or await rooms.find_there(app, room)
        known = None if found is None else await rooms.known(found, op.id)
        if known is not None and may_end(entry, known.account):
            await self._files.released(app, room, op.id)


def join(chat: Chat, files: Files) -> None:
    attachments = Attachments(chat, files)
    chat.attachable = attachments.attach
    chat.committed.append(attachments.committed)
    chat.rooms.folded.append(attachments.folded)
