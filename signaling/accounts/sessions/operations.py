"""Sessions on the HTTP API: see and end one's own, end somebody's as administrator, get a ticket.

Beginning one is the sign-in's (`signaling.accounts`). A session that is not one's own is answered
like one that does not exist.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from signaling.accounts.principal import Principal, Role, Via
from signaling.accounts.sessions.cookies import no_cookie
from signaling.accounts.sessions.port import SessionView
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tickets import Tickets
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Auth, Call, Operation, Recording, Reply

MOST_LISTED = 100
SYNC = "sync"
_TAG = "Sessions"


class Deps(msgspec.Struct, frozen=True):
    service: SessionService
    tickets: Tickets


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One session; `current` is the one that asks."""

    id: str
    device: str
    label: str
    client: str | None
    created_at: float
    last_used_at: float
    expires_at: float
    mfa: bool
    current: bool


class SessionList(msgspec.Struct, frozen=True):
    """The newest first, a hundred at most."""

    items: list[Listed]


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as the server sees them."""

    account: str | None
    kind: str
    session: str | None
    device: str | None
    client: str | None
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    mfa: bool
    authenticated_at: float
    expires_at: float


class Ended(msgspec.Struct, frozen=True):
    """How many sessions ended."""

    ended: int


class TicketAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Open `path` with `?ticket=` within `expires_in` seconds; it works once."""

    ticket: str
    path: str
    expires_in: int


def own(principal: Principal) -> tuple[str, str]:
    """Account and session of who asks. A service has neither to look after here."""
    if principal.account is None or principal.session is None:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account has sessions.")
    return principal.account, principal.session


@lru_cache(maxsize=64)
def _in_order(names: frozenset[str]) -> tuple[str, ...]:
    """Most principals have one of a few sets."""
    return tuple(sorted(map(str, names)))


def _no_session() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such session.")


def _listed(view: SessionView, current: str | None) -> Listed:
    return Listed(
        id=view.id,
        device=view.device,
        label=view.label,
        client=view.client,
        created_at=view.created_at,
        last_used_at=view.last_used_at,
        expires_at=view.ends_at,
        mfa=view.mfa,
        current=view.id == current,
    )


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._service = deps.service
        self._tickets = deps.tickets

    async def current(self, call: Call[None]) -> Current:
        who = call.principal
        return Current(
            account=who.account,
            kind=str(who.kind),
            session=who.session,
            device=who.device,
            client=who.client,
            roles=_in_order(who.roles),
            scopes=_in_order(who.scopes),
            mfa=who.mfa,
            authenticated_at=who.authenticated_at,
            expires_at=who.valid_until,
        )

    async def sign_out(self, call: Call[None]) -> Reply:
        """Idempotent from the outside: afterwards there is no such session."""
        who = call.principal
        if who.session is not None:
            call.note.target = f"session:{who.session}"
            await self._service.end_session(who.app, who.session, reason="signed_out")
        headers = no_cookie() if who.via is Via.COOKIE else ()
        return Reply(status=204, headers=headers)

    async def list(self, call: Call[None]) -> SessionList:
        account, current = own(call.principal)
        views = await self._service.list(call.principal.app, account)
        return SessionList([_listed(view, current) for view in views[:MOST_LISTED]])

    async def end(self, call: Call[None]) -> Reply:
        account, _ = own(call.principal)
        session = call.path["session_id"]
        call.note.target = f"session:{session}"
        if not await self._service.end_session(call.principal.app, session, account=account):
            raise _no_session()
        return Reply(status=204)

    async def end_others(self, call: Call[None]) -> Ended:
        account, current = own(call.principal)
        return Ended(await self._service.end_all(call.principal.app, account, keep=current))

    async def list_of(self, call: Call[None]) -> SessionList:
        views = await self._service.list(call.principal.app, call.path["account_id"])
        return SessionList([_listed(view, call.principal.session) for view in views[:MOST_LISTED]])

    async def end_all_of(self, call: Call[None]) -> Ended:
        account = call.path["account_id"]
        call.note.target = f"account:{account}"
        return Ended(await self._service.end_all(call.principal.app, account))

    async def ticket(self, call: Call[None]) -> TicketAnswer:
        token, expires = await self._tickets.issue(call.principal, SYNC)
        return TicketAnswer(
            ticket=token.text, path="/sync", expires_in=max(0, int(expires - call.now))
        )


_ADMINISTRATORS = (Role.OWNER, Role.ADMINISTRATOR)


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)

    def op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
        return Operation(method, path, name, summary, handler, tag=_TAG, **more)

    durable, admin = Recording.DURABLE, {"auth": Auth.ROLE, "roles": _ADMINISTRATORS}
    return [
        op("GET", "/session", "getSession", "Who am I", do.current, answer=Current),
        op("DELETE", "/session", "endSession", "Sign out", do.sign_out, status=204,
           recording=durable),
        op("GET", "/sessions", "listSessions", "Where am I signed in", do.list,
           answer=SessionList, scope="account:read"),
        op("DELETE", "/sessions/others", "endOtherSessions", "Sign out everywhere else",
           do.end_others, answer=Ended, scope="account:write", recording=durable),
        op("DELETE", "/sessions/{session_id}", "endOneSession", "Sign out one of my sessions",
           do.end, status=204, scope="account:write", recording=durable,
           errors=(Code.NOT_FOUND,)),
        op("GET", "/accounts/{account_id}/sessions", "listSessionsOfAccount",
           "Where an account is signed in", do.list_of, answer=SessionList, scope="admin", **admin),
        op("DELETE", "/accounts/{account_id}/sessions", "endSessionsOfAccount",
           "Sign an account out everywhere", do.end_all_of, answer=Ended, scope="admin",
           recording=durable, **admin),
        op("POST", "/sync/tickets", "createSyncTicket", "A one-time ticket for the sync socket",
           do.ticket, answer=TicketAnswer, status=201, idempotent=False, rate="socket"),
    ]  # fmt: skip
