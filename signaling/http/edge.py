"""What the edge asks of a request before anybody looks at it: was it encrypted, whose page sent it.

Pure but for reading the request. Driven by the endpoints of the API and by the sockets that a
cookie can open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from signaling.errors import ClientError, Code, Refused
from signaling.http.middleware import Network, is_loopback, is_within

Check = Callable[[web.Request], None]


def transport_check(public_url: str, proxies: Sequence[Network], *, development: bool) -> Check:
    """Raises 400 for plain http: a redirect would let the secret travel first (ASVS 4.1.2).

    Behind a trusted proxy its `X-Forwarded-Proto` decides, else what `http.public_url` promises.
    `sotto dev` excepts its loopback listener.
    """
    promised = public_url.startswith("https:")

    def check(request: web.Request) -> None:
        if request.secure:
            return
        peer = request.remote or ""
        if development and is_loopback(peer):
            return
        forwarded = request.headers.get("X-Forwarded-Proto", "")
        trusted = is_loopback(peer) or is_within(peer, proxies)
        if trusted and (forwarded == "https" or (promised and not forwarded)):
            return
        raise ClientError(Code.TLS_REQUIRED, 400, "Use https: this was sent in the clear.")

    return check


def origin_of(url: str) -> str:
    """`https://Host:443/path` -> `https://host` (RFC 6454 section 6.2)."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def origin_check(public_url: str, allowed: Iterable[str]) -> Check:
    """Raises 403 for a page of another origin (CSWSH, CSRF; ASVS 4.4.2 and 3.5.1).

    Allowed are the server's own, where the page came from, and those that the operator listed.
    Without `Origin` no browser sent it, or one that marks it as its own with `Sec-Fetch-Site`.
    """
    known = {origin_of(url) for url in (public_url, *allowed) if url}

    def check(request: web.Request) -> None:
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        if origin is None and site in ("same-origin", "none"):
            return
        if origin is not None and (origin in known or origin == _own(request, public_url)):
            return
        raise Refused(Code.ORIGIN_REFUSED, 403, "This server takes no requests of that page.")

    return check


def own_origins(public_url: str, allowed: Iterable[str]) -> Callable[[web.Request], frozenset[str]]:
    """Whose pages are ours, for what a cookie opens: the same as `origin_check` takes."""
    known = frozenset(origin_of(url) for url in (public_url, *allowed) if url)

    def origins(request: web.Request) -> frozenset[str]:
        own = _own(request, public_url)
        return known if own is None else known | {own}

    return origins


def _own(request: web.Request, public_url: str) -> str | None:
    """What the page of this very host is called. With a public URL that alone counts."""
    if public_url:
        return None
    scheme = "https" if request.secure else "http"
    try:
        return origin_of(f"{scheme}://{request.host}")
    except ValueError:
        return None
