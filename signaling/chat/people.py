"""Whose rooms are which: the list of each account, what it is in a room, and how rooms begin.

A row for each account and room is written before a member op and removed after one, so it may name
a room too many and never one too few; every list looks at the rooms themselves. Implements the
Access Manager's `Standings`: a name that is no room's id is a call that anybody signed in may name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from signaling.access import roles
from signaling.access.roles import Standing
from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Principal
from signaling.accounts.signin import Directory
from signaling.chat.checks import check_create
from signaling.chat.ops import Create, Entry, Kind, Member, Mode, Part
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.rooms import Rooms
from signaling.chat.state import RANK, RoomState
from signaling.errors import ClientError, Code, FieldError
from signaling.ids import Ids, is_id
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Row, Table

KIND = "chat.membership"
DIRECT = "chat.direct"
_STANDING = {
    Part.OWNER: Standing.OWNER,
    Part.MODERATOR: Standing.MODERATOR,
    Part.MEMBER: Standing.MEMBER,
}


Moved = Callable[[str, str, str], None]


class Membership(Struct, frozen=True):
    account: str
    room: str


class Pair(Struct, frozen=True):
    """The direct room of two accounts."""

    room: str


class People:
    """One for each process. See the module."""

    def __init__(
        self, store: Store, sealer: Sealer, rooms: Rooms, ids: Ids, directory: Directory
    ) -> None:
        self._rooms, self._ids, self._sealer, self.directory = rooms, ids, sealer, directory
        self._rows: Table[Membership] = Table(store, KIND, Membership, sealer)
        self._store = store
        self.moved: Moved = _nothing
        """Told who came into a room or left it, by what this process did."""
        self._pairs: Table[Pair] = Table(store, DIRECT, Pair, sealer)

    # Standings (access.door)

    async def of(self, principal: Principal) -> Mapping[str, Standing]:
        """Loads the account's rooms, so that the answer can be read without a pause."""
        if principal.account is not None:
            await self.rooms_of(principal.app, principal.account)
        return await self.standings(principal)

    async def standings(self, principal: Principal) -> Mapping[str, Standing]:
        """Of the rooms that are open in this process."""
        lobby = ""
        if principal.kind is PrincipalKind.GUEST and principal.account is not None:
            view = await self.directory.view(principal.app, principal.account)
            lobby = "" if view is None else view.room
        named = principal.kind in (PrincipalKind.ACCOUNT, PrincipalKind.BOT)
        return _Standings(self._rooms, principal.app, principal.account or "", named, lobby)

    async def actor(self, principal: Principal) -> Actor:
        """Whoever signed in."""
        return Actor(
            app=principal.app,
            account=principal.account or "",
            holder=roles.holder(principal, await self.standings(principal)),
            who=roles.uuids_of(principal),
            device=principal.device or "",
            session=principal.session or "",
            kind=principal.kind,
        )

    async def share(self, app: str, one: str, other: str) -> bool:
        """Whether the two are in some room together."""
        rooms = await self.rooms_of(app, one)
        return any(room.state.part(other) in RANK for room in rooms)

    async def is_in(self, app: str, room: str, account: str) -> bool:
        """By the room's head."""
        found = await self._room(app, room)
        return found is not None and found.state.part(account) in RANK

    async def meets(self, app: str, rooms: Iterable[str], account: str) -> bool:
        """Whether it is in one of these, as this process has them."""
        for ident in rooms:
            room = self._rooms.held(app, ident) or await self._room(app, ident)
            if room is not None and room.state.part(account) in RANK:
                return True
        return False

    async def fellows(self, app: str, account: str) -> set[str]:
        """Everybody whom it shares a room with."""
        rooms = await self.rooms_of(app, account)
        return {other for room in rooms for other in room.state.accounts()}

    # Lists

    async def rooms_of(self, app: str, account: str) -> list[Room]:
        """By id: the oldest first."""
        found, after = [], ""
        while rows := await self._page(app, account, after):
            for row in rows:
                room = await self._room(app, row.value.room)
                if room is not None and room.state.part(account) in RANK:
                    found.append(room)
            after = rows[-1].key
        return sorted(found, key=lambda room: room.id)

    async def _page(self, app: str, account: str, after: str) -> list[Row[Membership]]:
        return await self._rows.scan(app, term=self._term(app, account), after=after, limit=100)

    async def _room(self, app: str, ident: str) -> Room | None:
        try:
            return await self._rooms.find(app, ident)
        except KeyDestroyed:
            return None

    async def public_rooms(self, app: str, after: str, limit: int) -> list[Room]:
        rows = await self._rooms.rows.scan(app, term="public", after=after, limit=limit)
        found = [await self._room(app, row.key) for row in rows]
        return [room for room in found if room is not None]

    def _term(self, app: str, account: str) -> str:
        return self._sealer.blind(app, f"chat.membership:{account}")

    async def enter(self, app: str, room: str, account: str) -> None:
        """Before the op that makes them a member."""
        key, term = self._key(app, room, account), self._term(app, account)
        table: Table[Membership] = Table(
            self._store, KIND, Membership, self._sealer, terms=lambda value: (term,)
        )
        try:
            await table.create(app, key, Membership(account, room))
        except Conflict:
            return

    async def leave(self, app: str, room: str, account: str) -> None:
        """After the op that took them out."""
        await self._rows.delete(app, self._key(app, room, account))

    async def forget_room(self, app: str, room: str, accounts: Iterable[str]) -> None:
        """The room was erased; `accounts` were in it."""
        pair = sorted(accounts)
        for account in pair:
            await self.leave(app, room, account)
            self.moved(app, account, room)
        for mode in list(Mode) if len(pair) == 2 else []:
            key = self._pair_key(app, mode, pair)
            row = await self._pairs.get(app, key)
            if row is not None and row.value.room == room:
                await self._pairs.delete(app, key)

    async def forget_account(self, app: str, account: str) -> int:
        """In how many rooms it was."""
        return await self._rows.clear(app, self._term(app, account))

    def _key(self, app: str, room: str, account: str) -> str:
        return self._sealer.blind(app, f"chat.membership:{account}:{room}")

    async def committed(self, app: str, room: str, entries: Iterable[Entry]) -> None:
        """A hook of the log."""
        for entry in entries:
            if isinstance(entry.op, Member) and entry.op.part not in RANK:
                await self.leave(app, room, entry.op.account)
            if isinstance(entry.op, Member):
                self.moved(app, entry.op.account, room)
            elif isinstance(entry.op, Create) and entry.account is not None:
                self.moved(app, entry.account, room)

    # Beginning

    async def begin(self, actor: Actor, op: Create, members: Iterable[str]) -> Room:
        """A new room with its first members; of a pair's direct room the one that is there."""
        check_create(op)
        others = sorted(set(members) - {actor.account})
        for account in others:
            await self.require_account(actor.app, account)
        ident = self._ids.new()
        if op.kind is Kind.DIRECT:
            ident = await self._pair(actor, op, others, ident)
            found = await self._room(actor.app, ident)
            if found is not None:
                return found
        for account in (actor.account, *others):
            await self.enter(actor.app, ident, account)
        try:
            state = RoomState(kind=op.kind, mode=op.mode)
            return await self._rooms.create(actor.app, ident, state)
        except Conflict:
            found = await self._room(actor.app, ident)
            if found is None:
                raise
            return found  # the other of the pair began it in the same moment

    async def _pair(self, actor: Actor, op: Create, others: list[str], ident: str) -> str:
        if len(others) != 1:
            errors = [FieldError("/members", "invalid", "Name one other account.")]
            message = "A direct room has two members."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        key = self._pair_key(actor.app, op.mode, sorted((actor.account, others[0])))
        try:
            return (await self._pairs.create(actor.app, key, Pair(ident))).value.room
        except Conflict:
            row = await self._pairs.get(actor.app, key)
            return ident if row is None else row.value.room

    def _pair_key(self, app: str, mode: Mode, pair: list[str]) -> str:
        return self._sealer.blind(app, f"chat.direct:{mode.value}:{':'.join(pair)}")

    async def require_account(self, app: str, account: str) -> None:
        if await self.directory.view(app, account) is None:
            errors = [FieldError("/members", "unknown", "There is no such account.")]
            raise ClientError(Code.NOT_FOUND, 404, "There is no such account.", errors=errors)


def _nothing(app: str, account: str, room: str) -> None:
    """Until somebody listens."""


class _Standings(dict[str, Standing]):
    """Looked up when asked, so it is never older than the room in this process."""

    def __init__(self, rooms: Rooms, app: str, account: str, named: bool, lobby: str) -> None:
        super().__init__()
        self._rooms, self._app, self._account = rooms, app, account
        self._named, self._lobby = named, lobby

    def get(self, key: str, default: object = None) -> Standing:
        if self._lobby and key == self._lobby:
            return Standing.GUEST
        if not is_id(key):
            return Standing.MEMBER if self._named else Standing.STRANGER
        room = self._rooms.held(self._app, key)
        if room is None:
            return Standing.STRANGER
        part = room.state.part(self._account)
        if part in _STANDING:
            return _STANDING[part]
        if part is Part.NONE and self._named and room.state.kind is Kind.PUBLIC:
            return Standing.INVITED
        return Standing.STRANGER
