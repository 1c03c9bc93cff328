"""The audit of calls: LiveKit's sockets and server API, WHIP and WHEP, and what happens in rooms.

Three ears: every HTTP answer on those paths (an upgrade among them), every webhook event, every
request on a call's socket that is more than mechanics. Tokens are named by a hash, never shown;
what a token claims counts only where the answer says that it was believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import hdrs, web
from livekit.protocol import webhook

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent, Result
from signaling.http.request_id import request_id_of

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.services import Hooks

_METHOD = re.compile(r"/twirp/livekit\.([A-Za-z]{1,40})/([A-Za-z]{1,60})")
_WHIP = re.compile(r"/(whip|whep)(?:/([^/]{1,256}))?(?:/[^/]{1,256})?")
_PATHS = ("/rtc", "/twirp/", "/whip", "/whep")
_VERBS = {
    ("whip", "POST"): "whip.publish",
    ("whep", "POST"): "whep.watch",
    ("whip", "PATCH"): "whip.change",
    ("whep", "PATCH"): "whep.change",
    ("whip", "DELETE"): "whip.end",
    ("whep", "DELETE"): "whep.end",
}


class CallAudit:
    """`finish` stands in `on_response_prepare`; `hooks` are the webhooks, told first."""

    def __init__(
        self,
        audit: Audit,
        clock: Clock,
        app: str,
        address: Callable[[web.Request], str],
        hooks: Hooks | None = None,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._app = app
        self._address = address
        self._hooks = hooks

    async def finish(self, request: web.Request, response: web.StreamResponse) -> None:
        named = _action(request)
        if named is None:
            return
        action, target = named
        result = _result(response.status)
        token = _token(request)
        actor, key = _claimed(token, action) if result == "allowed" else ("anonymous", "")
        details = {"status": str(response.status), "method": request.method}
        if key:
            details["key"] = key
        self._audit.note(
            AuditEvent(
                at=self._clock.unix(),
                app=self._app,
                actor=actor,
                action=action,
                target=target,
                result=result,
                request_id=request_id_of(request),
                token_id=hashlib.sha256(token.encode()).hexdigest()[:32] if token else "",
                address=self._address(request),
                details=details,
            )
        )

    def notify(self, event: webhook.WebhookEvent) -> None:
        """Hooks of the rooms: what happened, whoever brought it about."""
        if self._hooks is not None:
            self._hooks.notify(event)
        identity = event.participant.identity
        details = {"call": event.room.sid}
        if event.participant.sid:
            details["participant"] = event.participant.sid
        if event.track.sid:
            details["name"] = event.track.sid
        self._note(
            f"participant:{identity}" if identity else "system:calls",
            f"call.{event.event}",
            event.room.name,
            details,
        )

    def asked(self, participant: Participant, case: str) -> None:
        self._request(participant, case, "allowed", "")

    def refused(self, participant: Participant, case: str, reason: str) -> None:
        result: Result = "denied" if reason == "not_allowed" else "failed"
        self._request(participant, case, result, reason)

    def _request(self, participant: Participant, case: str, result: Result, reason: str) -> None:
        details = {"call": participant.room.sid, "participant": participant.sid}
        if reason:
            details["reason"] = reason
        self._note(
            f"participant:{participant.identity}",
            f"rtc.{case}",
            participant.room.name,
            details,
            result,
        )

    def _note(
        self,
        actor: str,
        action: str,
        room: str,
        details: dict[str, str],
        result: Result = "allowed",
    ) -> None:
        self._audit.note(
            AuditEvent(
                at=self._clock.unix(),
                app=self._app,
                actor=actor,
                action=action,
                target=f"room:{room}" if room else "",
                result=result,
                details=details,
            )
        )


def _action(request: web.Request) -> tuple[str, str] | None:
    """What the request is in the audit and what it is about. None: not ours."""
    path, method = request.path, request.method
    if method == "OPTIONS" or not path.startswith(_PATHS):
        return None
    if path in ("/rtc", "/rtc/v1"):
        return "rtc.connect", ""
    if path in ("/rtc/validate", "/rtc/v1/validate"):
        return "rtc.validate", ""
    if path.startswith("/twirp/"):
        found = _METHOD.fullmatch(path)
        return (f"twirp.{found[1]}.{found[2]}" if found else "twirp.unknown"), ""
    if (whip := _WHIP.fullmatch(path)) is not None:
        room = f"room:{whip[2]}" if whip[2] else ""
        return _VERBS.get((whip[1], method), f"{whip[1]}.unknown"), room
    return None


def _result(status: int) -> Result:
    if status in (401, 403):
        return "denied"
    return "allowed" if status < 400 else "failed"


def _token(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return request.query.get("access_token", "")


def _claimed(token: str, action: str) -> tuple[str, str]:
    """Who an accepted token speaks for, and the API key that signed it. The adapter verified it."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        claims: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return "anonymous", ""
    key = str(claims.get("iss", ""))
    if action.startswith("twirp.") or not claims.get("sub"):
        return (f"key:{key}" if key else "anonymous"), key
    return f"participant:{claims['sub']}", key
