"""`Log` on MongoDB: reading, purging and erasing; appending is in `appending`.

`_id` of an op is the room's key and the op's seq, so one index serves uniqueness, pages and the
tail. The newest op is never deleted, only emptied: where a room ends is one question to one index.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from bson import Binary
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from signaling.clock import Clock
from signaling.ids import Entropy
from signaling.storage import checks
from signaling.storage.mongo.appending import Appending, Ident, Memory, Tail, op_id, seq_of
from signaling.storage.mongo.connect import Row, asked, unavailable
from signaling.storage.mongo.schema import Database
from signaling.storage.mongo.turns import Inserts, Look, Looks
from signaling.storage.port import (
    MAX_VERSION,
    Appended,
    Head,
    NewOp,
    Op,
    is_name,
)

REMEMBERED = 50_000
CHUNK = 1000

Open = Callable[[], Awaitable[Database]]


def op_of(row: Row) -> Op:
    """The driver's long integers are a type of their own, which encoders refuse."""
    seq, version = seq_of(row["_id"]), int(row["n"])
    return Op(seq, row["i"], version, row["d"], row["c"], row.get("g", b""))


class Rooms:
    """Owned by `MongoStore`."""

    def __init__(self, database: Open, clock: Clock, entropy: Entropy, patience: float) -> None:
        """`patience`: seconds that an append tries before it is `Unavailable`."""
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._patience = patience
        self._node = Binary(entropy.token(8))
        self._keys: dict[str, bytes] = {}
        self._floors: dict[bytes, int] = {}
        self._appending: dict[str, Appending] = {}
        self._looks = Looks(database, clock)
        self._inserts = Inserts(database)

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
        where = f"{app}\0{room}"
        here = self._appending.get(where)
        if here is None:
            key = await self._key(where, create=True)
            if len(self._appending) >= REMEMBERED:
                self._forget_idle()
            here = self._appending.setdefault(where, self._new(where, key or b""))
        return await here.append(ops, expect, seen)

    def _new(self, where: str, key: bytes) -> Appending:
        return Appending(
            self._database, self._inserts, where, key, self._node, self._clock, self._entropy,
            self._patience,
        )  # fmt: skip

    def _forget_idle(self) -> None:
        for where in [where for where, here in self._appending.items() if here.idle]:
            del self._appending[where]

    async def _key(self, where: str, *, create: bool = False) -> bytes | None:
        """The room's key, from memory, from the database, or made now."""
        known = self._keys.get(where)
        if known is not None:
            return known
        database = await self._database()
        row = await asked(database["room"].find_one({"_id": where}))
        if row is None and create:
            await self._create(database, where)
            row = await asked(database["room"].find_one({"_id": where}))
        if row is None:
            return None
        if len(self._keys) >= REMEMBERED:
            self._keys.clear()
        self._keys[where] = key = bytes(row["k"])
        return key

    async def _create(self, database: Database, where: str) -> None:
        """The key is reserved first: eight random bytes may be another room's, and then no room."""
        try:
            key = Binary(self._entropy.token(8))
            await database["key"].insert_one({"_id": key})
            await database["room"].insert_one(
                {"_id": where, "k": key, "f": 0, "o": b"", "p": 0, "u": 0.0}
            )
        except DuplicateKeyError:
            return  # somebody else made the room: its key counts, ours was reserved in vain
        except PyMongoError as error:
            raise unavailable(error) from error

    async def _find_key(self, app: str, room: str) -> bytes | None:
        return await self._key(f"{app}\0{room}") if checks.readable(app, room) else None

    async def _look(self, where: str, key: bytes) -> Look:
        look = await self._looks.at(where)
        if len(self._floors) >= REMEMBERED:
            self._floors.clear()
        self._floors[key] = max(look.floor, self._floors.get(key, 0))
        return look

    async def _floor(self, where: str, key: bytes) -> int:
        await self._look(where, key)
        return self._floors[key]

    async def _recall(self, where: str, key: bytes) -> Memory:
        """What this node knows of a room after a look at it; nothing of one that is not its own."""
        look = await self._look(where, key)
        here = self._appending.get(where)
        return (here and here.recalls(look)) or Memory()

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
        key = await self._find_key(app, room)
        if key is None:
            return []
        low = min(max(after or 0, 0, self._floors.get(key, 0)), MAX_VERSION)
        high = MAX_VERSION if before is None else min(max(before, 0), MAX_VERSION)
        order = ASCENDING if after is not None else DESCENDING
        database = await self._database()
        while True:
            page = database["op"].find({"_id": {"$gt": op_id(key, low), "$lt": op_id(key, high)}})
            work = page.sort("_id", order).limit(limit).to_list()
            rows, floor = await asked(asyncio.gather(work, self._floor(f"{app}\0{room}", key)))
            if floor <= low:
                break
            low = floor  # it rose since we last looked: what is below it must not fill the page
        return [op_of(row) for row in (rows if after is not None else rows[::-1])]

    async def pick(self, app: str, room: str, seqs: Sequence[int]) -> list[Op]:
        wanted, key = checks.check_picked(seqs), await self._find_key(app, room)
        if key is None or not wanted:
            return []
        places = {"_id": {"$in": [op_id(key, seq) for seq in wanted]}}
        work = (await self._database())["op"].find(places).sort("_id", ASCENDING).to_list()
        # The floor is looked at while or after they are read: what was purged before is not shown.
        rows = await asked(work)
        floor = await asked(self._floor(f"{app}\0{room}", key))
        return [op_of(row) for row in rows if seq_of(row["_id"]) > floor]

    async def head(self, app: str, room: str) -> Head:
        key = await self._find_key(app, room)
        if key is None:
            return Head()
        tail = (await asked(self._recall(f"{app}\0{room}", key))).tail
        floor = self._floors[key]
        if tail is None:
            tail = await asked(Tail.read(await self._database(), key))
        return Head(tail.seq, tail.chain, floor)

    async def cursor(self, app: str, room: str, ident: str) -> int:
        key = await self._find_key(app, room)
        if key is None or not is_name(ident):
            return 0
        known = (await asked(self._recall(f"{app}\0{room}", key))).idents.get(ident)
        if known is None:
            known = await asked(Ident.read(await self._database(), key, ident))
        return known.version

    async def purge(self, app: str, room: str, upto: int) -> None:
        """Noted first: what a crash or a lost connection cuts short is finished by `sweep`."""
        key = await self._find_key(app, room)
        if key is None or upto < 1:
            return
        database, where = await self._database(), f"{app}\0{room}"
        upto = min(upto, (await asked(Tail.read(database, key))).seq)
        begun = database["purge"].update_one({"_id": where}, {"$max": {"u": upto}}, upsert=True)
        await asked(begun)
        await self._purge(database, where, key, upto)

    async def _purge(self, database: Database, where: str, key: bytes, upto: int) -> None:
        """Cursors first, then the floor, then the ops: readers see all of it or none."""
        await asked(self._keep_cursors(database, key, upto))
        await asked(database["room"].update_one({"_id": where}, {"$max": {"f": upto}}))
        self._floors[key] = max(upto, self._floors.get(key, 0))
        gone = {"_id": {"$gte": op_id(key, 0), "$lt": op_id(key, upto)}}
        await asked(database["op"].delete_many(gone))
        await asked(self._empty(database, [op_id(key, upto)]))
        await asked(database["purge"].delete_one({"_id": where, "u": {"$lte": upto}}))

    async def sweep(self) -> None:
        """Finish purges that were cut short."""
        database = await self._database()
        for row in await asked(database["purge"].find({}).limit(CHUNK).to_list()):
            key = await self._key(row["_id"])
            if key is not None:
                await self._purge(database, row["_id"], key, int(row["u"]))

    async def _keep_cursors(self, database: Database, key: bytes, upto: int) -> None:
        """Of everybody whose ops are about to go."""
        low = -1
        while True:
            span = {"_id": {"$gt": op_id(key, max(low, 0)), "$lte": op_id(key, upto)}}
            page = database["op"].find(span, {"i": 1, "n": 1}).sort("_id", ASCENDING).limit(CHUNK)
            rows = await page.to_list()
            newest = {row["i"]: (row["n"], seq_of(row["_id"])) for row in rows}
            if newest:
                await database["cursor"].bulk_write(
                    [
                        UpdateOne(
                            {"_id": Ident.place(key, ident)},
                            {
                                "$max": {"v": version, "s": seq},
                                "$setOnInsert": {"r": Binary(key)},
                            },
                            upsert=True,
                        )
                        for ident, (version, seq) in newest.items()
                    ],
                    ordered=False,
                )
            if len(rows) < CHUNK:
                return
            low = seq_of(rows[-1]["_id"])

    async def erase(self, app: str, room: str, seqs: Sequence[int]) -> None:
        key = await self._find_key(app, room)
        if key is None:
            return
        database = await self._database()
        floor = await asked(self._floor(f"{app}\0{room}", key))
        wanted = [op_id(key, seq) for seq in sorted(set(seqs)) if floor < seq <= MAX_VERSION]
        for start in range(0, len(wanted), CHUNK):
            await asked(self._empty(database, wanted[start : start + CHUNK]))

    @staticmethod
    async def _empty(database: Database, places: list[Binary]) -> None:
        """Bodies become their digests; done twice changes nothing."""
        query = {"_id": {"$in": places}, "g": {"$exists": False}}
        rows = await database["op"].find(query, {"d": 1}).to_list()
        changes = [
            UpdateOne(
                {"_id": row["_id"], "g": {"$exists": False}},
                {"$set": {"d": b"", "g": hashlib.sha256(row["d"]).digest()}},
            )
            for row in rows
        ]
        if changes:
            await database["op"].bulk_write(changes, ordered=False)

    async def close(self) -> None:
        """Hand the rooms to whoever wants them."""
        held = [where for where, here in self._appending.items() if here.owned]
        for start in range(0, len(held), CHUNK):
            mine = {"_id": {"$in": held[start : start + CHUNK]}, "o": self._node}
            free = {"$set": {"o": b"", "u": 0.0}}
            await (await self._database())["room"].update_many(mine, free)
