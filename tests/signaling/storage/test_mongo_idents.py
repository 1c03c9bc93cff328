"""An ident's newest version while a purge runs: asked of the ops, and of what a purge kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from signaling.storage.mongo.appending import Ident, op_id
from signaling.storage.mongo.schema import Database

KEY = b"12345678"


class Purging:
    """Ops and kept cursors of one ident. Its last op is purged when the cursor is asked for, or
    when the ops are, whichever is asked first; the answer of the ops is the slower one.
    """

    def __init__(self) -> None:
        self._ops: list[dict[str, Any]] = [{"_id": op_id(KEY, 9), "n": 7}]
        self._kept: dict[str, Any] | None = None

    def __getitem__(self, name: str) -> Purging:
        return self

    def find(self, *_: Any) -> Purging:
        return self

    sort = limit = find

    async def to_list(self) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        self._purge()
        return self._ops

    async def find_one(self, *_: Any) -> dict[str, Any] | None:
        found = self._kept
        self._purge()
        return found

    def _purge(self) -> None:
        self._kept, self._ops = {"v": 7, "s": 9}, []


async def test_a_version_is_not_forgotten_between_the_ops_and_what_is_kept_of_them() -> None:
    database = cast(Database, Purging())
    assert await Ident.read(database, KEY, "ann-1") == Ident(7, 9)
