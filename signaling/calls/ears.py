"""What the media server says of rooms' calls: who is in, who came, who left. An adapter.

Stands in the way of its hooks (webhooks, audit) and its admission (sessions), which hear everything
as before. A room of chat is known by its name, its id; whose a participant is by what its call
token was issued for, never by what its identity says. Also `port.Media`, for the way back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from livekit.protocol import models, webhook

from signaling.calls.verbs import Present
from signaling.errors import Unavailable
from signaling.ids import is_id
from signaling.rtc import Admission, Claims, Hooks, Participant, Rooms

log = logging.getLogger(__name__)

# Between tries while the store is away; then the keeper's next look says it again.
WAITS = (0.2, 1.0, 3.0)
Reason = models.DisconnectReason
# Of these nobody comes back by itself.
_ON_PURPOSE = frozenset(
    {Reason.CLIENT_INITIATED, Reason.PARTICIPANT_REMOVED, Reason.ROOM_DELETED, Reason.ROOM_CLOSED}
)

Hear = Callable[[str, Present], Awaitable[None]]


@dataclass(slots=True)
class _Here:
    """One room: who is in, who came since it was last passed on, how the last one left."""

    who: dict[str, str] = field(default_factory=dict)
    came: dict[str, str] = field(default_factory=dict)
    clean: bool = False


class Ears:
    """One for each process. `listen` before the first event; `run` until it is cancelled."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._hooks: Hooks | None = None
        self._rooms: Rooms | None = None
        self._hear: Hear | None = None
        self._participants: dict[str, Participant] = {}
        self._here: dict[str, _Here] = {}
        self._changed: asyncio.Queue[str] = asyncio.Queue()

    def over(self, hooks: Hooks) -> Ears:
        """Itself, in front of these."""
        self._hooks = hooks
        return self

    def listen(self, rooms: Rooms, hear: Hear) -> None:
        self._rooms, self._hear = rooms, hear

    # Admission

    async def check(self, claims: Claims, room: str) -> Claims:
        return await self._admission.check(claims, room)

    def joined(self, participant: Participant) -> None:
        if is_id(participant.room.name):
            self._participants[participant.sid] = participant
        self._admission.joined(participant)

    def left(self, participant: Participant) -> None:
        self._admission.left(participant)

    # Hooks

    def notify(self, event: webhook.WebhookEvent) -> None:
        if self._hooks is not None:
            self._hooks.notify(event)
        name, sid = event.room.name, event.participant.sid
        if not is_id(name):
            return
        if event.event == "participant_joined":
            self._came(name, sid)
        elif event.event in ("participant_left", "participant_connection_aborted"):
            self._went(name, sid, event.participant.disconnect_reason in _ON_PURPOSE)
        elif event.event == "room_finished":
            here = self._here.get(name)
            if here is not None and here.who:
                here.who.clear()
                self._changed.put_nowait(name)

    def _came(self, name: str, sid: str) -> None:
        participant = self._participants.get(sid)
        if participant is None or participant.hidden or participant.dependent:
            return
        binding = participant.claims.binding
        account, device = (binding.account, binding.device) if binding is not None else ("", "")
        here = self._here.setdefault(name, _Here())
        here.who[sid] = account
        here.clean = False
        if account:
            here.came[account] = device
        self._changed.put_nowait(name)

    def _went(self, name: str, sid: str, on_purpose: bool) -> None:
        self._participants.pop(sid, None)
        here = self._here.get(name)
        if here is not None and here.who.pop(sid, None) is not None:
            here.clean = on_purpose
            self._changed.put_nowait(name)

    # Passing it on

    async def run(self) -> None:
        while True:
            await self.pass_on(await self._changed.get())

    def look(self) -> None:
        """Say again who is in, so that a lost word is made good and nobody takes us for gone."""
        for name in self._here:
            self._changed.put_nowait(name)

    async def pass_on(self, name: str) -> None:
        """As it is now, not as it was: a call that ended meanwhile is not begun again."""
        for wait in (*WAITS, None):
            here = self._here.get(name)
            if here is None or self._hear is None:
                return
            came, here.came = here.came, {}
            word = Present(who=dict(here.who), came=came, clean=here.clean)
            try:
                await self._hear(name, word)
            except Unavailable:
                here.came = {**came, **here.came}
                if wait is not None:
                    await asyncio.sleep(wait)
                continue
            except Exception:
                log.exception("who is in a call could not be told")
            if not here.who and self._here.get(name) is here:
                del self._here[name]
            return

    # Media

    def close(self, room: str) -> None:
        open_room = self._rooms.get(room) if self._rooms is not None else None
        if open_room is not None:
            open_room.close(Reason.ROOM_DELETED)

    def remove(self, room: str, account: str) -> None:
        open_room = self._rooms.get(room) if self._rooms is not None else None
        for participant in open_room.participants() if open_room is not None else ():
            binding = participant.claims.binding
            if binding is not None and binding.account == account:
                participant.leave(Reason.PARTICIPANT_REMOVED)

    def here(self) -> Mapping[str, Mapping[str, str]]:
        return {name: here.who for name, here in self._here.items()}
