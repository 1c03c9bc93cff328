"""The one writing connection, with group commit.

Statements run inline on the event loop (10 to 20 us each); only COMMIT, which waits for the disk,
runs in a thread, and what arrives meanwhile is the next transaction. A thread that ran every
statement was three to four times slower.

States: open -> failed (the disk refused) -> open, and closed. A failed writer tries again at each
write. Owned by `EmbeddedStore`; used from the event loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from signaling.errors import Unavailable
from signaling.storage.embedded.connect import Lock, create, open_writer, same_file
from signaling.storage.embedded.schema import migrate
from signaling.storage.embedded.thread import Thread

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# Seconds that a client is asked to wait when the disk refuses.
RETRY_AFTER = 5
# Works of one transaction that waited for the one before: they run in one step of the loop, some
# 10 ms for so many, and everybody else's sockets wait for that.
AT_ONCE = 500


def is_outage(error: sqlite3.Error) -> bool:
    """Disk full, input and output, a broken file: not the fault of a statement."""
    return type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError)


def unavailable(error: sqlite3.Error) -> Unavailable:
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    return Unavailable(f"the store cannot be used ({name})", RETRY_AFTER)


class _Write:
    """One caller's work, and the future that it waits on."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def succeed(self) -> None:
        """The transaction is on the disk: also the one that the work's own refusal was based on."""
        if self.error is not None:
            self.fail(self.error)
        elif not self.future.done():
            self.future.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Writer:
    """`write` returns when its work is on the disk.

    Work validates first and writes then: an exception that it raises itself must leave nothing
    written, since there is no savepoint for each. An error of SQLite rolls the whole batch back,
    and each of its works is done again alone. `rolled_back` tells the owner of caches;
    `before_commit` lets it write what it has put off, `committed` believe it.
    """

    def __init__(
        self,
        path: Path,
        rolled_back: Callable[[], None],
        before_commit: Callable[[sqlite3.Connection], None],
        committed: Callable[[], None],
    ) -> None:
        """Raises ConfigError when another server has the file, or its schema is newer."""
        self._path = path
        self._rolled_back = rolled_back
        self._before_commit = before_commit
        self._committed = committed
        self._batch: list[_Write] = []  # done in the open transaction
        self._waiting: list[_Write] = []  # came while the connection was in the thread
        self._again: list[_Write] = []  # to be done one by one
        self._truncating: list[asyncio.Future[bool]] = []
        self._busy = False
        self._closed = False
        self._turn: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self.truncate_due = False
        create(path)
        self._lock = Lock(path)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        self._inode = path.stat().st_ino
        self._thread = Thread("sotto-store")

    def _open(self) -> sqlite3.Connection:
        connection = open_writer(self._path)
        try:
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def intact(self) -> bool:
        """Whether the path still leads to the file that we write."""
        return same_file(self._path, self._inode)

    async def write(self, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the store is closed", None)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        entry = _Write(work, future)
        if self._busy or self._again:
            self._waiting.append(entry)
        else:
            self._run(entry)
        self._wake()
        return await future

    async def truncate(self) -> bool:
        """Copy the log into the file and empty it, so that erased bytes are in neither.

        False when a reader in another process (a backup) holds an older state; then `truncate_due`
        stays set, and the next sweep tries again.
        """
        self.truncate_due = True
        if self._closed:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._truncating.append(future)
        self._wake()
        return await future

    async def close(self) -> None:
        """What was begun is finished first."""
        if self._closed:
            return
        with contextlib.suppress(sqlite3.Error):
            await self.truncate()
        self._closed = True
        while self._turn is not None:
            await asyncio.wait([self._turn])
        self._thread.stop()
        if self._connection is not None:
            self._connection.close()
        self._lock.release()

    def _wake(self) -> None:
        if self._turn is None:
            self._turn = asyncio.create_task(self._turns())

    def _run(self, entry: _Write) -> None:
        """In the open transaction, or as the first of a new one."""
        try:
            connection = self._connection or self._open()
            if not self._batch:
                connection.execute("BEGIN IMMEDIATE")
            entry.result = entry.work(connection)
        except sqlite3.Error as error:
            log.debug("a statement failed; its batch is done again", exc_info=error)
            self._undo()
            self._again += [*self._batch, entry]
            self._batch = []
        except Exception as error:
            if not self._batch:
                entry.fail(error)
                self._roll_back()
                return
            # It may be due to what is not committed yet (a conflict): whoever reads again must then
            # see that, and if the batch is undone the work is done again.
            entry.error = error
            self._batch.append(entry)
        else:
            self._batch.append(entry)

    def _undo(self) -> None:
        self._rolled_back()
        self._roll_back()

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    async def _turns(self) -> None:
        """Commit, answer, take what waited; ends when nothing is left."""
        await asyncio.sleep(0)  # whoever is ready in this step of the loop joins the transaction
        try:
            while self._batch or self._again or self._waiting or self._truncating:
                if self._again:
                    await self._do_alone(self._again.pop(0))
                elif self._batch:
                    await self._commit()
                elif self._waiting:
                    self._take()
                else:
                    await self._truncate(self._truncating.pop(0))
        finally:
            self._turn = None

    def _take(self) -> None:
        taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        for place, entry in enumerate(taken):
            if self._again:
                self._waiting[:0] = taken[place:]
                return
            self._run(entry)

    async def _commit(self) -> None:
        batch, self._batch = self._batch, []
        try:
            if self._connection is not None:
                self._before_commit(self._connection)
            await self._in_thread("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            self._suspect(error)
            self._again += batch
        else:
            self._committed()
            for entry in batch:
                entry.succeed()

    async def _do_alone(self, entry: _Write) -> None:
        entry.error = None
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            entry.result = entry.work(connection)
            self._before_commit(connection)
            await self._in_thread("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            self._suspect(error)
            entry.fail(unavailable(error) if is_outage(error) else error)
        except Exception as error:
            self._undo()
            entry.fail(error)
        else:
            self._committed()
            entry.succeed()

    async def _truncate(self, future: asyncio.Future[bool]) -> None:
        done = False
        try:
            if self._connection is not None:
                row = await self._in_thread("PRAGMA wal_checkpoint(TRUNCATE)")
                done = row[0] == 0
        except sqlite3.Error as error:
            self._suspect(error)
        if done:
            self.truncate_due = False
        if not future.done():
            future.set_result(done)

    def _suspect(self, error: sqlite3.Error) -> None:
        """After a failed fsync the kernel may call lost pages clean: only a new look at the file
        tells what it holds."""
        name = getattr(error, "sqlite_errorname", "")
        log.error("the store failed", extra={"error": name or str(error)})
        if name.startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN")):
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    async def _in_thread(self, statement: str) -> Any:
        connection = self._connection
        assert connection is not None

        def execute() -> Any:
            return connection.execute(statement).fetchone()

        self._busy = True
        try:
            row = await self._thread.run(execute)
        finally:
            self._busy = False
        # Here and not in the thread, which would wait once more for the interpreter's lock.
        if not self.intact():
            raise sqlite3.OperationalError("the file of the store was moved or removed")
        return row
