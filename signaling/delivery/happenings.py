"""What happens beside the rooms' logs: to files, to accounts, and to devices that are not reached.

Told to who names it, once it is so, and kept until it is delivered; what a server was about to tell
when it died is missed. No event says a name, an address, a token or a key. Of a file no more than
of its room: nothing of a transient one. Driven by the hooks of `files`, `accounts` and `push`.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from signaling.accounts.model import Account
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import from_ms
from signaling.clock import Clock
from signaling.delivery.events import PREFIX, CloudEvent, EventType
from signaling.delivery.feed import Place, lane_of
from signaling.delivery.port import Dead, Gone, Item, Outbox
from signaling.delivery.push.model import Subscription as Device
from signaling.delivery.subscriptions import Subscriptions
from signaling.errors import ClientError, Unavailable
from signaling.files.model import Stored
from signaling.files.port import State
from signaling.ids import Ids
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

MOST_REASON = 128
_OF_FILES = {
    State.READY: EventType.FILE_READY,
    State.REFUSED: EventType.FILE_REFUSED,
    State.QUARANTINED: EventType.FILE_REFUSED,
}
# What was given before is called back, also of somebody whose data is restricted (GDPR 18).
_CALLED_BACK = frozenset({EventType.FILE_DELETED, EventType.ACCOUNT_REMOVED})


class Happenings:
    """One for each process. Whoever calls has done what is told, and hears of no failure here."""

    def __init__(
        self, outbox: Outbox, subscriptions: Subscriptions, rooms: Rooms, clock: Clock, ids: Ids,
        base: str,
    ) -> None:  # fmt: skip
        self._outbox, self._subscriptions, self._rooms = outbox, subscriptions, rooms
        self._clock, self._ids, self._base = clock, ids, base

    async def file(self, app: str, ident: str, stored: Stored, gone: bool) -> None:
        """Its checks ended, or it is `gone`: then `stored` is what it was."""
        kind = _OF_FILES.get(stored.state)
        if kind is None:
            return  # an upload, of which nothing was told
        data: dict[str, Any] = {"file": ident, "room": stored.room, "account": stored.owner}
        if gone:
            kind = EventType.FILE_DELETED
        else:
            data |= {"state": stored.state.value, "size": stored.size}
            data |= {"media_type": stored.media_type, "scanned": stored.scanned}
            if stored.reason:
                data["reason"] = stored.reason[:MOST_REASON]
        await self._tell(app, kind, data, subject=ident, at=f"rooms/{stored.room}", lane="@files")

    async def account(self, app: str, before: Account | None, after: Account | None) -> None:
        """It was made, changed or removed."""
        for kind in _of_accounts(before, after):
            known = after or before
            assert known is not None
            data: dict[str, Any] = {"account": known.id}
            if after is not None:
                data |= {"kind": known.kind.value, "roles": sorted(known.roles)}
            at = f"accounts/{known.id}"
            await self._tell(app, kind, data, subject=known.id, at=at, lane="@accounts")

    async def push(self, app: str, one: Device, outcome: Gone | Dead) -> None:
        """A service did not take a notification; `Gone`: it never takes one for this device."""
        kind = EventType.PUSH_GONE if isinstance(outcome, Gone) else EventType.PUSH_REFUSED
        data = {
            "account": one.account, "subscription": one.id, "kind": one.kind.value,
            "reason": outcome.reason[:MOST_REASON],
        }  # fmt: skip
        at = f"accounts/{one.account}"
        await self._tell(app, kind, data, subject=one.id, at=at, lane="@push")

    async def _tell(
        self, app: str, kind: EventType, data: dict[str, Any], *, subject: str, at: str, lane: str
    ) -> None:
        try:
            items = await self._items(app, kind, data, subject, at, lane)
            if items:
                await self._outbox.put(items)
        except (Unavailable, ClientError, Conflict) as error:
            log.warning("%s is told to nobody: %s", kind.value, type(error).__name__)

    async def _items(
        self, app: str, kind: EventType, data: dict[str, Any], subject: str, at: str, lane: str
    ) -> list[Item]:
        room, account = str(data.get("room", "")), str(data["account"])
        wanted = [
            one
            for one in await self._subscriptions.fresh(app)
            if one.covers(room) and one.filter.asks_for(kind, account)
        ]
        if not wanted or (kind not in _CALLED_BACK and self._rooms.withheld(app, account)):
            return []
        if room:
            found = await self._rooms.find_there(app, room)
            if found is None or found.transient:
                return []
            data["mode"] = found.state.mode.value
            wanted = [one for one in wanted if one.phi or not found.state.settings.phi]
        event = CloudEvent(
            id=self._ids.new(), source=f"{self._base}/{at}", type=PREFIX + kind.value,
            subject=subject, time=from_ms(int(self._clock.unix() * 1000)), data=data,
        )  # fmt: skip
        body = msgspec.json.encode(Place(room, event=msgspec.to_builtins(event)))
        return [
            Item(
                app=app, lane=lane_of(one, lane + room), kind=one.kind, target=one.id, body=body,
                id=f"{one.id}:{event.id}", room=room,
            )
            for one in wanted
            if one.filter.selects(event)
        ]  # fmt: skip


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
