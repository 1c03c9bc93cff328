"""A look at the newest messages of a public room before joining it, where its owner allows it.

Off unless `peek` is set, which only public rooms that the server can read may have; what else
closes it afterwards (encryption, health data, `since_join`) closes it at once, since every look is
judged anew. Shown is what was said and by whom: no reactions, votes, mentions, custom fields or
earlier versions, and of files what they are, neither their keys nor anything of their contents.
Driven by REST.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from signaling.access.permissions import Operation
from signaling.chat import checks, rights
from signaling.chat.accounts import Accounts
from signaling.chat.bodies import Plain
from signaling.chat.ending import is_over
from signaling.chat.ops import Post
from signaling.chat.ports import Actor
from signaling.chat.reduce import MessageView
from signaling.chat.room import Room
from signaling.chat.service import Chat

# What one look shows, and how many of the newest ops it goes through for that.
MOST_SHOWN, MOST_READ = 20, 400
STRETCH = 100


class PeekedFile(Struct, frozen=True, kw_only=True):
    name: str
    media_type: str
    size: int
    caption: str = ""


class Peeked(Struct, frozen=True, kw_only=True):
    """A message as who is not in the room sees it."""

    id: str
    account: str | None
    at: datetime
    kind: str
    text: str
    options: tuple[str, ...] = ()
    files: tuple[PeekedFile, ...] = ()
    parent: str | None = None
    reply_to: str | None = None
    edited: bool = False


class Peeking:
    """One for each process."""

    def __init__(self, chat: Chat, accounts: Accounts) -> None:
        self._chat, self._accounts = chat, accounts

    async def look(self, actor: Actor, name: str) -> list[Peeked]:
        """The newest first. Raises Refused where only members read."""
        room = await self._chat.room_for(actor, name, Operation.GET_CHANNEL)
        state = room.state
        if not (state.settings.peek and checks.may_peek(state.kind, state.mode, state.settings)):
            raise rights.refused("Only who is in this room reads it.")
        head = await self._chat.rooms.head(room)
        before, end = head.seq + 1, max(0, head.seq - MOST_READ)
        found: list[Peeked] = []
        while before > end + 1 and len(found) < MOST_SHOWN:
            limit = min(STRETCH, before - end - 1)
            stored = await room.log.read(room.app, room.id, before=before, limit=limit)
            if not stored:
                break
            entries = await self._chat.sealing.open(room.app, room.id, stored)
            for post in reversed([entry for entry in entries if isinstance(entry.op, Post)]):
                if len(found) == MOST_SHOWN:
                    break
                for view in await self._chat.rooms.views(room, [post]):
                    found += await self._shown(actor, room, view)
            before = stored[0].seq
        return found

    async def _shown(self, actor: Actor, room: Room, view: MessageView) -> list[Peeked]:
        """Nothing of what was deleted or has expired, nor of an author of whom nothing is processed
        or from whom a block parts the asker.
        """
        author, body = view.account or "", view.body
        if not isinstance(body, Plain):
            return []
        if is_over(view.expires_at, self._chat.clock.unix()):
            return []
        if author and author != actor.account:
            hidden = self._chat.rooms.withheld(room.app, author)
            if hidden or await self._parted(room.app, actor.account, author):
                return []
        return [_peeked(view, body)]

    async def _parted(self, app: str, one: str, other: str) -> bool:
        mine = await self._accounts.state_of(app, one)
        theirs = await self._accounts.state_of(app, other)
        return mine.blocks(other) or theirs.blocks(one)


def _peeked(view: MessageView, body: Plain) -> Peeked:
    files = tuple(
        PeekedFile(name=one.name, media_type=one.media_type, size=one.size, caption=one.caption)
        for one in body.files
    )
    return Peeked(
        id=view.id, account=view.account, at=view.at, kind=view.kind, text=body.text,
        options=body.options, files=files, parent=view.parent, reply_to=view.reply_to,
        edited=view.edited_at is not None,
    )  # fmt: skip
