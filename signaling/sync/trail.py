"""The audit of the sync socket: sessions that begin and end, what they upload, what is refused.

Equal acts of one session are counted for a moment and recorded as one, with how many there were:
the log of a room has each op, and a flood makes one record. What only keeps a session working
(ident, mark, ping, pace) leaves none. Owned by the door.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from signaling.accounts.principal import Principal
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent, Result
from signaling.errors import Code
from signaling.sync.errors import Fault

if TYPE_CHECKING:
    from signaling.sync.connection import Connection

# Long enough that somebody who writes fast makes few records, short enough to look at.
COUNT_SECONDS = 2.0
# What a right would have allowed.
RIGHTS = frozenset({Code.NOT_PERMITTED, Code.BANNED, Code.INSUFFICIENT_SCOPE, Code.ACCESS_DENIED})


class _Act(NamedTuple):
    connection: str
    actor: str
    action: str
    target: str
    code: str


@dataclass
class _Counted:
    event: AuditEvent
    times: int = 0


def actor_of(who: Principal) -> str:
    if not who.known:
        return f"token:{who.token}"
    return f"account:{who.account}" if who.account else f"session:{who.session}"


class Trail:
    """`flush` before the audit closes."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._counted: dict[_Act, _Counted] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(
        self,
        connection: Connection,
        action: str,
        target: str = "",
        *,
        fault: Fault | None = None,
        code: str = "",
        who: Principal | None = None,
        times: int = 1,
    ) -> None:
        """Allowed, unless there is a fault, or the code of what was refused. `who` where it is not
        whoever opened the socket.
        """
        who = who or connection.principal
        if fault is not None:
            code = fault.code.name.lower()
        act = _Act(connection.id, actor_of(who), action, target, code)
        counted = self._counted.get(act)
        if counted is None:
            counted = self._counted[act] = _Counted(self._event(connection, who, act, fault))
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(COUNT_SECONDS, self.flush)
        counted.times += times

    def _event(
        self, connection: Connection, who: Principal, act: _Act, fault: Fault | None
    ) -> AuditEvent:
        request_id, address = connection.whence
        return AuditEvent(
            at=self._clock.unix(),
            app=who.app,
            actor=act.actor,
            action=act.action,
            target=act.target,
            result=_result(act.code, fault),
            code=act.code,
            request_id=request_id,
            token_id=who.token or "",
            address=address,
            details={"session": who.session} if who.session else {},
        )

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted, self._counted = self._counted, {}
        for one in counted.values():
            one.event.details["count"] = str(one.times)
            self._audit.note(one.event)


def _result(code: str, fault: Fault | None) -> Result:
    if not code:
        return "allowed"
    denied = code in RIGHTS if fault is None else fault.status in (401, 403)
    return "denied" if denied else "failed"
