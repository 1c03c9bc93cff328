"""Statistics: the engine's snapshot joined with what Python knows of calls and tracks.

Reads only. Ids and numbers; no address, name or token (the snapshot holds none).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from mediaserver.api import (
    Kind,
    NodeStats,
    ParticipantStats,
    Target,
    TrackStats,
    TransportStats,
)

if TYPE_CHECKING:
    from mediaserver.participant.connection import Connection
    from mediaserver.participant.subscribing import Subscription
    from mediaserver.tracks import Track


class TransportRow(msgspec.Struct, gc=False):
    """One transport in the engine's snapshot; fields that nobody here reads are skipped."""

    connected: bool = False
    rtt_ms: float = 0.0
    estimate: int | None = None
    loss_out: float = 0.0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    last_receive_ms: int | None = None


class EncodingRow(msgspec.Struct, gc=False):
    quality: int = 0
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    loss: float = 0.0
    nacks: int = 0
    plis: int = 0
    bitrate: int = 0


class PublicationRow(msgspec.Struct):
    encodings: list[EncodingRow] = []


class SubscriptionRow(msgspec.Struct, gc=False):
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    nacks: int = 0
    plis: int = 0
    spatial: int | None = None
    paused: bool = False


class WorkerRow(msgspec.Struct):
    counters: dict[str, Any] = {}
    drops: dict[str, int] = {}


class _Whole(msgspec.Struct):
    """The large tables stay raw until somebody asks: a big call has thousands of rows."""

    workers: list[WorkerRow] = []
    transports: dict[str, TransportRow] = {}
    publications: msgspec.Raw = msgspec.Raw(b"{}")
    subscriptions: msgspec.Raw = msgspec.Raw(b"{}")


class Snapshot:
    """One parsed engine snapshot; `taken` is the caller's clock when it was read."""

    def __init__(self, raw: bytes, taken: float) -> None:
        self._whole = msgspec.json.decode(raw or b"{}", type=_Whole)
        self.taken = taken
        self.workers = self._whole.workers

    @cached_property
    def _publications(self) -> dict[str, PublicationRow]:
        return msgspec.json.decode(self._whole.publications, type=dict[str, PublicationRow])

    @cached_property
    def _subscriptions(self) -> dict[str, SubscriptionRow]:
        return msgspec.json.decode(self._whole.subscriptions, type=dict[str, SubscriptionRow])

    def transport(self, number: int) -> TransportRow:
        return self._whole.transports.get(str(number)) or TransportRow()

    def publication(self, number: int) -> PublicationRow:
        return self._publications.get(str(number)) or PublicationRow()

    def subscription(self, number: int) -> SubscriptionRow:
        return self._subscriptions.get(str(number)) or SubscriptionRow()

    def last_receive_age(self, transport: int) -> float:
        age = self.transport(transport).last_receive_ms
        return math.inf if age is None else age / 1000

    def drops(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for worker in self.workers:
            total.update(worker.drops)
        return total

    def counter(self, name: str) -> int:
        return sum(int(w.counters.get(name, 0)) for w in self.workers)


class SnapshotReader:
    """Parses at most once in `max_age` seconds: a large node's snapshot is megabytes."""

    def __init__(
        self, read: Callable[[], bytes], clock: Callable[[], float], max_age: float = 0.5
    ) -> None:
        self._read = read
        self._clock = clock
        self._max_age = max_age
        self._last: Snapshot | None = None

    def __call__(self) -> Snapshot:
        now = self._clock()
        if self._last is None or now - self._last.taken > self._max_age:
            self._last = Snapshot(self._read(), now)
        return self._last


def participant_stats(
    participant_id: str,
    connections: Mapping[Target, "Connection"],
    tracks: Iterable["Track"],
    subscriptions: Iterable["Subscription"],
    snapshot: Snapshot,
) -> ParticipantStats:
    return ParticipantStats(
        participant_id=participant_id,
        transports=tuple(_transport(c, snapshot) for c in connections.values()),
        published=tuple(_published(t, snapshot) for t in tracks if t.publications),
        subscribed=tuple(_subscribed(s, snapshot) for s in subscriptions),
        candidates_kept=sum(len(c.candidates.kept) for c in connections.values()),
        candidates_ignored=sum(c.candidates.ignored for c in connections.values()),
    )


def _transport(connection: "Connection", snapshot: Snapshot) -> TransportStats:
    row = snapshot.transport(connection.transport)
    return TransportStats(
        target=connection.target,
        connected=connection.state.value == "connected",
        protocol=connection.protocol,
        rtt_ms=row.rtt_ms,
        estimate_bps=row.estimate or 0,
        srtp_profile=connection.dtls.profile,
        packets_in=row.packets_in,
        packets_out=row.packets_out,
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        drops=dict(connection.drops()),
    )


def _published(track: "Track", snapshot: Snapshot) -> TrackStats:
    rows = [
        encoding
        for publication in track.publications
        for encoding in snapshot.publication(publication.engine_id).encodings
    ]
    return TrackStats(
        track_id=track.track_id,
        kind=track.spec.kind,
        packets=sum(e.packets for e in rows),
        bytes=sum(e.bytes for e in rows),
        lost=sum(e.lost for e in rows),
        nacks=sum(e.nacks for e in rows),
        plis=sum(e.plis for e in rows),
        bitrate=sum(e.bitrate for e in rows),
        layer=max((e.quality for e in rows if e.bitrate), default=-1),
    )


def _subscribed(subscription: "Subscription", snapshot: Snapshot) -> TrackStats:
    row = snapshot.subscription(subscription.engine_id)
    publication = subscription.publication
    return TrackStats(
        track_id=subscription.track_id,
        kind=Kind(publication.plan.spec.kind) if publication is not None else Kind.VIDEO,
        packets=row.packets,
        bytes=row.bytes,
        lost=row.lost,
        nacks=row.nacks,
        plis=row.plis,
        layer=-1 if row.spatial is None else row.spatial,
        paused=row.paused,
    )


def node_stats(
    snapshot: Snapshot,
    *,
    calls: int,
    participants: int,
    publications: int,
    subscriptions: int,
    transports: int,
    handshakes_waiting: int,
    events_lost: int,
    drops: Mapping[str, int],
) -> NodeStats:
    total = snapshot.drops()
    total.update(drops)
    return NodeStats(
        calls=calls,
        participants=participants,
        publications=publications,
        subscriptions=subscriptions,
        transports=transports,
        handshakes_waiting=handshakes_waiting,
        packets_in=snapshot.counter("packets_in"),
        packets_out=snapshot.counter("packets_out"),
        bytes_in=snapshot.counter("bytes_in"),
        bytes_out=snapshot.counter("bytes_out"),
        events_lost=events_lost,
        drops=dict(total),
        workers=tuple(w.counters for w in snapshot.workers),
    )
