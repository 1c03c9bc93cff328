"""This room's errors.

TurnError
├── CoturnMissing   coturn is not installed, or too old to be configured safely
└── CoturnFailed    it was started and did not stay up
"""

from __future__ import annotations


class TurnError(Exception):
    """`message` says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CoturnMissing(TurnError):  # noqa: N818 - names what happened
    pass


class CoturnFailed(TurnError):  # noqa: N818 - names what happened
    pass
