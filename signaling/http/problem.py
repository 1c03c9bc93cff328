"""Errors on plain HTTP.

The one place where they become a status and `application/problem+json` (RFC 9457). `type` leads to
a page of this server that explains the code (`signaling.http.api.explanations`).

LiveKit's own surfaces (`/rtc`, `/twirp`) have their own form and their own translation in
`signaling.rtc`.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mediaserver.api import ClientError as MediaRefusal
from mediaserver.api import Unavailable as MediaUnavailable
from signaling.accounts.principal import InsufficientScope
from signaling.errors import ClientError, Code, FieldError, Left, Unavailable

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
# Below it lies a page for each code.
PAGES = "/problems/"
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Too slow",
    409: "Conflict",
    410: "Gone",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    426: "Upgrade required",
    428: "Precondition required",
    429: "Too many requests",
    460: "Checksum mismatch",
    499: "The client left",
    500: "Internal error",
    503: "Unavailable",
}
# RFC 6750 section 3.1 and RFC 9470 section 3: what the challenge says of each refusal.
CHALLENGES: Mapping[str, str] = {
    Code.TOKEN_INVALID: "invalid_token",
    Code.TOKEN_EXPIRED: "invalid_token",
    Code.TOKEN_REVOKED: "invalid_token",
    Code.INSUFFICIENT_SCOPE: "insufficient_scope",
    Code.REAUTHENTICATION_REQUIRED: "insufficient_user_authentication",
}


def problem(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    request_id: str = "",
    errors: Sequence[FieldError] = (),
    members: Mapping[str, object] | None = None,
    content_type: str = CONTENT_TYPE,
) -> web.Response:
    """`members` stand beside ours and win: a protocol's own error body comes first."""
    body: dict[str, object] = {
        "type": PAGES + code,
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if request_id:
        body["request_id"] = request_id
    if errors:
        body["errors"] = [
            {"pointer": e.pointer, "code": e.code, "message": e.message} for e in errors
        ]
    body.update(members or {})
    return web.Response(
        status=status, text=json.dumps(body), content_type=content_type, headers=headers
    )


def from_exception(
    error: Exception, request_id: str = "", content_type: str = CONTENT_TYPE
) -> web.Response:
    """Every exception that a handler may raise.

    Ours are logged with an id that the answer names.
    """
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error, request_id)
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        # A body whose chunks are none. The exception has the bytes: they are in no answer or log.
        error = ClientError(Code.BAD_REQUEST, 400, "The body is malformed.")
    if isinstance(error, Left):
        log.info("a client left in the middle of a request")
        return _refusal(error, request_id, content_type)
    if isinstance(error, ClientError | MediaRefusal):
        log.info("refused a request: %s", error.code)
        return _refusal(error, request_id, content_type)
    if isinstance(error, Unavailable):
        log.warning("unavailable: %s", error.message)
        wait = error.retry_after
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return problem(503, Code.UNAVAILABLE, error.message, headers, request_id=request_id)
    if isinstance(error, MediaUnavailable):
        log.warning("unavailable: %s", error.code)
        headers = {"Retry-After": "1"} if error.retry else {}
        return problem(503, error.code, error.message, headers, request_id=request_id)
    reference = request_id or secrets.token_hex(6)
    log.error("our error %s", reference, exc_info=error)
    detail = f"Our error. Its reference in the log is {reference}."
    return problem(500, Code.INTERNAL, detail, request_id=request_id)


def _refusal(error: ClientError | MediaRefusal, request_id: str, kind: str) -> web.Response:
    headers: dict[str, str] = {}
    if error.status == 401 or error.code in CHALLENGES:
        headers["WWW-Authenticate"] = challenge(error)
    if error.status == 429:
        headers["Retry-After"] = "1"
    if isinstance(error, MediaRefusal):
        return problem(error.status, error.code, error.message, headers, request_id=request_id)
    headers.update(error.headers)
    return problem(
        error.status,
        error.code,
        error.message,
        headers,
        request_id=request_id,
        errors=error.errors,
        members=error.members,
        content_type=kind,
    )


def challenge(error: Exception) -> str:
    """The value of WWW-Authenticate."""
    said = CHALLENGES.get(str(getattr(error, "code", "")))
    if said is None:
        return "Bearer"
    if isinstance(error, InsufficientScope):
        return f'Bearer error="{said}", scope="{error.scope}"'
    return f'Bearer error="{said}"'


_CODES = {
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
}


def _from_aiohttp(error: web.HTTPException, request_id: str) -> web.Response:
    if error.status < 400:
        raise error
    kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = _CODES.get(error.status, Code.BAD_REQUEST)
    detail = TITLES.get(error.status, error.reason)
    return problem(error.status, code, detail, kept, request_id=request_id)
