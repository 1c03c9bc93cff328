"""Dynacast: what a publisher is told to encode, from what anybody watches.

More is asked for at once; less only after it has stayed so for a while, since a layer that stops
and starts costs a keyframe each time. One for each call, driven by engine events.
"""

import asyncio
from collections.abc import Callable, Sequence

from mediaserver.tracks import Publication, Track

# LiveKit's clients reconfigure their encoder on every change.
LOWER_AFTER_S = 2.0
# A new track is given this long to find its first viewer.
UNWATCHED_AFTER_S = 5.0

Qualities = Sequence[tuple[str, Sequence[tuple[int, bool]]]]


def demanded(track: Track) -> Qualities:
    """By codec, each layer and whether it is wanted; backup codecs that are missing, whole."""
    published: list[tuple[str, Sequence[tuple[int, bool]]]] = [
        (p.mime, _layers(p)) for p in track.publications
    ]
    have = {mime for mime, _ in published}
    missing = [m for m in track.wanted if m not in have]
    return published + [(mime, [(q, True) for q in range(3)]) for mime in missing]


def _layers(publication: Publication) -> Sequence[tuple[int, bool]]:
    """The lowest layer that exists is wanted as soon as anybody watches, whatever it is called:
    a track of a single encoding is "high" and serves those who asked for "low" too."""
    spec = publication.plan.spec
    qualities = range(3) if spec.svc else [e.quality for e in spec.encodings]
    lowest = min(qualities, default=0)
    wanted = max(publication.demand, lowest) if publication.demand >= 0 else -1
    return [(quality, quality <= wanted) for quality in qualities]


class Demand:
    """Holds the timers of what is about to be lowered."""

    def __init__(self, tell: Callable[[Publication], None]) -> None:
        self._tell = tell
        self._lowering: dict[int, asyncio.TimerHandle] = {}

    def published(self, publication: Publication) -> None:
        """Nobody watches yet, and the engine says nothing until somebody does."""
        if publication.plan.spec.kind == "video":
            self._lower(publication, -1, UNWATCHED_AFTER_S)

    def changed(self, publication: Publication, max_spatial: int) -> None:
        """The engine's newest word; -1 when nobody watches. Audio is always sent."""
        if publication.plan.spec.kind != "video":
            return
        pending = self._lowering.pop(publication.engine_id, None)
        if pending is not None:
            pending.cancel()
        if max_spatial > publication.demand:
            self._set(publication, max_spatial)
        elif max_spatial < publication.demand:
            self._lower(publication, max_spatial, LOWER_AFTER_S)

    def ended(self, publication: Publication) -> None:
        pending = self._lowering.pop(publication.engine_id, None)
        if pending is not None:
            pending.cancel()

    def _lower(self, publication: Publication, max_spatial: int, seconds: float) -> None:
        self._lowering[publication.engine_id] = asyncio.get_running_loop().call_later(
            seconds, self._set, publication, max_spatial
        )

    def _set(self, publication: Publication, max_spatial: int) -> None:
        self._lowering.pop(publication.engine_id, None)
        publication.demand = max_spatial
        self._tell(publication)

    def close(self) -> None:
        for handle in self._lowering.values():
            handle.cancel()
        self._lowering.clear()
