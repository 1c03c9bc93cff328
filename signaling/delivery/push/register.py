"""Which devices may be woken: rows that end with their session, and who has any, in memory.

A row is sealed with its account's key; it is found by account, session and, blinded, by the place
that it leads to, which only the last who registered it has. The index is of ids alone: most
messages go to rooms in which nobody needs to be looked up. Other processes hear of a change on the
bus and read everything again now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from signaling.accounts.sessions.port import Change, Revocation
from signaling.bus.port import Bus
from signaling.delivery.port import Outbox
from signaling.delivery.push.model import PushSettings, Subscription
from signaling.errors import Unavailable
from signaling.keys.port import KeyDestroyed, KeyInactive, Sealer
from signaling.storage.port import Conflict, Document, Store
from signaling.storage.table import Table

log = logging.getLogger(__name__)

Lives = Callable[[str, str], Awaitable[float | None]]
"""Of an app's session: when it ends at the latest; None for one that is over."""

KIND = "push.subscription"
SETTINGS = "push.settings"
MOST = 50
"""Of one account; the oldest goes."""
RELOAD_SECONDS = 300.0
PAGE = 200


class _Changed(msgspec.Struct, frozen=True, array_like=True):
    account: str
    ids: tuple[str, ...]


class Register:
    """One for each process. `load` before use, `run` until cancelled."""

    def __init__(self, store: Store, sealer: Sealer, bus: Bus, outbox: Outbox, app: str) -> None:
        self._meta, self._sealer, self._bus, self._outbox = store.meta, sealer, bus, outbox
        self._app = app
        self._rows: Table[Subscription] = Table(
            store, KIND, Subscription, sealer,
            lambda app, key, value: f"account:{value.account}",
            lambda value: (
                f"account:{value.account}", f"session:{value.session}",
                self._place(app, value.place),
            ),
        )  # fmt: skip
        self._settings: Table[PushSettings] = Table(
            store, SETTINGS, PushSettings, sealer, lambda app, key, value: f"account:{key}"
        )
        self._known: dict[str, dict[str, set[str]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = bus.subscribe(self._topic(app), self._hear)

    def _place(self, app: str, place: str) -> str:
        return "at:" + self._sealer.blind(app, f"push.place:{place}")

    @staticmethod
    def _topic(app: str) -> str:
        return f"{app}:push:changed"

    # Who has any

    def any(self, app: str) -> bool:
        return bool(self._known.get(app))

    def has(self, app: str, account: str) -> bool:
        return account in self._known.get(app, ())

    async def load(self) -> None:
        """Everybody's ids, without opening a row."""
        found: dict[str, set[str]] = {}
        after = ""
        while page := await self._meta.scan(self._app, KIND, after=after, limit=PAGE):
            for document in page:
                found.setdefault(_account_of(document), set()).add(document.key)
            after = page[-1].key
        self._known[self._app] = found

    async def run(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            try:
                await self.load()
            except Unavailable as error:
                log.warning("who may be woken could not be read: %s", error.message)

    def _hear(self, payload: bytes) -> None:
        try:
            changed = msgspec.msgpack.decode(payload, type=_Changed)
        except msgspec.MsgspecError:
            log.warning("a change of subscriptions could not be read")
            return
        known = self._known.setdefault(self._app, {})
        if changed.ids:
            known[changed.account] = set(changed.ids)
        else:
            known.pop(changed.account, None)

    async def _tell(self, app: str, account: str) -> None:
        ids = [row.key for row in await self._documents(app, f"account:{account}")]
        changed = msgspec.msgpack.encode(_Changed(account, tuple(ids)))
        self._hear(changed)
        await self._bus.publish(self._topic(app), changed)

    # Rows

    async def add(self, app: str, one: Subscription, expires: float | None) -> Subscription:
        """The place is this account's from now on; the same session's earlier row there keeps its
        id.
        """
        told = {one.account}
        for row in await self._documents(app, self._place(app, one.place)):
            if f"session:{one.session}" in row.terms:
                one = msgspec.structs.replace(one, id=row.key)
            await self._drop(app, row)
            told.add(_account_of(row))
        try:
            await self._rows.create(app, one.id, one, expires=expires)
        except Conflict:
            # Registered twice at once: the other has the same place.
            await self._rows.change(app, one.id, lambda old: one)
        mine = await self._documents(app, f"account:{one.account}")
        for row in mine[: max(0, len(mine) - MOST)]:
            await self._drop(app, row)
        for account in told:
            await self._tell(app, account)
        return one

    async def get(self, app: str, ident: str) -> Subscription | None:
        try:
            row = await self._rows.get(app, ident)
        except KeyDestroyed:
            return None  # its account was erased
        return None if row is None else row.value

    async def of(self, app: str, account: str) -> list[Subscription]:
        """By id: the oldest first."""
        found: list[Subscription] = []
        after, term = "", f"account:{account}"
        try:
            while rows := await self._rows.scan(app, term=term, after=after, limit=PAGE):
                found += [row.value for row in rows]
                after = rows[-1].key
        except (KeyDestroyed, KeyInactive):
            return []
        return found

    async def remove(self, app: str, account: str, ident: str) -> bool:
        """False when there is none, or it is another account's."""
        row = await self._meta.get(app, KIND, ident)
        if row is None or _account_of(row) != account:
            return False
        await self._drop(app, row)
        await self._tell(app, account)
        return True

    async def _drop(self, app: str, row: Document) -> None:
        await self._meta.delete(app, KIND, row.key)
        await self._outbox.drop(app, target=row.key)

    async def _documents(self, app: str, term: str) -> list[Document]:
        found: list[Document] = []
        while page := await self._meta.scan(
            app, KIND, term=term, after=found[-1].key if found else "", limit=PAGE
        ):
            found += page
        return found

    # Ending

    def hear(self, revocation: Revocation) -> None:
        """A session or an account ended: what it registered goes too. Every process does so, which
        does no harm.
        """
        ended = revocation.change is Change.ENDED and revocation.token is None
        if not ended or (revocation.session is None and revocation.account is None):
            return
        task = asyncio.get_running_loop().create_task(self._end(revocation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, ended: Revocation) -> None:
        try:
            if ended.session is None and ended.reason == "removed":
                await self.forget(ended.app, str(ended.account))
                return
            account = f"account:{ended.account}"
            await self._end_all(ended.app, f"session:{ended.session}" if ended.session else account)
        except Unavailable:
            # Whatever is sent looks at the session first.
            log.warning("subscriptions of a session that ended could not be removed now")

    async def _end_all(self, app: str, term: str) -> int:
        rows = await self._documents(app, term)
        for row in rows:
            await self._drop(app, row)
        for account in {_account_of(row) for row in rows}:
            await self._tell(app, account)
        return len(rows)

    async def forget(self, app: str, account: str) -> int:
        """Everything of an account; nothing is opened for it, so its key may be gone."""
        count = await self._end_all(app, f"account:{account}")
        return count + await self._meta.delete(app, SETTINGS, account)

    async def close(self) -> None:
        self._heard.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Settings

    async def settings(self, app: str, account: str) -> PushSettings:
        try:
            row = await self._settings.get(app, account)
        except (KeyDestroyed, KeyInactive):
            return PushSettings()
        return PushSettings() if row is None else row.value

    async def set_settings(self, app: str, account: str, wish: PushSettings) -> None:
        while True:
            row = await self._settings.get(app, account)
            try:
                if row is None:
                    await self._settings.create(app, account, wish)
                else:
                    await self._settings.replace(app, row, wish)
            except Conflict:
                continue
            return


def _account_of(document: Document) -> str:
    (term,) = [term for term in document.terms if term.startswith("account:")]
    return term.removeprefix("account:")
