"""The register of what is open: which sockets and calls hang on which account, session, device.

Kept by each process for itself, on its one event loop. It finds whom a revocation hits and calls
them; it neither hears of revocations (`revocation`) nor asks the store. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from signaling.accounts.sessions.port import Holder, Revocation

K = TypeVar("K")

_FIELDS = ("session", "token", "device", "account", "client")
"""The narrowest first: the first that a revocation names is the index that is looked into."""


class Held(msgspec.Struct, frozen=True, eq=False):
    """One registration; equal to itself only."""

    holder: Holder
    room: str | None
    token: str | None
    """Of the thing itself, when it has one of its own (a call token), else of its credential."""


def hits(revocation: Revocation, held: Held) -> bool:
    """Every field that is set must match."""
    principal = held.holder.principal
    return (
        revocation.app == principal.app
        and revocation.account in (None, principal.account)
        and revocation.session in (None, principal.session)
        and revocation.device in (None, principal.device)
        and revocation.client in (None, principal.client)
        and revocation.token in (None, held.token)
        and revocation.room in (None, held.room)
    )


class Register:
    """Implements `Holders`."""

    def __init__(self) -> None:
        self._apps: dict[str, set[Held]] = {}
        self._index: dict[tuple[str, str, str], set[Held]] = {}

    def __len__(self) -> int:
        return sum(len(held) for held in self._apps.values())

    def hold(
        self, holder: Holder, *, room: str | None = None, token: str | None = None
    ) -> Callable[[], None]:
        held = Held(holder, room, token or holder.principal.token)
        app = holder.principal.app
        # Who it is does not change while it is open; only rights do.
        keys = [(app, name, value) for name, value in _values(held) if value is not None]
        self._apps.setdefault(app, set()).add(held)
        for key in keys:
            self._index.setdefault(key, set()).add(held)

        def release() -> None:
            _discard(self._apps, app, held)
            for key in keys:
                _discard(self._index, key, held)

        return release

    def apps(self) -> list[str]:
        return list(self._apps)

    def of_app(self, app: str) -> list[Held]:
        return list(self._apps.get(app, ()))

    def sessions(self) -> set[tuple[str, str]]:
        """(app, session) of everything that is open: these sessions are in use."""
        return {(app, value) for app, name, value in self._index if name == "session"}

    def hit_by(self, revocation: Revocation) -> list[Held]:
        for name in _FIELDS:
            value = getattr(revocation, name)
            if value is not None:
                found = self._index.get((revocation.app, name, value), set())
                return [held for held in found if hits(revocation, held)]
        return [held for held in self.of_app(revocation.app) if hits(revocation, held)]


def _values(held: Held) -> list[tuple[str, str | None]]:
    principal = held.holder.principal
    named = [(name, getattr(principal, name)) for name in _FIELDS if name != "token"]
    return [*named, ("token", held.token)]


def _discard(index: dict[K, set[Held]], key: K, held: Held) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(held)
        if not found:
            del index[key]
