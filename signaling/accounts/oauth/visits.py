"""The two pages that a person visits: `/oauth/authorize` and `/oauth/device`.

Opened in a browser with the session cookie; a change needs the proof of site that every cookie does
(`sessions.cookies`). Errors of the request are shown in words: there is nobody else to tell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from signaling.accounts.oauth import forms, metadata, pages
from signaling.accounts.oauth.authorizing import Authorizing, Redirected, Request
from signaling.accounts.oauth.clients import Clients
from signaling.accounts.oauth.devices import Device, Devices, spell
from signaling.accounts.oauth.errors import OAuthError, bad_request
from signaling.accounts.principal import Authenticator, Kind, Principal, Via
from signaling.accounts.sessions.cookies import origin_of
from signaling.bus.port import Bus
from signaling.config import Limits
from signaling.errors import Refused

SIGN_IN = "/sign-in"
# Codes that one account may type: 2**34 codes and ten minutes leave no chance to guess one.
TRIES_PER_SECOND = 10 / 600
TRIES_AT_ONCE = 10

Visit = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Visits:
    """See the module."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizing: Authorizing,
        clients: Clients,
        devices: Devices,
        bus: Bus,
        limits: Limits,
    ) -> None:
        self._authenticator = authenticator
        self._authorizing = authorizing
        self._clients = clients
        self._devices = devices
        self._bus = bus
        self._limits = limits

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(metadata.AUTHORIZE, _shown(self.ask))
        app.router.add_post(metadata.AUTHORIZE, _shown(self.decide))
        app.router.add_get(metadata.DEVICE, _shown(self.ask_device))
        app.router.add_post(metadata.DEVICE, _shown(self.decide_device))

    async def _who(self, request: web.Request) -> Principal | None:
        """The account in this browser; None when somebody must sign in first."""
        principal = await self._authenticator.authenticate(request)
        mine = principal.kind is Kind.ACCOUNT and principal.via is Via.COOKIE
        return principal if mine else None

    # Authorization code

    async def ask(self, request: web.Request) -> web.StreamResponse:
        principal = await self._who(request)
        app = principal.app if principal else (await self._anybody(request)).app
        wish = await self._authorizing.read(app, forms.parse(request.rel_url.raw_query_string))
        if principal is None:
            return _sign_in(request)
        if await self._authorizing.is_granted(principal, wish):
            return _go(await self._authorizing.allow(principal, wish))
        return _consent(wish, request.rel_url.raw_query_string)

    async def _anybody(self, request: web.Request) -> Principal:
        return await self._authenticator.authenticate(request)

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """The consent page's form: the request as it was asked, and the person's word on it."""
        principal = await self._who(request)
        form = await forms.read(request, self._limits)
        if principal is None:
            return _sign_in(request)
        wish = await self._authorizing.read(principal.app, forms.parse(form.get("request", "")))
        if form.get("decision") != "allow":
            raise self._authorizing.deny(wish)
        return _go(await self._authorizing.allow(principal, wish))

    # Device grant

    async def ask_device(self, request: web.Request) -> web.StreamResponse:
        principal = await self._who(request)
        if principal is None:
            return _sign_in(request)
        code = request.query.get("user_code", "")
        if not code:
            return _html(pages.type_code(metadata.DEVICE, wrong=False))
        found = await self._device(principal, code)
        if found is None:
            return _html(pages.type_code(metadata.DEVICE, wrong=True), 404)
        _, device, name = found
        shown = spell(device.user_code)
        return _html(pages.allow_device(name, shown, device.scopes, metadata.DEVICE))

    async def _device(self, principal: Principal, code: str) -> tuple[str, Device, str] | None:
        key = f"{principal.app}:device-code:{principal.account}"
        tries = await self._bus.limit(key, TRIES_PER_SECOND, TRIES_AT_ONCE)
        if not tries.allowed:
            raise bad_request("Too many codes were tried. Wait a few minutes.")
        found = await self._devices.waiting(principal.app, code)
        if found is None:
            return None
        client = await self._clients.find(principal.app, found[1].client)
        return None if client is None else (*found, client.name)

    async def decide_device(self, request: web.Request) -> web.StreamResponse:
        principal = await self._who(request)
        form = await forms.read(request, self._limits)
        if principal is None:
            return _sign_in(request)
        found = await self._device(principal, form.get("user_code", ""))
        if found is None:
            return _html(pages.type_code(metadata.DEVICE, wrong=True), 404)
        allowed = form.get("decision") == "allow"
        decided = await self._devices.decide(
            principal.app,
            found[0],
            account=principal.account if allowed else None,
            authenticated_at=principal.authenticated_at,
            mfa=principal.mfa,
        )
        if not decided:
            return _html(pages.failed("Somebody has decided about this device already."), 409)
        text = "The device is connected." if allowed else "The device was refused."
        return _html(pages.done(text))


def _shown(visit: Visit) -> Visit:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await visit(request)
        except Redirected as found:
            return _go(found.location)
        except Refused as error:
            # Only a browser comes here: one whose session is over signs in again.
            if error.status != 401 or hdrs.AUTHORIZATION in request.headers:
                raise
            return _sign_in(request)
        except OAuthError as error:
            return _html(pages.failed(error.description), error.status)

    return handle


def _html(text: str, status: int = 200, targets: tuple[str, ...] = ()) -> web.Response:
    return web.Response(
        status=status, text=text, content_type="text/html", headers=pages.policy(targets)
    )


def _go(location: str) -> web.Response:
    """303: the browser asks there with GET, and takes no body along (RFC 9700 section 4.12)."""
    headers = {**pages.policy(), hdrs.LOCATION: location}
    return web.Response(status=303, headers=headers)


def _sign_in(request: web.Request) -> web.Response:
    """Back to this page afterwards; what was posted is asked again."""
    there = request.rel_url.raw_path_qs if request.method == "GET" else request.path
    return _go(f"{SIGN_IN}?next={quote(there, safe='')}")


def _consent(wish: Request, query: str) -> web.Response:
    target = origin_of(wish.redirect_uri)
    scheme = urlsplit(wish.redirect_uri).scheme
    allowed = target if scheme in ("http", "https") else f"{scheme}:"
    text = pages.consent(wish.client.name, target or scheme, wish.scopes, metadata.AUTHORIZE, query)
    return _html(text, targets=(allowed,))
