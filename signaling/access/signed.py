"""The Access Manager's own wire: grant, revoke, list and explain, signed with a secret key; parse.

What PubNub's server libraries send and read. A browser has no business here: whoever signs holds
the secret key, and no page may hold it, so a request that a browser made is refused unread.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from signaling.access import signature, wire
from signaling.access.door import late
from signaling.access.evaluate import Ask, Decision, Reason
from signaling.access.explain import Explanation, explain
from signaling.access.grant import GRANT_BYTES, Invalid, read_grant
from signaling.access.grants import Grants, Listed, NotRevocable, View
from signaling.access.keysets import KeySet, KeySets
from signaling.access.permissions import Operation as Act
from signaling.access.signature import BadQueryError, Signed
from signaling.access.tokens import ident_of
from signaling.clock import Clock
from signaling.config import Limits
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Auth, Call, Operation, Recording
from signaling.http.body import read_body

_TAG = "Access Manager"
_MOST_LISTED = 100
# What only browsers send, and always do when a page calls: Origin but for plain GETs, the others
# on secure connections (Fetch standard, "request metadata").
_BROWSER = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode")
_ID = re.compile(r"[0-9a-f]{64}")
_ERRORS = (
    Code.SIGNATURE_INVALID,
    Code.TIMESTAMP_SKEWED,
    Code.REQUEST_REPLAYED,
    Code.ORIGIN_REFUSED,
)


class Deps(msgspec.Struct, frozen=True):
    grants: Grants
    keysets: KeySets
    clock: Clock
    limits: Limits


class SignedQuery(msgspec.Struct, kw_only=True):
    """Beside these, any parameter that the signature covers: PubNub's libraries name themselves."""

    timestamp: str = ""
    signature: str = ""
    nonce: str = ""
    after: str = ""
    limit: str = ""


class Message(msgspec.Struct):
    message: str


class Granting(Message):
    token: str


class Listing(Message):
    tokens: list[Listed]
    next: str | None


class Done(msgspec.Struct):
    data: Message
    service: str
    status: int


class GrantDone(msgspec.Struct):
    data: Granting
    service: str
    status: int


class ListDone(msgspec.Struct):
    data: Listing
    service: str
    status: int


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class ExplainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The question: may the bearer of `token`, as `uuid`, do `operation` on these?"""

    token: str
    operation: Act
    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    uuid: str | None = None


class SignedRequests:
    """The handlers. Hold nothing of a request."""

    def __init__(self, deps: Deps) -> None:
        self._grants, self._keysets = deps.grants, deps.keysets
        self._clock, self._limits = deps.clock, deps.limits

    async def grant(self, call: Call[Any]) -> web.Response:
        app, keyset, request = await self._authority(call, "grant")
        try:
            wanted = read_grant(request.body)
        except Invalid as error:
            raise wire.invalid(error, "grant") from None
        token = await self._grants.grant(app, keyset, wanted)
        call.note.token = ident_of(token)
        call.note.target = f"token:{call.note.token}"
        call.note.details["ttl"] = str(wanted.ttl)
        return answer(wire.success(token=token))

    async def revoke(self, call: Call[Any]) -> web.Response:
        app, keyset, _ = await self._authority(call, "revoke")
        call.note.token = ident_of(call.path["token"])
        call.note.target = f"token:{call.note.token}"
        try:
            await self._grants.revoke(app, keyset, call.path["token"])
        except NotRevocable as error:
            raise wire.not_revocable(error.detail) from None
        return answer(wire.success())

    async def list(self, call: Call[Any]) -> web.Response:
        app, keyset, request = await self._authority(call, "list")
        limit = _limit(request.parameter("limit"))
        after = request.parameter("after") or ""
        if after and not _ID.fullmatch(after):
            raise ClientError(Code.BAD_REQUEST, 400, "after is the id of a token.")
        found = await self._grants.page(app, keyset, after, limit)
        more = found[-1].id if len(found) == limit else None
        return answer(wire.success(tokens=msgspec.to_builtins(list(found)), next=more))

    async def explain(self, call: Call[Any]) -> web.Response:
        app, keyset, request = await self._authority(call, "explain")
        body = _read(request.body, ExplainBody)
        holder = await self._grants.find(app, body.token)
        if getattr(holder, "keyset", keyset.id) != keyset.id:
            raise wire.not_revocable("Token is not one of this key set.")
        ask = Ask(body.operation, body.channels, body.groups, body.uuids)
        who = () if body.uuid is None else (body.uuid,)
        explained = explain(holder, ask, who, self._clock.unix())
        return web.Response(
            body=msgspec.json.encode(explained), content_type="application/json", headers=_PRIVATE
        )

    async def parse(self, call: Call[Any]) -> web.Response:
        """For whoever holds the token's text; PubNub's clients do this without asking anybody."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        _refuse_wrong_type(call.request)
        body = _read(await self._body(call), TokenBody)
        found = await self._grants.parse(call.principal.app, body.token)
        if isinstance(found, Reason):
            raise await late(wire.refusal(Decision(found)), started)
        return web.Response(
            body=msgspec.json.encode(found), content_type="application/json", headers=_PRIVATE
        )

    async def _authority(self, call: Call[Any], source: str) -> tuple[str, KeySet, Signed]:
        """Raises ClientError: 403 for a browser and for a bad signature, 400, 409."""
        started = asyncio.get_running_loop().time()
        refuse_browser(call)
        raw = await self._body(call)
        subscribe_key = call.path["subkey"]
        try:
            request = signature.read(call.request.method, call.request.raw_path, raw)
        except BadQueryError as error:
            raise ClientError(Code.BAD_REQUEST, 400, str(error)) from None
        try:
            app, keyset = await self._keysets.authorise(request, subscribe_key)
        except ClientError as error:
            raise await late(wire.unsigned(error, source), started) from None
        call.note.app, call.note.actor = app, f"keyset:{keyset.id}"
        return app, keyset, request

    async def _body(self, call: Call[Any]) -> bytes:
        return await read_body(call.request, self._limits, GRANT_BYTES)


def refuse_browser(call: Call[Any]) -> None:
    """403, and in the audit: the secret key is where it must never be."""
    if any(name in call.request.headers for name in _BROWSER):
        call.note.details["reason"] = "secret_in_browser"
        message = "Requests with a secret key come from servers, never from a browser."
        raise Refused(Code.ORIGIN_REFUSED, 403, message)


def answer(body: Mapping[str, object]) -> web.Response:
    return web.Response(text=json.dumps(body), content_type="application/json", headers=_PRIVATE)


_PRIVATE = {"Cache-Control": "no-store"}


def _read(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = "The body is not what this request takes."
        raise ClientError(Code.FIELDS_INVALID, 422, message) from None


def _refuse_wrong_type(request: web.Request) -> None:
    if request.content_type != "application/json":
        raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, "The body must be application/json.")


def _limit(text: str | None) -> int:
    if text is None:
        return _MOST_LISTED
    if not (text.isascii() and text.isdigit() and 0 < int(text[:4]) <= _MOST_LISTED):
        raise ClientError(Code.BAD_REQUEST, 400, f"limit is 1 to {_MOST_LISTED}.")
    return int(text)


def operations(deps: Deps) -> list[Operation]:
    """PubNub's paths, so `base` is empty. The framework's own checks of bodies do not apply: these
    are read as bytes, since a signature covers them.
    """
    handlers = SignedRequests(deps)
    common: dict[str, Any] = {
        "auth": Auth.SIGNED,
        "base": "",
        "raw": True,
        "idempotent": False,
        "tag": _TAG,
        "query": SignedQuery,
        "rate": "signed",
        "max_body": GRANT_BYTES,
        "recording": Recording.DURABLE,
    }
    return [
        Operation(
            "POST", "/v3/pam/{subkey}/grant", "grantToken", "Grant a token",
            handlers.grant, answer=GrantDone, errors=(*_ERRORS, Code.GRANT_INVALID), **common,
        ),
        Operation(
            "DELETE", "/v3/pam/{subkey}/grant/{token}", "revokeToken", "Revoke a token",
            handlers.revoke, answer=Done, errors=(*_ERRORS, Code.GRANT_INVALID), **common,
        ),
        Operation(
            "GET", "/v3/pam/{subkey}/grants", "listTokens", "List the tokens of a key set",
            handlers.list, answer=ListDone, errors=_ERRORS, **common,
        ),
        Operation(
            "POST", "/v3/pam/{subkey}/explain", "explainAccess", "Explain a decision",
            handlers.explain, answer=Explanation, errors=(*_ERRORS, Code.GRANT_INVALID), **common,
        ),
        Operation(
            "POST", "/v3/pam/{subkey}/parse", "parseToken", "Tell what a token gives",
            handlers.parse, answer=View,
            errors=(
                Code.ACCESS_TOKEN_INVALID, Code.ACCESS_TOKEN_EXPIRED, Code.ACCESS_TOKEN_REVOKED,
            ),
            **{**common, "auth": Auth.NONE, "recording": Recording.NOTE, "rate": "default"},
        ),
    ]  # fmt: skip
