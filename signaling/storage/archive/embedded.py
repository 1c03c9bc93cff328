"""The embedded store whole: read from a snapshot while a server writes, written into a new file.

Reading takes no lock. Writing makes a directory beside the target and renames it at the end, so
that a target is either what it was or complete.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from signaling.errors import ConfigError
from signaling.storage.archive.records import Any, Blob, Broken, Cursor, Doc, End, Op, Room
from signaling.storage.embedded.connect import Lock, create, open_reader, open_writer
from signaling.storage.embedded.schema import STEPS, migrate
from signaling.storage.embedded.store import FILE
from signaling.storage.private import make_private

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, ...]).decode
# Rows of one transaction while restoring.
BATCH = 5000


def dump(directory: Path) -> Iterator[Any]:
    """Every row of one moment, then the blobs as they are found."""
    path = directory / FILE
    if not path.exists():
        raise ConfigError("store.directory", f"there is no {FILE} in it")
    connection = open_reader(path)
    try:
        connection.execute("BEGIN")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != len(STEPS):
            raise ConfigError("store", "start the server once: its file has another schema")
        yield from _documents(connection)
        yield from _rooms(connection)
    finally:
        connection.close()
    yield from blobs(directory / "blobs")


def _documents(connection: sqlite3.Connection) -> Iterator[Doc]:
    rows = connection.execute("SELECT * FROM meta ORDER BY app, kind, key")
    for app, kind, key, version, value, terms, expires in rows:
        yield Doc(app, kind, key, version, value, _unpack(terms), expires)


def _rooms(connection: sqlite3.Connection) -> Iterator[Any]:
    rooms = connection.execute("SELECT rid, app, room, floor, chain FROM room ORDER BY app, room")
    for rid, *fields in rooms:
        room = Room(*fields)
        yield room
        ops = connection.execute(
            "SELECT seq, ident, version, body, chain, digest FROM op"
            " WHERE rid = ? AND seq > ? ORDER BY seq",
            (rid, room.floor),
        )
        for row in ops:
            yield Op(*row)
        cursors = connection.execute(
            "SELECT ident, version, seq FROM cursor WHERE rid = ? ORDER BY ident", (rid,)
        )
        for row in cursors:
            yield Cursor(*row)


def blobs(root: Path) -> Iterator[Blob]:
    """Names that begin with a dot are being written."""
    if not root.is_dir():
        return
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield Blob(str(path.relative_to(root)), path.read_bytes())


def write_blob(root: Path, blob: Blob) -> None:
    """Raises `Broken` for a path that leads out of `root`."""
    path = (root / blob.path).resolve()
    if not path.is_relative_to(root.resolve()) or path == root.resolve():
        raise Broken("a blob leads out of its directory")
    make_private(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(blob.data)
        file.flush()
        os.fsync(file.fileno())


def check_empty(directory: Path, section: str = "store") -> None:
    """Raises ConfigError unless a store can be put there."""
    if directory.exists() and any(directory.iterdir()):
        where = f"{section}.directory"
        raise ConfigError(where, f"{directory} is not empty; nothing was changed")


def load(directory: Path, records: Iterable[Any]) -> None:
    """All of them or nothing."""
    check_empty(directory)
    make_private(directory.parent)
    beside = directory.with_name(f".{directory.name}.restoring")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        _fill(beside, records)
        if directory.exists():
            directory.rmdir()
        beside.rename(directory)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(directory: Path, records: Iterable[Any]) -> None:
    path = directory / FILE
    create(path)
    lock = Lock(path)
    connection = open_writer(path)
    try:
        migrate(connection)
        loader = _Loader(connection, directory / "blobs")
        connection.execute("BEGIN IMMEDIATE")
        for number, record in enumerate(records, 1):
            loader.take(record)
            if number % BATCH == 0:
                connection.execute("COMMIT")
                connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        found = connection.execute("PRAGMA integrity_check").fetchone()
        if found != ("ok",):
            raise Broken("the restored file is not sound")
    finally:
        connection.close()
        lock.release()
    _sync(directory)


class _Loader:
    """Writes records as they come; ops and cursors belong to the room before them."""

    def __init__(self, connection: sqlite3.Connection, root: Path) -> None:
        self._on = connection
        self._root = root
        self._rid = 0

    def take(self, record: Any) -> None:
        if isinstance(record, Doc):
            where = (record.app, record.kind, record.key)
            values = (record.version, record.value, _pack(record.terms), record.expires)
            self._on.execute("INSERT INTO meta VALUES (?, ?, ?, ?, ?, ?, ?)", (*where, *values))
            self._on.executemany(
                "INSERT INTO term VALUES (?, ?, ?, ?)",
                [(record.app, record.kind, term, record.key) for term in record.terms],
            )
        elif isinstance(record, Room):
            cursor = self._on.execute(
                "INSERT INTO room (app, room, floor, chain, gone) VALUES (?, ?, ?, ?, ?)",
                (record.app, record.room, record.floor, record.chain, record.floor),
            )
            self._rid = cursor.lastrowid or 0
        elif isinstance(record, Op):
            row = (self._rid, *msgspec.structs.astuple(record))
            self._on.execute("INSERT INTO op VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        elif isinstance(record, Cursor):
            row = (self._rid, *msgspec.structs.astuple(record))
            self._on.execute("INSERT INTO cursor VALUES (?, ?, ?, ?)", row)
        elif isinstance(record, Blob):
            write_blob(self._root, record)
        else:
            assert isinstance(record, End)
