"""One operation as aiohttp serves it: every step between the bytes of a request and its handler.

In this order, so that the cheap refusals come first: transport and origin, who it is, how often,
whether they may, the shape of the request, whether it was done before, the handler; then the audit.
Driven by `router`. Decides nothing about rooms, accounts or keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from signaling.accounts.principal import (
    Authenticator,
    Principal,
    require_either,
    require_recent,
    require_role,
    require_scope,
    require_session,
)
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, truncated
from signaling.config import Limits
from signaling.errors import ClientError, Code, Refused
from signaling.http.api import decode
from signaling.http.api.cursor import PARAMETERS, Cursors
from signaling.http.api.idempotency import Idempotency, Kept, Ticket, read_key
from signaling.http.api.operation import Auth, Call, Operation, Page, PageAsk, Recording, Reply
from signaling.http.api.rates import RateLimiter
from signaling.http.api.trace import event_of
from signaling.http.body import read_body
from signaling.http.leaving import writing
from signaling.http.problem import from_exception
from signaling.http.rates import host_of
from signaling.http.ready import JSON, NO_STORE, Ready
from signaling.http.request_id import request_id_of

# RFC 9110 section 8.8.3, without weak tags: ours are all strong.
_NO_STORE = CIMultiDict({hdrs.CACHE_CONTROL: NO_STORE})
_FIRST_PAGE = PageAsk()
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Ports:
    """What every endpoint borrows from the composition root.

    `client_address` sees through trusted proxies; `check_transport` and `check_origin` raise.
    """

    app: str  # whose requests these are before anybody is known
    authenticator: Authenticator
    audit: Audit
    rates: RateLimiter
    idempotency: Idempotency
    cursors: Cursors
    clock: Clock
    limits: Limits
    reauth_seconds: float
    client_address: Callable[[web.Request], str]
    check_transport: Callable[[web.Request], None]
    check_origin: Callable[[web.Request], None]


class Endpoint:
    """`serve` is the handler that aiohttp calls. Holds nothing of a request."""

    def __init__(self, operation: Operation, ports: Ports) -> None:
        self._operation = operation
        self._ports = ports
        self._also = PARAMETERS if operation.paged else frozenset()
        self._encode = msgspec.json.Encoder().encode
        self._nobody = Principal(app=ports.app)
        self._route = operation.route
        self._reads_credentials = operation.reads_credentials
        self._checks_caller = operation.auth in (Auth.EITHER, Auth.SESSION, Auth.ROLE)
        self._checks_origin = operation.unsafe and not operation.any_origin
        # Other hooks of aiohttp add to answers elsewhere (CORS), which `Ready` would not hear of.
        self._in_one_piece = operation.ours

    async def serve(self, request: web.Request) -> web.StreamResponse:
        operation = self._operation
        address = self._ports.client_address(request)
        call: Call[Any] = Call(
            principal=self._nobody,
            body=None,
            query=None,
            path=request.match_info,
            request_id=request_id_of(request),
            now=self._ports.clock.unix(),
            if_match=None,
            client_address=truncated(address),
            throttle_address=host_of(address),
            page=_FIRST_PAGE,
            idempotency_key=None,
            request=request,
        )
        refusal: Exception | None = None
        try:
            response = await self._answer(call)
        except Exception as error:
            refusal = error
            response = from_exception(error, call.request_id, operation.problem_type)
            if not self._reads_credentials and _asks_for_bearer(response):
                # Such an operation takes no bearer token, so none is asked for.
                del response.headers["WWW-Authenticate"]
        recording = operation.recording
        if recording is Recording.DURABLE and refusal is None:
            try:
                await self._ports.audit.record(event_of(operation, call, response.status, None))
            except Exception as error:
                return from_exception(error, call.request_id, operation.problem_type)
        elif recording is not Recording.OWN or refusal is not None:
            self._ports.audit.note(event_of(operation, call, response.status, refusal))
        return response

    async def _answer(self, call: Call[Any]) -> web.StreamResponse:
        request = call.request
        self._check_edge(request)
        if self._reads_credentials:
            try:
                call.principal = await self._ports.authenticator.authenticate(request)
            except Refused as error:
                # Still a stranger, whose address is counted.
                error.headers = {**await self._rated(call), **error.headers}
                raise
        call.fields = fields = await self._rated(call)
        try:
            self._authorise(call)
            if self._shaped(call):
                await self._read(call)
            # What is asked once only, which is nearly everything, has the shorter way.
            once = call.idempotency_key is not None
            response = await (self._once(call) if once else self._handle(call))
        except ClientError as error:
            error.headers = {**fields, **error.headers}
            raise
        if type(response) is not Ready and not response.prepared:
            response.headers.update(fields)
        return response

    async def _rated(self, call: Call[Any]) -> dict[str, str]:
        operation = self._operation
        return await self._ports.rates.take(operation.rate, operation.id, _caller(call))

    def _check_edge(self, request: web.Request) -> None:
        self._ports.check_transport(request)
        if request.raw_path != self._route:
            decode.check_path(request.raw_path)
        if self._checks_origin:
            self._ports.check_origin(request)

    def _authorise(self, call: Call[Any]) -> None:
        operation, principal = self._operation, call.principal
        if not self._checks_caller:
            return
        if operation.auth is Auth.EITHER:
            require_either(principal)
        else:
            require_session(principal)
        if operation.auth is Auth.ROLE:
            require_role(principal, *operation.roles)
        if operation.scope is not None:
            require_scope(principal, operation.scope)
        if operation.reauth:
            require_recent(principal, call.now, self._ports.reauth_seconds)

    def _shaped(self, call: Call[Any]) -> bool:
        """All of it but the body. False when there is none to read."""
        operation, request = self._operation, call.request
        said = request.rel_url.raw_query_string if "?" in request.raw_path else ""
        if said or operation.paged or operation.query is not None:
            call.query, ours = decode.query(said, operation.query, self._also)
            if operation.paged:
                call.page = self._ports.cursors.ask(ours, operation.id, call.principal)
        call.if_match = entity_tags(request.headers.get(hdrs.IF_MATCH))
        if operation.if_match and call.if_match is None:
            message = "Say with If-Match which version you change."
            raise ClientError(Code.PRECONDITION_REQUIRED, 428, message)
        if operation.method == "POST":
            call.idempotency_key = read_key(request.headers.get("Idempotency-Key"))
        if operation.raw:
            return False
        if operation.body is not None:
            _check_type(request, FORM if operation.form else JSON)
            return True
        return request.can_read_body

    async def _read(self, call: Call[Any]) -> None:
        operation = self._operation
        call.raw = await read_body(call.request, self._ports.limits, operation.max_body)
        if operation.body is None:
            _check_empty(call.raw)
        elif operation.form:
            call.body = decode.form_body(call.raw, operation.body)
        else:
            call.body = decode.json_body(call.raw, operation.body)

    async def _once(self, call: Call[Any]) -> web.StreamResponse:
        """The handler, or the answer that it gave to the same Idempotency-Key before."""
        key = call.idempotency_key
        if key is None or not self._operation.idempotent or self._operation.raw:
            return await self._handle(call)
        path = call.request.raw_path.encode()
        said = b"\0".join((self._operation.id.encode(), path, call.raw))
        begun = await self._ports.idempotency.begin(call.principal, self._operation.id, key, said)
        if isinstance(begun, Kept):
            return _replayed(begun)
        return await self._handle_once(call, begun)

    async def _handle_once(self, call: Call[Any], ticket: Ticket) -> web.StreamResponse:
        idempotency = self._ports.idempotency
        try:
            response = await self._handle(call)
        except ClientError as error:
            shown = from_exception(error, call.request_id, self._operation.problem_type)
            await idempotency.keep(ticket, shown.status, _kept_headers(shown), _bytes_of(shown))
            raise
        except BaseException:
            await idempotency.drop(ticket)
            raise
        if isinstance(response, web.Response):
            headers = _kept_headers(response)
            await idempotency.keep(ticket, response.status, headers, _bytes_of(response))
        else:
            await idempotency.drop(ticket)
        return response

    async def _handle(self, call: Call[Any]) -> web.StreamResponse:
        answer = await self._operation.handler(call)
        # In the order in which they are frequent: looking for an abstract type is not cheap.
        if isinstance(answer, msgspec.Struct):
            return self._json(call, self._operation.status, self._encode(answer), {})
        if isinstance(answer, Reply):
            return await self._reply(call, answer)
        if isinstance(answer, web.StreamResponse):
            return answer
        return await self._reply(call, Reply(answer))

    async def _reply(self, call: Call[Any], reply: Reply) -> web.StreamResponse:
        status = reply.status or self._operation.status
        body, links = reply.body, ""
        if isinstance(body, Page):
            body, links = self._page(call, body)
        if isinstance(body, AsyncIterator):
            return await _stream(call, status, reply, body)
        data = body if isinstance(body, bytes) else b"" if body is None else self._encode(body)
        fields: dict[str, str] = {}
        if reply.etag is not None:
            fields[hdrs.ETAG] = f'"{reply.etag}"'
            asked = call.request.headers.get(hdrs.IF_NONE_MATCH)
            if asked is not None and not self._operation.unsafe and _matches(asked, reply.etag):
                return web.Response(status=304, headers={hdrs.CACHE_CONTROL: NO_STORE, **fields})
        if links:
            fields[hdrs.LINK] = links
        if data and reply.content_type == JSON and not reply.headers:
            return self._json(call, status, data, fields)
        headers = CIMultiDict(_NO_STORE)
        headers.update(fields)
        if body is not None:
            headers[hdrs.CONTENT_TYPE] = reply.content_type
        response = web.Response(status=status, body=data or None, headers=headers)
        _add(response, reply.headers)
        return response

    def _json(
        self, call: Call[Any], status: int, data: bytes, fields: dict[str, str]
    ) -> web.Response:
        """In one piece, unless others add to it: hooks, or whoever keeps it for another time."""
        if self._in_one_piece and status != 204 and call.idempotency_key is None:
            return Ready(status, data, {**call.fields, **fields} if fields else call.fields)
        headers = {hdrs.CACHE_CONTROL: NO_STORE, hdrs.CONTENT_TYPE: JSON, **fields}
        return web.Response(status=status, body=data, headers=headers)

    def _page(self, call: Call[Any], page: Page) -> tuple[bytes, str]:
        """The envelope of a list, and its Link field (RFC 8288)."""
        cursors, name = self._ports.cursors, self._operation.id
        after = None if page.next is None else cursors.after(name, call.principal, page.next)
        before = None if page.prev is None else cursors.before(name, call.principal, page.prev)
        links = []
        for relation, cursor in (("next", after), ("prev", before)):
            if cursor is not None:
                there = call.request.rel_url.update_query(cursor=cursor)
                links.append(f'<{there}>; rel="{relation}"')
        envelope = {"items": page.items, "next_cursor": after, "prev_cursor": before}
        return self._encode(envelope), ", ".join(links)


def entity_tags(text: str | None) -> tuple[str, ...] | None:
    """RFC 9110 section 13.1.1. A weak tag never matches strongly, so it is left out."""
    if text is None:
        return None
    if text.strip() == "*":
        return ("*",)
    listed = [part.strip() for part in text.split(",")]
    return tuple(part[1:-1] for part in listed if len(part) > 1 and part[0] == part[-1] == '"')


def _matches(header: str, etag: str) -> bool:
    tags = entity_tags(header.replace('W/"', '"')) or ()
    return tags == ("*",) or etag in tags


def _caller(call: Call[Any]) -> str:
    """Who is counted: the account or client, and its address; strangers by address alone."""
    principal = call.principal
    who = principal.account or principal.client or principal.session or ""
    return f"{principal.app}:{who}:{call.throttle_address}"


def _asks_for_bearer(response: web.StreamResponse) -> bool:
    return response.headers.get("WWW-Authenticate", "").startswith("Bearer")


def _check_type(request: web.Request, wanted: str) -> None:
    charset = request.charset
    if request.content_type != wanted or (charset or "utf-8").lower() != "utf-8":
        message = f"The body must be {wanted} in UTF-8."
        raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, message)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, "The body must not be compressed.")


def _check_empty(data: bytes) -> None:
    if data.strip() not in (b"", b"{}"):
        raise ClientError(Code.BAD_REQUEST, 400, "This operation takes no body.")


def _replayed(kept: Kept) -> web.Response:
    response = web.Response(status=kept.status, body=kept.body or None)
    response.headers.clear()
    for name, value in kept.headers:
        response.headers.add(name, value)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _kept_headers(response: web.StreamResponse) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), value) for name, value in response.headers.items())


def _bytes_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _add(response: web.StreamResponse, headers: Any) -> None:
    for name, value in headers:
        if name.lower() == "set-cookie":
            response.headers.add(name, value)
        else:
            response.headers[name] = value


async def _stream(
    call: Call[Any], status: int, reply: Reply, parts: AsyncIterator[bytes]
) -> web.StreamResponse:
    headers = {hdrs.CACHE_CONTROL: NO_STORE, **call.fields}
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = reply.content_type
    _add(response, reply.headers)
    with writing():
        await response.prepare(call.request)
    async for part in parts:
        with writing():
            await response.write(part)
    with writing():
        await response.write_eof()
    return response
