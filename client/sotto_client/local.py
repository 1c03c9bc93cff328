"""What one device keeps of its partitions, in SQLite: each change of it is one transaction.

A file is the copy of one partition: who it is to the server (ident and salt), how far it has come
(cursor and chain), the entries it has, those of a bootstrap under way, and what it has not seen
come back (pending). Used from one thread; owned by the client.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, ident TEXT NOT NULL, salt TEXT NOT NULL, cursor INTEGER NOT NULL,
  chain TEXT NOT NULL, floor INTEGER NOT NULL, acked INTEGER NOT NULL, next INTEGER NOT NULL,
  clock INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
  path TEXT, seq INTEGER, data BLOB NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (
  path TEXT, seq INTEGER, data BLOB NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
  path TEXT, version INTEGER, clock INTEGER NOT NULL, op BLOB NOT NULL,
  PRIMARY KEY (path, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class File(msgspec.Struct, kw_only=True):
    """`next`: the version of the next local change. `state`: JSON of what is left of entries that
    are gone, or empty."""

    path: str
    ident: str = ""
    salt: str = ""
    cursor: int = 0
    chain: str = ""
    floor: int = 0
    acked: int = 0
    next: int = 1
    clock: int = 0
    state: bytes = b""


class Pending(msgspec.Struct, frozen=True):
    version: int
    clock: int
    op: bytes


class Local:
    """See the module. `:memory:` for a device that forgets."""

    def __init__(self, place: Path | str) -> None:
        self._on = sqlite3.connect(place, isolation_level=None)
        self._on.execute("PRAGMA journal_mode=WAL")
        self._on.execute("PRAGMA synchronous=FULL")
        self._on.executescript(_SCHEMA)
        self._depth = 0

    def close(self) -> None:
        self._on.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk at its end. May be nested."""
        self._depth += 1
        try:
            if self._depth == 1:
                self._on.execute("BEGIN IMMEDIATE")
            yield
            if self._depth == 1:
                self._on.execute("COMMIT")
        except BaseException:
            if self._depth == 1 and self._on.in_transaction:
                self._on.execute("ROLLBACK")
            raise
        finally:
            self._depth -= 1

    # Files

    def file(self, path: str) -> File:
        row = self._on.execute("SELECT * FROM file WHERE path = ?", (path,)).fetchone()
        if row is None:
            return File(path=path)
        return File(**dict(zip(File.__struct_fields__, row, strict=True)))

    def keep(self, file: File) -> None:
        values = msgspec.structs.astuple(file)
        self._on.execute("REPLACE INTO file VALUES (?,?,?,?,?,?,?,?,?,?)", values)

    def paths(self) -> list[str]:
        return [row[0] for row in self._on.execute("SELECT path FROM file ORDER BY path")]

    # Entries

    def entries(self, path: str, upto: int = 2**62) -> list[bytes]:
        rows = self._on.execute(
            "SELECT data FROM entry WHERE path = ? AND seq <= ? ORDER BY seq", (path, upto)
        )
        return [row[0] for row in rows]

    def add(self, path: str, seq: int, data: bytes) -> None:
        self._on.execute("INSERT INTO entry VALUES (?, ?, ?)", (path, seq, data))

    def forget_upto(self, path: str, floor: int) -> None:
        self._on.execute("DELETE FROM entry WHERE path = ? AND seq <= ?", (path, floor))

    def stage(self, path: str, seq: int, data: bytes) -> None:
        self._on.execute("REPLACE INTO staged VALUES (?, ?, ?)", (path, seq, data))

    def unstage(self, path: str) -> None:
        self._on.execute("DELETE FROM staged WHERE path = ?", (path,))

    def take_staged(self, path: str) -> None:
        """What was staged is now all there is."""
        self._on.execute("DELETE FROM entry WHERE path = ?", (path,))
        self._on.execute("INSERT INTO entry SELECT * FROM staged WHERE path = ?", (path,))
        self.unstage(path)

    # Pending

    def pending(self, path: str, after: int = 0, most: int = -1) -> list[Pending]:
        """The oldest `most` of them; a negative number means all."""
        rows = self._on.execute(
            "SELECT version, clock, op FROM pending WHERE path = ? AND version > ?"
            " ORDER BY version LIMIT ?",
            (path, after, most),
        )
        return [Pending(*row) for row in rows]

    def one_pending(self, path: str, version: int) -> Pending | None:
        row = self._on.execute(
            "SELECT version, clock, op FROM pending WHERE path = ? AND version = ?",
            (path, version),
        ).fetchone()
        return Pending(*row) if row else None

    def put_pending(self, path: str, change: Pending) -> None:
        values = (path, change.version, change.clock, change.op)
        self._on.execute("INSERT INTO pending VALUES (?, ?, ?, ?)", values)

    def drop_pending(self, path: str, version: int) -> None:
        where = "DELETE FROM pending WHERE path = ? AND version = ?"
        self._on.execute(where, (path, version))

    def drop_pending_upto(self, path: str, version: int) -> None:
        where = "DELETE FROM pending WHERE path = ? AND version <= ?"
        self._on.execute(where, (path, version))

    # Settings

    def setting(self, name: str) -> str:
        row = self._on.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set(self, name: str, value: str) -> None:
        self._on.execute("REPLACE INTO setting VALUES (?, ?)", (name, value))
