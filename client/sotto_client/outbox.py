"""What waits to leave on one socket: frames in their order, no faster than the server takes them.

A token bucket of the rate and the burst that its hello told (beyond them it ends the socket with
error 104). Uploads that wait together leave together, so that who writes faster than frames may
leave needs no more of them. Pure: time is an argument. Owned by a socket's sender.
"""

from __future__ import annotations

from collections import deque

from sotto_client.replica import UPLOAD_BYTES, UPLOAD_CHANGES, Frame, dumped

# A sum of many fractions may miss one by so much.
TINY = 1e-9
SHARE = 0.8
"""Of the rate and the burst that the server allows, so that rounding costs no socket."""


class Outbox:
    """States: a frame may leave (`wait` is 0) or is early (`wait` says by how many seconds)."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._rate = per_second * SHARE
        self._most = max(1.0, burst * SHARE)
        self._tokens = self._most
        self._filled_at = now
        self._waiting: deque[tuple[Frame, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, frame: Frame) -> None:
        size = sum(map(_size, frame["changes"])) if frame["type"] == "upload" else 0
        if not self._joined(frame, size):
            self._waiting.append((frame, size))

    def _joined(self, frame: Frame, size: int) -> bool:
        """With the upload of the same session that is the last to wait."""
        if not self._waiting:
            return False
        last, before = self._waiting[-1]
        if not last["type"] == frame["type"] == "upload" or last["session"] != frame["session"]:
            return False
        changes = [*last["changes"], *frame["changes"]]
        if before + size > UPLOAD_BYTES or len(changes) > UPLOAD_CHANGES:
            return False
        self._waiting[-1] = ({**last, "changes": changes}, before + size)
        return True

    def wait(self, now: float) -> float:
        """Seconds until the next frame may leave."""
        fresh = max(0.0, now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._most, self._tokens + fresh), now
        return 0.0 if self._tokens >= 1 - TINY else (1 - self._tokens) / self._rate

    def take(self) -> Frame:
        """The next frame; only after `wait` gave 0."""
        self._tokens -= 1
        return self._waiting.popleft()[0]


def _size(change: Frame) -> int:
    return len(dumped(change).encode())
