"""The key table: every `KeySet` of this installation, in one kind of the store, changed by compare
and set.

Holds wrapped keys only. It may stand in a store of its own, so that its backups live as short as a
promise of erasure needs.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable

import msgspec

from signaling.keys.lifecycle import KeySet, State
from signaling.keys.port import INSTALLATION, IntegrityError
from signaling.storage.port import Conflict, Document, Meta

KIND = "key"
APPS = "key_app"
MASTER_SCOPE = "master"
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(KeySet)

Change = Callable[[KeySet | None], KeySet]


def key_id(app: str, scope: str) -> bytes:
    """Follows from the scope, so that two processes cannot make two keys for one scope and a
    destroyed scope cannot come back.
    """
    name = app.encode()
    return hashlib.sha256(len(name).to_bytes(4, "big") + name + scope.encode()).digest()[:16]


MASTER_ID = key_id(INSTALLATION, MASTER_SCOPE).hex()


def master_term(number: int) -> str:
    return f"master:{number}"


def _terms(keys: KeySet) -> list[str]:
    """Which masters still wrap something of this key, and whether destruction is scheduled."""
    live = {v.master for v in keys.versions if v.master and v.state is not State.DESTROYED}
    terms = [master_term(number) for number in sorted(live)]
    if any(version.state is State.SCHEDULED for version in keys.versions):
        terms.append(State.SCHEDULED.value)
    return terms


def _load(app: str, document: Document) -> KeySet:
    """A row that was put in another's place is noticed before its key is asked for."""
    try:
        keys = _DECODER.decode(document.value)
    except msgspec.DecodeError as error:
        raise IntegrityError("A row of the key table was changed.") from error
    if keys.id != document.key or keys.app != app or key_id(app, keys.scope).hex() != keys.id:
        raise IntegrityError("A row of the key table was moved.")
    return keys


class KeyTable:
    """Borrowed by the envelope, the masters and the custodian; owns nothing but the format."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta
        self._apps: set[str] = set()

    async def get(self, app: str, key: str) -> KeySet | None:
        document = await self._meta.get(app, KIND, key)
        return None if document is None else _load(app, document)

    async def change(self, app: str, key: str, change: Change) -> KeySet:
        """Applies `change` to what is there, again whenever somebody else was faster."""
        while True:
            document = await self._meta.get(app, KIND, key)
            before = None if document is None else _load(app, document)
            after = change(before)
            if after == before:
                return after
            await self._know(app)
            try:
                await self._meta.put(
                    app,
                    KIND,
                    key,
                    _ENCODER.encode(after),
                    expect=0 if document is None else document.version,
                    terms=_terms(after),
                )
            except Conflict:
                continue
            return after

    async def _know(self, app: str) -> None:
        """Remembers that the app has keys: the store lists no apps."""
        if app in self._apps:
            return
        if await self._meta.get(INSTALLATION, APPS, app) is None:
            with contextlib.suppress(Conflict):  # another process just did
                await self._meta.put(INSTALLATION, APPS, app, b"", expect=0)
        self._apps.add(app)

    async def apps(self) -> list[str]:
        """Every app that ever had a key, the installation itself among them."""
        found: list[str] = []
        while page := await self._meta.scan(INSTALLATION, APPS, after=found[-1] if found else ""):
            found.extend(document.key for document in page)
        return found

    async def walk(self, app: str, *, term: str | None = None) -> AsyncIterator[KeySet]:
        """All key sets of an app, or those that a master still wraps, by id."""
        after = ""
        while page := await self._meta.scan(app, KIND, term=term, after=after, limit=200):
            for document in page:
                after = document.key
                yield _load(app, document)

    async def page(self, app: str, after: str, limit: int) -> list[KeySet]:
        found = await self._meta.scan(app, KIND, after=after, limit=limit)
        return [_load(app, document) for document in found]

    async def wrapped_under(self, number: int) -> int:
        """How many key sets a master's version still wraps."""
        count = 0
        for app in await self.apps():
            async for _ in self.walk(app, term=master_term(number)):
                count += 1
        return count
