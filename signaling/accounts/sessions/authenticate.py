"""Who sent this request, by its cookie or its `Authorization` header. Implements `Authenticator`.

One credential counts: a header wins over a cookie, two of a kind are refused, and a token in the
query is never read. What the store said is believed for a second at most, and forgotten as soon as
a revocation arrives, so that an ended session is refused everywhere within that second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b

from aiohttp import hdrs, web

from signaling.accounts.principal import Principal, Via
from signaling.accounts.sessions import cookies
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.records import Ended
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import (
    Prefix,
    Token,
    prefix_of,
    read,
    refused,
)
from signaling.errors import Code, Refused

CACHE_SECONDS = 1.0
CACHE_ENTRIES = 50_000
# Browsers set these, pages cannot leave them out.
_OF_PAGES = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode")
_QUERY_TOKENS = ("access_token", "token", "bearer")

AppOf = Callable[[web.Request], str]
Origins = Callable[[web.Request], frozenset[str]]
OtherPlane = Callable[[web.Request, str, str], Awaitable[Principal]]
"""Looks at tokens of another kind (Access Manager, bots): request, app and token in."""


class Proofs:
    """Checks the proof of possession that a bound token comes with; `oauth.dpop` implements it."""

    async def check(self, request: web.Request, app: str, text: str, thumbprint: str) -> None:
        """Raises Refused (401). Without DPoP nothing can be proved."""
        raise refused()


class _Known:
    """What the store said of one token."""

    __slots__ = ("principal", "thumbprint", "until")

    def __init__(self, principal: Principal, thumbprint: str | None, until: float) -> None:
        self.principal = principal
        self.thumbprint = thumbprint
        self.until = until


class RequestAuthenticator:
    """See the module. `others` maps a prefix to the plane that knows its tokens."""

    def __init__(
        self,
        service: SessionService,
        app_of: AppOf,
        origins: Origins,
        *,
        proofs: Proofs | None = None,
        others: Mapping[Prefix, OtherPlane] | None = None,
    ) -> None:
        self._service = service
        self._app_of = app_of
        self._origins = origins
        self._proofs = proofs or Proofs()
        self.others: dict[Prefix, OtherPlane] = dict(others or {})
        self._cache: dict[tuple[str, bytes], _Known] = {}

    def forget(self, revocation: Revocation) -> None:
        """A revocation came. Rare enough to forget everything that was believed of the app."""
        self._cache = {key: known for key, known in self._cache.items() if key[0] != revocation.app}

    async def authenticate(self, request: web.Request) -> Principal:
        app = self._app_of(request)
        refuse_query_tokens(request)
        header = _authorization(request)
        if header is not None:
            scheme, text = header
            if text.startswith(Prefix.BOT):
                refuse_browser(request)
            known = self._believed(app, text, Via.BEARER) if scheme == "bearer" else None
            if known is not None and known.thumbprint is None:
                return known.principal
            return await self._from_header(request, app, scheme, text)
        text = cookies.cookie_of(request.headers.getall(hdrs.COOKIE, [])) or ""
        if not text:
            return Principal(app=app)
        try:
            known = await self._known(app, text, Via.COOKIE)
        except Ended as ended:
            # Signed out from elsewhere: what this browser kept of us goes as well (row B31).
            ended.headers.update(cookies.no_cookie())
            raise
        if known.thumbprint is not None:
            raise refused()
        cookies.require_own_site(request.method, request.headers, self._origins(request))
        return known.principal

    async def _from_header(
        self, request: web.Request, app: str, scheme: str, text: str
    ) -> Principal:
        if scheme not in ("bearer", "dpop"):
            raise refused()
        if self.others and scheme == "bearer":
            other = self.others.get(prefix_of(text) or Prefix.SESSION)
            if other is not None:
                return await other(request, app, text)
        known = await self._known(app, text, Via.BEARER if scheme == "bearer" else Via.DPOP)
        bound = known.thumbprint is not None
        if bound != (scheme == "dpop"):
            raise refused()  # a bound token is nothing without its proof (RFC 9449 section 7.2)
        if known.thumbprint is not None:
            await self._proofs.check(request, app, text, known.thumbprint)
        return known.principal

    async def _known(self, app: str, text: str, via: Via) -> _Known:
        believed = self._believed(app, text, via)
        if believed is not None:
            return believed
        now = self._service.clock.monotonic()
        key = (app, _digest(text))
        known = await self._look(app, self._read(app, text, via), via, now)
        if len(self._cache) >= CACHE_ENTRIES:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = known
        return known

    def _believed(self, app: str, text: str, via: Via) -> _Known | None:
        known = self._cache.get((app, _digest(text)))
        clock = self._service.clock
        if known is None or clock.monotonic() >= known.until:
            return None
        principal = known.principal
        good = principal.via is via and clock.unix() < principal.valid_until
        return known if good else None

    def _read(self, app: str, text: str, via: Via) -> Token:
        kinds = (Prefix.SESSION, Prefix.BOT) if via is Via.BEARER else (Prefix.SESSION,)
        return read(self._service.keys, app, text, *kinds)

    async def _look(self, app: str, token: Token, via: Via, now: float) -> _Known:
        # `now` is from before the question: the answer may be as old as that.
        principal, session = await self._service.look(app, token, via)
        return _Known(principal, session.thumbprint, now + CACHE_SECONDS)


def _digest(text: str) -> bytes:
    """By which a token is remembered: quicker than its id, and as little of a secret."""
    return blake2b(text.encode(), digest_size=16).digest()


def refuse_query_tokens(request: web.Request) -> None:
    """URLs end in logs, histories and `Referer` (ASVS 14.2.1): a token there is spoilt."""
    # Asked of the raw text first: most requests have no query, and parsing one costs more.
    if "?" in request.raw_path and any(name in request.query for name in _QUERY_TOKENS):
        raise Refused(Code.TOKEN_INVALID, 401, "A token does not belong in a URL.")


def refuse_browser(request: web.Request) -> None:
    """A bot's token in a page is one that every visitor of the page has."""
    if any(name in request.headers for name in _OF_PAGES):
        raise Refused(Code.ORIGIN_REFUSED, 403, "A bot's token does not belong in a browser.")


def _authorization(request: web.Request) -> tuple[str, str] | None:
    """Scheme in lower case, and the rest. Raises Refused when the field comes twice."""
    fields = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not fields:
        return None
    if len(fields) > 1:
        raise refused()
    scheme, _, text = fields[0].partition(" ")
    text = text.strip(" ")
    if not text:
        raise refused()
    return scheme.lower(), text
