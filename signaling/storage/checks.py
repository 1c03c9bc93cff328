"""What every adapter refuses in the same way, before it touches anything. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from signaling.storage.port import (
    MAX_BATCH,
    MAX_BODY,
    MAX_NAME,
    MAX_VALUE,
    MAX_VERSION,
    NewOp,
    is_name,
)

MAX_TERMS = 64
_BLOB = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


def plain(text: str) -> bool:
    """Apps, kinds and terms: adapters join them with NUL."""
    return is_name(text) and "\0" not in text


def addressable(app: str, kind: str, key: str) -> bool:
    return plain(app) and plain(kind) and is_name(key)


def check_put(app: str, kind: str, key: str, value: bytes, terms: Sequence[str]) -> None:
    if not addressable(app, kind, key):
        raise ValueError(f"app, kind and key are 1 to {MAX_NAME} bytes of UTF-8")
    if len(value) > MAX_VALUE:
        raise ValueError(f"a document has at most {MAX_VALUE} bytes")
    if len(terms) > MAX_TERMS or not all(plain(term) for term in terms):
        raise ValueError(f"at most {MAX_TERMS} terms of 1 to {MAX_NAME} bytes of UTF-8")


def check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError("a page has at least one entry")


def check_batch(keys: Sequence[str]) -> None:
    if len(keys) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} documents are removed at once")


def check_picked(seqs: Sequence[int]) -> list[int]:
    """Those that an op may have."""
    if len(seqs) > MAX_BATCH:
        raise ValueError(f"at most {MAX_BATCH} ops are picked at once")
    return sorted({seq for seq in seqs if 0 < seq <= MAX_VERSION})


def readable(app: str, room: str) -> bool:
    return plain(app) and is_name(room)


def check_append(app: str, room: str, ops: Sequence[NewOp]) -> None:
    if not readable(app, room):
        raise ValueError(f"app and room are 1 to {MAX_NAME} bytes of UTF-8")
    if len(ops) > MAX_BATCH:
        raise ValueError(f"an append has at most {MAX_BATCH} ops")
    for op in ops:
        if not is_name(op.ident):
            raise ValueError(f"an ident is 1 to {MAX_NAME} bytes of UTF-8")
        if not 1 <= op.version <= MAX_VERSION:
            raise ValueError("a version is 1 to 2^63 - 1")
        if len(op.body) > MAX_BODY:
            raise ValueError(f"an op has at most {MAX_BODY} bytes")


def is_blob(app: str, name: str) -> bool:
    return plain(app) and _BLOB.fullmatch(name) is not None


def check_blob(app: str, name: str, data: bytes) -> None:
    if not is_blob(app, name):
        raise ValueError("a blob's name is [a-z0-9._-], at most 128 characters")
    if len(data) > MAX_VALUE:
        raise ValueError(f"a blob has at most {MAX_VALUE} bytes")


def is_start(after: str) -> bool:
    """Where a scan may begin."""
    return is_name(after, empty=True)
