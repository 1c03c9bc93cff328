"""The two pages that a person visits: `/oauth/authorize` and `/oauth/device`.

Opened in a browser with the session cookie; a change needs the proof of site that every cookie does
(`sessions.cookies`). Errors of the request are shown in words: there is nobody else to tell. Each
visit leaves a record; one that gave a program rights is answered when that is durable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web

from signaling.accounts.oauth import forms, metadata, pages
from signaling.accounts.oauth.approvals import Approvals
from signaling.accounts.oauth.authorizing import Authorizing, Redirected, Request
from signaling.accounts.oauth.clients import Client, Clients
from signaling.accounts.oauth.devices import Device, Devices, spell
from signaling.accounts.oauth.errors import OAuthError, bad_request
from signaling.accounts.principal import Authenticator, Kind, Principal, Via
from signaling.accounts.sessions.cookies import origin_of
from signaling.accounts.sessions.scopes import spell as spell_scopes
from signaling.bus.port import Bus
from signaling.compliance.audit.requests import RequestAudit, Seen
from signaling.config import Limits
from signaling.errors import Code, Refused, Unavailable

SIGN_IN = "/sign-in"
# Codes that one account may type: 2**34 codes and ten minutes leave no chance to guess one.
TRIES_PER_SECOND = 10 / 600
TRIES_AT_ONCE = 10

Visit = Callable[[web.Request, Seen], Awaitable[web.StreamResponse]]


class Visits:
    """See the module."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizing: Authorizing,
        approvals: Approvals,
        clients: Clients,
        devices: Devices,
        bus: Bus,
        limits: Limits,
        audit: RequestAudit,
    ) -> None:
        self._authenticator = authenticator
        self._authorizing = authorizing
        self._approvals = approvals
        self._clients = clients
        self._devices = devices
        self._bus = bus
        self._limits = limits
        self._audit = audit

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(metadata.AUTHORIZE, self._shown("oauth.ask", self.ask))
        app.router.add_post(metadata.AUTHORIZE, self._shown("oauth.decide", self.decide))
        app.router.add_get(metadata.DEVICE, self._shown("oauth.device_ask", self.ask_device))
        app.router.add_post(metadata.DEVICE, self._shown("oauth.device_decide", self.decide_device))

    async def _who(self, request: web.Request, seen: Seen) -> Principal | None:
        """The account in this browser; None when somebody must sign in first."""
        seen.who = principal = await self._authenticator.authenticate(request)
        mine = principal.kind is Kind.ACCOUNT and principal.via is Via.COOKIE
        return principal if mine else None

    # Authorization code

    async def ask(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        principal = await self._who(request, seen)
        app, query = seen.who.app, request.rel_url.raw_query_string
        wish = await self._authorizing.read(app, forms.parse(query))
        _about(seen, wish.client.id, wish.scopes)
        if principal is None:
            return _sign_in(request, seen)
        if await self._approvals.are_given(principal, wish.client, wish.scopes, wish.redirect_uri):
            seen.details["reason"] = "trusted" if wish.client.trusted else "granted before"
            return await self._allowed(principal, wish, seen)
        return _consent(wish, query)

    async def _allowed(self, principal: Principal, wish: Request, seen: Seen) -> web.StreamResponse:
        seen.action = "oauth.allow"
        location = await self._authorizing.allow(principal, wish)
        seen.durable = True
        return _go(location)

    async def decide(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        """The consent page's form: the request as it was asked, and the person's word on it."""
        principal = await self._who(request, seen)
        form = await forms.read(request, self._limits)
        if principal is None:
            return _sign_in(request, seen)
        wish = await self._authorizing.read(principal.app, forms.parse(form.get("request", "")))
        _about(seen, wish.client.id, wish.scopes)
        if form.get("decision") == "allow":
            return await self._allowed(principal, wish, seen)
        seen.action, seen.durable = "oauth.deny", True
        return _go(self._authorizing.deny(wish).location)

    # Device grant

    async def ask_device(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        principal = await self._who(request, seen)
        if principal is None:
            return _sign_in(request, seen)
        code = request.query.get("user_code", "")
        if not code:
            return _html(pages.type_code(metadata.DEVICE, wrong=False))
        found = await self._device(principal, code)
        if found is None:
            return _not_shown(seen)
        _, device, client = found
        _about(seen, device.client, device.scopes)
        shown = spell(device.user_code)
        return _html(pages.allow_device(client.name, shown, device.scopes, metadata.DEVICE))

    async def _device(self, principal: Principal, code: str) -> tuple[str, Device, Client] | None:
        key = f"{principal.app}:device-code:{principal.account}"
        tries = await self._bus.limit(key, TRIES_PER_SECOND, TRIES_AT_ONCE)
        if not tries.allowed:
            raise bad_request("Too many codes were tried. Wait a few minutes.")
        found = await self._devices.waiting(principal.app, code)
        if found is None:
            return None
        client = await self._clients.find(principal.app, found[1].client)
        return None if client is None else (*found, client)

    async def decide_device(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        principal = await self._who(request, seen)
        form = await forms.read(request, self._limits)
        if principal is None:
            return _sign_in(request, seen)
        found = await self._device(principal, form.get("user_code", ""))
        if found is None:
            return _not_shown(seen)
        key, device, client = found
        _about(seen, client.id, device.scopes)
        allowed = form.get("decision") == "allow"
        seen.action = "oauth.device_allow" if allowed else "oauth.device_deny"
        approval = None
        if allowed:
            approval = await self._approvals.give(principal, client, device.scopes)
        seen.durable = True
        # First: the device asks by itself, and may not find a decision that left no record.
        await self._audit.leave(request, seen, 200)
        if not await self._devices.decide(principal.app, key, approval):
            seen.result, seen.code, seen.kept = "failed", Code.CONFLICT, False
            return _html(pages.failed("Somebody has decided about this device already."), 409)
        text = "The device is connected." if allowed else "The device was refused."
        return _html(pages.done(text))

    # What they share

    def _shown(
        self, action: str, visit: Visit
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """`action`: what the visit is called where it came to nothing else."""

        async def handle(request: web.Request) -> web.StreamResponse:
            seen = self._audit.begun(action)
            try:
                response = await visit(request, seen)
            except Redirected as found:
                seen.result, seen.code = "failed", found.error
                response = _go(found.location)
            except Refused as error:
                # Only a browser comes here: one whose session is over signs in again.
                if error.status != 401 or hdrs.AUTHORIZATION in request.headers:
                    seen.result, seen.code = "denied", error.code
                    await self._audit.leave(request, seen, error.status)
                    raise
                response = _sign_in(request, seen)
            except OAuthError as error:
                seen.result, seen.code = "failed", error.error
                response = _html(pages.failed(error.description), error.status)
            except Unavailable:
                seen.result, seen.code, seen.durable = "failed", Code.UNAVAILABLE, False
                await self._audit.leave(request, seen, 503)
                raise
            await self._audit.leave(request, seen, response.status)
            return response

        return handle


def _about(seen: Seen, client: str, scopes: frozenset[str]) -> None:
    seen.target = f"client:{client}"
    seen.details["scope"] = spell_scopes(scopes)


def _not_shown(seen: Seen) -> web.Response:
    seen.result, seen.code = "failed", Code.NOT_FOUND
    return _html(pages.type_code(metadata.DEVICE, wrong=True), 404)


def _html(text: str, status: int = 200, targets: tuple[str, ...] = ()) -> web.Response:
    return web.Response(
        status=status, text=text, content_type="text/html", headers=pages.policy(targets)
    )


def _go(location: str) -> web.Response:
    """303: the browser asks there with GET, and takes no body along (RFC 9700 section 4.12)."""
    headers = {**pages.policy(), hdrs.LOCATION: location}
    return web.Response(status=303, headers=headers)


def _sign_in(request: web.Request, seen: Seen) -> web.Response:
    """Back to this page afterwards; what was posted is asked again."""
    seen.result, seen.code = "denied", Code.TOKEN_MISSING
    there = request.rel_url.raw_path_qs if request.method == "GET" else request.path
    return _go(f"{SIGN_IN}?next={quote(there, safe='')}")


def _consent(wish: Request, query: str) -> web.Response:
    target = origin_of(wish.redirect_uri)
    scheme = urlsplit(wish.redirect_uri).scheme
    allowed = target if scheme in ("http", "https") else f"{scheme}:"
    text = pages.consent(wish.client.name, target or scheme, wish.scopes, metadata.AUTHORIZE, query)
    return _html(text, targets=(allowed,))
