"""Notices of GDPR 19: whoever may hold something of a person hears what became of it.

That it was corrected, erased, restricted, or is processed again, goes to every webhook and route
whatever events it asked for, and to the mirror: durable, at least once, in order for each. Written
before it happens: who asked and got no answer asks again. No value is told, only whose it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from signaling.chat.rooms import Rooms
from signaling.chat.sealing import from_ms
from signaling.clock import Clock
from signaling.delivery.events import PREFIX, CloudEvent, EventType
from signaling.delivery.feed import Place, lane_of
from signaling.delivery.port import Item, Outbox
from signaling.delivery.subscriptions import Subscription, Subscriptions
from signaling.keys.port import KeyDestroyed

LANE = "@notices"
MIRROR = "mirror"
"""The kind of its items, and their target: there is one mirror."""


class Notice(Struct, frozen=True, kw_only=True):
    """What an event says. `fields` are the names of what was corrected."""

    account: str
    fields: tuple[str, ...] = ()


class Notices:
    """One for each process. Also an `erasure.port.Eraser`. `mirrored` are the mirror's rooms."""

    name = "notices"

    def __init__(
        self, outbox: Outbox, subscriptions: Subscriptions, rooms: Rooms, clock: Clock, base: str
    ) -> None:
        self._outbox, self._subscriptions, self._rooms = outbox, subscriptions, rooms
        self._clock, self._base = clock, base
        self.mirrored: Sequence[str] = ()

    async def rectified(self, app: str, account: str, fields: tuple[str, ...]) -> None:
        await self._tell(app, EventType.ACCOUNT_RECTIFIED, account, fields)

    async def restricted(self, app: str, account: str, on: bool) -> None:
        kind = EventType.ACCOUNT_RESTRICTED if on else EventType.ACCOUNT_RELEASED
        await self._tell(app, kind, account)

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        """How many were told. Of rooms and messages their own events tell."""
        return await self._tell(app, EventType.ACCOUNT_ERASED, account) if account else 0

    async def _tell(
        self, app: str, kind: EventType, account: str, fields: tuple[str, ...] = ()
    ) -> int:
        now = int(self._clock.unix() * 1000)
        event = CloudEvent(
            id=f"{account}:{kind}:{now}", source=f"{self._base}/accounts/{account}",
            type=PREFIX + kind.value, subject=account, time=from_ms(now),
            data=msgspec.to_builtins(Notice(account=account, fields=fields)),
        )  # fmt: skip
        body = msgspec.json.encode(Place("", event=msgspec.to_builtins(event)))
        items = [
            _item(app, lane_of(one, LANE), one.kind, one.id, event, body)
            for one in await self._subscriptions.fresh(app)
            if await self._concerns(app, one, account)
        ]
        for room in self.mirrored:
            if await self._was_in(app, room, account):
                items.append(_item(app, f"{MIRROR}:{LANE}", MIRROR, MIRROR, event, body))
                break
        await self._outbox.put(items)
        return len(items)

    async def _concerns(self, app: str, one: Subscription, account: str) -> bool:
        """Whether it may have been given anything of this account."""
        if one.disabled or (one.filter.accounts and account not in one.filter.accounts):
            return False
        return one.room is None or await self._was_in(app, one.room, account, one)

    async def _was_in(
        self, app: str, ident: str, account: str, one: Subscription | None = None
    ) -> bool:
        try:
            room = await self._rooms.find_there(app, ident)
        except KeyDestroyed:
            return False
        if room is None or account not in room.state.members:
            return False
        if one is None:
            return True
        return (one.transient or not room.transient) and (one.phi or not room.state.settings.phi)


def _item(app: str, lane: str, kind: str, target: str, event: CloudEvent, body: bytes) -> Item:
    return Item(
        app=app, lane=lane, kind=kind, target=target, body=body, id=f"{target}:{event.id}"
    )  # fmt: skip


def told(item: Item) -> dict[str, Any]:
    """The event of an item, for senders that take no other."""
    event = msgspec.json.decode(item.body, type=Place).event
    return event or {}
