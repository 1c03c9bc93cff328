"""Collections, indexes, and the steps between schema versions. Forwards only.

Several servers may start at once: every step can run twice, also at the same time.

    meta    _id "app NUL kind NUL key"  v version  d value  t terms  e expiry (or infinity)  n marks
    room    _id "app NUL room"  k key  f floor  o owner  p epoch  u lease until
    key     _id room key: that no two rooms share one
    op      _id key || seq  r key  i ident  n version  d body  c chain  g digest if erased  m mark
            t seq of the newest op that turns, itself included
    cursor  _id key || ident  r key  v version  s seq: of idents whose ops were purged
    purge   _id as of room  u seq: ops up to there are being purged
    schema  _id "schema" v; _id "probe" at; _id "restoring" while an archive is put in
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.database import AsyncDatabase

from signaling.errors import ConfigError
from signaling.storage.mongo.connect import Row

Database = AsyncDatabase[Row]
Step = Callable[[Database], Awaitable[None]]


async def _first(database: Database) -> None:
    """`t, _id` pages through a term; `r, i, n` finds an ident's newest op in one look."""
    await database["meta"].create_index([("t", ASCENDING), ("_id", ASCENDING)], name="term")
    await database["meta"].create_index([("e", ASCENDING)], name="expiry")
    ident = [("r", ASCENDING), ("i", ASCENDING), ("n", DESCENDING)]
    await database["op"].create_index(ident, name="ident")
    await database["cursor"].create_index([("r", ASCENDING)], name="room")


RESTORING = "restoring"
STEPS: tuple[Step, ...] = (_first,)


async def migrate(database: Database, steps: Sequence[Step] = STEPS) -> None:
    """Raises ConfigError when the database is newer than this server, or half restored."""
    schema = database["schema"]
    if await schema.find_one({"_id": RESTORING}) is not None:
        raise ConfigError("store", "an archive is being restored, or that was cut short")
    found = await schema.find_one({"_id": "schema"})
    version = found["v"] if found else 0
    if version > len(steps):
        raise ConfigError(
            "store", f"the database has schema {version}, newer than the {len(steps)} here"
        )
    for number, step in enumerate(steps[version:], version + 1):
        await step(database)
        await schema.update_one({"_id": "schema"}, {"$max": {"v": number}}, upsert=True)
