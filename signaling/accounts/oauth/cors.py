"""Which pages of other origins may read OAuth's answers (Fetch standard, CORS protocol).

Metadata is public: any page. The token, revocation and device endpoints answer pages of origins at
which a registered client's redirect URI lies, and those of `api.origins`; they read no cookie, and
who has neither code nor token gets nothing by asking. Introspection is for servers: no page at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import hdrs, web

from signaling.accounts.oauth import metadata
from signaling.accounts.oauth.clients import Clients
from signaling.accounts.oauth.dpop import NONCE
from signaling.accounts.sessions.cookies import origin_of
from signaling.clock import Clock
from signaling.errors import Unavailable

OPEN = frozenset({metadata.SERVER_METADATA, metadata.RESOURCE_METADATA})
REGISTERED = frozenset({metadata.TOKEN, metadata.REVOKE, metadata.DEVICE_AUTHORIZATION})
# A client that was registered, changed or removed counts so soon.
BELIEVED_SECONDS = 5.0
PAGE = 100
_EXPOSED = f"{NONCE}, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, X-Request-Id"
_PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, DPoP",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
_WEB = ("https://", "http://")

AppOf = Callable[[web.Request], str]


class CrossOrigin:
    """`add_routes` answers preflights; `finish` stands in `on_response_prepare`."""

    def __init__(
        self, clients: Clients, clock: Clock, app_of: AppOf, origins: Iterable[str] = ()
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._app_of = app_of
        self._own = frozenset(origin_of(url) for url in origins)
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def add_routes(self, app: web.Application) -> None:
        for path in sorted(OPEN | REGISTERED):
            app.router.add_route("OPTIONS", path, self.preflight)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """What is allowed is said by `finish`, to those whom it is said to."""
        return web.Response(status=204)

    async def finish(self, request: web.Request, response: web.StreamResponse) -> None:
        path = request.path
        if path in OPEN:
            self._allow(request, response, "*")
        elif path in REGISTERED:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
            origin = request.headers.get(hdrs.ORIGIN)
            if origin is not None and await self._allowed(self._app_of(request), origin):
                self._allow(request, response, origin)

    def _allow(self, request: web.Request, response: web.StreamResponse, origin: str) -> None:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)

    async def _allowed(self, app: str, origin: str) -> bool:
        return origin_of(origin) == origin and origin in await self._origins(app)

    async def _origins(self, app: str) -> frozenset[str]:
        now = self._clock.monotonic()
        until, found = self._known.get(app, (0.0, self._own))
        if now >= until:
            try:
                found = self._own | await self._registered(app)
            except Unavailable:
                return found
            self._known[app] = (now + BELIEVED_SECONDS, found)
        return found

    async def _registered(self, app: str) -> frozenset[str]:
        found: set[str] = set()
        after = ""
        while rows := await self._clients.rows.scan(app, after=after, limit=PAGE):
            for row in rows:
                if not row.value.disabled:
                    found.update(map(origin_of, filter(_is_web, row.value.redirect_uris)))
            after = rows[-1].key
        return frozenset(found)


def _is_web(uri: str) -> bool:
    """A native app's own scheme has no origin that a browser would send."""
    return uri.startswith(_WEB)
