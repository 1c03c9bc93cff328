"""The cookie of a first-party browser, and when a request that carries it counts as its own site's.

A `__Host-` cookie is bound to the host, to TLS and to the path `/` by the browser (RFC 6265bis
section 4.1.3.2). Since browsers also send it with requests that other sites cause, one that may
change something must show by `Sec-Fetch-Site`, or by `Origin` where that is missing, that it comes
from our own page; a socket must show it by `Origin`, which browsers always send there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from signaling.errors import Code, Refused

COOKIE = "__Host-sotto"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def session_cookie(token: str, seconds: float) -> tuple[str, str]:
    """The header that sets it."""
    age = max(0, int(seconds))
    return (
        "Set-Cookie",
        f"{COOKIE}={token}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Lax",
    )


def no_cookie() -> list[tuple[str, str]]:
    """Headers that end it, and what the browser kept of us (ASVS 14.3.1)."""
    return [
        ("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
        ("Clear-Site-Data", '"cache", "storage"'),
    ]


def cookie_of(headers: Iterable[str]) -> str | None:
    """The value in the `Cookie` fields; one that comes twice is refused, whoever set the other."""
    found = [
        value.strip()
        for header in headers
        for name, _, value in (pair.partition("=") for pair in header.split(";"))
        if name.strip() == COOKIE
    ]
    if len(found) > 1:
        raise Refused(Code.TOKEN_INVALID, 401, "The session cookie came twice.")
    return found[0] if found else None


def origin_of(url: str) -> str:
    """Scheme, host and port in the form of an `Origin` field; empty when it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if not parts.scheme or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def _foreign() -> Refused:
    return Refused(Code.ORIGIN_REFUSED, 403, "This request came from another site.")


def require_own_site(method: str, headers: Mapping[str, str], own: frozenset[str]) -> None:
    """For a request that a cookie authenticates. Raises Refused (403)."""
    if method in _SAFE:
        return
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise _foreign()
        return
    origin = headers.get("Origin")
    if origin is None or origin_of(origin) not in own:
        raise _foreign()


def require_own_origin(headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """For a socket that a cookie opens: exactly one of these origins. Raises Refused (403)."""
    origin = headers.get("Origin", "")
    if not origin or origin_of(origin) not in allowed:
        raise _foreign()
