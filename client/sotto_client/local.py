"""What one device keeps of its partitions, in SQLite: each change of it is one transaction.

A file is the copy of one partition: who it is to the server (ident and salt), how far it has come
(cursor and chain), the entries it has, those of a bootstrap under way, and what it has not seen
come back (pending). What was taken back is in no page of it, and in no old frame of its write-ahead
log. Used from one thread; owned by the client.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

_PRAGMAS = """
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
  path TEXT PRIMARY KEY, ident TEXT NOT NULL, salt TEXT NOT NULL, cursor INTEGER NOT NULL,
  chain TEXT NOT NULL, floor INTEGER NOT NULL, acked INTEGER NOT NULL, next INTEGER NOT NULL,
  clock INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
  path TEXT, seq INTEGER, data BLOB NOT NULL, key TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staged (
  path TEXT, seq INTEGER, data BLOB NOT NULL, key TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
  path TEXT, version INTEGER, clock INTEGER NOT NULL, op BLOB NOT NULL,
  PRIMARY KEY (path, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entry_key ON entry (path, key);
"""
VERSION = 1
"""Of the tables. Copies of version 0 kept what was deleted: they are begun anew."""
SMALL_PAGES = 1000
"""Up to here the file is written anew at once when something was taken back, since pages that
SQLite moved cells out of may still have them; a larger one when it is closed, or opened next."""
_REWRITE = "rewrite"
"""The setting that says that this is still to be done."""
EVERYTHING = 2**62
"""A seq, or a version, above all."""


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
        (mode,) = self._on.execute("PRAGMA journal_mode=WAL").fetchone()
        self._on.executescript(_PRAGMAS)
        self._depth = 0
        self._is_tainted = False
        self._is_on_disk = mode == "wal"
        self._open()

    def _open(self) -> None:
        (version,) = self._on.execute("PRAGMA user_version").fetchone()
        is_old = not version and bool(self._on.execute("PRAGMA table_info(entry)").fetchall())
        if version < VERSION:
            with self.transaction():
                self._upgrade(is_old)
        if is_old or self.setting(_REWRITE):
            self._write_anew()
        self._empty_log()

    def _upgrade(self, is_old: bool) -> None:
        if is_old:
            for table in ("entry", "staged"):
                self._on.execute(f"ALTER TABLE {table} ADD COLUMN key TEXT NOT NULL DEFAULT ''")
            self._on.execute("UPDATE file SET cursor = 0, chain = ''")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            self._on.execute(statement)
        self._on.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Idempotent."""
        with suppress(sqlite3.ProgrammingError):  # closed already
            if self._is_on_disk and self.setting(_REWRITE):
                self._write_anew()
                self._empty_log()
        self._on.close()

    # What was taken back

    def taint(self) -> None:
        """Something was written over, or dropped, that must be found nowhere any more."""
        self._is_tainted = self._is_on_disk

    def _clean(self) -> None:
        """After a transaction that was tainted."""
        (pages,) = self._on.execute("PRAGMA page_count").fetchone()
        if pages <= SMALL_PAGES:
            self._write_anew()
        self._is_tainted = not self._empty_log()

    def _write_anew(self) -> None:
        """Again later, when another connection is in the way or there is no room."""
        with suppress(sqlite3.OperationalError):
            self._on.execute("VACUUM")
            self._on.execute("DELETE FROM setting WHERE name = ?", (_REWRITE,))

    def _empty_log(self) -> bool:
        """False when another connection still reads from it."""
        with suppress(sqlite3.OperationalError):
            (busy, *_) = self._on.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
        return False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk at its end. May be nested."""
        self._depth += 1
        try:
            if self._depth == 1:
                self._on.execute("BEGIN IMMEDIATE")
            yield
            if self._depth == 1:
                if self._is_tainted:
                    self.set(_REWRITE, "due")
                self._on.execute("COMMIT")
        except BaseException:
            if self._depth == 1 and self._on.in_transaction:
                self._on.execute("ROLLBACK")
            raise
        finally:
            self._depth -= 1
        if self._is_tainted and not self._depth:
            self._clean()

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

    def entries(self, path: str, upto: int = EVERYTHING) -> list[bytes]:
        rows = self._on.execute(
            "SELECT data FROM entry WHERE path = ? AND seq <= ? ORDER BY seq", (path, upto)
        )
        return [row[0] for row in rows]

    def entry(self, path: str, seq: int) -> bytes | None:
        row = self._on.execute(
            "SELECT data FROM entry WHERE path = ? AND seq = ?", (path, seq)
        ).fetchone()
        return row[0] if row else None

    def entries_by(self, path: str, first: str, last: str) -> list[bytes]:
        """Those whose key is between these, in no order."""
        rows = self._on.execute(
            "SELECT data FROM entry WHERE path = ? AND key BETWEEN ? AND ?", (path, first, last)
        )
        return [row[0] for row in rows]

    def add(self, path: str, seq: int, data: bytes, key: str = "") -> None:
        self._on.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", (path, seq, data, key))

    def replace(self, path: str, seq: int, data: bytes, key: str) -> None:
        """What it said before is gone."""
        where = "UPDATE entry SET data = ?, key = ? WHERE path = ? AND seq = ?"
        self._on.execute(where, (data, key, path, seq))
        self.taint()

    def forget_upto(self, path: str, floor: int) -> None:
        self._drop("DELETE FROM entry WHERE path = ? AND seq <= ?", path, floor)

    def _drop(self, where: str, path: str, upto: int) -> None:
        if self._on.execute(where, (path, upto)).rowcount:
            self.taint()

    def stage(self, path: str, seq: int, data: bytes, key: str = "") -> None:
        self._on.execute("REPLACE INTO staged VALUES (?, ?, ?, ?)", (path, seq, data, key))

    def unstage(self, path: str) -> None:
        self._drop("DELETE FROM staged WHERE path = ? AND seq <= ?", path, EVERYTHING)

    def take_staged(self, path: str) -> None:
        """What was staged is now all there is."""
        self.forget_upto(path, EVERYTHING)
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

    def replace_pending(self, path: str, change: Pending) -> None:
        """What it said before is gone."""
        where = "UPDATE pending SET op = ? WHERE path = ? AND version = ?"
        self._on.execute(where, (change.op, path, change.version))
        self.taint()

    def drop_pending(self, path: str, version: int) -> None:
        where = "DELETE FROM pending WHERE path = ? AND version = ?"
        self._on.execute(where, (path, version))

    def drop_pending_upto(self, path: str, version: int) -> None:
        self._drop("DELETE FROM pending WHERE path = ? AND version <= ?", path, version)

    # Settings

    def setting(self, name: str) -> str:
        row = self._on.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set(self, name: str, value: str) -> None:
        self._on.execute("REPLACE INTO setting VALUES (?, ?)", (name, value))
