"""`Meta` on SQLite: compare and set inside the writer's transaction, reads beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from signaling.clock import Clock
from signaling.ids import Entropy
from signaling.storage import checks
from signaling.storage.embedded.reader import Reader
from signaling.storage.embedded.writer import Writer
from signaling.storage.memory import first_version
from signaling.storage.port import Conflict, Document

# Expired documents removed in one transaction, so that a sweep never holds the loop for long.
SWEEP = 500

_FIELDS = "key, version, value, terms, expires"
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, ...]).decode


def document(row: Any) -> Document:
    key, version, value, terms, expires = row
    return Document(key, version, value, _unpack(terms), expires)


class Documents:
    """Owned by `EmbeddedStore`."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, entropy: Entropy) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._entropy = entropy

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        if not checks.addressable(app, kind, key):
            return None
        row = self._reader.row(
            f"SELECT {_FIELDS} FROM meta WHERE app = ? AND kind = ? AND key = ?"  # noqa: S608
            " AND (expires IS NULL OR expires > ?)",
            (app, kind, key, self._clock.unix()),
        )
        return None if row is None else document(row)

    async def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        *,
        expect: int,
        terms: Sequence[str] = (),
        expires: float | None = None,
    ) -> int:
        checks.check_put(app, kind, key, value, terms)
        where = (app, kind, key)
        sorted_terms = sorted(set(terms))
        written = (value, _pack(sorted_terms), expires)
        return await self._writer.write(lambda on: self._put(on, where, expect, written))

    def _put(
        self,
        on: sqlite3.Connection,
        where: tuple[str, str, str],
        expect: int,
        written: tuple[bytes, bytes, float | None],
    ) -> int:
        row, live = self._find(on, where)
        if (row[0] if live else 0) != expect:
            raise Conflict(where[1])
        version: int = row[0] + 1 if live else first_version(self._entropy)
        on.execute("REPLACE INTO meta VALUES (?, ?, ?, ?, ?, ?, ?)", (*where, version, *written))
        if (row[1] if row else _pack(())) != written[1]:
            self._index(on, where, _unpack(row[1]) if row else (), _unpack(written[1]))
        return version

    def _find(self, on: sqlite3.Connection, where: tuple[str, str, str]) -> tuple[Any, bool]:
        """Version, terms and expiry of what is there; and whether it is there still."""
        row = on.execute(
            "SELECT version, terms, expires FROM meta WHERE app = ? AND kind = ? AND key = ?", where
        ).fetchone()
        return row, row is not None and (row[2] is None or row[2] > self._clock.unix())

    @staticmethod
    def _index(
        on: sqlite3.Connection,
        where: tuple[str, str, str],
        old: Sequence[str],
        new: Sequence[str],
    ) -> None:
        app, kind, key = where
        on.executemany(
            "DELETE FROM term WHERE app = ? AND kind = ? AND term = ? AND key = ?",
            [(app, kind, term, key) for term in set(old) - set(new)],
        )
        on.executemany(
            "INSERT INTO term VALUES (?, ?, ?, ?)",
            [(app, kind, term, key) for term in sorted(set(new) - set(old))],
        )

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        if not checks.addressable(app, kind, key):
            if expect is not None:
                raise Conflict(kind)
            return False
        return await self._writer.write(lambda on: self._delete(on, (app, kind, key), expect))

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        checks.check_batch(keys)
        places = [(app, kind, key) for key in keys if checks.addressable(app, kind, key)]
        if not places:
            return 0
        return await self._writer.write(
            lambda on: sum(self._delete(on, where, None) for where in places)
        )

    def _delete(
        self, on: sqlite3.Connection, where: tuple[str, str, str], expect: int | None
    ) -> bool:
        row, live = self._find(on, where)
        if expect is not None and (not live or row[0] != expect):
            raise Conflict(where[1])
        if row is not None:
            self._remove(on, where, row[1])
        return live

    def _remove(self, on: sqlite3.Connection, where: tuple[str, str, str], terms: bytes) -> None:
        on.execute("DELETE FROM meta WHERE app = ? AND kind = ? AND key = ?", where)
        self._index(on, where, _unpack(terms), ())

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        checks.check_limit(limit)
        if not (checks.plain(app) and checks.plain(kind) and checks.is_start(after)):
            return []
        now = self._clock.unix()
        if term is None:
            rows = self._reader.rows(
                f"SELECT {_FIELDS} FROM meta WHERE app = ? AND kind = ? AND key > ?"  # noqa: S608
                " AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?",
                (app, kind, after, now, limit),
            )
        elif checks.plain(term):
            rows = self._reader.rows(
                "SELECT m.key, version, value, terms, expires FROM term AS t CROSS JOIN meta AS m"
                " ON m.app = t.app AND m.kind = t.kind AND m.key = t.key"
                " WHERE t.app = ? AND t.kind = ? AND t.term = ? AND t.key > ?"
                " AND (expires IS NULL OR expires > ?) ORDER BY t.key LIMIT ?",
                (app, kind, term, after, now, limit),
            )
        else:
            rows = []
        return [document(row) for row in rows]

    async def sweep(self) -> int:
        """Remove what expired; how many."""
        removed = 0
        while count := await self._writer.write(self._sweep):
            removed += count
            if count < SWEEP:
                break
        return removed

    def _sweep(self, on: sqlite3.Connection) -> int:
        rows = on.execute(
            "SELECT app, kind, key, terms FROM meta WHERE expires <= ? LIMIT ?",
            (self._clock.unix(), SWEEP),
        ).fetchall()
        for app, kind, key, terms in rows:
            self._remove(on, (app, kind, key), terms)
        return len(rows)
