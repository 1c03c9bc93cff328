"""How the file is opened: the lock, the one writing connection, the readers.

SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log when two connections write or checkpoint at
once, so there is one writing and checkpointing connection for each file, and an flock that a second
server on the same file meets. Readers are opened read-only and never checkpoint.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from signaling.errors import ConfigError
from signaling.storage.private import make_private

# Pages in the log before COMMIT copies them into the file: 16 MB, so that the copy is rare and
# one COMMIT in many pays for it.
CHECKPOINT_PAGES = 4000
# Kept of the log after a checkpoint, so that a burst does not hold the disk.
LOG_BYTES = 64 * 1024 * 1024
# A second process that reads (`sotto backup`) may hold a lock for a moment.
BUSY_SECONDS = 5.0


class Lock:
    """Held for as long as the file is open for writing; the kernel drops it when we die."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError when another server holds it."""
        self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise ConfigError("store", f"another server has {path.name} open") from error

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def create(path: Path) -> None:
    """An empty file that only we can read; SQLite gives its companions the same mode."""
    make_private(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes. Used by one thread at a time, not always the same one."""
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"journal_size_limit = {LOG_BYTES}",
        "cache_size = -65536",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Sees what was committed, changes nothing, checkpoints nothing."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=256,
    )
    for pragma in ("query_only = 1", "temp_store = MEMORY", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def same_file(path: Path, inode: int) -> bool:
    """Whether the path still leads to the file that was opened."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino == inode
    return False
