"""What the state machine of sync may find: its own errors, which nothing else raises.

A test that dies of anything else (a part that is gone, a bug of the test) has found nothing.
"""

from __future__ import annotations

from enum import StrEnum


class What(StrEnum):
    GAP = "the log has a gap"
    TWICE = "one change of one file has two places in the log"
    HIDDEN = "one's own change is not shown at once"
    VANISHED = "a post vanished from the device that made it"
    CURSOR = "a cursor fell without a reset"
    UNREST = "a device does not come to rest"
    DIFFERENT = "two who have everything see different things"
    MISCOUNTED = "what was done is in the log never, or more than once"
    DISORDER = "what one device did is in the log in another order"


class Wrong(AssertionError):  # noqa: N818 - names what it says
    """What must hold does not."""

    def __init__(self, what: What, detail: str = "") -> None:
        super().__init__(f"{what}: {detail}" if detail else what)
        self.what = what


def must(what: What, holds: bool, detail: str = "") -> None:
    """Raises Wrong of this kind unless it holds."""
    if not holds:
        raise Wrong(what, detail)
