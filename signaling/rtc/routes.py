"""HTTP routes of LiveKit signaling: `/rtc`, `/rtc/v1`, their validate paths, and the server API.

A browser never sees why an upgrade was refused: it then asks the validate path, so both answer
the same status with the plain reason, and everything carries `Access-Control-Allow-Origin: *`.
These paths read no cookie, so any origin may use them: the token is the authority.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import hdrs, web

from signaling.errors import ClientError, Unavailable
from signaling.rtc import twirp
from signaling.rtc.connection import Connections
from signaling.rtc.entry import Entry, read_entry
from signaling.rtc.room_service import RoomService
from signaling.rtc.rooms import Rooms
from signaling.rtc.tokens import bearer

log = logging.getLogger(__name__)
CONNECTIONS = web.AppKey("rtc_connections", Connections)
_CORS = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}


def add_routes(app: web.Application, rooms: Rooms) -> None:
    """Add every route of this package to the application."""
    connections = Connections(rooms)
    app[CONNECTIONS] = connections

    app.router.add_get("/rtc", _socket_handler(connections, needs_join_request=False))
    app.router.add_get("/rtc/v1", _socket_handler(connections, needs_join_request=True))
    app.router.add_get("/rtc/validate", _validate_handler(rooms, needs_join_request=False))
    app.router.add_get("/rtc/v1/validate", _validate_handler(rooms, needs_join_request=True))
    twirp.add_routes(app, rooms, RoomService(rooms))

    async def stop(app: web.Application) -> None:
        await connections.close()

    app.on_shutdown.append(stop)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _socket_handler(connections: Connections, *, needs_join_request: bool) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            return web.Response(status=404, headers=_CORS)
        try:
            entry = await _entry(connections.rooms, request, needs_join_request, strict=False)
        except (ClientError, Unavailable) as error:
            return _refusal(error)
        return await connections.serve(request, entry)

    return handler


def _validate_handler(rooms: Rooms, *, needs_join_request: bool) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            await _entry(rooms, request, needs_join_request, strict=True)
        except (ClientError, Unavailable) as error:
            return _refusal(error)
        return web.Response(text="success", headers=_CORS)

    return handler


async def _entry(
    rooms: Rooms, request: web.Request, needs_join_request: bool, *, strict: bool
) -> Entry:
    """Who asks, and whether it may. Raises ClientError or Unavailable."""
    token = bearer(request.headers.get(hdrs.AUTHORIZATION), request.query.get("access_token"))
    entry = read_entry(
        rooms.claims(token),
        request.query,
        rooms.services.settings.limits,
        needs_join_request=needs_join_request,
        strict=strict,
    )
    rooms.check(entry)
    return replace(entry, claims=await rooms.cleared(entry.claims, entry.room))


def _refusal(error: ClientError | Unavailable) -> web.Response:
    """The one translation of errors on these paths: a status and the reason in plain text."""
    headers = dict(_CORS)
    if isinstance(error, ClientError):
        status = error.status
        log.info("join refused: %s", error.code.value)
    else:
        status = 503
        if error.retry_after is not None:
            headers[hdrs.RETRY_AFTER] = str(error.retry_after)
        log.info("join refused: unavailable")
    return web.Response(status=status, text=error.message, headers=headers)
