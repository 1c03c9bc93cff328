"""Appending to one room without a transaction: exactly once, without a gap.

Seqs are the tail's and up, in one ordered insert; `_id` is unique, so of two writers on one seq one
gets an error. On any error the tail and the cursors are forgotten, read again, what is stored is
taken out, and the rest is tried again. Cursors are read after the tail: an op that came between
makes the insert fail. What arrives during an insert is the next one. Who expects an end of the room
is answered by one that was just read. Each op says where the newest one that turns is, so whoever
knows the tail knows that too, and who has not seen it inserts nothing. While the lease holds, tail
and cursors are served to readers too (`recalls`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bson import Binary
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import PyMongoError

from signaling.clock import Clock
from signaling.ids import Entropy
from signaling.storage.mongo.connect import Row, is_duplicate, is_passing, unavailable
from signaling.storage.mongo.lease import Lease
from signaling.storage.mongo.queue import Queue, fail
from signaling.storage.mongo.schema import Database
from signaling.storage.mongo.turns import Inserts, Look
from signaling.storage.port import GENESIS, Appended, Conflict, NewOp, link

log = logging.getLogger(__name__)

Open = Callable[[], Awaitable[Database]]
Answer = list[Appended] | Conflict

# The first wait after an error; doubles, with jitter, up to the last.
FIRST_WAIT, LAST_WAIT = 0.01, 0.5
# Idents of one room that are remembered.
IDENTS = 10_000


def op_id(key: bytes, seq: int) -> Binary:
    return Binary(key + seq.to_bytes(8, "big"))


def seq_of(place: bytes) -> int:
    return int.from_bytes(place[-8:], "big")


@dataclass(frozen=True)
class Tail:
    """Where a room ends. No op that turns lies beyond `turn`."""

    seq: int
    chain: bytes
    turn: int = 0

    @classmethod
    async def read(cls, database: Database, key: bytes) -> Tail:
        """Where the last op says nothing of turns (an archive, an earlier server) it may be one."""
        span = {"_id": {"$gt": op_id(key, 0), "$lte": Binary(key + b"\xff" * 8)}}
        page = database["op"].find(span, {"c": 1, "t": 1}).sort("_id", DESCENDING).limit(1)
        for row in await page.to_list():
            seq = seq_of(row["_id"])
            return cls(seq, row["c"], int(row.get("t", seq)))
        return cls(0, GENESIS)


@dataclass(frozen=True)
class Ident:
    """The newest op of one ident: its version and seq."""

    version: int = 0
    seq: int = 0

    @staticmethod
    def place(key: bytes, ident: str) -> Binary:
        return Binary(key + ident.encode())

    @classmethod
    async def read(cls, database: Database, key: bytes, ident: str) -> Ident:
        """From the ops, or from what was kept when they were purged. In this order: a purge keeps
        first and takes then, so what it took before the one was asked is found by the other.
        """
        query = {"r": Binary(key), "i": ident}
        rows = await database["op"].find(query, {"n": 1}).sort("n", DESCENDING).limit(1).to_list()
        row = await database["cursor"].find_one({"_id": cls.place(key, ident)})
        found = cls(int(rows[0]["n"]), seq_of(rows[0]["_id"])) if rows else cls()
        if row is not None and row["v"] > found.version:
            return cls(int(row["v"]), int(row["s"]))
        return found


@dataclass
class Memory:
    """A room's end and the newest ops of its idents. Another one is begun where this may be wrong;
    whoever is at work goes on with the old one, and its insert tells.
    """

    tail: Tail | None = None
    idents: dict[str, Ident] = field(default_factory=dict)


@dataclass
class Batch:
    """The ops of one caller. `mark` tells those that an earlier try stored from other people's;
    `expect` is where the room must end, if anywhere, and `seen` where its newest turn at most.
    """

    ops: Sequence[NewOp]
    expect: int | None
    seen: int | None
    mark: Binary
    future: asyncio.Future[list[Appended]]
    stored: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.ops)

    @property
    def size(self) -> int:
        return sum(len(op.body) for op in self.ops)

    def is_late(self, seq: int, idents: Mapping[str, Ident]) -> bool:
        """Whether the room ends elsewhere than expected, and there is something to store."""
        if self.expect in (None, seq) or self.stored:
            return False
        return any(op.version > idents[op.ident].version for op in self.ops)


class Appending:
    """One room's writer on this node. Owned by `Rooms`."""

    def __init__(
        self,
        database: Open,
        inserts: Inserts,
        where: str,
        key: bytes,
        node: Binary,
        clock: Clock,
        entropy: Entropy,
        patience: float,
    ) -> None:
        self._database = database
        self._inserts = inserts
        self._key = key
        self._clock = clock
        self._entropy = entropy
        self._patience = patience
        self._lease = Lease(where, node, clock)
        self._queue = Queue(self._settle)
        self._memory = Memory()
        self._before: int | None = None
        """Where the room ended when what is at work was first inserted."""

    @property
    def idle(self) -> bool:
        return self._queue.idle

    @property
    def owned(self) -> bool:
        return self._lease.held

    def recalls(self, look: Look) -> Memory | None:
        """What is known of the room, if it was all there was when it was looked at."""
        if not self._lease.agrees(look):
            self._memory = Memory()
            return None
        return self._memory

    async def append(
        self, ops: Sequence[NewOp], expect: int | None, seen: int | None
    ) -> list[Appended]:
        future: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()
        self._queue.put(Batch(ops, expect, seen, Binary(self._entropy.token(8)), future))
        return await future

    async def _settle(self, batches: list[Batch]) -> None:
        try:
            answers = await self._insist(batches)
        except Exception as error:
            fail([batch.future for batch in batches], error)
        else:
            for batch, answer in zip(batches, answers, strict=True):
                if batch.future.done():
                    continue
                if isinstance(answer, Conflict):
                    batch.future.set_exception(answer)
                else:
                    batch.future.set_result(answer)

    async def _insist(self, batches: list[Batch]) -> list[Answer]:
        """Until it is stored, or patience ends. An error that cannot pass is raised at once."""
        end = self._clock.monotonic() + self._patience
        wait = FIRST_WAIT
        self._before = None
        while True:
            try:
                return await self._try(batches)
            except PyMongoError as error:
                passing = is_passing(error) or is_duplicate(error)
                self._memory = Memory()
                left = end - self._clock.monotonic()
                if not passing or left <= 0:
                    raise unavailable(error) from error
                log.debug("an append is tried again", extra={"error": type(error).__name__})
            await asyncio.sleep(min(wait * random.uniform(0.5, 1.5), left))  # noqa: S311 - jitter
            wait = min(wait * 2, LAST_WAIT)

    async def _try(self, batches: list[Batch]) -> list[Answer]:
        database = await self._database()
        kept = await self._lease.keep(database["room"])
        if not kept or any(batch.expect is not None for batch in batches):
            self._memory = Memory()
        memory = self._memory
        if memory.tail is None:
            memory.tail = await Tail.read(database, self._key)
            if self._before is not None:
                await self._find_stored(database, batches, self._before)
        await self._find_idents(database, memory, batches)
        rows, answers, tail, moved = self._plan(batches, memory.tail, memory.idents)
        if rows:
            await self._insert(database, rows, memory.tail)
        memory.tail = tail
        memory.idents |= moved
        if self._before is not None and not self._lease.proved:
            await self._lease.tell(database["room"])
        return answers

    async def _insert(self, database: Database, rows: list[Row], tail: Tail) -> None:
        """Again: alone. What is wrong with one room, or its shard, keeps no other from its turn."""
        if self._before is None:
            self._before = tail.seq
            await self._inserts.insert(rows)
        else:
            await database["op"].insert_many(rows, ordered=True)

    async def _find_idents(self, database: Database, memory: Memory, batches: list[Batch]) -> None:
        names = {op.ident for batch in batches for op in batch.ops}
        if len(memory.idents) + len(names) > IDENTS:
            memory.idents.clear()
        for name in names - memory.idents.keys():
            memory.idents[name] = await Ident.read(database, self._key, name)

    async def _find_stored(self, database: Database, batches: list[Batch], before: int) -> None:
        """What an earlier try stored although we never heard of it."""
        span: Row = {
            "_id": {"$gt": op_id(self._key, before), "$lt": Binary(self._key + b"\xff" * 8)},
            "m": {"$in": [batch.mark for batch in batches]},
        }
        page = database["op"].find(span, {"i": 1, "n": 1, "m": 1}).sort("_id", ASCENDING)
        by_mark = {bytes(batch.mark): batch for batch in batches}
        for row in await page.to_list():
            by_mark[bytes(row["m"])].stored[row["i"], row["n"]] = seq_of(row["_id"])

    def _plan(
        self, batches: list[Batch], tail: Tail, idents: dict[str, Ident]
    ) -> tuple[list[Row], list[Answer], Tail, dict[str, Ident]]:
        """What to insert, and what to answer once that is done."""
        rows: list[Row] = []
        moved: dict[str, Ident] = {}
        seq, chain, turn = tail.seq, tail.chain, tail.turn
        answers: list[Answer] = []
        for batch in batches:
            if batch.is_late(seq, idents | moved):
                answers.append(Conflict("the room has a newer op"))
                continue
            answer = []
            unseen = batch.seen is not None and turn > batch.seen
            for op in batch.ops:
                last = moved.get(op.ident) or idents[op.ident]
                if op.version <= last.version:
                    answer.append(self._old(batch, op, last))
                    continue
                if unseen:
                    break
                seq += 1
                turn = seq if op.turns else turn
                chain = link(chain, op.ident, op.version, hashlib.sha256(op.body).digest())
                rows.append(self._row(batch, op, seq, chain, turn))
                moved[op.ident] = Ident(op.version, seq)
                answer.append(Appended(seq, chain=chain))
            answers.append(answer)
        return rows, answers, Tail(seq, chain, turn), moved

    @staticmethod
    def _old(batch: Batch, op: NewOp, last: Ident) -> Appended:
        seq = batch.stored.pop((op.ident, op.version), 0)
        if seq:
            return Appended(seq)
        return Appended(last.seq if op.version == last.version else 0, duplicate=True)

    def _row(self, batch: Batch, op: NewOp, seq: int, chain: bytes, turn: int) -> Row:
        return {
            "_id": op_id(self._key, seq),
            "r": Binary(self._key),
            "i": op.ident,
            "n": op.version,
            "d": Binary(op.body),
            "c": Binary(chain),
            "m": batch.mark,
            "t": turn,
        }
