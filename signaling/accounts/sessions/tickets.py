"""One-time tickets for sockets: `ct_`, seconds to live, spent by the first who shows it.

A browser cannot send a header with a WebSocket, and a token in a URL ends in logs; a ticket there
is worthless when the log is read. Its record is deleted by the one that opens the socket, so two
cannot. Nothing here knows sockets.
"""

from __future__ import annotations

import msgspec

from signaling.accounts.principal import Principal, Via
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import Prefix, Token, mint, read, refused
from signaling.ids import Ids
from signaling.storage.port import Store
from signaling.storage.table import Table

KIND = "ticket"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the hash of the ticket; `purpose` what it opens (`sync`)."""

    id: str
    session: str
    token: str | None
    purpose: str
    expires_at: float


class Tickets:
    """See the module."""

    def __init__(self, store: Store, service: SessionService, ids: Ids) -> None:
        self._rows: Table[Ticket] = Table(store, KIND, Ticket)
        self._service = service
        self._ids = ids

    async def issue(self, principal: Principal, purpose: str) -> tuple[Token, float]:
        """The ticket, and when it ends. The principal has a session."""
        if principal.session is None:
            raise refused()
        service = self._service
        token = mint(service.keys, principal.app, Prefix.TICKET, self._ids.new(), service.entropy)
        expires = service.clock.unix() + service.lifetimes.ticket
        ticket = Ticket(
            id=token.id,
            session=principal.session,
            token=principal.token,
            purpose=purpose,
            expires_at=expires,
        )
        await self._rows.create(principal.app, token.subject, ticket, expires=expires)
        return token, expires

    async def spend(self, app: str, text: str, purpose: str) -> Principal:
        """Who it lets in. Raises Refused (401) when it was spent, is too old or for another
        purpose, or when its session is over."""
        token = read(self._service.keys, app, text, Prefix.TICKET)
        row = await self._rows.get(app, token.subject)
        if row is None or row.value.id != token.id or row.value.purpose != purpose:
            raise refused()
        if not await self._rows.delete(app, token.subject):
            raise refused()
        ticket = row.value
        if ticket.expires_at <= self._service.clock.unix():
            raise refused()
        # A token that is gone before its ticket takes the ticket with it.
        held = Principal(
            app=app,
            session=ticket.session,
            token=ticket.token,
            via=Via.TICKET,
            valid_until=ticket.expires_at,
        )
        principal = await self._service.look_again(held)
        if principal is None:
            raise refused()
        return principal
