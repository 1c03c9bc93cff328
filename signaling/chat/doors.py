"""Ways into a room besides being added: invitations with expiry and uses, and asking to be let in.

An invitation is known by the hash of its secret; its maker must still be allowed to invite, so it
ends with that right and comes back with it. A request waits until a moderator answered it. The op
that lets somebody in is itself the count: its ident is that of the invitation or the request, its
version the number of the use. So whoever dies when, either both are there or neither, and two
processes let in no more than was said. Driven by REST.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.accounts.principal import Principal
from signaling.chat import rights
from signaling.chat.ops import Member, Part, Who
from signaling.chat.people import People
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.sealing import from_ms, to_ms
from signaling.chat.service import Chat, Saying
from signaling.chat.state import RANK
from signaling.errors import ClientError, Code
from signaling.ids import Entropy, Ids
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table

INVITE, REQUEST = "chat.invite", "chat.request"
SECRET_BYTES = 24
ENDED = "The invitation is used up, expired or withdrawn."
_REASONS = {Part.BANNED: "maker_banned", Part.NONE: "maker_outside"}
# What is asked of a maker, with whose scopes: those that making one needs, whatever session it was.
_SCOPES = frozenset({Operation.GET_CHANNEL.scope, Operation.SET_CHANNEL_MEMBERS.scope})


class Invite(Struct, frozen=True, kw_only=True):
    """`uses` 0: any number. `used` follows the room's log, and is behind it after a crash; of a
    transient room, whose log is each process's own, it is the count.
    """

    id: str
    room: str
    maker: str
    made_at: datetime
    expires_at: datetime
    uses: int
    used: int = 0


class Request(Struct, frozen=True, kw_only=True):
    """Somebody asks to be let in."""

    account: str
    room: str
    text: str
    at: datetime


class Ended(ClientError):  # noqa: N818 - names what happened
    """An invitation whose maker may invite no more. `room` and `reason` are for the audit: whoever
    has the link is told what they are told of any that ended.
    """

    def __init__(self, room: str, reason: str) -> None:
        super().__init__(Code.LINK_INVALID, 410, ENDED)
        self.room, self.reason = room, reason


class Doors:
    """One for each process."""

    def __init__(
        self, store: Store, sealer: Sealer, chat: Chat, people: People, ids: Ids, entropy: Entropy
    ) -> None:
        self._chat, self._people, self._ids, self._entropy = chat, people, ids, entropy
        self._sealer, self._store = sealer, store

    def _invites(self, app: str) -> Table[Invite]:
        return Table(
            self._store, INVITE, Invite, self._sealer,
            terms=lambda value: (self._sealer.blind(app, f"chat.invite:{value.room}"),),
        )  # fmt: skip

    def _requests(self, app: str) -> Table[Request]:
        return Table(
            self._store, REQUEST, Request, self._sealer,
            terms=lambda value: (self._sealer.blind(app, f"chat.request:{value.room}"),),
        )  # fmt: skip

    async def _inviting(self, actor: Actor, name: str) -> Room:
        room = await self._chat.room_for(actor, name, Operation.GET_CHANNEL)
        if room.state.settings.invite is Who.MEMBERS and room.state.part(actor.account) in RANK:
            return room
        rights.require(actor, name, Operation.SET_CHANNEL_MEMBERS, self._chat.clock.unix())
        return room

    async def invite(self, actor: Actor, name: str, seconds: int, uses: int) -> tuple[Invite, str]:
        """The invitation and its secret, which is told once."""
        room = await self._inviting(actor, name)
        if room.state.kind.value == "direct":
            raise rights.refused("A direct room keeps its two members.")
        secret = base64.urlsafe_b64encode(self._entropy.token(SECRET_BYTES)).decode()
        now = self._chat.clock.unix()
        made = Invite(
            id=self._ids.new(), room=name, maker=actor.account, made_at=from_ms(int(now * 1000)),
            expires_at=from_ms(int((now + seconds) * 1000)), uses=uses,
        )  # fmt: skip
        await self._invites(actor.app).create(actor.app, _hash(secret), made, expires=now + seconds)
        return made, secret

    async def invites(
        self, actor: Actor, name: str, *, after: str, limit: int
    ) -> list[Row[Invite]]:
        """In no order that says anything. A row's key is a place in it, and a hash of a secret."""
        await self._inviting(actor, name)
        term = self._sealer.blind(actor.app, f"chat.invite:{name}")
        return await self._invites(actor.app).scan(actor.app, term=term, after=after, limit=limit)

    async def withdraw(self, actor: Actor, name: str, ident: str) -> None:
        await self._inviting(actor, name)
        async for row in self._each(actor.app, name):
            if row.value.id == ident:
                await self._invites(actor.app).delete(actor.app, row.key)
                return
        raise ClientError(Code.NOT_FOUND, 404, "There is no such invitation.")

    async def accept(self, actor: Actor, secret: str) -> Room:
        """Raises 410 for one that is used up, expired or withdrawn, and for one whose maker may not
        invite any more: all the same to a stranger.
        """
        table = self._invites(actor.app)
        row = await table.get(actor.app, _hash(secret))
        room = None if row is None else await self._chat.rooms.find(actor.app, row.value.room)
        if row is None or room is None:
            raise _invalid()
        await self._require_maker(room, row.value.maker)
        part = room.state.part(actor.account)
        if part is Part.BANNED:
            raise rights.banned()
        if part in RANK:
            return room
        await (self._use_transient if room.transient else self._use)(room, row, actor.account)
        part = room.state.part(actor.account)
        if part not in RANK:
            raise rights.banned() if part is Part.BANNED else _invalid()
        return room

    async def _use(self, room: Room, row: Row[Invite], account: str) -> None:
        made = row.value
        use = await self._let_in(
            room, made.maker, account, f"invite:{made.id}", uses=made.uses, used=made.used
        )
        if use:
            await self._count(room, row.key, lambda one: replace(one, used=max(one.used, use)))

    async def _use_transient(self, room: Room, row: Row[Invite], account: str) -> None:
        """Counted before, and given back when nobody was let in: a kill in between spends a use."""

        def another(invite: Invite) -> Invite:
            if invite.uses and invite.used >= invite.uses:
                raise _invalid()
            return replace(invite, used=invite.used + 1)

        def fewer(invite: Invite) -> Invite:
            return replace(invite, used=invite.used - 1)

        if not await self._count(room, row.key, another):
            raise _invalid()
        try:
            use = await self._let_in(room, row.value.maker, account, f"invite:{row.value.id}")
        except ClientError:
            await self._count(room, row.key, fewer)
            raise
        if not use:
            await self._count(room, row.key, fewer)

    async def _count(self, room: Room, key: str, change: Callable[[Invite], Invite]) -> bool:
        """Whether the invitation is still there."""
        try:
            await self._invites(room.app).change(room.app, key, change)
        except Missing:
            return False
        return True

    async def _require_maker(self, room: Room, maker: str) -> None:
        """They could make the invitation now. Raises Ended."""
        view = await self._people.directory.view(room.app, maker)
        if view is None or view.disabled:
            raise Ended(room.id, "maker_removed" if view is None else "maker_disabled")
        principal = Principal(
            app=room.app, kind=view.kind, account=maker, roles=view.roles, scopes=_SCOPES
        )
        try:
            await self._inviting(await self._people.actor(principal), room.id)
        except ClientError:
            reason = _REASONS.get(room.state.part(maker), "maker_without_right")
            raise Ended(room.id, reason) from None

    async def _let_in(
        self, room: Room, by: str, account: str, ident: str, *, uses: int = 0, used: int = 0
    ) -> int:
        """The number of this use of what `ident` names; 0 where nobody was let in: they are no
        strangers, or `uses` there are no more. Raises 403 while the room is full.
        """

        async def entering(before: int) -> Saying | None:
            use, state = max(before, used) + 1, room.state
            if state.part(account) is not Part.NONE or (uses and use > uses):
                return None
            if len(state.accounts()) >= rights.MOST_MEMBERS:
                raise ClientError(Code.ROOM_FULL, 403, "The room is full.")
            await self._people.enter(room.app, room.id, account)
            part = state.part(by) if state.part(by) in RANK else Part.SERVICE
            return Saying(by, part, Member(account=account, part=Part.MEMBER), use)

        return await self._chat.say_newest(room, ident, entering)

    async def forget_room(self, app: str, room: str) -> int:
        """The room was erased: how many invitations and requests went with it."""
        gone = await self._invites(app).clear(app, self._sealer.blind(app, f"chat.invite:{room}"))
        asked = self._sealer.blind(app, f"chat.request:{room}")
        return gone + await self._requests(app).clear(app, asked)

    async def asked(self, app: str, room: str, account: str) -> Request | None:
        """Whether somebody waits to be let in."""
        row = await self._requests(app).get(app, self._key(app, room, account))
        return None if row is None else row.value

    async def made(self, app: str, account: str, room: str) -> AsyncIterator[Invite]:
        """The invitations of one account."""
        async for row in self._each(app, room):
            if row.value.maker == account:
                yield row.value

    async def forget_account(self, app: str, room: str, account: str) -> int:
        gone = int(await self._requests(app).delete(app, self._key(app, room, account)))
        async for row in self._each(app, room):
            if row.value.maker == account:
                gone += await self._invites(app).delete(app, row.key)
        return gone

    async def _each(self, app: str, room: str) -> AsyncIterator[Row[Invite]]:
        after, term = "", self._sealer.blind(app, f"chat.invite:{room}")
        while rows := await self._invites(app).scan(app, term=term, after=after, limit=100):
            for row in rows:
                yield row
            after = rows[-1].key

    # Requests

    async def ask(self, actor: Actor, name: str, text: str) -> None:
        room = await self._chat.rooms.find(actor.app, name)
        if room is None or room.state.settings.join.value == "invite":
            raise rights.no_room()
        part = room.state.part(actor.account)
        if part is Part.BANNED:
            raise rights.banned()
        if part in RANK:
            raise ClientError(Code.CONFLICT, 409, "You are in this room.")
        at = from_ms(int(self._chat.clock.unix() * 1000))
        made = Request(account=actor.account, room=name, text=text, at=at)
        try:
            await self._requests(actor.app).create(
                actor.app, self._key(actor.app, name, actor.account), made
            )
        except Conflict:
            return  # it waits already

    def _key(self, app: str, room: str, account: str) -> str:
        return self._sealer.blind(app, f"chat.request:{room}:{account}")

    async def requests(
        self, actor: Actor, name: str, *, after: str, limit: int
    ) -> list[Row[Request]]:
        """In the order of their keys, which say nothing."""
        await self._moderated(actor, name)
        term = self._sealer.blind(actor.app, f"chat.request:{name}")
        return await self._requests(actor.app).scan(actor.app, term=term, after=after, limit=limit)

    async def answer(self, actor: Actor, name: str, account: str, *, accept: bool) -> None:
        """The request goes last. Of two who answer at once in two ways, who accepts prevails."""
        room = await self._moderated(actor, name)
        table, key = self._requests(actor.app), self._key(actor.app, name, account)
        row = await table.get(actor.app, key)
        if row is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such request.")
        if accept:
            ident = f"request:{key}:{to_ms(row.value.at)}"
            await self._let_in(room, actor.account, account, ident, uses=1)
        with contextlib.suppress(Conflict):  # it was answered meanwhile, and perhaps asked anew
            await table.delete(actor.app, key, expect=row.version)

    async def _moderated(self, actor: Actor, name: str) -> Room:
        return await self._chat.room_for(actor, name, Operation.SET_CHANNEL_MEMBERS)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _invalid() -> ClientError:
    return ClientError(Code.LINK_INVALID, 410, ENDED)
