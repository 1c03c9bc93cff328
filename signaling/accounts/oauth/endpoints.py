"""OAuth's machine endpoints on HTTP: token, introspection, revocation, device grant, metadata.

Forms in, JSON out, errors as RFC 6749 has them: translated in `_answered` and nowhere else. Any
origin may call them with what it holds; no cookie is read here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from signaling.accounts.oauth import forms, metadata
from signaling.accounts.oauth.clients import Client, Clients, GrantType
from signaling.accounts.oauth.devices import INTERVAL, Devices, spell
from signaling.accounts.oauth.dpop import NONCE, BadProof, Dpop
from signaling.accounts.oauth.errors import BadClient, Error, OAuthError, bad_request
from signaling.accounts.oauth.grants import Grants, as_answer, wanted_scopes
from signaling.accounts.oauth.inspection import Inspection
from signaling.clock import Clock
from signaling.config import Limits
from signaling.errors import Unavailable
from signaling.http.api.operation import Auth, Call, Operation, Recording

Answer = dict[str, Any] | None
Work = Callable[[Call[Any], Mapping[str, str]], Awaitable[Answer]]
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_TAG = "OAuth"


class Metadata(msgspec.Struct, frozen=True):
    """A JSON object as RFC 8414 or RFC 9728 defines it."""


class Endpoints:
    """One method for each. `issuer` is the public address of this server, without a slash."""

    def __init__(
        self,
        clients: Clients,
        grants: Grants,
        devices: Devices,
        inspection: Inspection,
        dpop: Dpop,
        limits: Limits,
        clock: Clock,
        issuer: str,
    ) -> None:
        self._clients = clients
        self._grants = grants
        self._devices = devices
        self._inspection = inspection
        self._dpop = dpop
        self._limits = limits
        self._clock = clock
        self._issuer = issuer

    async def _client(self, call: Call[Any], form: Mapping[str, str]) -> Client:
        fields = call.request.headers.getall(hdrs.AUTHORIZATION, [])
        if len(fields) > 1:
            raise bad_request("Authorization comes more than once.")
        header = fields[0] if fields else None
        client = await self._clients.authenticate(call.principal.app, header, form)
        call.note.actor = f"client:{client.id}"
        return client

    def _answered(self, work: Work) -> Callable[[Call[Any]], Awaitable[web.StreamResponse]]:
        async def handle(call: Call[Any]) -> web.StreamResponse:
            try:
                answer = await work(call, await forms.read(call.request, self._limits))
            except BadProof as error:
                word = Error.USE_DPOP_NONCE if error.nonce else Error.INVALID_DPOP_PROOF
                headers = {NONCE: self._dpop.nonce(call.principal.app)}
                return _refusal(call, OAuthError(word, str(error), headers=headers))
            except OAuthError as error:
                return _refusal(call, error)
            except Unavailable as error:
                wait = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
                busy = OAuthError(Error.TEMPORARILY_UNAVAILABLE, error.message, 503, wait)
                return _refusal(call, busy)
            if answer is None:
                return web.Response(status=200, headers=_NO_STORE)
            return web.json_response(answer, headers=_NO_STORE)

        return handle

    async def token(self, call: Call[Any], form: Mapping[str, str]) -> Answer:
        client = await self._client(call, form)
        app = call.principal.app
        key = await self._dpop.thumbprint(call.request, app, None)
        details = call.note.details
        details["kind"] = form.get("grant_type", "")[:64]
        tokens = await self._grants.tokens(app, client, form, key)
        details["session"] = tokens.session.id
        if tokens.session.account is not None:
            details["account"] = tokens.session.account
            call.note.target = f"account:{tokens.session.account}"
        return as_answer(tokens)

    async def introspect(self, call: Call[Any], form: Mapping[str, str]) -> Answer:
        client = await self._client(call, form)
        if not client.confidential:
            raise BadClient  # RFC 7662 section 2.1: whoever asks shows who it is
        return await self._inspection.introspect(call.principal.app, client, _token(form))

    async def revoke(self, call: Call[Any], form: Mapping[str, str]) -> Answer:
        client = await self._client(call, form)
        await self._inspection.revoke(call.principal.app, client, _token(form))
        return None

    async def device(self, call: Call[Any], form: Mapping[str, str]) -> Answer:
        """RFC 8628 section 3.2."""
        client = await self._client(call, form)
        if GrantType.DEVICE not in client.grants:
            raise OAuthError(Error.UNAUTHORIZED_CLIENT, "The client may not use this grant.")
        scopes = wanted_scopes(form, client.scopes)
        token, device = await self._devices.begin(call.principal.app, client.id, scopes)
        page, code = self._issuer + metadata.DEVICE, spell(device.user_code)
        return {
            "device_code": token.text,
            "user_code": code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={code}",
            "expires_in": int(device.expires_at - self._clock.unix()),
            "interval": int(INTERVAL),
        }

    def _document(
        self, content: dict[str, Any]
    ) -> Callable[[Call[Any]], Awaitable[web.StreamResponse]]:
        async def handle(call: Call[Any]) -> web.StreamResponse:
            headers: dict[str, str] = {hdrs.CACHE_CONTROL: "max-age=3600"}
            return web.json_response(content, headers=headers)

        return handle

    def operations(self) -> list[Operation]:
        def post(path: str, name: str, summary: str, work: Work) -> Operation:
            return Operation(
                "POST", path, name, summary, self._answered(work), base="", auth=Auth.NONE,
                raw=True, form=True, any_origin=True, rate="token", tag=_TAG, idempotent=False,
                recording=Recording.NOTE, problem_type="application/json",
            )  # fmt: skip

        def get(path: str, name: str, summary: str, content: dict[str, Any]) -> Operation:
            return Operation(
                "GET", path, name, summary, self._document(content), base="", auth=Auth.NONE,
                raw=True, any_origin=True, rate="public", tag=_TAG, answer=Metadata,
            )  # fmt: skip

        return [
            post(metadata.TOKEN, "oauthToken", "Exchange a grant for tokens", self.token),
            post(
                metadata.INTROSPECT, "oauthIntrospect", "What a token is (RFC 7662)",
                self.introspect,
            ),
            post(metadata.REVOKE, "oauthRevoke", "End a token (RFC 7009)", self.revoke),
            post(
                metadata.DEVICE_AUTHORIZATION, "oauthDevice", "Begin a device grant (RFC 8628)",
                self.device,
            ),
            get(
                metadata.SERVER_METADATA, "oauthServerMetadata",
                "Authorization server metadata (RFC 8414)", metadata.server(self._issuer),
            ),
            get(
                metadata.RESOURCE_METADATA, "oauthResourceMetadata",
                "Protected resource metadata (RFC 9728)", metadata.resource(self._issuer),
            ),
        ]  # fmt: skip


def _token(form: Mapping[str, str]) -> str:
    if "token" not in form:
        raise bad_request("token is missing.")
    return form["token"]


def _refusal(call: Call[Any], error: OAuthError) -> web.Response:
    call.note.details["reason"] = error.error.value
    body = {"error": error.error.value, "error_description": error.description}
    return web.json_response(body, status=error.status, headers={**_NO_STORE, **error.headers})
