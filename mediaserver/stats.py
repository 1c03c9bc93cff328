"""Statistics: the engine's snapshot joined with what Python knows of calls and tracks.

Reads only. Ids and numbers; no address, name or token (the snapshot holds none).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

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

Json = Mapping[str, Any]
_EMPTY: Json = {}


class Snapshot:
    """One parsed engine snapshot; `taken` is the caller's clock when it was read."""

    def __init__(self, raw: bytes, taken: float) -> None:
        data: Json = json.loads(raw) if raw else {}
        self.taken = taken
        self.workers: list[Json] = list(data.get("workers", []))
        self._transports: Json = data.get("transports", {})
        self._publications: Json = data.get("publications", {})
        self._subscriptions: Json = data.get("subscriptions", {})

    def transport(self, number: int) -> Json:
        return self._transports.get(str(number), _EMPTY)  # type: ignore[no-any-return]

    def publication(self, number: int) -> Json:
        return self._publications.get(str(number), _EMPTY)  # type: ignore[no-any-return]

    def subscription(self, number: int) -> Json:
        return self._subscriptions.get(str(number), _EMPTY)  # type: ignore[no-any-return]

    def last_receive_age(self, transport: int) -> float:
        age = self.transport(transport).get("last_receive_ms")
        return math.inf if age is None else float(age) / 1000

    def drops(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for worker in self.workers:
            total.update(worker.get("drops", {}))
        return total

    def counter(self, name: str) -> int:
        return sum(int(w.get("counters", {}).get(name, 0)) for w in self.workers)


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
    data = snapshot.transport(connection.transport)
    return TransportStats(
        target=connection.target,
        connected=connection.state.value == "connected",
        protocol=connection.protocol,
        rtt_ms=float(data.get("rtt_ms", 0.0)),
        estimate_bps=int(data.get("estimate") or 0),
        srtp_profile=connection.dtls.profile,
        packets_in=int(data.get("packets_in", 0)),
        packets_out=int(data.get("packets_out", 0)),
        bytes_in=int(data.get("bytes_in", 0)),
        bytes_out=int(data.get("bytes_out", 0)),
        drops=dict(connection.data.drops),
    )


def _published(track: "Track", snapshot: Snapshot) -> TrackStats:
    encodings = [
        encoding
        for publication in track.publications
        for encoding in snapshot.publication(publication.engine_id).get("encodings", [])
    ]
    active = [int(e["quality"]) for e in encodings if e.get("bitrate")]
    return TrackStats(
        track_id=track.track_id,
        kind=track.spec.kind,
        packets=sum(int(e.get("packets", 0)) for e in encodings),
        bytes=sum(int(e.get("bytes", 0)) for e in encodings),
        lost=sum(int(e.get("lost", 0)) for e in encodings),
        nacks=sum(int(e.get("nacks", 0)) for e in encodings),
        plis=sum(int(e.get("plis", 0)) for e in encodings),
        bitrate=sum(int(e.get("bitrate", 0)) for e in encodings),
        layer=max(active, default=-1),
    )


def _subscribed(subscription: "Subscription", snapshot: Snapshot) -> TrackStats:
    data = snapshot.subscription(subscription.engine_id)
    publication = subscription.publication
    spatial = data.get("spatial")
    return TrackStats(
        track_id=subscription.track_id,
        kind=Kind(publication.plan.spec.kind) if publication is not None else Kind.VIDEO,
        packets=int(data.get("packets", 0)),
        bytes=int(data.get("bytes", 0)),
        lost=int(data.get("lost", 0)),
        nacks=int(data.get("nacks", 0)),
        plis=int(data.get("plis", 0)),
        layer=-1 if spatial is None else int(spatial),
        paused=bool(data.get("paused", False)),
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
        workers=tuple(w.get("counters", {}) for w in snapshot.workers),
    )
