"""docs/operations/mirror.md names every field that is written or taken, and every reason."""

from __future__ import annotations

import re
from pathlib import Path

from signaling.mirror.documents import MessageDocument, RoomDocument
from signaling.mirror.inbound import NewPost
from signaling.mirror.notices import NoticeDocument
from signaling.mirror.port import Place, Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations" / "mirror.md"


def part(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def named(heading: str) -> set[str]:
    """The first column of its table."""
    return set(re.findall(r"^\| `(\w+)` \|", part(heading), re.MULTILINE))


def test_the_fields_of_messages_and_rooms_are_those_that_are_written() -> None:
    assert named("Messages") == {"_id", *MessageDocument.__struct_fields__}
    fields = {"_id", *RoomDocument.__struct_fields__, *Place.__struct_fields__}
    assert named("Rooms") == fields


def test_the_fields_of_the_inbox_are_those_that_are_taken() -> None:
    assert named("The inbox") == {"_id", *NewPost.__struct_fields__}


def test_the_fields_of_notices_are_those_that_are_written() -> None:
    assert named("Notices") == {"_id", *NoticeDocument.__struct_fields__}


def test_every_reason_is_explained() -> None:
    assert {reason.value for reason in Reason} <= named("Quarantine")
