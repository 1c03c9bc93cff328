"""What others see of sessions: a session in a list, a revocation, and who must hear of one.

Not how sessions are kept (`service`, `records`), nor how they begin: that port is
`signaling.accounts.signin.Sessions`. Whoever changed a role or disabled an account calls
`Revoker.revoke` afterwards; whoever holds a socket or a call registers a `Holder` with `Holders`.
All times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from signaling.accounts.principal import Principal

TOPIC = "revoked"
"""The bus topic; its payload is a msgpack `Revocation`."""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its owner sees it."""

    id: str
    device: str
    label: str
    client: str | None
    created_at: float
    last_used_at: float
    ends_at: float
    mfa: bool


class Change(StrEnum):
    ENDED = "ended"
    """The credential is no longer good: sockets close and calls end, nobody asks again."""
    CHANGED = "changed"
    """Rights changed: who holds something looks again, and closes when it may not stay."""


class Revocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom it hits: holders that match every field that is set. At least one is."""

    app: str
    account: str | None = None
    session: str | None = None
    device: str | None = None
    token: str | None = None
    client: str | None = None
    room: str | None = None
    change: Change = Change.ENDED
    reason: str = ""


class Revoker(Protocol):
    """Call it after the store says so. Returns when it is durable and published; other processes
    on the bus follow within a second, and without the bus by polling the store."""

    async def revoke(self, revocation: Revocation) -> None: ...


class Holder(Protocol):
    """Something open that a credential opened. Callbacks come on the event loop; must not block."""

    @property
    def principal(self) -> Principal: ...

    def ended(self, revocation: Revocation) -> None: ...

    def changed(self, principal: Principal) -> None:
        """Looked again: these are the rights from now on."""
        ...

    def unsure(self) -> None:
        """Rights changed and the store could not be asked: close so that it may come again."""
        ...


class Holders(Protocol):
    def hold(
        self, holder: Holder, *, room: str | None = None, token: str | None = None
    ) -> Callable[[], None]:
        """Register; call the answer when it is closed. `token`: the thing's own, if it has one.

        Then ask the store once more whether it may be open: a revocation may have come between
        the first look and this.
        """
        ...
