"""What happens beside the rooms' logs: to files, to accounts, and to devices that are not reached.

Told to who names it, and kept until it is delivered. Of files and accounts the event is written
with the act (`storage.untold`) and put into the outbox after it; of a push it is put there before
the item that failed is dealt with. So whatever dies, it is told, and always under one id. No event
says a name, an address, a token or a key. Of a file no more than of its room: nothing of a
transient one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from signaling.accounts.model import Account
from signaling.chat.room import Room
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import from_ms
from signaling.clock import Clock
from signaling.delivery.events import PREFIX, CloudEvent, EventType
from signaling.delivery.feed import Place, lane_of
from signaling.delivery.port import Dead, Gone, Item, Outbox
from signaling.delivery.push.model import Subscription as Device
from signaling.delivery.subscriptions import Subscriptions
from signaling.files.model import Stored
from signaling.files.port import State
from signaling.ids import Ids
from signaling.keys.port import KeyDestroyed

MOST_REASON = 128
# Once their checks ended; of others nothing is told.
_OF_FILES = {
    State.READY: EventType.FILE_READY,
    State.REFUSED: EventType.FILE_REFUSED,
    State.QUARANTINED: EventType.FILE_REFUSED,
}
_LANES = {"file": "@files", "account": "@accounts", "push": "@push"}
# What was given before is called back, also of somebody whose data is restricted (GDPR 18).
_CALLED_BACK = frozenset({EventType.FILE_DELETED, EventType.ACCOUNT_REMOVED})


class Happenings:
    """One for each process."""

    def __init__(
        self, outbox: Outbox, subscriptions: Subscriptions, rooms: Rooms, clock: Clock, ids: Ids,
        base: str,
    ) -> None:  # fmt: skip
        self._outbox, self._subscriptions, self._rooms = outbox, subscriptions, rooms
        self._clock, self._ids, self._base = clock, ids, base

    # Words of an act that is about to be written

    def file(
        self, app: str, ident: str, before: Stored | None, after: Stored | None
    ) -> tuple[bytes, ...]:
        """Its checks end, or it goes."""
        known = after or before
        if known is None or known.state not in _OF_FILES:
            return ()  # an upload, of which nothing is told
        data: dict[str, Any] = {"file": ident, "room": known.room, "account": known.owner}
        kind = EventType.FILE_DELETED
        if after is not None:
            kind = _OF_FILES[after.state]
            data |= {"state": after.state.value, "size": after.size}
            data |= {"media_type": after.media_type, "scanned": after.scanned}
            if after.reason:
                data["reason"] = after.reason[:MOST_REASON]
        return self._said(app, [kind], data, ident, f"rooms/{known.room}")

    def account(
        self, app: str, ident: str, before: Account | None, after: Account | None
    ) -> tuple[bytes, ...]:
        """It is made, changed or removed."""
        data: dict[str, Any] = {"account": ident}
        if after is not None:
            data |= {"kind": after.kind.value, "roles": sorted(after.roles)}
        return self._said(app, _of_accounts(before, after), data, ident, f"accounts/{ident}")

    def _said(
        self, app: str, kinds: Sequence[EventType], data: dict[str, Any], subject: str, at: str
    ) -> tuple[bytes, ...]:
        """Nothing while nobody asks for it."""
        account = data["account"]
        return tuple(
            msgspec.json.encode(self._event(self._ids.new(), kind, data, subject, at))
            for kind in kinds
            if any(one.filter.asks_for(kind, account) for one in self._subscriptions.of(app))
        )

    def _event(
        self, ident: str, kind: EventType, data: dict[str, Any], subject: str, at: str
    ) -> CloudEvent:
        return CloudEvent(
            id=ident, source=f"{self._base}/{at}", type=PREFIX + kind.value, subject=subject,
            time=from_ms(int(self._clock.unix() * 1000)), data=data,
        )  # fmt: skip

    # Telling

    async def tell(self, app: str, words: bytes) -> None:
        """Into the outbox. Raises Unavailable, ClientError, Conflict."""
        await self._put(app, msgspec.json.decode(words, type=CloudEvent))

    async def push(self, app: str, one: Device, outcome: Gone | Dead, ident: str) -> None:
        """A service did not take a notification; `Gone`: it never takes one for this device.
        Raises as `tell`.
        """
        kind = EventType.PUSH_GONE if isinstance(outcome, Gone) else EventType.PUSH_REFUSED
        data = {
            "account": one.account, "subscription": one.id, "kind": one.kind.value,
            "reason": outcome.reason[:MOST_REASON],
        }  # fmt: skip
        at = f"accounts/{one.account}"
        await self._put(app, self._event(f"{ident}:{kind.value}", kind, data, one.id, at))

    async def _put(self, app: str, event: CloudEvent) -> None:
        if items := await self._items(app, event):
            await self._outbox.put(items)

    async def _items(self, app: str, event: CloudEvent) -> list[Item]:
        kind = EventType(event.type.removeprefix(PREFIX))
        room, account = str(event.data.get("room", "")), str(event.data["account"])
        wanted = [
            one
            for one in await self._subscriptions.fresh(app)
            if one.covers(room) and one.filter.asks_for(kind, account)
        ]
        if not wanted or (kind not in _CALLED_BACK and self._rooms.withheld(app, account)):
            return []
        if room:
            found = await self._room(app, room)
            if found is None or found.transient:
                return []
            event.data["mode"] = found.state.mode.value
            wanted = [one for one in wanted if one.phi or not found.state.settings.phi]
        lane = _LANES[kind.value.partition(".")[0]] + room
        body = msgspec.json.encode(Place(room, event=msgspec.to_builtins(event)))
        return [
            Item(
                app=app, lane=lane_of(one, lane), kind=one.kind, target=one.id, body=body,
                id=f"{one.id}:{event.id}", room=room,
            )
            for one in wanted
            if one.filter.selects(event)
        ]  # fmt: skip

    async def _room(self, app: str, ident: str) -> Room | None:
        """None for one that was erased, which is told by itself."""
        try:
            return await self._rooms.find_there(app, ident)
        except KeyDestroyed:
            return None


def _of_accounts(before: Account | None, after: Account | None) -> list[EventType]:
    if before is None:
        return [EventType.ACCOUNT_CREATED]
    if after is None:
        return [EventType.ACCOUNT_REMOVED]
    found = []
    if set(before.roles) != set(after.roles):
        found.append(EventType.ACCOUNT_CHANGED)
    if before.disabled is not after.disabled:
        off = EventType.ACCOUNT_DISABLED if after.disabled else EventType.ACCOUNT_ENABLED
        found.append(off)
    return found
