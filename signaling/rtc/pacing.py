"""Rates in given time: a token bucket for floods, and a gate that thins frames to a target rate.

Pure; time is an argument.
"""

from __future__ import annotations


class TokenBucket:
    """`burst` at once, then `rate` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float, amount: float = 1.0) -> bool:
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True


class FrameGate:
    """Admits whole frames, at most `fps` a second; 0 admits all."""

    def __init__(self) -> None:
        self._interval = 0.0
        self._due = 0.0
        self._frame: int | None = None

    def set_rate(self, fps: int) -> None:
        self._interval = 1.0 / fps if fps > 0 else 0.0

    def admits(self, starts: bool, frame: int, now: float) -> bool:
        if self._interval == 0.0:
            return True
        if starts:
            if now < self._due:
                self._frame = None
            else:
                self._frame = frame
                # Catching up is bounded to one interval, so that a pause makes no burst.
                self._due = max(self._due + self._interval, now)
        return self._frame == frame
