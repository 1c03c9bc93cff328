"""`Log` on SQLite: the op log of every room, with one row per (room, ident) against duplicates.

The writer knows the tail of the rooms it wrote lately; readers see the file, that is what was
acknowledged. A random unique index per message halved the speed, so idents keep a cursor instead.
Rows are collected and written in two statements just before COMMIT: half the cost of one by one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from signaling.storage import checks
from signaling.storage.embedded.reader import Reader
from signaling.storage.embedded.writer import Writer
from signaling.storage.port import (
    GENESIS,
    MAX_VERSION,
    Appended,
    Conflict,
    Head,
    NewOp,
    Op,
    is_name,
    link,
)

T = TypeVar("T")

# Rooms and idents remembered; beyond, everything is forgotten and read again.
REMEMBERED = 50_000
# Rows deleted or erased in one transaction.
CHUNK = 1000


@dataclass
class Tail:
    """Where a room ends, as the open transaction sees it. No op that turns lies beyond `turn`;
    which were such is not in the file, so when this is read it may be any.
    """

    rid: int
    seq: int
    chain: bytes
    turn: int = 0


class Rooms:
    """Owned by `EmbeddedStore`. Not `alone`: another process writes, each look is at the file."""

    def __init__(self, *, alone: bool = True) -> None:
        self._alone = alone
        self._tails: dict[tuple[str, str], Tail] = {}
        self._cursors: dict[tuple[int, str], tuple[int, int]] = {}
        self._rids: dict[tuple[str, str], int] = {}
        # Heads and cursors that readers find, since each message asks for them; and what a commit
        # will make of them.
        self._heads: dict[tuple[str, str], Head] = {}
        self._versions: dict[tuple[str, str, str], int] = {}
        self._new_heads: dict[tuple[str, str], tuple[int, bytes] | None] = {}
        self._new_versions: dict[tuple[str, str, str], int] = {}
        # Of the open transaction, not written yet. Their tails and cursors are remembered above.
        self._new_ops: list[tuple[int, int, str, int, bytes, bytes, bytes]] = []
        self._new_cursors: dict[tuple[int, str], tuple[int, int]] = {}

    def use(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    def forget(self) -> None:
        """After a rollback: what was remembered may never have been."""
        for remembered in (self._heads, self._versions, self._new_heads, self._new_versions):
            remembered.clear()
        self._tails.clear()
        self._cursors.clear()
        self._new_ops.clear()
        self._new_cursors.clear()

    def flush(self, on: sqlite3.Connection) -> None:
        """Before COMMIT, and before anything else looks at the tables of ops and cursors."""
        if self._new_ops:
            rows, self._new_ops = self._new_ops, []
            cursors, self._new_cursors = self._new_cursors, {}
            on.executemany("INSERT INTO op VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            on.executemany(
                "REPLACE INTO cursor VALUES (?, ?, ?, ?)",
                [(*place, *cursor) for place, cursor in cursors.items()],
            )

    def committed(self) -> None:
        """After COMMIT, and before anybody is told."""
        for place, newest in self._new_heads.items():
            head = self._heads.pop(place, None)
            if head is not None and newest is not None:
                self._heads[place] = Head(*newest, head.floor)
        if len(self._versions) >= REMEMBERED:
            self._versions.clear()
        self._versions.update(self._new_versions)
        self._new_heads.clear()
        self._new_versions.clear()

    async def append(
        self,
        app: str,
        room: str,
        ops: Sequence[NewOp],
        *,
        expect: int | None = None,
        seen: int | None = None,
    ) -> list[Appended]:
        checks.check_append(app, room, ops)
        if not ops:
            return []
        return await self._writer.write(lambda on: self._append(on, app, room, ops, expect, seen))

    def _append(
        self,
        on: sqlite3.Connection,
        app: str,
        room: str,
        ops: Sequence[NewOp],
        expect: int | None,
        seen: int | None,
    ) -> list[Appended]:
        tail = self._tails.get((app, room)) or self._load(on, app, room)
        answers: list[Appended] = []
        rid = tail.rid
        for op in ops:
            place = (rid, op.ident)
            version, last = self._cursors.get(place) or self._cursor(on, place)
            if op.version <= version:
                answers.append(Appended(last if op.version == version else 0, duplicate=True))
                continue
            if expect is not None and tail.seq != expect:
                if not tail.seq:
                    del self._tails[app, room]  # its row may have been made just now, and be undone
                raise Conflict(room)
            if seen is not None and tail.turn > seen:
                break
            expect = seen = None  # what follows is behind our own
            tail.seq = seq = tail.seq + 1
            digest = hashlib.sha256(op.body).digest()
            tail.chain = chain = link(tail.chain, op.ident, op.version, digest)
            self._new_ops.append((rid, seq, op.ident, op.version, op.body, chain, b""))
            self._cursors[place] = self._new_cursors[place] = (op.version, seq)
            self._new_versions[app, room, op.ident] = op.version
            if op.turns:
                tail.turn = seq
            answers.append(Appended(seq, chain=chain))
        if self._new_heads.get((app, room), ()) is not None:
            self._new_heads[app, room] = (tail.seq, tail.chain)
        return answers

    def _load(self, on: sqlite3.Connection, app: str, room: str) -> Tail:
        if len(self._tails) >= REMEMBERED:
            self.flush(on)
            self._tails.clear()
        found = on.execute(
            "SELECT rid, floor, chain FROM room WHERE app = ? AND room = ?", (app, room)
        ).fetchone()
        if found is None:
            cursor = on.execute(
                "INSERT INTO room (app, room, floor, chain, gone) VALUES (?, ?, 0, ?, 0)",
                (app, room, GENESIS),
            )
            tail = Tail(cursor.lastrowid or 0, 0, GENESIS)
        else:
            tail = Tail(*(on.execute(_NEWEST, (found[0], found[1])).fetchone() or found))
            tail.turn = tail.seq
        self._tails[app, room] = tail
        return tail

    def _cursor(self, on: sqlite3.Connection, place: tuple[int, str]) -> tuple[int, int]:
        if len(self._cursors) >= REMEMBERED:
            self.flush(on)
            self._cursors.clear()
        row: tuple[int, int] | None = on.execute(
            "SELECT version, seq FROM cursor WHERE rid = ? AND ident = ?", place
        ).fetchone()
        known = self._cursors[place] = row or (0, 0)
        return known

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work that looks at the tables of ops and cursors."""

        def flushed(on: sqlite3.Connection) -> T:
            self.flush(on)
            return work(on)

        return await self._writer.write(flushed)

    def _room(self, app: str, room: str) -> int | None:
        """The number of a committed room; it never changes."""
        rid = self._rids.get((app, room))
        if rid is None and checks.readable(app, room):
            row = self._reader.row("SELECT rid FROM room WHERE app = ? AND room = ?", (app, room))
            if row is not None:
                if len(self._rids) >= REMEMBERED:
                    self._rids.clear()
                rid = self._rids[app, room] = row[0]
        return rid

    async def read(
        self,
        app: str,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[Op]:
        checks.check_limit(limit)
        rid = self._room(app, room)
        if rid is None:
            return []
        low = min(max(after or 0, 0), MAX_VERSION)
        high = MAX_VERSION if before is None else min(max(before, 0), MAX_VERSION)
        order = "ASC" if after is not None else "DESC"
        rows = self._reader.rows(_PAGE[order], (rid, rid, low, high, limit))
        if after is None:
            rows.reverse()
        return [Op(*row) for row in rows]

    async def pick(self, app: str, room: str, seqs: Sequence[int]) -> list[Op]:
        wanted, rid = checks.check_picked(seqs), self._room(app, room)
        if rid is None or not wanted:
            return []
        # As JSON: one statement, however many they are.
        rows = self._reader.rows(_PICKED, (rid, rid, json.dumps(wanted)))
        return [Op(*row) for row in rows]

    async def head(self, app: str, room: str) -> Head:
        head = self._heads.get((app, room))
        if head is not None:
            return head
        rid = self._room(app, room)
        if rid is None:
            return Head()
        head = Head(*self._reader.row(_HEAD, (rid,)))
        if self._alone:
            if len(self._heads) >= REMEMBERED:
                self._heads.clear()
            self._heads[app, room] = head
        return head

    async def cursor(self, app: str, room: str, ident: str) -> int:
        known = self._versions.get((app, room, ident))
        if known is not None:
            return known
        rid = self._room(app, room)
        if rid is None or not is_name(ident):
            return 0
        row = self._reader.row(
            "SELECT version FROM cursor WHERE rid = ? AND ident = ?", (rid, ident)
        )
        return row[0] if row else 0

    async def purge(self, app: str, room: str, upto: int) -> None:
        rid = self._room(app, room)
        upto = min(upto, MAX_VERSION)
        if rid is None or upto < 1:
            return

        def raising(on: sqlite3.Connection) -> bool:
            self._new_heads[app, room] = None
            return _raise_floor(on, rid, upto)

        if await self._write(raising):
            await self._remove_purged(rid)
            await self._writer.truncate()

    async def _remove_purged(self, rid: int) -> None:
        while await self._write(lambda on: _remove_chunk(on, rid)):
            pass

    async def sweep(self) -> None:
        """Finish purges that a crash cut short, and what a reader held back."""
        rows = self._reader.rows("SELECT rid FROM room WHERE gone < floor LIMIT ?", (CHUNK,))
        for (rid,) in rows:
            await self._remove_purged(rid)
        if rows or self._writer.truncate_due:
            await self._writer.truncate()

    async def erase(self, app: str, room: str, seqs: Sequence[int]) -> None:
        rid = self._room(app, room)
        if rid is None or not seqs:
            return
        wanted = sorted({seq for seq in seqs if 0 < seq <= MAX_VERSION})
        for start in range(0, len(wanted), CHUNK):
            await self._write(partial(_erase, rid=rid, seqs=wanted[start : start + CHUNK]))
        await self._writer.truncate()


_NEWEST = "SELECT rid, seq, chain FROM op WHERE rid = ? AND seq > ? ORDER BY seq DESC LIMIT 1"
_PAGE = {
    order: (
        "SELECT seq, ident, version, body, chain, digest FROM op WHERE rid = ?"  # noqa: S608
        " AND seq > max((SELECT floor FROM room WHERE rid = ?), ?) AND seq < ?"
        f" ORDER BY seq {order} LIMIT ?"
    )
    for order in ("ASC", "DESC")
}
_PICKED = (
    "SELECT seq, ident, version, body, chain, digest FROM op WHERE rid = ?"
    " AND seq > (SELECT floor FROM room WHERE rid = ?)"
    " AND seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
_HEAD = (
    "SELECT ifnull(o.seq, r.floor), ifnull(o.chain, r.chain), r.floor FROM room AS r"
    " LEFT JOIN op AS o ON o.rid = r.rid AND o.seq > r.floor"
    " WHERE r.rid = ? ORDER BY o.seq DESC LIMIT 1"
)


def _raise_floor(on: sqlite3.Connection, rid: int, upto: int) -> bool:
    """To `upto`, or to the head if that is lower. The floor keeps the chain of its op."""
    on_floor = on.execute(
        "SELECT seq, chain FROM op WHERE rid = ? AND seq > (SELECT floor FROM room WHERE rid = ?)"
        " AND seq <= ? ORDER BY seq DESC LIMIT 1",
        (rid, rid, upto),
    ).fetchone()
    if on_floor is None:
        return False
    on.execute("UPDATE room SET floor = ?, chain = ? WHERE rid = ?", (*on_floor, rid))
    return True


def _remove_chunk(on: sqlite3.Connection, rid: int) -> bool:
    """Whether there is more."""
    floor, gone = on.execute("SELECT floor, gone FROM room WHERE rid = ?", (rid,)).fetchone()
    gone = min(floor, gone + CHUNK)
    on.execute("DELETE FROM op WHERE rid = ? AND seq <= ?", (rid, gone))
    on.execute("UPDATE room SET gone = ? WHERE rid = ?", (gone, rid))
    return bool(gone < floor)


def _erase(on: sqlite3.Connection, rid: int, seqs: Sequence[int]) -> None:
    for seq in seqs:
        row: Any = on.execute(
            "SELECT body FROM op WHERE rid = ? AND seq = ? AND digest = x''"
            " AND seq > (SELECT floor FROM room WHERE rid = ?)",
            (rid, seq, rid),
        ).fetchone()
        if row is not None:
            on.execute(
                "UPDATE op SET body = x'', digest = ? WHERE rid = ? AND seq = ?",
                (hashlib.sha256(row[0]).digest(), rid, seq),
            )
