"""From a copy of a log to what it comes to: the confirmed, then the pending on top.

For rooms and for an account's own data alike; the reducers are the server's (`model`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec

from sotto_client.replica import Frame, Replica

# Pending entries stand behind all that a log can have, by numbers that JavaScript has too.
BEHIND = 2**52

E = TypeVar("E")
E_contra = TypeVar("E_contra", contravariant=True)
S = TypeVar("S", bound="State[Any]")


class State(Protocol[E_contra]):
    """What the server's reducers fold into."""

    seq: int

    def apply(self, entry: E_contra) -> None: ...


def entries_of(replica: Replica, kind: type[E], **author: Any) -> list[E]:
    """What the log has, then what is pending, as the server would say it with `author`."""
    pending = [
        {
            "seq": BEHIND + change.version,
            "ident": replica.file.ident,
            "version": change.version,
            "clock": change.clock,
            "at": datetime.fromtimestamp(change.clock / 1000, UTC).isoformat(),
            "op": msgspec.json.decode(change.op),
            **author,
        }
        for change in replica.pending()
    ]
    return read([*replica.entries(), *pending], kind)


def read(frames: Iterable[Frame], kind: type[E]) -> list[E]:
    """What this version does not know is left out."""
    found = []
    for frame in frames:
        try:
            found.append(msgspec.convert(frame, kind))
        except msgspec.ValidationError:
            continue
    return found


def folded(state: bytes, kind: type[S], entries: Iterable[Any]) -> S:
    """On top of what is left of entries that are gone."""
    found = msgspec.json.decode(state, type=kind) if state else kind()
    start = found.seq
    for entry in entries:
        if entry.seq > start:
            found.apply(entry)
    return found
