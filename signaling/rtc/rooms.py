"""All rooms of this server, and the one door into them: join, resume, refuse.

Used by the WebSocket adapter (`connect`), by WHIP and WHEP (`enter`), by the server API and by
the app (`drain`). Holds no socket and reads no clock of its own; see `Services`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from livekit.protocol import models, rtc
from livekit.protocol import room as room_pb

from mediaserver.api import MediaError, MediaServer
from mediaserver.api import Unavailable as MediaUnavailable
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.rtc import resume
from signaling.rtc.admission import Admission, Everybody
from signaling.rtc.clock import LoopClock, TimerClock
from signaling.rtc.entry import Entry
from signaling.rtc.ids import Ids
from signaling.rtc.limits import RtcSettings
from signaling.rtc.outbox import NoSocket, Sink
from signaling.rtc.participant import Action, Participant
from signaling.rtc.room import Room
from signaling.rtc.services import (
    Counters,
    Hooks,
    IceServer,
    IceServers,
    NoHooks,
    Services,
    Spawn,
    Versions,
)
from signaling.rtc.tokens import ApiKeys, Claims, verify
from signaling.rtc.trail import NoTrail, Trail
from signaling.secret import Secret

Reason = models.DisconnectReason
_REVOCATIONS = 10_000


def _no_ice_servers(participant_sid: str) -> Sequence[IceServer]:
    return ()


class Rooms:
    """Open rooms by name."""

    def __init__(
        self,
        media: MediaServer,
        keys: Mapping[str, str | Secret],
        settings: RtcSettings | None = None,
        *,
        ice_servers: IceServers = _no_ice_servers,
        hooks: Hooks | None = None,
        admission: Admission | None = None,
        trail: Trail | None = None,
        clock: TimerClock | None = None,
        source: random.Random | None = None,
        spawn: Spawn | None = None,
    ) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        clock = clock or LoopClock()
        self.services = Services(
            media=media,
            keys=ApiKeys(keys),
            settings=settings or RtcSettings(),
            clock=clock,
            ids=Ids(source or random.SystemRandom()),
            versions=Versions(clock),
            hooks=hooks or NoHooks(),
            spawn=spawn or self._spawn,
            ice_servers=ice_servers,
            counters=Counters(),
            admission=admission or Everybody(),
            trail=trail or NoTrail(),
        )
        self._rooms: dict[str, Room] = {}
        self._revoked: dict[tuple[str, str], float] = {}
        self._draining = False
        self._no_new_rooms = False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Facts

    def all(self) -> list[Room]:
        return list(self._rooms.values())

    def get(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def claims(self, token: str) -> Claims:
        """Verify a token now. Raises Refused (401)."""
        return verify(self.services.keys, token, self.services.clock.unix())

    # Rooms

    def create(self, request: room_pb.CreateRoomRequest) -> Room:
        """The open room of that name, made when there is none. Raises ClientError."""
        room = self._rooms.get(request.name)
        if room is not None:
            room.configure(request)
            return room
        if self._draining or self._no_new_rooms:
            raise Unavailable("the server is shutting down", retry_after=5)
        if len(self._rooms) >= self.services.settings.limits.rooms:
            raise Unavailable("too many rooms", retry_after=60)
        room = Room(self.services, request.name, request, self._closed)
        self._rooms[request.name] = room
        return room

    def _closed(self, room: Room) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]

    def check(self, entry: Entry) -> None:
        """What can be said before joining (the validate paths). Raises ClientError."""
        if self._draining:
            raise Unavailable("the server is shutting down", retry_after=5)
        revoked = self._revoked.get((entry.room, entry.identity), 0.0)
        if entry.claims.not_before < revoked:
            raise Refused(Code.TOKEN_INVALID, 401, "token was revoked")
        room = self._rooms.get(entry.room)
        if room is None:
            if not self.services.settings.auto_create and not entry.claims.video.room_create:
                # Browsers read this sentence: other 404 bodies make them try an older path.
                raise ClientError(Code.ROOM_NOT_FOUND, 404, "requested room does not exist")
        elif not entry.reconnect:
            room.check_place(entry)

    async def cleared(self, claims: Claims, room: str) -> Claims:
        """As far as they go now, if the session that the token was issued to still stands. Every
        door asks before it obeys. Raises Refused (401), Unavailable.
        """
        return await self.services.admission.check(claims, room)

    def revoke(self, room: str, identity: str, before: float) -> None:
        """Tokens of this identity for this room with an older `nbf` are refused from now on."""
        while len(self._revoked) >= _REVOCATIONS:
            del self._revoked[next(iter(self._revoked))]
        self._revoked[(room, identity)] = before

    # The door

    def connect(self, entry: Entry, sink: Sink) -> Participant | None:
        """A LiveKit client's socket: join or resume. None when it was told to start afresh."""
        self.check(entry)
        room = self._rooms.get(entry.room)
        existing = room.by_identity(entry.identity) if room is not None else None
        if entry.reconnect:
            if existing is None or not resume.may_resume(existing, entry):
                resume.refuse_resume(sink, entry)
                return None
            resume.resume(existing, sink)
            if entry.sync_state is not None and not existing.closed:
                resume.sync(existing, entry.sync_state)
            return existing
        participant = self.enter(entry, sink)
        join = participant.room.join_response(participant)
        participant.send(rtc.SignalResponse(join=join))
        participant.room.joined(participant)
        for request in entry.add_tracks:
            participant.publishing.add(request)
        participant.liveness.keep_token_fresh()
        return participant

    def enter(self, entry: Entry, sink: Sink | None = None) -> Participant:
        """A new participant, in place of an older one of the same identity. Raises ClientError.

        For a plain session this is all; call `participant.room.joined(participant)` after its
        subscriptions are set, then `participant.negotiate`.
        """
        self.check(entry)
        request = _room_request(entry)
        room = self._rooms.get(entry.room) or self.create(request)
        existing = room.by_identity(entry.identity)
        if existing is not None:
            existing.leave(Reason.DUPLICATE_IDENTITY)
        try:
            participant = room.admit(entry)
        except MediaUnavailable as error:
            raise Unavailable(error.message, retry_after=1 if error.retry else None) from error
        except MediaError as error:
            raise ClientError(Code.ROOM_FULL, 403, error.message) from error
        participant.outbox.attach(sink or NoSocket())
        return participant

    # The end

    def refuse_new_rooms(self) -> None:
        """The first half of shutting down: open rooms go on, nobody opens another."""
        self._no_new_rooms = True

    async def drain(self) -> None:
        """Shutting down: nobody new; clients are told to reconnect, to whoever serves then."""
        self._draining = True
        for room in self.all():
            room.close(Reason.SERVER_SHUTDOWN, Action.RECONNECT)
        while self._tasks:
            await asyncio.wait(self._tasks)


def _room_request(entry: Entry) -> room_pb.CreateRoomRequest:
    request = room_pb.CreateRoomRequest(name=entry.room)
    config = entry.claims.room_config
    if config is not None:
        request.empty_timeout = config.empty_timeout
        request.departure_timeout = config.departure_timeout
        request.max_participants = config.max_participants
        request.metadata = config.metadata
    return request
