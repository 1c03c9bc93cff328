"""Errors on plain HTTP.

The one place where they become a status and `application/problem+json` (RFC 9457).

LiveKit's own surfaces (`/rtc`, `/twirp`) have their own form and their own translation in
`signaling.rtc`.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping

from aiohttp import web

from mediaserver.api import ClientError as MediaRefusal
from mediaserver.api import Unavailable as MediaUnavailable
from signaling.errors import ClientError, Code, Unavailable

log = logging.getLogger(__name__)

TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = {
        "type": f"urn:sotto:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/problem+json",
        headers=headers,
    )


def from_exception(error: Exception) -> web.Response:
    """Every exception that a handler may raise.

    Ours are logged with an id that the answer names.
    """
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error)
    if isinstance(error, ClientError | MediaRefusal):
        log.info("refused a request: %s", error.code)
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        if error.status == 429:
            headers["Retry-After"] = "1"
        return problem(error.status, error.code, error.message, headers)
    if isinstance(error, Unavailable):
        log.warning("unavailable: %s", error.message)
        wait = error.retry_after
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return problem(503, Code.UNAVAILABLE, error.message, headers)
    if isinstance(error, MediaUnavailable):
        log.warning("unavailable: %s", error.code)
        headers = {"Retry-After": "1"} if error.retry else {}
        return problem(503, error.code, error.message, headers)
    reference = secrets.token_hex(6)
    log.error("our error %s", reference, exc_info=error)
    return problem(500, Code.INTERNAL, f"Our error. Its reference in the log is {reference}.")


_CODES = {
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
}


def _from_aiohttp(error: web.HTTPException) -> web.Response:
    if error.status < 400:
        raise error
    kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = _CODES.get(error.status, Code.BAD_REQUEST)
    return problem(error.status, code, TITLES.get(error.status, error.reason), kept)
