"""Connection quality of participants, from loss and round trip, with hysteresis. Pure.

A score of 0 to 5 in the manner of the E-model (ITU-T G.107, much reduced): delay costs little up to
150 ms and then more; loss costs most. Steps down at once, up only after it stayed better.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediaserver.stats import Snapshot

if TYPE_CHECKING:
    from mediaserver.participant.participant import Participant

POOR, GOOD, EXCELLENT, LOST = 0, 1, 2, 3
LOST_AFTER_S = 4.0
# Updates that must agree before the grade rises, so that it does not flicker.
RISE_AFTER = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen since the last one; losses as fractions."""

    loss: float
    rtt_ms: float
    age_s: float


def sample(participant: "Participant", snapshot: Snapshot) -> Sample:
    """The worst of the participant's connections."""
    loss = rtt = 0.0
    age = math.inf
    for connection in participant.connections.values():
        row = snapshot.transport(connection.transport)
        loss = max(loss, row.loss_out)
        rtt = max(rtt, row.rtt_ms)
        if row.last_receive_ms is not None:
            age = min(age, row.last_receive_ms / 1000)
    for track in participant.publishing.tracks():
        for publication in track.publications:
            for encoding in snapshot.publication(publication.engine_id).encodings:
                loss = max(loss, encoding.loss)
    return Sample(loss, rtt, age)


def score(seen: Sample) -> float:
    delay = seen.rtt_ms / 2
    rating = 93.2 - 0.024 * delay - (0.11 * (delay - 150) if delay > 150 else 0)
    rating -= 30 * min(1.0, seen.loss * 8) + 45 * min(1.0, seen.loss * 2)
    rating = max(0.0, min(100.0, rating))
    opinion = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    return round(max(1.0, opinion), 2)


def grade(seen: Sample) -> int:
    if seen.age_s >= LOST_AFTER_S:
        return LOST
    value = score(seen)
    return EXCELLENT if value >= 4.1 else GOOD if value >= 3.1 else POOR


class QualityTracker:
    """Remembers what was last said of each participant."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        self._better: dict[str, int] = {}

    def update(self, participant_id: str, seen: Sample) -> tuple[int, float] | None:
        """(grade, score) when it is to be said, None when nothing changed."""
        new = grade(seen)
        old = self._said.get(participant_id)
        if old == new:
            self._better.pop(participant_id, None)
            return None
        if old is not None and old != LOST and new != LOST and new > old:
            count = self._better.get(participant_id, 0) + 1
            self._better[participant_id] = count
            if count < RISE_AFTER:
                return None
        self._better.pop(participant_id, None)
        self._said[participant_id] = new
        return new, 0.0 if new == LOST else score(seen)

    def forget(self, participant_id: str) -> None:
        self._said.pop(participant_id, None)
        self._better.pop(participant_id, None)
