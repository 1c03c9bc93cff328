"""Who asks, from a request or from a link, as `Caller`: between HTTP and the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from msgspec import Struct

from signaling.access.evaluate import Holder
from signaling.accounts.principal import Principal
from signaling.http.api.operation import Call

LookAgain = Callable[[Principal], Awaitable[Principal | None]]


class Asking(Struct, frozen=True, kw_only=True):
    """`account` is whose the files are: the account, or for an access token its uuid, or the token
    itself where it names none.
    """

    app: str
    account: str
    holder: Holder
    who: tuple[str, ...]


class Door(Protocol):
    """Of the Access Manager."""

    async def holder_of(
        self, request: web.Request, principal: Principal, uuid: str | None = None
    ) -> tuple[Holder, tuple[str, ...]]: ...

    async def again(
        self, principal: Principal, uuid: str | None = None
    ) -> tuple[Holder, tuple[str, ...]]: ...


async def asking(door: Door, call: Call[Any]) -> Asking:
    uuid = getattr(call.query, "uuid", None)
    holder, who = await door.holder_of(call.request, call.principal, uuid)
    return _asking(call.principal, holder, who, uuid)


async def asking_again(
    door: Door, look_again: LookAgain, principal: Principal, uuid: str | None
) -> Asking | None:
    """None when the session or token behind a link has ended."""
    now = await look_again(principal)
    if now is None:
        return None
    holder, who = await door.again(now, uuid)
    return None if holder.fault is not None else _asking(now, holder, who, uuid)


def _asking(principal: Principal, holder: Holder, who: tuple[str, ...], uuid: str | None) -> Asking:
    account = principal.account or ""
    if not account and principal.token is not None:
        account = f"uuid:{uuid}" if uuid else f"token:{principal.token}"
    elif not account and principal.session is not None:
        account = f"session:{principal.session}"
    return Asking(app=principal.app, account=account, holder=holder, who=who)
