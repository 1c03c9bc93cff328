"""The few facts of an offer that signaling needs: for each media section its mid and whether it sends.

Not an SDP parser: the media server has validated the text before this sees it (RFC 8866, RFC 9429).
"""

from __future__ import annotations

from dataclasses import dataclass

_SENDING = frozenset({"sendrecv", "sendonly"})
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


@dataclass(frozen=True, slots=True)
class Section:
    kind: str
    mid: str
    sends: bool


def sections(sdp: str) -> list[Section]:
    """Sections in order. Without a direction attribute a section is sendrecv (RFC 8866 6.7)."""
    found: list[Section] = []
    kind = mid = ""
    direction = "sendrecv"
    rejected = False

    def finish() -> None:
        if kind:
            found.append(Section(kind, mid, direction in _SENDING and not rejected))

    for line in sdp.splitlines():
        if line.startswith("m="):
            finish()
            words = line[2:].split(" ")
            kind, mid, direction = words[0], "", "sendrecv"
            rejected = len(words) > 1 and words[1] == "0" and kind != "application"
        elif line.startswith("a=bundle-only"):
            rejected = False  # port 0 is then how bundling is written (RFC 9143 7.1.3)
        elif line.startswith("a=mid:"):
            mid = line[6:].strip()
        elif line.startswith("a=") and line[2:].strip() in _DIRECTIONS:
            direction = line[2:].strip()
    finish()
    return found
