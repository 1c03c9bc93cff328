"""What happens in rooms becomes notices: hooks that only note it, and one task that tells.

Hooks stand between an append and its acknowledgement, so they do nothing but remember, and that
only where somebody in the room has a device to wake. What a process had noted when it died is not
told: the message is there all the same, and the next one brings it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from signaling.chat.account_ops import Notify
from signaling.chat.accounts import Accounts
from signaling.chat.bodies import Plain
from signaling.chat.ops import Delete, Entry, Erase, Kind, Member, Post, React
from signaling.chat.ports import Actor
from signaling.chat.reduce import may_end
from signaling.chat.room import IMPORTS, Room
from signaling.chat.rooms import Rooms
from signaling.chat.state import RANK
from signaling.chat.unread import Cursor
from signaling.delivery.notify import Notice, NoticeKind
from signaling.delivery.push.notifier import Devices
from signaling.delivery.push.register import Register
from signaling.errors import ClientError, Unavailable

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
_TELLS = Post | React | Member | Delete | Erase


class _Happened(Struct, frozen=True):
    app: str
    room: str
    entry: Entry


class _Read(Struct, frozen=True):
    app: str
    account: str
    room: str
    seq: int
    device: str


class News:
    """One for each process; `run` until cancelled. `lost` counts what a full queue did not take."""

    def __init__(
        self, register: Register, devices: Devices, rooms: Rooms, accounts: Accounts
    ) -> None:
        self._register, self._devices = register, devices
        self._rooms, self._accounts = rooms, accounts
        self._waiting: asyncio.Queue[_Happened | _Read] = asyncio.Queue(MOST_WAITING)
        self.counters: Counter[str] = Counter()

    # Hooks

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """Of a room's log (`chat.ports.Committed`)."""
        if not self._register.any(app):
            return
        for entry in entries:
            # What was said elsewhere long ago is no news.
            if isinstance(entry.op, _TELLS) and not entry.ident.startswith(IMPORTS):
                self._note(_Happened(app, room, entry))

    async def read(self, actor: Actor, room: str, cursor: Cursor, parent: str | None) -> None:
        """Of receipts: somebody has read a room up to somewhere."""
        if not actor.token and self._register.has(actor.app, actor.account):
            device = actor.device or actor.session
            self._note(_Read(actor.app, actor.account, room, cursor.at(parent), device))

    def _note(self, what: _Happened | _Read) -> None:
        try:
            self._waiting.put_nowait(what)
        except asyncio.QueueFull:
            self.counters["lost"] += 1

    # Telling

    async def run(self) -> None:
        while True:
            what = await self._waiting.get()
            try:
                await self._tell(what)
            except (Unavailable, ClientError) as error:
                self.counters["failed"] += 1
                log.warning("nobody was notified of something: %s", type(error).__name__)
            except Exception:
                self.counters["failed"] += 1
                log.exception("a notification failed")
            finally:
                self._waiting.task_done()

    async def settled(self) -> None:
        """Everything that was noted has been told."""
        await self._waiting.join()

    async def _tell(self, what: _Happened | _Read) -> None:
        if isinstance(what, _Read):
            await self._devices.read(what.app, what.account, what.room, what.seq, what.device)
            return
        room = await self._rooms.find(what.app, what.room)
        if room is None or self._rooms.withheld(what.app, what.entry.account or ""):
            return
        op = what.entry.op
        if isinstance(op, Post):
            await self._post(room, what.entry, op)
        elif isinstance(op, React):
            await self._reaction(room, what.entry, op)
        elif isinstance(op, Member):
            await self._invited(room, what.entry, op)
        elif isinstance(op, Delete):
            await self._deleted(room, what.entry, op)
        elif isinstance(op, Erase):
            for ident in op.ids:
                await self._gone(room, ident)

    def _members(self, room: Room) -> list[str]:
        """Those who have a device to wake."""
        return [
            a for a in room.state.accounts()
            if self._register.has(room.app, a) and not self._rooms.withheld(room.app, a)
        ]  # fmt: skip

    async def _post(self, room: Room, entry: Entry, post: Post) -> None:
        if post.silent:
            return
        named = post.mentions
        for account in self._members(room):
            if account == entry.account:
                continue
            mention = named is not None and (named.room or account in named.accounts)
            if not await self._may(room, account, mention=mention):
                continue
            kind: NoticeKind = "mention" if mention else "message"
            text = post.body.text if isinstance(post.body, Plain) else None
            notice = Notice(
                kind=kind, room=room.id, sender=entry.account or "", preview=text, id=post.id,
                seq=entry.seq, parent=post.parent, urgency="high" if mention else "normal",
                ttl_s=_life(entry),
            )  # fmt: skip
            await self._devices.notify(room.app, account, notice)

    async def _may(self, room: Room, account: str, *, mention: bool) -> bool:
        """By the person's choice for the room. Of public rooms, mentions unless they say else."""
        state = await self._accounts.state_of(room.app, account)
        chosen = state.notify.get(room.id)
        usual = Notify.MENTIONS if room.state.kind is Kind.PUBLIC else Notify.ALL
        level = usual if chosen is None else chosen.level
        return level is Notify.ALL or (mention and level is Notify.MENTIONS)

    async def _reaction(self, room: Room, entry: Entry, op: React) -> None:
        """Told to the author, whose wish decides; of one taken back nobody hears."""
        known = await self._rooms.known(room, op.id) if op.on else None
        author = None if known is None else known.account
        if author is None or known is None or author == entry.account:
            return
        if author not in self._members(room) or not await self._may(room, author, mention=True):
            return
        notice = Notice(
            kind="reaction", room=room.id, sender=entry.account or "", id=op.id,
            seq=entry.seq, parent=known.parent, emoji="" if op.body is not None else op.emoji,
            urgency="low",
        )  # fmt: skip
        await self._devices.notify(room.app, author, notice)

    async def _invited(self, room: Room, entry: Entry, op: Member) -> None:
        """Somebody let another one in. A direct room shows itself with its first message."""
        state = room.state.members.get(op.account)
        came = op.part in RANK and state is not None and state.since == entry.seq
        if not came or entry.account in (None, op.account) or room.state.kind is Kind.DIRECT:
            return
        notice = Notice(
            kind="invite", room=room.id, sender=entry.account or "", id="", seq=entry.seq
        )
        await self._devices.notify(room.app, op.account, notice)

    async def _deleted(self, room: Room, entry: Entry, op: Delete) -> None:
        """An effective one."""
        known = await self._rooms.known(room, op.id)
        if may_end(entry, None if known is None else known.account):
            await self._gone(room, op.id)

    async def _gone(self, room: Room, ident: str) -> None:
        if room.transient:
            return
        await self._devices.forget(room.app, ident)
        for account in self._members(room):
            await self._devices.deleted(room.app, account, room.id, ident)


def _life(entry: Entry) -> int:
    """A notification does not outlive its message."""
    usual = Notice(kind="message").ttl_s
    if entry.expires_at is None:
        return usual
    return max(1, min(usual, int((entry.expires_at - entry.at).total_seconds())))
