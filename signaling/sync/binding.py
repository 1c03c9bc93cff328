"""From a BIND to the partition it names and who asks: the one place that knows paths. An adapter.

room:<id>   the log of a room
account     the own data of the account that signed in
presence    how those are whom that account shares rooms with
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from signaling.access.evaluate import Granted
from signaling.accounts.principal import Principal
from signaling.chat.account_ops import AccountChange
from signaling.chat.ops import Change
from signaling.chat.ports import Actor, Partition
from signaling.sync.errors import Action, Fault, SyncCode
from signaling.sync.session_frames import PartitionBind

_ROOM = "room:"


class Bound(msgspec.Struct, frozen=True):
    """What a session stands on. `token` is what it is held by beside the socket's own sign-in."""

    partition: Partition
    name: str
    actor: Actor
    decoder: msgspec.json.Decoder[Any]
    token: Granted | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        """The same for all sessions of one log."""
        return self.actor.app, type(self.partition).__name__, self.name


class Binder(Protocol):
    """Raises Fault, Refused or Unavailable."""

    async def bind(self, principal: Principal, frame: PartitionBind) -> Bound: ...


class Actors(Protocol):
    """Who acts: signed in, or by an access token. Refuses a token that does not hold."""

    async def __call__(
        self, principal: Principal, token: str | None, uuid: str | None
    ) -> tuple[Actor, Granted | None]: ...


class Paths:
    """The paths of this server."""

    def __init__(
        self, rooms: Partition, accounts: Partition, presence: Partition, actors: Actors
    ) -> None:
        self._rooms = rooms
        self._own = {"account": accounts, "presence": presence}
        self._actors = actors
        self._change = msgspec.json.Decoder(Change)
        self._account_change = msgspec.json.Decoder(AccountChange)

    async def bind(self, principal: Principal, frame: PartitionBind) -> Bound:
        actor, token = await self._actors(principal, frame.token, frame.uuid)
        if (own := self._own.get(frame.path)) is not None:
            if token is not None:
                raise Fault(
                    SyncCode.PERMISSION_DENIED,
                    "An account's own data and presence need its sign-in.",
                    action=Action.WARNING,
                    status=403,
                )
            await own.may_read(actor, actor.account)
            return Bound(own, actor.account, actor, self._account_change)
        name = frame.path.removeprefix(_ROOM)
        if not frame.path.startswith(_ROOM) or not name.replace("-", "").isalnum():
            raise Fault(
                SyncCode.ILLEGAL_PATH,
                "A path is `account`, `presence` or `room:<id>`.",
                action=Action.WARNING,
            )
        bound = Bound(self._rooms, name, actor, self._change, token)
        await self._rooms.may_read(actor, name)
        return bound
