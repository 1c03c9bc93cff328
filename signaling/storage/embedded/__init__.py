"""The default store: SQLite from the standard library, durable after every acknowledgement.

`schema` holds the tables and their migrations, `writer` the one writing connection, `documents`
and `rooms` the two ports, `store` puts them together.
"""

from signaling.storage.embedded.store import EmbeddedStore

__all__ = ["EmbeddedStore"]
