"""Twirp v7 over aiohttp: routes, the two encodings, and errors as JSON.

An adapter that knows no method by itself: services give a table of methods. Requests may be
protobuf or JSON (snake_case and lowerCamelCase), answers take the request's encoding. Services
that this server does not have answer `unimplemented` with a sentence.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import hdrs, web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from livekit.protocol import room as room_pb

from signaling.errors import ClientError, Code, Left, Refused, Unavailable
from signaling.http.leaving import reading
from signaling.rtc.rooms import Rooms
from signaling.rtc.tokens import Claims, bearer

log = logging.getLogger(__name__)

PREFIX = "/twirp"
_PROTOBUF, _JSON = "application/protobuf", "application/json"
_CORS = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "*",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, OPTIONS",
}
_STATUS = {
    "invalid_argument": 400,
    "malformed": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "bad_route": 404,
    "deadline_exceeded": 408,
    "canceled": 408,
    "already_exists": 409,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "internal": 500,
    "unimplemented": 501,
    "unavailable": 503,
}
_CODES = {
    Code.BAD_REQUEST: "invalid_argument",
    Code.TOO_LARGE: "invalid_argument",
    Code.RATE_LIMITED: "resource_exhausted",
    Code.PRECONDITION_FAILED: "failed_precondition",
    Code.CONFLICT: "already_exists",
    Code.NOT_FOUND: "not_found",
    Code.ROOM_NOT_FOUND: "not_found",
    Code.PARTICIPANT_NOT_FOUND: "not_found",
    Code.TRACK_NOT_FOUND: "not_found",
    Code.ROOM_FULL: "resource_exhausted",
    Code.UNIMPLEMENTED: "unimplemented",
}

ABSENT = {
    "Egress": "Recording and streaming out are not part of this server's LiveKit API.",
    "Ingress": "Publish by WHIP instead: this server has no LiveKit ingress service.",
    "SIP": "This server has no telephone gateway.",
    "AgentDispatchService": "Agents join with a token of their own; this server dispatches none.",
    "Connector": "This server has no connectors to other networks.",
    "CloudAgent": "This server hosts no agents.",
    "AgentSimulation": "This server hosts no agents.",
    "PhoneNumberService": "This server has no telephone numbers.",
}


class TwirpError(Exception):
    """An error with a Twirp code of its own, and metadata that clients may read."""

    def __init__(self, code: str, message: str, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.meta = dict(meta or {})


@dataclass(frozen=True, slots=True)
class Method:
    """`call` gets the caller's claims and the request, and returns the response."""

    request: type[Message]
    call: Callable[[Claims, Any], Awaitable[Message]]


class Service(Protocol):
    """A table of methods by name."""

    @property
    def methods(self) -> Mapping[str, Method]: ...


def add_routes(app: web.Application, rooms: Rooms, room_service: Service) -> None:
    services: dict[str, Service] = {"RoomService": room_service}

    async def post(request: web.Request) -> web.Response:
        try:
            return await _call(rooms, services, request)
        except (TwirpError, ClientError, Unavailable) as error:
            return _error(error)
        except Exception:
            correlation = uuid.uuid4().hex
            log.exception("server API call failed, correlation id %s", correlation)
            return _error(TwirpError("internal", f"internal error {correlation}"))

    async def options(request: web.Request) -> web.Response:
        return web.Response(status=204, headers=_CORS)

    app.router.add_post(PREFIX + "/{service}/{method}", post)
    app.router.add_options(PREFIX + "/{service}/{method}", options)


async def _call(
    rooms: Rooms, services: Mapping[str, Service], request: web.Request
) -> web.Response:
    claims = rooms.claims(bearer(request.headers.get(hdrs.AUTHORIZATION), None))
    package, _, name = request.match_info["service"].rpartition(".")
    if package != "livekit":
        raise TwirpError("bad_route", "no such service")
    if name in ABSENT:
        raise TwirpError("unimplemented", ABSENT[name])
    service = services.get(name)
    method = service.methods.get(request.match_info["method"]) if service is not None else None
    if method is None:
        raise TwirpError("bad_route", "no such method")
    if request.content_type not in (_PROTOBUF, _JSON):
        raise TwirpError("malformed", "send application/protobuf or application/json")
    body = await _body(request, rooms.services.settings.limits.api_body_bytes)
    message = _decode(method.request, request.content_type, body)
    # After the body: who sends it slowly has no more than what holds when it is there.
    claims = await rooms.cleared(claims, claims.video.room)
    return _answer(await method.call(claims, message), request.content_type)


async def _body(request: web.Request, bound: int) -> bytes:
    body = bytearray()
    with reading():
        async for chunk in request.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > bound:
                raise TwirpError("invalid_argument", f"the request exceeds {bound} bytes")
    return bytes(body)


def _decode(kind: type[Message], content_type: str, body: bytes) -> Message:
    message = kind()
    try:
        if content_type == _JSON:
            json_format.Parse(
                body or b"{}", message, ignore_unknown_fields=True, max_recursion_depth=32
            )
        else:
            message.ParseFromString(body)
    except (DecodeError, json_format.ParseError, RecursionError, ValueError) as error:
        raise TwirpError("malformed", f"not a {kind.DESCRIPTOR.name}") from error
    return message


def _answer(message: Message, content_type: str) -> web.Response:
    if content_type == _PROTOBUF:
        body = message.SerializeToString()
    else:
        # As LiveKit's JSON: the proto's own names, and every field present.
        body = json_format.MessageToJson(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
            indent=None,
        ).encode()
    return web.Response(body=body, content_type=content_type, headers=_CORS)


def _error(error: TwirpError | ClientError | Unavailable) -> web.Response:
    """The one translation of errors on this adapter."""
    meta: dict[str, str] = {}
    if isinstance(error, Left):
        log.info("a client left in the middle of a server API call")
        return web.Response(status=error.status)
    if isinstance(error, TwirpError):
        code, meta = error.code, error.meta
    elif isinstance(error, Refused):
        code = "unauthenticated" if error.status == 401 else "permission_denied"
    elif isinstance(error, ClientError):
        code = _CODES.get(error.code, "invalid_argument")
    else:
        code = "unavailable"
    body: dict[str, object] = {"code": code, "msg": error.message}
    if meta:
        body["meta"] = meta
    return web.Response(
        status=_STATUS[code],
        body=json.dumps(body).encode(),
        content_type=_JSON,
        headers=_CORS,
    )


ROOM_SERVICE_METHODS = frozenset(
    method.name for method in room_pb.DESCRIPTOR.services_by_name["RoomService"].methods
)
