"""Records of requests that are no operations of the API: pages that a person visits, and requests
that were refused before anybody looked at what they wanted.

Not of calls (`calls`). The rooms that own such a route say what it came to.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from msgspec import Struct, field

from signaling.accounts.principal import Principal
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent, Result
from signaling.errors import Code
from signaling.http.api.trace import actor_of
from signaling.http.request_id import request_id_of
from signaling.http.trace_context import trace_of


class Seen(Struct, kw_only=True):
    """What a request came to; whoever handles it fills in what they learn. `durable`: rights
    change, so the record is there before the answer. `kept`: it is there already.
    """

    action: str
    who: Principal
    target: str = ""
    result: Result = "allowed"
    code: str = ""
    durable: bool = False
    kept: bool = False
    details: dict[str, str] = field(default_factory=dict)


class RequestAudit:
    """One for each process."""

    def __init__(
        self, audit: Audit, clock: Clock, app: str, address: Callable[[web.Request], str]
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._app = app
        self._address = address

    def begun(self, action: str) -> Seen:
        """By nobody, until it is known who asks."""
        return Seen(action=action, who=Principal(app=self._app))

    async def leave(self, request: web.Request, seen: Seen, status: int) -> None:
        """Once. Raises Unavailable when a durable record cannot be kept."""
        if seen.kept:
            return
        event = self._event(request, seen, status)
        if seen.durable:
            await self._audit.record(event)
        else:
            self._audit.note(event)
        seen.kept = True

    def limited(self, request: web.Request, route: str, count: int) -> None:
        """The rate of an address turned `count` of its requests away."""
        seen = self.begun("http.rate_limited")
        seen.target, seen.result, seen.code = route, "failed", Code.RATE_LIMITED
        seen.details["count"] = str(count)
        self._audit.note(self._event(request, seen, 429))

    def _event(self, request: web.Request, seen: Seen, status: int) -> AuditEvent:
        details = {"status": str(status), "method": request.method, **seen.details}
        if seen.who.session is not None:
            details["session"] = seen.who.session
        if (sent := trace_of(request)) is not None:
            details["trace_id"] = sent.id
        return AuditEvent(
            at=self._clock.unix(),
            app=seen.who.app,
            actor=actor_of(seen.who),
            action=seen.action,
            target=seen.target,
            result=seen.result,
            code=seen.code,
            request_id=request_id_of(request),
            token_id=seen.who.token or "",
            address=self._address(request),
            details=details,
        )
