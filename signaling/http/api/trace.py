"""What an operation leaves in the audit: one event for each request, allowed or denied. Pure.

Driven by `endpoint`; `AuditNote` holds what only a handler knows.
"""

from __future__ import annotations

from typing import Any

from signaling.accounts.principal import Kind, Principal
from signaling.compliance.audit.port import AuditEvent, Result
from signaling.http.api.operation import AuditNote, Call, Operation
from signaling.http.trace_context import trace_of

_NOTHING_NOTED = AuditNote()


def event_of(
    operation: Operation, call: Call[Any], status: int, error: Exception | None
) -> AuditEvent:
    note, principal = call.noted or _NOTHING_NOTED, call.principal
    details = {"status": str(status), "method": operation.method, **note.details}
    if principal.session is not None:
        details["session"] = principal.session
    if (trace := trace_of(call.request)) is not None:
        details["trace_id"] = trace.id
    return AuditEvent(
        at=call.now,
        app=note.app or principal.app,
        actor=note.actor or actor_of(principal),
        action=operation.id,
        target=note.target or "/".join(call.path.values()),
        result=_result(status),
        code=str(getattr(error, "code", "")) if error is not None else "",
        request_id=call.request_id,
        token_id=note.token or principal.token or "",
        address=call.client_address,
        details=details,
    )


def actor_of(principal: Principal) -> str:
    if principal.account is not None:
        return f"account:{principal.account}"
    if principal.kind is not Kind.ANONYMOUS and principal.client is not None:
        return f"client:{principal.client}"
    return "anonymous"


def _result(status: int) -> Result:
    if status in (401, 403):
        return "denied"
    return "allowed" if status < 400 else "failed"
