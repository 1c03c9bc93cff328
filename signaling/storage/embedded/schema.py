"""The tables, as a list of steps; `user_version` is how many were taken.

A released step never changes: a later version adds one. Going back is refused, since an older
server would misread what a newer one wrote. Driven by the writer when it opens the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from signaling.errors import ConfigError

# `terms` of a document repeats its rows in `term`, so that reading one needs no second query.
# WITHOUT ROWID keeps a room's ops side by side: a page of history is one descent and a walk.
# No index on time: seq rises with time, so retention searches by halves.
STEPS: tuple[str, ...] = (
    """
    CREATE TABLE meta (
        app TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        version INTEGER NOT NULL, value BLOB NOT NULL, terms BLOB NOT NULL, expires REAL,
        PRIMARY KEY (app, kind, key)
    ) WITHOUT ROWID;
    CREATE INDEX meta_expires ON meta (expires) WHERE expires IS NOT NULL;
    CREATE TABLE term (
        app TEXT NOT NULL, kind TEXT NOT NULL, term TEXT NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (app, kind, term, key)
    ) WITHOUT ROWID;
    CREATE TABLE room (
        rid INTEGER PRIMARY KEY, app TEXT NOT NULL, room TEXT NOT NULL,
        floor INTEGER NOT NULL, chain BLOB NOT NULL, gone INTEGER NOT NULL,
        UNIQUE (app, room)
    );
    CREATE INDEX room_purging ON room (rid) WHERE gone < floor;
    CREATE TABLE op (
        rid INTEGER NOT NULL, seq INTEGER NOT NULL, ident TEXT NOT NULL, version INTEGER NOT NULL,
        body BLOB NOT NULL, chain BLOB NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (rid, seq)
    ) WITHOUT ROWID;
    CREATE TABLE cursor (
        rid INTEGER NOT NULL, ident TEXT NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (rid, ident)
    ) WITHOUT ROWID;
    CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at REAL NOT NULL);
    """,
)


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = STEPS) -> int:
    """Take the steps that are missing, each in a transaction of its own; the version reached."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(steps):
        raise ConfigError(
            "store", f"the file has schema {found}, newer than the {len(steps)} of this server"
        )
    for number, step in enumerate(steps[found:], found + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in step.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return len(steps)
