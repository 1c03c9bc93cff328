"""Forms and queries of OAuth: no parameter twice, unknown ones ignored (RFC 6749 section 3.1)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web

from signaling.accounts.oauth.errors import bad_request
from signaling.config import Limits
from signaling.http.body import read_body

FORM = "application/x-www-form-urlencoded"
BYTES = 16 * 1024
MOST = 64


def parse(text: str) -> dict[str, str]:
    """A parameter without a value counts as left out. Raises OAuthError."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError:
        raise bad_request("The parameters are not UTF-8, or too many.") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise bad_request("A parameter comes more than once.")
    if any("\x00" in value for _, value in pairs):
        raise bad_request("A parameter has a NUL character.")
    return {name: value for name, value in pairs if value}


async def read(request: web.Request, limits: Limits) -> dict[str, str]:
    if request.content_type != FORM:
        raise bad_request(f"The body must be {FORM}.")
    data = await read_body(request, limits, BYTES)
    try:
        return parse(data.decode("ascii"))
    except UnicodeDecodeError:
        raise bad_request("The form is not percent-encoded.") from None
