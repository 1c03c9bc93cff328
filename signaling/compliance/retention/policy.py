"""How long a room keeps what: the installation's rule, the app's, the room's; the shortest wins.

Seconds, None for no limit of its own. A message's own life (`ttl`) is shorter still and kept by
`chat.later`. Pure, but for the table that the app's rule and the rooms' lie in.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

KIND = "compliance.retention"
APP = "app"
DAY = 86400


class Policy(Struct, frozen=True, kw_only=True):
    """By class of data."""

    messages: int | None = None
    files: int | None = None


class Policies:
    """One for each process. `installed` is what the configuration says."""

    def __init__(self, store: Store, sealer: Sealer, installed: Policy) -> None:
        self._rows = Table(store, KIND, Policy, sealer)
        self.installed = installed
        self.changed: list[Callable[[], None]] = []

    async def of_app(self, app: str) -> Policy:
        row = await self._rows.get(app, APP)
        return Policy() if row is None else row.value

    async def of_room(self, app: str, room: str) -> Policy:
        row = await self._rows.get(app, room)
        return Policy() if row is None else row.value

    async def set_app(self, app: str, policy: Policy) -> None:
        await self._set(app, APP, policy)

    async def set_room(self, app: str, room: str, policy: Policy) -> None:
        await self._set(app, room, policy)

    async def _set(self, app: str, key: str, policy: Policy) -> None:
        while True:
            row = await self._rows.get(app, key)
            try:
                if row is None:
                    await self._rows.create(app, key, policy)
                else:
                    await self._rows.replace(app, row, policy)
            except Conflict:
                continue
            break
        for told in self.changed:
            told()

    async def forget_room(self, app: str, room: str) -> bool:
        return await self._rows.delete(app, room)

    async def effective(
        self, app: str, room: str, own: int | None, whole: Policy | None = None
    ) -> Policy:
        """Of a room, whose settings say `own` for messages; as if the app's rule were `whole`."""
        rooms = await self.of_room(app, room)
        if whole is None:
            whole = await self.of_app(app)
        messages = shortest(self.installed.messages, whole.messages, rooms.messages, own)
        # A file is never kept longer than the message that it belongs to.
        files = shortest(messages, self.installed.files, whole.files, rooms.files)
        return Policy(messages=messages, files=files)


def shortest(*limits: int | None) -> int | None:
    """None says nothing."""
    said = [limit for limit in limits if limit is not None]
    return min(said) if said else None


def installed(messages_days: int, files_days: int) -> Policy:
    return Policy(
        messages=messages_days * DAY if messages_days else None,
        files=files_days * DAY if files_days else None,
    )
