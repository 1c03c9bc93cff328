"""The MongoDB store whole. A room is read up to the end it had when its turn came: there is no
snapshot over all documents, and none is needed, since every row stands for itself.

While an archive is put in, the schema says so, and servers refuse to start on it.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any as Anything

from bson import Binary
from pymongo import ASCENDING, AsyncMongoClient
from pymongo.errors import PyMongoError

from signaling.config.mongo import Lasting as Settings
from signaling.errors import ConfigError
from signaling.ids import Entropy
from signaling.storage.archive.embedded import blobs, check_empty, write_blob
from signaling.storage.archive.records import Any, Blob, Cursor, Doc, Op, Room
from signaling.storage.mongo.appending import Ident, op_id, seq_of
from signaling.storage.mongo.connect import Row, arguments, unavailable
from signaling.storage.mongo.documents import document, identity
from signaling.storage.mongo.schema import RESTORING, Database, migrate
from signaling.storage.open import section_of
from signaling.storage.port import GENESIS

BATCH = 500


async def dump(settings: Settings, directory: Path) -> AsyncIterator[Any]:
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    try:
        database = client[settings.database]
        await migrate(database)
        async for row in database["meta"].find({}, {"n": 0}).sort("_id", ASCENDING):
            app, kind, key = row["_id"].split("\0", 2)
            found = document(row)
            yield Doc(app, kind, key, found.version, bytes(found.value), found.terms, found.expires)
        async for row in database["room"].find().sort("_id", ASCENDING):
            async for record in _room(database, row):
                yield record
    except PyMongoError as error:
        raise unavailable(error) from error
    finally:
        await client.close()
    for blob in blobs(directory / "blobs"):
        yield blob


async def _room(database: Database, row: Row) -> AsyncIterator[Any]:
    """The op at the floor is kept empty for its chain."""
    app, name = row["_id"].split("\0", 1)
    key, floor = bytes(row["k"]), int(row["f"])
    at_floor = await database["op"].find_one({"_id": op_id(key, floor)}) if floor else None
    yield Room(app, name, floor, bytes(at_floor["c"]) if at_floor else GENESIS)
    newest: dict[str, tuple[int, int]] = {}
    span = {"_id": {"$gt": op_id(key, floor), "$lte": Binary(key + b"\xff" * 8)}}
    async for op in database["op"].find(span).sort("_id", ASCENDING):
        seq = seq_of(op["_id"])
        newest[op["i"]] = (int(op["n"]), seq)
        yield Op(seq, op["i"], int(op["n"]), op["d"], op["c"], op.get("g", b""))
    async for cursor in database["cursor"].find({"r": Binary(key)}):
        ident = bytes(cursor["_id"])[len(key) :].decode()
        newest[ident] = max(newest.get(ident, (0, 0)), (int(cursor["v"]), int(cursor["s"])))
    for ident, (version, seq) in sorted(newest.items()):
        yield Cursor(ident, version, seq)


async def check_free(settings: Settings, directory: Path) -> None:
    """Raises ConfigError unless the database holds nothing of ours, and no blobs are there."""
    section = section_of(settings)
    check_empty(directory / "blobs", section)
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    try:
        for name in ("meta", "room", "op", "cursor"):
            if await client[settings.database][name].find_one({}, {"_id": 1}) is not None:
                raise ConfigError(f"{section}.database", "is not empty; nothing was changed")
    except PyMongoError as error:
        raise unavailable(error) from error
    finally:
        await client.close()


async def load(
    settings: Settings, directory: Path, records: Iterable[Any], entropy: Entropy
) -> None:
    """An error in the middle empties the database again."""
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    database = client[settings.database]
    try:
        await migrate(database)
        await database["schema"].insert_one({"_id": RESTORING})
        loader = _Loader(database, directory / "blobs", entropy)
        try:
            for record in records:
                await loader.take(record)
            await loader.flush()
        except BaseException:
            await _emptied(database, directory)
            raise
        await database["schema"].delete_one({"_id": RESTORING})
    except PyMongoError as error:
        raise unavailable(error) from error
    finally:
        await client.close()


async def clear(settings: Settings, directory: Path) -> None:
    """Takes back what `load` put there."""
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    try:
        await _emptied(client[settings.database], directory)
    except PyMongoError as error:
        raise unavailable(error) from error
    finally:
        await client.close()


async def _emptied(database: Database, directory: Path) -> None:
    shutil.rmtree(directory / "blobs", ignore_errors=True)
    for name in ("meta", "room", "key", "op", "cursor", "purge"):
        await database[name].delete_many({})
    await database["schema"].delete_one({"_id": RESTORING})


class _Loader:
    """Collects rows and inserts them in batches."""

    def __init__(self, database: Database, root: Path, entropy: Entropy) -> None:
        self._database = database
        self._root = root
        self._entropy = entropy
        self._key = b""
        self._rows: dict[str, list[Row]] = {}

    async def take(self, record: Any) -> None:
        if isinstance(record, Doc):
            await self._add("meta", _document(record))
        elif isinstance(record, Room):
            await self._take_room(record)
        elif isinstance(record, Op):
            await self._add("op", self._op(record))
        elif isinstance(record, Cursor):
            place = Ident.place(self._key, record.ident)
            row = {"_id": place, "r": Binary(self._key), "v": record.version, "s": record.seq}
            await self._add("cursor", row)
        elif isinstance(record, Blob):
            write_blob(self._root, record)

    async def _take_room(self, record: Room) -> None:
        self._key = self._entropy.token(8)
        place = f"{record.app}\0{record.room}"
        key = Binary(self._key)
        await self._database["key"].insert_one({"_id": key})
        row = {"_id": place, "k": key, "f": record.floor, "o": b"", "p": 0, "u": 0.0}
        await self._add("room", row)
        if record.floor:
            empty = Op(record.floor, "", 0, b"", record.chain, bytes(32))
            await self._add("op", self._op(empty))

    def _op(self, record: Op) -> Row:
        row: Row = {
            "_id": op_id(self._key, record.seq),
            "r": Binary(self._key),
            "i": record.ident,
            "n": record.version,
            "d": Binary(record.body),
            "c": Binary(record.chain),
        }
        return {**row, "g": Binary(record.digest)} if record.digest else row

    async def _add(self, name: str, row: dict[str, Anything]) -> None:
        rows = self._rows.setdefault(name, [])
        rows.append(row)
        if len(rows) >= BATCH:
            self._rows[name] = []
            await self._database[name].insert_many(rows)

    async def flush(self) -> None:
        for name, rows in self._rows.items():
            if rows:
                await self._database[name].insert_many(rows)
        self._rows.clear()


def _document(record: Doc) -> Row:
    return {
        "_id": identity(record.app, record.kind, record.key),
        "v": record.version,
        "d": Binary(record.value),
        "t": [identity(record.app, record.kind, term) for term in record.terms],
        "e": math.inf if record.expires is None else record.expires,
        "n": [],
    }
