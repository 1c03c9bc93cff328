"""What a house's store holds, looked at and changed from outside, on both stores."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from bson import Binary
from pymongo import MongoClient

from tests.rows.house import House

APP = "default"


class Kept:
    """Rows by kind: key and value as they are stored."""

    def __init__(self, house: House) -> None:
        self._url = house.settings.get("store.url", "")
        self._database = house.settings.get("store.database", "")
        self._file = house.state / "store" / "sotto.db"

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self._url)

    def rows(self, kind: str) -> dict[str, bytes]:
        if not self._url:
            with sqlite3.connect(self._file, timeout=60) as store:
                found = store.execute("SELECT key, value FROM meta WHERE kind = ?", (kind,))
                return dict(found.fetchall())
        with self._client() as client:
            prefix = f"{APP}\0{kind}\0"
            span = {"_id": {"$gte": prefix, "$lt": f"{APP}\0{kind}\1"}}
            rows = client[self._database]["meta"].find(span)
            return {row["_id"].removeprefix(prefix): bytes(row["d"]) for row in rows}

    def write(self, kind: str, key: str, value: bytes) -> None:
        """As somebody does who can write to the store, but has no key."""
        if not self._url:
            with sqlite3.connect(self._file, timeout=60) as store:
                words = "UPDATE meta SET value = ? WHERE kind = ? AND key = ?"
                assert store.execute(words, (value, kind, key)).rowcount == 1
            return
        with self._client() as client:
            meta = client[self._database]["meta"]
            where = {"_id": f"{APP}\0{kind}\0{key}"}
            assert meta.update_one(where, {"$set": {"d": Binary(value)}}).matched_count == 1

    def kinds(self) -> set[str]:
        """Of everything that is stored."""
        if not self._url:
            with sqlite3.connect(self._file, timeout=60) as store:
                return {row[0] for row in store.execute("SELECT DISTINCT kind FROM meta")}
        with self._client() as client:
            rows = client[self._database]["meta"].find({}, {"_id": 1})
            return {row["_id"].split("\0")[1] for row in rows}

    def ops(self, room: str) -> dict[Any, bytes]:
        """Of a room's log: where each op lies, and its ciphertext. The audit has logs beside it."""
        if not self._url:
            with sqlite3.connect(self._file, timeout=60) as store:
                words = "SELECT rid, seq, body FROM op JOIN room USING (rid) WHERE room.room = ?"
                return {(rid, seq): body for rid, seq, body in store.execute(words, (room,))}
        with self._client() as client:
            database = client[self._database]
            kept = database["room"].find_one({"_id": f"{APP}\0{room}"})
            assert kept is not None
            found = database["op"].find({}, {"d": 1})
            return {r["_id"]: bytes(r["d"]) for r in found if r["_id"].startswith(kept["k"])}

    def write_op(self, place: Any, body: bytes) -> None:
        if not self._url:
            with sqlite3.connect(self._file, timeout=60) as store:
                words = "UPDATE op SET body = ? WHERE rid = ? AND seq = ?"
                assert store.execute(words, (body, *place)).rowcount == 1
            return
        with self._client() as client:
            ops = client[self._database]["op"]
            changed = ops.update_one({"_id": place}, {"$set": {"d": Binary(body)}})
            assert changed.matched_count == 1

    def dump(self, folder: Path) -> bytes:
        """Everything: every file of the store, or every document of every collection."""
        if not self._url:
            files = [path for path in folder.rglob("*") if path.is_file()]
            return b"\n".join(path.read_bytes() for path in files)
        with self._client() as client:
            database = client[self._database]
            return b"\n".join(
                b"".join(_bytes(value) for value in row.values())
                for name in database.list_collection_names()
                for row in database[name].find()
            )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def flipped(value: bytes) -> bytes:
    """One bit in the middle of what was encrypted."""
    place = len(value) - 8
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
