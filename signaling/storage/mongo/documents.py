"""`Meta` on MongoDB: one document each, replaced under the condition of its version.

A write whose answer was lost is told from somebody else's by a random mark that it leaves in the
document. Versions never come back, so a write that a dead connection delivers late changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

from bson import Binary
from pymongo import ASCENDING, DeleteOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.ids import Entropy
from signaling.storage import checks
from signaling.storage.memory import first_version
from signaling.storage.mongo.connect import Row, asked, is_passing, unavailable
from signaling.storage.mongo.schema import Database
from signaling.storage.port import MAX_VERSION, Conflict, Document

SWEEP = 500
# Tries of one write. The driver waits for a server in each, so a few outlast an election.
ATTEMPTS = 4
# Marks kept: as many writers may follow before a lost answer can no longer be told apart.
MARKS = 16

Open = Callable[[], Awaitable[Database]]


def identity(app: str, kind: str, key: str) -> str:
    """MongoDB orders strings by their UTF-8 bytes, so documents of a kind lie together, by key."""
    return f"{app}\0{kind}\0{key}"


def document(row: Row) -> Document:
    terms = tuple(sorted(term.rpartition("\0")[2] for term in row["t"]))
    expires = None if math.isinf(row["e"]) else row["e"]
    key = row["_id"].split("\0", 2)[2]
    return Document(key, int(row["v"]), row["d"], terms, expires)


class Documents:
    """Owned by `MongoStore`; `database` is awaited, since the first call prepares it."""

    def __init__(self, database: Open, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        if not checks.addressable(app, kind, key):
            return None
        meta = (await self._database())["meta"]
        row = await asked(meta.find_one({"_id": identity(app, kind, key)}))
        return document(row) if row is not None and self._live(row) else None

    def _live(self, row: Row) -> bool:
        return bool(row["e"] > self._clock.unix())

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
        if expect > MAX_VERSION:
            raise Conflict(kind)
        where = identity(app, kind, key)
        fields: Row = {
            "v": expect + 1 if expect else first_version(self._entropy),
            "d": Binary(value),
            "t": sorted({identity(app, kind, term) for term in terms}),
            "e": math.inf if expires is None else float(expires),
        }
        mark = Binary(self._entropy.token(8))
        for attempt in range(ATTEMPTS):
            try:
                if attempt and await self._is_ours(where, mark):
                    return int(fields["v"])
                if expect:
                    done = await self._replace(where, fields, mark, expect)
                else:
                    done = await self._create(where, fields, mark)
            except PyMongoError as error:
                if not is_passing(error) or attempt == ATTEMPTS - 1:
                    raise unavailable(error) from error
                continue
            if not done and not (attempt and await asked(self._is_ours(where, mark))):
                raise Conflict(kind)
            return int(fields["v"])
        raise Unavailable("MongoDB gave no answer")

    async def _is_ours(self, where: str, mark: Binary) -> bool:
        """Whether an earlier try was done and only its answer was lost."""
        row = await (await self._database())["meta"].find_one({"_id": where}, {"n": 1})
        return row is not None and bytes(mark) in row["n"]  # never equal to a Binary

    async def _replace(self, where: str, fields: Row, mark: Binary, expect: int) -> bool:
        meta = (await self._database())["meta"]
        result = await meta.update_one(
            {"_id": where, "v": expect, "e": {"$gt": self._clock.unix()}},
            {"$set": fields, "$push": {"n": {"$each": [mark], "$slice": -MARKS}}},
        )
        return result.matched_count == 1

    async def _create(self, where: str, fields: Row, mark: Binary) -> bool:
        """Also in the place of one that expired, which a sweep may remove in between."""
        meta = (await self._database())["meta"]
        while True:
            try:
                await meta.insert_one({"_id": where, **fields, "n": [mark]})
            except DuplicateKeyError:
                result = await meta.update_one(
                    {"_id": where, "e": {"$lte": self._clock.unix()}},
                    {"$set": {**fields, "n": [mark]}},
                )
                if result.matched_count:
                    return True
                if await meta.find_one({"_id": where}, {"_id": 1}) is not None:
                    return False
            else:
                return True

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        """Always of a version that was read, so that it can never hit a later namesake."""
        if not checks.addressable(app, kind, key):
            if expect is not None:
                raise Conflict(kind)
            return False
        where = identity(app, kind, key)
        failures, sent = 0, False
        while True:
            try:
                row = await self._find_version(where)
                live = row is not None and self._live(row)
                if sent and row is None:
                    return True  # our own earlier try, or as good as that
                if expect is not None and (row is None or not live or row["v"] != expect):
                    raise Conflict(kind)
                if row is None:
                    return False
                sent = True
                if await self._delete(where, row["v"]):
                    return live
                sent = False
            except PyMongoError as error:
                failures += 1
                if not is_passing(error) or failures == ATTEMPTS:
                    raise unavailable(error) from error

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        """Two commands for all of them. Of versions that were read, as `delete` does it. The second
        has a statement for each, found by its `_id`: with lists of both it may read the collection.
        """
        checks.check_batch(keys)
        places = [identity(app, kind, key) for key in keys if checks.addressable(app, kind, key)]
        found: dict[str, Row] = {}
        failures = 0
        while places:
            try:
                meta = (await self._database())["meta"]
                rows = await meta.find({"_id": {"$in": places}}, {"v": 1, "e": 1}).to_list()
                found = {row["_id"]: row for row in rows} | found
                places = [row["_id"] for row in rows]
                if places:
                    each = [DeleteOne({"_id": row["_id"], "v": row["v"]}) for row in rows]
                    done = await meta.bulk_write(each, ordered=False)
                    # What was put in between has another version, and goes in the next round.
                    places = places if done.deleted_count < len(rows) else []
            except PyMongoError as error:
                failures += 1
                if not is_passing(error) or failures == ATTEMPTS:
                    raise unavailable(error) from error
        return sum(self._live(row) for row in found.values())

    async def _find_version(self, where: str) -> Row | None:
        return await (await self._database())["meta"].find_one({"_id": where}, {"v": 1, "e": 1})

    async def _delete(self, where: str, version: int) -> bool:
        meta = (await self._database())["meta"]
        return (await meta.delete_one({"_id": where, "v": version})).deleted_count == 1

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        checks.check_limit(limit)
        if not (checks.plain(app) and checks.plain(kind) and checks.is_start(after)):
            return []
        if term is not None and not checks.plain(term):
            return []
        meta = (await self._database())["meta"]
        query: Row = {
            "_id": {"$gt": identity(app, kind, after), "$lt": f"{app}\0{kind}\x01"},
            "e": {"$gt": self._clock.unix()},
        }
        if term is not None:
            query["t"] = identity(app, kind, term)
        cursor = meta.find(query, {"n": 0}).sort("_id", ASCENDING).limit(limit)
        return [document(row) for row in await asked(cursor.to_list())]

    async def sweep(self) -> int:
        """The condition stands in the deletion too: what was created since is not hit."""
        meta = (await self._database())["meta"]
        removed = 0
        while True:
            query: Row = {"e": {"$lte": self._clock.unix()}}
            rows = await asked(meta.find(query, {"_id": 1}).limit(SWEEP).to_list())
            if rows:
                query["_id"] = {"$in": [row["_id"] for row in rows]}
                removed += (await asked(meta.delete_many(query))).deleted_count
            if len(rows) < SWEEP:
                return removed
