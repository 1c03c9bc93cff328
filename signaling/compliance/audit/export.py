"""Records as lines of JSON (NDJSON) and of CSV, whose rows others use too. Pure.

A CSV cell that a spreadsheet would take for a formula gets an apostrophe in front (ASVS 1.2.10);
every cell is quoted (RFC 4180). JSON is ASCII, so that any log receiver takes it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from signaling.compliance.audit.entry import Record

COLUMNS = (
    "id", "at", "app", "actor", "action", "target", "result", "code", "request_id", "token_id",
    "address", "details",
)  # fmt: skip
# Spreadsheets also take the full-width forms for the signs themselves.
_FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")


def timestamp(at: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_dict(record: Record) -> dict[str, object]:
    shown = {name: getattr(record, name) for name in COLUMNS}
    shown["at"] = timestamp(record.at)
    return shown


def json_line(record: Record) -> bytes:
    return json.dumps(as_dict(record), separators=(",", ":")).encode() + b"\n"


def csv_head() -> bytes:
    return csv_row(COLUMNS)


def csv_line(record: Record) -> bytes:
    shown = as_dict(record)
    shown["details"] = " ".join(f"{k}={v}" for k, v in sorted(record.details.items()))
    return csv_row(tuple(str(shown[name]) for name in COLUMNS))


def safe_cell(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


def csv_row(cells: tuple[str, ...]) -> bytes:
    quoted = ('"' + safe_cell(cell).replace('"', '""') + '"' for cell in cells)
    return (",".join(quoted) + "\r\n").encode()
