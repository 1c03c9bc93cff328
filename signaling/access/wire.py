"""Refusals of the Access Manager as errors: PubNub's exact bodies, with the members of a problem.

The one translation from decisions and invalid requests to what is answered. On this plane every
refusal is 403 (architecture, decision 7); the text never depends on whether a resource exists.
"""

from __future__ import annotations

from collections.abc import Mapping

from signaling.access.evaluate import Decision, Reason
from signaling.access.grant import Invalid
from signaling.access.keysets import SignatureRefused, Untimely
from signaling.access.signature import SIGNATURE, TIMESTAMP
from signaling.accounts.principal import InsufficientScope
from signaling.errors import ClientError, Code, FieldError, Refused

SERVICE = "Access Manager"

_CODES = {
    Reason.INVALID: Code.ACCESS_TOKEN_INVALID,
    Reason.EXPIRED: Code.ACCESS_TOKEN_EXPIRED,
    Reason.REVOKED: Code.ACCESS_TOKEN_REVOKED,
}
MESSAGES = {
    Reason.INVALID: "Invalid token",
    Reason.EXPIRED: "Token is expired",
    Reason.REVOKED: "Token is revoked",
}
FORBIDDEN = "Forbidden"


def refusal(decision: Decision) -> Refused:
    """403 of the Access Manager. The token's own state is told by its message, as PubNub does;
    everything else is the one word and the list of what was refused.
    """
    message = MESSAGES.get(decision.reason, FORBIDDEN)
    members: dict[str, object] = {
        "message": message,
        "error": True,
        "service": SERVICE,
        "status": 403,
    }
    if message == FORBIDDEN:
        members["payload"] = payload(decision)
    code = _CODES.get(decision.reason, Code.ACCESS_DENIED)
    return Refused(code, 403, message, members=members)


def payload(decision: Decision) -> dict[str, list[str]]:
    named = {
        "channels": decision.channels,
        "channel-groups": decision.groups,
        "uuids": decision.uuids,
    }
    return {word: list(names) for word, names in named.items() if names}


def session_refusal(decision: Decision, scope: str) -> Refused:
    """The other plane: 401 for who must sign in (again), 403 for who is known and may not."""
    if decision.reason is Reason.SCOPE:
        return InsufficientScope(scope)
    if decision.reason is Reason.NOT_GRANTED:
        return Refused(Code.NOT_PERMITTED, 403, "You may not do this here.")
    expired = decision.reason is Reason.EXPIRED
    code = Code.TOKEN_EXPIRED if expired else Code.TOKEN_MISSING
    return Refused(code, 401, "Sign in first.")


def invalid(error: Invalid, source: str) -> ClientError:
    """400 for a grant that cannot be made."""
    members = _members(
        400, error.message, source, error.detail, error.location, error.location_type
    )
    pointer = "/" + error.location.replace(".", "/") if error.location else ""
    errors = [FieldError(pointer, "invalid", error.detail)]
    return ClientError(Code.GRANT_INVALID, 400, error.message, errors=errors, members=members)


def not_revocable(detail: str) -> ClientError:
    members = _members(400, "Invalid token", "revoke", detail, "token", "path")
    return ClientError(Code.GRANT_INVALID, 400, "Invalid token", members=members)


def unsigned(error: ClientError, source: str) -> ClientError:
    """The refusals of signed requests, with the body that PubNub's libraries read."""
    if isinstance(error, SignatureRefused):
        word, location = "signature", SIGNATURE
    elif isinstance(error, Untimely):
        word, location = "timestamp", TIMESTAMP
    else:
        word, location = "request", "query"
    members = _members(error.status, f"Invalid {word}", source, error.message, location, "query")
    kind = Refused if isinstance(error, SignatureRefused) else ClientError
    return kind(error.code, error.status, error.message, members=members)


def _members(  # one argument for each member of PubNub's body
    status: int, message: str, source: str, detail: str, location: str, kind: str
) -> Mapping[str, object]:
    details = [{"message": detail, "location": location, "locationType": kind}]
    return {
        "error": {"message": message, "source": source, "details": details},
        "service": SERVICE,
        "status": status,
    }


def success(**data: object) -> dict[str, object]:
    return {"data": {"message": "Success", **data}, "service": SERVICE, "status": 200}
