"""Entries for tests of the reducer, short to write; and the golden cases as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from signaling.chat.bodies import Plain
from signaling.chat.ops import Entry, Op, Part

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "chat"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOCK = 1_767_323_045_000


def ident_of(number: int) -> str:
    """The id of the n-th message."""
    return f"0190163d-8694-739b-aea5-{number:012x}"


def entry(seq: int, account: str | None, op: Op, **more: Any) -> Entry:
    """Version and clock follow the seq unless they are named."""
    said: dict[str, Any] = {
        "ident": f"{account}-1", "version": seq, "clock": CLOCK + seq,
        "at": START + timedelta(seconds=seq), "part": Part.MEMBER,
    }  # fmt: skip
    return Entry(seq=seq, account=account, op=op, **{**said, **more})


def plain(text: str) -> Plain:
    return Plain(text=text)


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One golden case: `view` is kept as JSON, so that what is left out counts too."""

    about: str
    entries: list[Entry]
    view: Any


def cases() -> list[tuple[str, Case]]:
    return [
        (path.stem, msgspec.json.decode(path.read_bytes(), type=Case))
        for path in sorted(GOLDEN.glob("*.json"))
    ]
