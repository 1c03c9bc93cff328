"""The mirror's database: any server that speaks MongoDB's protocol, alone or a replica set.

    messages    _id "room/message" and the fields of `documents.MessageDocument`, or a tombstone
    rooms       _id room, the fields of `documents.RoomDocument`, and how far it was written
    inbox       what other programs wish to post
    posted      _id document of the inbox: what became of it
    quarantine  _id digest: what did not become a post, and why
    notices     _id of the event: what became of a person (GDPR 19)

Only what is right on every deployment is relied on: writes of one document, unique `_id`s. A change
stream, where there is one, only says when to look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from signaling.config.mirror import Mirror
from signaling.errors import ConfigError
from signaling.mirror.documents import TOMBSTONE, MessageDocument, place_of
from signaling.mirror.inbound import name_of
from signaling.mirror.port import Document, NoStreams, Place, Quarantined, Waiting
from signaling.storage.mongo.connect import (
    DUPLICATE,
    Row,
    arguments,
    asked,
    is_duplicate,
    is_passing,
    unavailable,
)

# How long one question to a change stream waits for an answer.
LOOK_SECONDS = 1.0
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_GONE = {name: "" for name in MessageDocument.__struct_fields__ if name not in TOMBSTONE}
_COMING = {"$match": {"operationType": {"$in": ["insert", "replace", "update"]}}}


class MirrorDatabase:
    """Opening never waits. Owned by the composition root."""

    def __init__(self, settings: Mirror) -> None:
        """Raises ConfigError for a URL or certificate that the driver cannot use."""
        try:
            given = arguments(settings)
            self._client: AsyncMongoClient[Row] = AsyncMongoClient(**given)
        except (PyMongoError, OSError) as error:
            name = type(error).__name__
            raise ConfigError("mirror", f"MongoDB's driver refuses: {name}") from error
        self._database = self._client[settings.database]
        self._look_ms = int(min(LOOK_SECONDS, settings.timeout_seconds / 2) * 1000)

    def _of(self, name: str) -> AsyncCollection[Row]:
        return self._database[name]

    async def prepare(self) -> None:
        messages = self._of("messages")
        for keys in (("room", "seq"), ("room", "ops"), ("account",)):
            await asked(messages.create_index([(key, ASCENDING) for key in keys]))
        for name in ("posted", "quarantine", "notices"):
            await asked(self._of(name).create_index([("at", ASCENDING)]))

    # Rooms

    async def rooms(self) -> list[str]:
        rows = await asked(self._of("rooms").find({}, {"_id": 1}).to_list())
        return [row["_id"] for row in rows if isinstance(row["_id"], str)]

    async def place(self, room: str) -> Place | None:
        fields = {"upto": 1, "floor": 1, "chain": 1, "bodies": 1}
        row = await asked(self._of("rooms").find_one({"_id": room}, fields))
        if row is None:
            return None
        upto, floor, chain = row.get("upto"), row.get("floor"), row.get("chain")
        if not (isinstance(upto, int) and isinstance(floor, int) and isinstance(chain, str)):
            return Place()
        return Place(upto=upto, floor=floor, chain=chain, bodies=row.get("bodies") is True)

    async def set_place(self, room: str, place: Place, facts: Document | None) -> None:
        given = {
            "upto": place.upto, "floor": place.floor, "chain": place.chain,
            "bodies": place.bodies, **(facts or {}),
        }  # fmt: skip
        await asked(self._of("rooms").update_one({"_id": room}, {"$set": given}, upsert=True))

    async def write(self, documents: Sequence[Document]) -> None:
        """A duplicate key is a document that is newer than what was to be written."""
        await self._each([
            ReplaceOne(
                {"_id": one["_id"], "upto": {"$lte": one["upto"]}, "erased": {"$ne": True}},
                one, upsert=True,
            )
            for one in documents
        ], passing=DUPLICATE)  # fmt: skip

    async def bury(self, room: str, ids: Sequence[str], upto: int) -> None:
        await self._bury(room, ids, upto, there=False)

    async def vanish(self, room: str, ids: Sequence[str], upto: int) -> None:
        await self._bury(room, ids, upto, there=True)

    async def _bury(self, room: str, ids: Sequence[str], upto: int, *, there: bool) -> None:
        change = {"$set": {"erased": True}, "$unset": _GONE, "$max": {"upto": upto}}
        await self._each([
            UpdateOne(
                {"_id": place_of(room, ident)},
                change if there else {**change, "$setOnInsert": {"room": room, "id": ident}},
                upsert=not there,
            )
            for ident in ids
        ])  # fmt: skip

    async def _each(
        self, writes: Sequence[ReplaceOne[Row] | UpdateOne], *, passing: int = 0
    ) -> None:
        """In any order. An error of the code `passing` is none."""
        if not writes:
            return
        try:
            await self._of("messages").bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            details: dict[str, Any] = dict(error.details or {})
            others = [one for one in details["writeErrors"] if one.get("code") != passing]
            if others or details.get("writeConcernErrors"):
                raise unavailable(error) from error
        except PyMongoError as error:
            raise unavailable(error) from error

    async def bury_account(self, account: str) -> int:
        change = {"$set": {"erased": True}, "$unset": _GONE}
        done = await asked(self._of("messages").update_many({"account": account}, change))
        return done.modified_count

    async def reflecting(self, room: str, seqs: Sequence[int], ids: Sequence[str]) -> list[str]:
        places = [place_of(room, ident) for ident in ids]
        query = {"room": room, "$or": [{"ops": {"$in": list(seqs)}}, {"_id": {"$in": places}}]}
        rows = await asked(self._of("messages").find(query, {"id": 1, "parent": 1}).to_list())
        found = [row.get(name) for row in rows for name in ("id", "parent")]
        return [one for one in dict.fromkeys(found) if isinstance(one, str)]

    async def purge(self, room: str, floor: int) -> None:
        query = {"room": room, "seq": {"$lte": floor}}
        await asked(self._of("messages").delete_many(query))

    async def forget_room(self, room: str) -> int:
        """The room's own document last: as long as it is there, this is done again."""
        gone = await asked(self._of("messages").delete_many({"room": room}))
        await asked(self._of("rooms").delete_one({"_id": room}))
        return gone.deleted_count

    # The inbox

    async def waiting(self, limit: int) -> list[Waiting]:
        inbox = self._database.get_collection("inbox", codec_options=_RAW)
        rows: list[Any] = await asked(inbox.find({}).sort("_id", ASCENDING).limit(limit).to_list())
        return [Waiting(name=name_of(one.raw), data=one.raw) for one in rows]

    async def took(self, document: str) -> bool:
        return await asked(self._of("posted").find_one({"_id": document}, {"_id": 1})) is not None

    async def note_taken(self, document: str, receipt: Document) -> None:
        kept = {"_id": document, **receipt}
        await asked(self._of("posted").replace_one({"_id": document}, kept, upsert=True))

    async def quarantine(self, one: Quarantined, most: int) -> None:
        kept, quarantine = one.as_document(), self._of("quarantine")
        await asked(quarantine.replace_one({"_id": kept["_id"]}, kept, upsert=True))
        beyond = await asked(quarantine.count_documents({})) - most
        if beyond > 0:
            oldest = quarantine.find({}, {"_id": 1}).sort("at", ASCENDING).limit(beyond)
            rows = [row["_id"] for row in await asked(oldest.to_list())]
            await asked(quarantine.delete_many({"_id": {"$in": rows}}))

    async def remove(self, name: bytes) -> None:
        await asked(self._of("inbox").delete_one(RawBSONDocument(name)))

    async def notice(self, document: Document) -> None:
        named = {"_id": document["_id"]}
        await asked(self._of("notices").replace_one(named, document, upsert=True))

    async def expire(self, before: datetime) -> None:
        for name in ("posted", "quarantine", "notices"):
            await asked(self._of(name).delete_many({"at": {"$lt": before}}))

    async def changes(self, wake: Callable[[], None]) -> None:
        """Nothing of a document is asked for but its id."""
        pipeline: list[Row] = [_COMING, {"$project": {"_id": 1}}]
        try:
            stream = await self._of("inbox").watch(pipeline, max_await_time_ms=self._look_ms)
        except PyMongoError as error:
            raise _streamless(error) from error
        async with stream:
            wake()  # what came before is not told
            while stream.alive:
                if await asked(stream.try_next()) is not None:
                    wake()

    async def close(self) -> None:
        await self._client.close()


def _streamless(error: PyMongoError) -> Exception:
    """A server without change streams says so in as many ways as there are servers; whatever may
    pass is no such answer.
    """
    if isinstance(error, OperationFailure) and not is_passing(error) and not is_duplicate(error):
        return NoStreams()
    return unavailable(error)
