"""WHIP (RFC 9725) and WHEP on HTTP: methods, media types, entity tags, and nothing of rooms.

POST /whip[/ROOM]                      publish
POST /whep[/ROOM][?participant=ID...]  watch those participants, or everybody
PATCH, DELETE /wh?p/ROOM/SESSION       trickle and ICE restart; end
Errors leave as problem+json, by the application's middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from aiohttp import web

from mediaserver.api import ClientError as MediaRefusal
from mediaserver.api import Code as MediaCode
from signaling.config import Limits
from signaling.errors import ClientError, Code, Refused
from signaling.http.body import read_body
from signaling.rtc import IceServer, Rooms
from signaling.rtc.tokens import bearer
from signaling.whip import sdpfrag
from signaling.whip.sessions import Session, Sessions

SDP = "application/sdp"
FRAGMENT = sdpfrag.MEDIA_TYPE
_ACCEPTED = {"*/*", "application/*", SDP}
# The offer was understood and cannot be met (RFC 9110 section 15.5.21); others are malformed.
_UNPROCESSABLE = {
    MediaCode.SDP_UNSUPPORTED,
    MediaCode.FINGERPRINT_MISSING,
    MediaCode.FINGERPRINT_WEAK,
    MediaCode.CODEC_UNSUPPORTED,
    MediaCode.TOO_MANY_TRACKS,
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Whip:
    """Both protocols: they differ in what the participant may do and in the query of WHEP."""

    def __init__(self, rooms: Rooms, limits: Limits) -> None:
        self._limits = limits
        self.sessions = Sessions(rooms)

    def add_routes(self, app: web.Application) -> None:
        for kind, post in (("whip", self._publish), ("whep", self._watch)):
            for path in (f"/{kind}", f"/{kind}/{{room}}"):
                app.router.add_post(path, post)
                app.router.add_options(path, self._options)
                app.router.add_route("*", path, _not_allowed("POST, OPTIONS"))
            resource = f"/{kind}/{{room}}/{{session}}"
            app.router.add_patch(resource, self._patch)
            app.router.add_delete(resource, self._delete)
            app.router.add_options(resource, self._options)
            app.router.add_route("*", resource, _not_allowed("PATCH, DELETE, OPTIONS"))

    async def _options(self, request: web.Request) -> web.Response:
        headers = {"Accept-Post": SDP}
        if "session" in request.match_info:
            headers = {"Accept-Patch": FRAGMENT}
        return web.Response(status=204, headers=headers)

    async def _publish(self, request: web.Request) -> web.Response:
        token, offer = await self._read_offer(request)
        room = request.match_info.get("room", "")
        try:
            session = await self.sessions.publish(token, room, offer)
        except MediaRefusal as error:
            raise _translate(error) from error
        return self._created(session)

    async def _watch(self, request: web.Request) -> web.Response:
        token, offer = await self._read_offer(request)
        room = request.match_info.get("room", "")
        identities = request.query.getall("participant", [])
        try:
            session = await self.sessions.watch(token, room, offer, identities)
        except MediaRefusal as error:
            raise _translate(error) from error
        return self._created(session)

    async def _read_offer(self, request: web.Request) -> tuple[str, str]:
        token = _token(request)
        if request.content_type != SDP:
            raise _wrong_type(SDP)
        if not _accepts_sdp(request):
            raise ClientError(Code.NOT_ACCEPTABLE, 406, f"The answer is {SDP}.")
        body = await read_body(request, self._limits)
        try:
            return token, body.decode("utf-8")
        except UnicodeDecodeError:
            raise ClientError(Code.BAD_SDP, 400, "The offer is not UTF-8.") from None

    def _created(self, session: Session) -> web.Response:
        room = quote(session.participant.room.name, safe="")
        response = web.Response(status=201, text=session.answer, content_type=SDP)
        response.headers["Location"] = f"/{session.kind}/{room}/{session.id}"
        response.headers["ETag"] = f'"{session.tag}"'
        response.headers["Accept-Patch"] = FRAGMENT
        for link in ice_links(self.sessions.ice_servers(session)):
            response.headers.add("Link", link)
        return response

    async def _find(self, request: web.Request) -> Session:
        kind = request.path.split("/", 2)[1]
        room, session = request.match_info["room"], request.match_info["session"]
        return await self.sessions.find(kind, room, session, _token(request))

    async def _patch(self, request: web.Request) -> web.Response:
        session = await self._find(request)
        if request.content_type != FRAGMENT:
            raise _wrong_type(FRAGMENT)
        wanted = request.headers.get("If-Match", "").strip()
        if not wanted:
            raise ClientError(Code.PRECONDITION_REQUIRED, 428, "If-Match is required.")
        fragment = sdpfrag.read(await read_body(request, self._limits, 64 * 1024))
        if wanted in ("*", '"*"'):
            return await self._restart(session, fragment)
        if wanted not in (f'"{session.tag}"', f'W/"{session.tag}"'):
            raise ClientError(Code.PRECONDITION_FAILED, 412, "The session has moved on.")
        self.sessions.trickle(session, fragment)
        return web.Response(status=204)

    async def _restart(self, session: Session, fragment: sdpfrag.Fragment) -> web.Response:
        try:
            await self.sessions.restart(session, fragment)
        except MediaRefusal as error:
            raise _translate(error) from error
        response = web.Response(text=sdpfrag.from_answer(session.answer), content_type=FRAGMENT)
        response.headers["ETag"] = f'"{session.tag}"'
        for link in ice_links(self.sessions.ice_servers(session)):
            response.headers.add("Link", link)
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        self.sessions.end(await self._find(request))
        return web.Response(status=200)


def _token(request: web.Request) -> str:
    """From the header only: these URLs are typed into other programs and end in their logs."""
    token = bearer(request.headers.get("Authorization"), None)
    if not token:
        raise Refused(Code.TOKEN_MISSING, 401, "A bearer token is needed.")
    return token


def _accepts_sdp(request: web.Request) -> bool:
    accept = request.headers.get("Accept", "*/*")
    return any(item.split(";")[0].strip().lower() in _ACCEPTED for item in accept.split(","))


def _wrong_type(wanted: str) -> ClientError:
    return ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, f"The body must be {wanted}.")


def _not_allowed(allowed: str) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed.split(", "))

    return refuse


def _translate(error: MediaRefusal) -> ClientError:
    """WHIP's statuses for what the media server says of an offer (RFC 9725 section 4.4)."""
    status = 422 if error.code in _UNPROCESSABLE else error.status
    return ClientError(Code.BAD_SDP, status, error.message)


def ice_links(servers: Sequence[IceServer]) -> list[str]:
    """`Link` headers, one for each URL (RFC 9725 section 4.6)."""
    links: list[str] = []
    for server in servers:
        credential = ""
        if server.username:
            username, password = _quoted(server.username), _quoted(server.credential)
            credential = (
                f'; username="{username}"; credential="{password}"; credential-type="password"'
            )
        links += [f'<{url}>; rel="ice-server"{credential}' for url in server.urls]
    return links


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
