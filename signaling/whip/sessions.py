"""WHIP and WHEP sessions: an HTTP resource for each plain participant of a LiveKit room.

States: open until DELETE, until the participant left for any other reason (silence, moderation, a
newer one of
the same identity), or until the room closed. Owned by the event loop; knows no HTTP: see `routes`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from livekit.protocol import models, rtc

from mediaserver.api import Target
from signaling.errors import ClientError, Code, Unavailable
from signaling.logs import bind
from signaling.rtc import Claims, IceServer, Participant, Rooms, plain_entry
from signaling.rtc.tracks import Publication
from signaling.whip.sdpfrag import Fragment, attribute, with_credentials

# A publisher's audio and video appear within this time of each other; a WHEP client that came in
# between waits so long. It is less than any HTTP client's patience.
LATE_TRACKS = 2.0
LOOK = 0.1


@dataclass(slots=True)
class Session:
    """`tag` names the ICE generation and is the ETag; `offer` is the newest in force."""

    id: str
    kind: str
    participant: Participant
    token_digest: bytes
    offer: str
    answer: str = ""
    tag: str = ""

    @property
    def ufrag(self) -> str:
        return attribute(self.offer, "ice-ufrag")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Sessions:
    """By id. Ids cannot be guessed, and every use needs the token as well."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._by_id: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def authorize(self, token: str, room: str) -> tuple[Claims, str]:
        """Claims and the room; a URL without a room takes the token's. Raises Refused."""
        claims = self._rooms.claims(token)
        room = room or claims.video.room
        if not room:
            raise ClientError(Code.BAD_REQUEST, 400, "Neither the URL nor the token names a room.")
        if not claims.identity:
            raise ClientError(Code.BAD_REQUEST, 400, "The token names no identity.")
        return claims, room

    def ice_servers(self, session: Session) -> Sequence[IceServer]:
        return self._rooms.services.ice_servers(session.participant.sid)

    async def publish(self, token: str, room: str, offer: str) -> Session:
        """WHIP. Raises Refused, ClientError, Unavailable, or the media server's errors."""
        claims, room = self.authorize(token, room)
        claims = await self._rooms.cleared(claims, room)
        entry = plain_entry(claims, room, publish=True, subscribe=False)
        self._room_for_one()
        participant = self._rooms.enter(entry)
        return await self._begin("whip", participant, token, offer)

    async def watch(self, token: str, room: str, offer: str, identities: Sequence[str]) -> Session:
        """WHEP: the tracks of these participants, or of everybody when none is named."""
        claims, room = self.authorize(token, room)
        claims = await self._rooms.cleared(claims, room)
        entry = plain_entry(claims, room, publish=False, subscribe=True)
        tracks = await self._wait_for_tracks(room, identities, wanted_kinds(offer))
        self._room_for_one()
        participant = self._rooms.enter(entry)
        participant.subscribing.want(tracks, True)
        return await self._begin("whep", participant, token, offer)

    async def _wait_for_tracks(
        self, room: str, identities: Sequence[str], kinds: frozenset[str]
    ) -> list[str]:
        """Nothing to watch is an answer, not a session: WHEP cannot offer what comes later.

        For the same reason a publisher that is just publishing its second track is waited for.
        """
        for _ in range(int(LATE_TRACKS / LOOK)):
            found = self._publications(room, identities)
            if kinds <= {_kind(publication) for publication in found}:
                break
            await asyncio.sleep(LOOK)
        found = self._publications(room, identities)
        if not found:
            raise ClientError(Code.TRACK_NOT_FOUND, 404, "Nothing is published here yet.")
        return [publication.sid for publication in found]

    def _publications(self, name: str, identities: Sequence[str]) -> list[Publication]:
        room = self._rooms.get(name)
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "Nobody is in this room.")
        if any(room.found(who) is None for who in identities):
            raise ClientError(Code.PARTICIPANT_NOT_FOUND, 404, "No such participant is here.")
        return [
            publication
            for publication in room.publications()
            if not identities or publication.publisher.identity in identities
        ]

    def _room_for_one(self) -> None:
        if len(self._by_id) >= self._rooms.services.settings.limits.plain_sessions:
            raise Unavailable("too many WHIP and WHEP sessions", retry_after=10)

    async def _begin(self, kind: str, participant: Participant, token: str, offer: str) -> Session:
        session = Session(
            secrets.token_urlsafe(24), kind, participant, _digest(token), offer, tag=_tag()
        )
        self._by_id[session.id] = session
        participant.on_left = lambda _: self._forget(session)
        with bind(**participant.room.ids(), participant=participant.sid):
            participant.room.joined(participant)
            session.answer = await self._negotiate(session, offer)
        return session

    async def _negotiate(self, session: Session, offer: str) -> str:
        description = rtc.SessionDescription(type="offer", sdp=offer)
        answer = await session.participant.negotiate(description)
        if answer is None:
            refusal = session.participant.refusal
            raise refusal or Unavailable("the session ended while it was set up")
        return answer.sdp

    def _forget(self, session: Session) -> None:
        self._by_id.pop(session.id, None)

    async def find(self, kind: str, room: str, session_id: str, token: str) -> Session:
        """The session, for whoever made it: the same token, even expired (what was taken back has
        ended its sessions), or a fresh one of the same identity. Others hear that there is no such
        session. Raises ClientError, Refused, Unavailable.
        """
        session = self._by_id.get(session_id)
        same = session is not None and hmac.compare_digest(session.token_digest, _digest(token))
        if not same:
            claims, _ = self.authorize(token, room)
            claims = await self._rooms.cleared(claims, room)
            if session is not None and (
                claims.identity != session.participant.identity
                or (claims.video.room and claims.video.room != session.participant.room.name)
            ):
                session = None
        if session is None or session.kind != kind or session.participant.room.name != room:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such session.")
        return session

    def trickle(self, session: Session, fragment: Fragment) -> None:
        """Candidates of the generation in force (RFC 9725 section 4.3.2)."""
        if fragment.ufrag and fragment.ufrag != session.ufrag:
            raise ClientError(
                Code.BAD_SDP, 422, 'The credentials are new: an ICE restart needs If-Match: "*".'
            )
        with bind(**session.participant.room.ids(), participant=session.participant.sid):
            for candidate in fragment.candidates:
                session.participant.media.candidate(Target.PUBLISHER, candidate)

    async def restart(self, session: Session, fragment: Fragment) -> None:
        """New ICE credentials on both sides; DTLS and SRTP stay (RFC 9725 section 4.3.3)."""
        if not (fragment.ufrag and fragment.pwd):
            raise ClientError(Code.BAD_SDP, 422, "An ICE restart needs ice-ufrag and ice-pwd.")
        offer = with_credentials(session.offer, fragment)
        with bind(**session.participant.room.ids(), participant=session.participant.sid):
            session.answer = await self._negotiate(session, offer)
            session.offer, session.tag = offer, _tag()
            self.trickle(session, fragment)

    def end(self, session: Session) -> None:
        with bind(**session.participant.room.ids(), participant=session.participant.sid):
            session.participant.leave(models.DisconnectReason.CLIENT_INITIATED)
        self._forget(session)


_SECTION = re.compile(r"^m=(audio|video) [1-9]", re.MULTILINE)


def wanted_kinds(offer: str) -> frozenset[str]:
    """The kinds of media that an offer has sections for."""
    return frozenset(_SECTION.findall(offer))


def _kind(publication: Publication) -> str:
    return "audio" if publication.info.type == models.TrackType.AUDIO else "video"


def _tag() -> str:
    return secrets.token_urlsafe(9)
