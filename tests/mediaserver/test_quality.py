"""Connection quality: what lowers it, and that it does not flicker."""

import pytest

from mediaserver.quality import (
    EXCELLENT,
    GOOD,
    LOST,
    POOR,
    QualityTracker,
    Sample,
    grade,
    score,
)

FINE = Sample(loss=0.0, rtt_ms=30, age_s=0.1)
LOSSY = Sample(loss=0.2, rtt_ms=30, age_s=0.1)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (FINE, EXCELLENT),
        (Sample(0.01, 80, 0), EXCELLENT),
        (Sample(0.05, 100, 0), GOOD),
        (Sample(0.0, 700, 0), GOOD),
        (LOSSY, POOR),
        (Sample(1.0, 5000, 0), POOR),
        (Sample(0.0, 30, 4.0), LOST),
    ],
)
def test_grades(seen: Sample, expected: int) -> None:
    assert grade(seen) == expected


def test_scores_fall_with_loss_and_delay() -> None:
    losses = [score(Sample(x / 100, 50, 0)) for x in range(0, 60, 5)]
    delays = [score(Sample(0.0, x, 0)) for x in range(0, 2000, 100)]
    assert losses == sorted(losses, reverse=True) and delays == sorted(delays, reverse=True)
    assert min(losses + delays) >= 0 and max(losses + delays) <= 5


def test_changes_are_said_once_down_at_once_and_up_later() -> None:
    tracker = QualityTracker()
    assert tracker.update("PA", FINE) == (EXCELLENT, score(FINE))
    assert tracker.update("PA", FINE) is None
    assert tracker.update("PA", LOSSY) == (POOR, score(LOSSY))
    assert tracker.update("PA", FINE) is None
    assert tracker.update("PA", FINE) == (EXCELLENT, score(FINE))


def test_lost_and_found_are_said_at_once() -> None:
    tracker = QualityTracker()
    tracker.update("PA", FINE)
    assert tracker.update("PA", Sample(0, 0, 9)) == (LOST, 0.0)
    assert tracker.update("PA", FINE) == (EXCELLENT, score(FINE))
    tracker.forget("PA")
    assert tracker.update("PA", FINE) is not None
