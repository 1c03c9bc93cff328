"""W3C Trace Context: the trace that a request is part of, as its `traceparent` says.

Level 1, the Recommendation of November 2021. Where there is none, or one that is invalid, nothing
is begun: we collect no spans. Where there is one, our part in it is named by the request's id.
"""

from __future__ import annotations

import re

from aiohttp import web
from msgspec import Struct
from multidict import istr

HEADER: str = istr("traceparent")
_KEY: web.RequestKey[Trace] = web.RequestKey("trace")
# Section 3.2.2: lower case, neither id all zeros, version ff never. A later version may say more
# behind another dash; what is before it means the same.
_FORM = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1


class Trace(Struct, frozen=True):
    """`sampled`: whoever called may have recorded it."""

    id: str
    sampled: bool

    def answer(self, request_id: str) -> str:
        """The same trace, with our own part: the last 16 digits of a UUID are never all zeros."""
        span = request_id.replace("-", "")[-16:]
        return f"00-{self.id}-{span}-{int(self.sampled):02x}"


def parse(text: str) -> Trace | None:
    found = _FORM.fullmatch(text)
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    return Trace(found[2], bool(int(found[4], 16) & _SAMPLED))


def take_trace(request: web.Request) -> Trace | None:
    """Of a request that has the header. One that comes twice is invalid (section 3.2.1)."""
    said = request.headers.getall(HEADER)
    trace = parse(said[0]) if len(said) == 1 else None
    if trace is not None:
        request[_KEY] = trace
    return trace


def trace_of(request: web.Request) -> Trace | None:
    """What was taken. Most requests have none, which is seen at once."""
    return request.get(_KEY) if HEADER in request.headers else None
