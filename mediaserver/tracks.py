"""The published tracks of one call: the one place where publishers and subscribers meet.

A track is one thing to people and may be several engine publications (one for each codec that the
publisher offers, each on its own m-section). Owned by `call.py`; publishing adds and removes,
subscribing watches. A track may be lent to the tracks of another call, which then watch it too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mediaserver.api import LayerSpec, TrackSpec
from mediaserver.codecs import codec_name, mime_of
from mediaserver.describe import Receiving
from mediaserver.engine_types import Codec


@dataclass(slots=True)
class Publication:
    """One engine publication: the codec of a track that came on one m-section."""

    engine_id: int
    transport: int
    track_id: str
    mid: str
    cid: str
    plan: Receiving
    ssrcs: dict[int, int] = field(default_factory=dict)
    """Quality to SSRC, as the engine reports the layers that started."""
    demand: int = 2
    """The highest layer that the publisher was told to send, -1 for none."""

    @property
    def codecs(self) -> tuple[Codec, ...]:
        return self.plan.spec.codecs

    @property
    def mime(self) -> str:
        return mime_of(self.plan.spec.kind, self.codecs[0])

    def layers(self) -> tuple[LayerSpec, ...]:
        return tuple(
            LayerSpec(
                e.quality,
                e.rid or "",
                e.width,
                e.height,
                e.max_bitrate,
                self.ssrcs.get(e.quality, e.ssrc or 0),
            )
            for e in self.plan.spec.encodings
        )


@dataclass(slots=True)
class Track:
    """Declared by a participant; published once `publications` is not empty."""

    participant_id: str
    spec: TrackSpec
    publications: list[Publication] = field(default_factory=list)
    muted: bool = False
    wanted: list[str] = field(default_factory=list)
    """Mime types of backup codecs that somebody needs and the publisher does not send yet."""

    @property
    def track_id(self) -> str:
        return self.spec.track_id

    def want_backup(self) -> bool:
        """Somebody cannot decode what is published. True when that asks for more."""
        have = {p.codecs[0].name for p in self.publications}
        missing = [c.mime for c in self.spec.codecs if codec_name(c.mime) not in have]
        fresh = [m.lower() for m in missing if m.lower() not in self.wanted]
        self.wanted += fresh
        return bool(fresh)

    def layers(self) -> Sequence[LayerSpec]:
        return self.publications[0].layers() if self.publications else self.spec.layers


class Watcher(Protocol):
    """A subscribing half of a participant. Watches from subscribe to unsubscribe."""

    def track_changed(self, track: Track) -> None:
        """It was published, or another codec of it, or its codecs changed."""

    def track_removed(self, track_id: str) -> None: ...


class Tracks:
    """All tracks of a call and who watches each."""

    def __init__(
        self,
        on_wanted: Callable[[Track], None],
        on_published: Callable[[Publication], None],
        on_ended: Callable[[Publication], None],
    ) -> None:
        self._on_wanted = on_wanted
        self.publication_began = on_published
        self.publication_ended = on_ended
        self._tracks: dict[str, Track] = {}
        self._watchers: dict[str, dict[int, Watcher]] = {}
        self._borrowers: dict[str, list[Tracks]] = {}
        self._lenders: dict[str, Tracks] = {}

    def get(self, track_id: str) -> Track | None:
        return self._tracks.get(track_id)

    def __contains__(self, track_id: str) -> bool:
        return track_id in self._tracks

    def __len__(self) -> int:
        return len(self._tracks)

    def add(self, track: Track) -> None:
        self._tracks[track.track_id] = track

    def watch(self, track_id: str, watcher: Watcher) -> None:
        self._watchers.setdefault(track_id, {})[id(watcher)] = watcher

    def unwatch(self, track_id: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(track_id)
        if watchers is not None:
            watchers.pop(id(watcher), None)
            if not watchers:
                del self._watchers[track_id]

    def cannot_decode(self, track: Track) -> None:
        """A subscriber shares no codec with what is published so far."""
        lender = self._lenders.get(track.track_id)
        if lender is not None:
            lender.cannot_decode(track)
        elif track.want_backup():
            self._on_wanted(track)

    def changed(self, track: Track) -> None:
        for watcher in list(self._watchers.get(track.track_id, {}).values()):
            watcher.track_changed(track)
        for borrower in self._borrowers.get(track.track_id, ()):
            borrower.changed(track)

    def remove(self, track_id: str) -> None:
        if self._tracks.pop(track_id, None) is not None:
            self._lenders.pop(track_id, None)
            for borrower in self._borrowers.pop(track_id, ()):
                borrower.remove(track_id)
            for watcher in list(self._watchers.pop(track_id, {}).values()):
                watcher.track_removed(track_id)

    def lend(self, track: Track, borrower: "Tracks") -> None:
        """Another call sees the track too, until it ends here or is taken back."""
        if track.track_id not in borrower:
            self._borrowers.setdefault(track.track_id, []).append(borrower)
            borrower._lenders[track.track_id] = self
            borrower.add(track)
            borrower.changed(track)

    def take_back(self, track_id: str, borrower: "Tracks") -> None:
        borrowers = self._borrowers.get(track_id, [])
        if borrower in borrowers:
            borrowers.remove(borrower)
            if not borrowers:
                del self._borrowers[track_id]
            borrower.remove(track_id)
