"""A media server that only remembers what it was told, and a client without network.

Drives the call domain in virtual time: nothing here sleeps, and no packet exists. Long because it
fakes both ends of everything that signaling talks to.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit.protocol import models, rtc, webhook

from mediaserver.api import (
    Answer,
    CallListener,
    CallMedia,
    CallOptions,
    Channel,
    IceCandidate,
    Kind,
    Mode,
    NodeStats,
    Offer,
    ParticipantListener,
    ParticipantOptions,
    ParticipantStats,
    Published,
    PublishedCodec,
    SubscribeSettings,
    Target,
    TrackSpec,
)
from signaling.rtc.dispatch import handle
from signaling.rtc.entry import Entry
from signaling.rtc.frames import Outgoing
from signaling.rtc.grants import VideoGrant
from signaling.rtc.limits import RtcSettings
from signaling.rtc.participant import Participant
from signaling.rtc.rooms import Rooms
from signaling.rtc.tokens import Claims
from tests.signaling.rtc.virtual_time import EPOCH, VirtualClock

CANDIDATE = "\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.9 7882 typ host\r\n"
KEY, SECRET = "devkey", "secret-that-is-long-enough-for-hs256"


class FakeParticipantMedia:
    """Remembers; `publish_declared` and `connect` play the media server's part."""

    def __init__(
        self,
        participant_id: str,
        mode: Mode,
        listener: ParticipantListener,
        options: ParticipantOptions,
        clock: VirtualClock,
    ) -> None:
        self.participant_id = participant_id
        self.mode = mode
        self.listener = listener
        self.options = options
        self.clock = clock
        self.offers: list[str] = []
        self.answers: list[tuple[str, int]] = []
        self.candidates: list[tuple[Target, str]] = []
        self.declared: dict[str, TrackSpec] = {}
        self.muted: dict[str, bool] = {}
        self.subscriptions: dict[str, SubscribeSettings] = {}
        self.restarts: list[Target] = []
        self.capped: list[int] = []
        self.sent: list[tuple[Channel, bytes]] = []
        self.sending = asyncio.Event()
        self.closed = False
        self.last_packet: float | None = None
        self.offer_error: Exception | None = None
        self.send_error: Exception | None = None
        self._offer_ids = itertools.count(1)
        self._mids = itertools.count(0)

    async def offer(
        self, target: Target, sdp: str, *, mid_to_track: Mapping[str, str] | None = None
    ) -> Answer:
        if self.offer_error is not None:
            raise self.offer_error
        self.offers.append(sdp)
        return Answer(
            sdp=f"answer to {sdp}{CANDIDATE}", mid_to_track=dict(enumerate_mids(self.subscriptions))
        )

    async def answer(self, sdp: str, *, offer_id: int = 0) -> None:
        if self.offer_error is not None:
            raise self.offer_error
        self.answers.append((sdp, offer_id))

    def candidate(self, target: Target, candidate: str) -> None:
        self.candidates.append((target, candidate))

    def declare_track(self, spec: TrackSpec) -> None:
        self.declared[spec.track_id] = spec

    def remove_track(self, track_id: str) -> None:
        self.declared.pop(track_id, None)

    def set_muted(self, track_id: str, muted: bool) -> None:
        self.muted[track_id] = muted

    def subscribe(self, track_id: str, settings: SubscribeSettings) -> None:
        self.subscriptions[track_id] = settings

    def update_subscription(self, track_id: str, settings: SubscribeSettings) -> None:
        self.subscriptions[track_id] = settings

    def unsubscribe(self, track_id: str) -> None:
        self.subscriptions.pop(track_id, None)

    def cap(self, bitrate: int) -> None:
        self.capped.append(bitrate)

    def restart_ice(self, target: Target) -> None:
        self.restarts.append(target)
        self.listener.on_offer(Offer("restart offer", {}, next(self._offer_ids)))

    def negotiate(self) -> None:
        self.listener.on_offer(Offer("subscriber offer", {}, next(self._offer_ids)))

    def send(self, channel: Channel, payload: bytes) -> bool:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append((channel, payload))
        self.sending.set()
        return True

    def stats(self) -> ParticipantStats:
        return ParticipantStats(self.participant_id, (), (), ())

    def last_packet_age(self) -> float:
        return float("inf") if self.last_packet is None else self.clock.now - self.last_packet

    async def close(self) -> None:
        self.closed = True

    # The media server's part

    def packet(self) -> None:
        self.last_packet = self.clock.now

    def connect(self) -> None:
        self.packet()
        dual = self.mode is Mode.DUAL and self.options.can_subscribe
        self.listener.on_connected(Target.SUBSCRIBER if dual else Target.PUBLISHER)

    def publish_declared(self) -> list[str]:
        """Every declared track that is not published yet becomes so."""
        sids = []
        for spec in self.declared.values():
            mid = str(next(self._mids))
            mime = "audio/opus" if spec.kind is Kind.AUDIO else "video/VP8"
            codec = PublishedCodec(mime=mime, mid=mid, cid=spec.cid, layers=spec.layers)
            self.listener.on_published(
                Published(spec.track_id, mid, (codec,), kind=spec.kind, layers=spec.layers)
            )
            sids.append(spec.track_id)
        return sids

    def packets(self) -> list[models.DataPacket]:
        return [models.DataPacket.FromString(payload) for _, payload in self.sent]


def enumerate_mids(subscriptions: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(str(100 + i), sid) for i, sid in enumerate(subscriptions)]


@dataclass
class FakeCall:
    call_id: str
    listener: CallListener
    clock: VirtualClock
    options: CallOptions = field(default_factory=CallOptions)
    participants: dict[str, FakeParticipantMedia] = field(default_factory=dict)
    forwarded: set[tuple[str, str]] = field(default_factory=set)
    closed: bool = False

    def add_participant(
        self,
        participant_id: str,
        mode: Mode,
        listener: ParticipantListener,
        options: ParticipantOptions = ParticipantOptions(),  # noqa: B008 - immutable
    ) -> FakeParticipantMedia:
        media = FakeParticipantMedia(participant_id, mode, listener, options, self.clock)
        self.participants[participant_id] = media
        return media

    def set_options(self, options: CallOptions) -> None:
        self.options = options

    def forward(self, track_id: str, to: CallMedia) -> None:
        self.forwarded.add((track_id, to.call_id))

    def stop_forwarding(self, track_id: str, to: CallMedia) -> None:
        self.forwarded.remove((track_id, to.call_id))

    async def close(self) -> None:
        self.closed = True


class FakeMediaServer:
    udp_port = 7882
    tcp_port = 7881

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.calls: dict[str, FakeCall] = {}

    def call(
        self,
        call_id: str,
        listener: CallListener,
        options: CallOptions = CallOptions(),  # noqa: B008 - immutable
    ) -> FakeCall:
        return self.calls.setdefault(call_id, FakeCall(call_id, listener, self.clock, options))

    def media(self, participant_sid: str) -> FakeParticipantMedia:
        return next(
            call.participants[participant_sid]
            for call in self.calls.values()
            if participant_sid in call.participants
        )

    def ice_candidates(self) -> Sequence[IceCandidate]:
        return ()

    async def warm(self) -> None:
        return None

    def stats(self) -> NodeStats:
        return NodeStats(len(self.calls), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {})

    async def stop(self, drain_s: float = 0.0) -> None:
        pass


class RecordingHooks:
    def __init__(self) -> None:
        self.events: list[webhook.WebhookEvent] = []

    def notify(self, event: webhook.WebhookEvent) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [event.event for event in self.events]


def run_now(work: Coroutine[Any, Any, None]) -> None:
    """A `Spawn` for tests: the fakes' coroutines never wait."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("a fake's coroutine waited")


def grant(**values: Any) -> VideoGrant:
    return VideoGrant(**{"room_join": True, "room": "r", **values})


def claims(identity: str, **values: Any) -> Claims:
    video = values.pop("video", None) or grant()
    return Claims(
        key=KEY,
        identity=identity,
        video=video,
        has_video=True,
        not_before=EPOCH,
        expires_at=EPOCH + 1e6,
        **values,
    )


class Client:
    """One client over a socket that is a list. `case` looks at what arrived."""

    def __init__(self, world: World, entry: Entry) -> None:
        self.world = world
        self.entry = entry
        self.responses: list[rtc.SignalResponse] = []
        self.closed: str | None = None
        self.participant: Participant | None = None

    # Sink

    def send(self, message: Outgoing) -> None:
        if self.closed is None:
            copy = rtc.SignalResponse()
            copy.ParseFromString(message.binary())
            self.responses.append(copy)

    def close(self, reason: str, *, resume: bool = False) -> None:
        self.closed = self.closed or reason

    # Acting

    @property
    def me(self) -> Participant:
        assert self.participant is not None
        return self.participant

    @property
    def media(self) -> FakeParticipantMedia:
        return self.world.media.media(self.me.sid)

    def ask(self, **case: Any) -> None:
        """Send one SignalRequest."""
        request = rtc.SignalRequest(**case)
        run_now(handle(self.me, rtc.SignalRequest.FromString(request.SerializeToString())))

    def lose_socket(self) -> None:
        self.closed = "lost"
        if self.me.outbox.detach(self):
            self.me.liveness.socket_closed()

    def add_track(self, cid: str = "c1", **values: Any) -> str:
        """AddTrack, negotiated; returns the sid."""
        values.setdefault("type", models.TrackType.VIDEO)
        values.setdefault("source", models.TrackSource.CAMERA)
        self.ask(add_track=rtc.AddTrackRequest(cid=cid, **values))
        sid = self.last("track_published").track_published.track.sid
        self.media.publish_declared()
        return sid

    # Looking

    def cases(self) -> list[str]:
        return [response.WhichOneof("message") or "" for response in self.responses]

    def all(self, case: str) -> list[rtc.SignalResponse]:
        return [r for r in self.responses if r.WhichOneof("message") == case]

    def last(self, case: str) -> rtc.SignalResponse:
        found = self.all(case)
        assert found, f"no {case} among {self.cases()}"
        return found[-1]

    def forget(self) -> None:
        self.responses.clear()


class World:
    """Rooms over the fakes."""

    def __init__(self, settings: RtcSettings | None = None) -> None:
        self.clock = VirtualClock()
        self.media = FakeMediaServer(self.clock)
        self.hooks = RecordingHooks()
        self.rooms = Rooms(
            self.media,
            {KEY: SECRET},
            settings,
            hooks=self.hooks,
            clock=self.clock,
            source=random.Random(1),
            spawn=run_now,
        )

    def join(
        self,
        identity: str,
        *,
        mode: Mode = Mode.SINGLE,
        connect: bool = True,
        protocol: int = 17,
        sdk: models.ClientInfo.SDK = models.ClientInfo.SDK.UNKNOWN,
        room: str = "r",
        auto_subscribe: bool = True,
        claim: Claims | None = None,
        **entry: Any,
    ) -> Client:
        client = Client(
            self,
            Entry(
                claims=claim or claims(identity, video=grant(room=room)),
                room=room,
                mode=mode,
                client=models.ClientInfo(protocol=protocol, sdk=sdk),
                auto_subscribe=auto_subscribe,
                **entry,
            ),
        )
        client.participant = self.rooms.connect(client.entry, client)
        if connect and client.participant is not None:
            client.media.connect()
        return client

    def resume(self, client: Client, **values: Any) -> Client:
        """The same client on a new socket, asking to resume."""
        entry = Entry(
            claims=client.entry.claims,
            room=client.entry.room,
            mode=client.entry.mode,
            client=client.entry.client,
            auto_subscribe=client.entry.auto_subscribe,
            **{"reconnect": True, "participant_sid": client.me.sid, **values},
        )
        again = Client(self, entry)
        again.participant = self.rooms.connect(entry, again)
        return again


async def settle() -> None:
    """Let what is ready on the loop run."""
    for _ in range(10):
        await asyncio.sleep(0)
