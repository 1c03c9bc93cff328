"""The store for several servers: MongoDB, alone, as a replica set or sharded.

Only what is right on each of those: writes of one document, unique `_id`, ordered inserts, ranges.
No transactions, no change streams, no TTL or partial index. `connect` opens, `documents` and
`rooms` are the ports, `lease` says which node owns a room, `store` puts them together.
"""

from signaling.storage.mongo.store import MongoStore

__all__ = ["MongoStore"]
