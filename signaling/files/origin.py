"""The origin that files are served from: `GET /f/{ticket}` and nothing else.

No cookie is read or set. Only what the server made itself (pictures, sounds, films) is shown; all
else is a download without a type. Each use asks again whether the link's owner may read the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from aiohttp import web

from signaling.accounts.principal import Kind
from signaling.compliance.audit.port import AuditEvent, truncated
from signaling.errors import ClientError
from signaling.files.asking import Door, LookAgain, asking_again
from signaling.files.links import Links, Ticket
from signaling.files.model import Stored
from signaling.files.names import disposition
from signaling.files.port import OPAQUE, Shape, Variant
from signaling.files.register import not_found
from signaling.files.service import Files
from signaling.http.leaving import writing
from signaling.http.request_id import request_id_of

PATH = "/f/{ticket}"
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
    "X-Robots-Tag": "noindex",
}


class Origin:
    """`origins`: whose pages may read what is fetched (CORS). `embed`: the resource policy."""

    def __init__(
        self,
        files: Files,
        door: Door,
        links: Links,
        look_again: LookAgain,
        origins: Callable[[web.Request], frozenset[str]],
        address: Callable[[web.Request], str],
        embed: str,
    ) -> None:
        self._files, self._door, self._links = files, door, links
        self._look_again, self._origins, self._address = look_again, origins, address
        self._embed = embed

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(PATH, self.get)
        app.router.add_route("OPTIONS", PATH, self.preflight)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        fields = {
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match",
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=204, headers={**self._shared(request), **fields})

    def _shared(self, request: web.Request) -> dict[str, str]:
        found = {**HEADERS, "Cross-Origin-Resource-Policy": self._embed, "Vary": "Origin"}
        origin = request.headers.get("Origin")
        if origin is not None and origin in self._origins(request):
            found["Access-Control-Allow-Origin"] = origin
            found["Access-Control-Expose-Headers"] = "Content-Range, ETag, Content-Disposition"
        return found

    async def get(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._get(request)
        except ClientError as error:
            error.headers = {**self._shared(request), **error.headers}
            raise

    async def _get(self, request: web.Request) -> web.StreamResponse:
        now = self._files.parts.clock.unix()
        ticket = self._links.open(request.match_info["ticket"], now)
        stored, shape = await self._found(ticket)
        fields = self._fields(request, ticket, shape)
        tag = f'"{ticket.file}-{ticket.variant}"'
        fields["ETag"] = tag
        if request.headers.get("If-None-Match") in (tag, "*"):
            return web.Response(status=304, headers=fields)
        wanted = _range(request, tag, shape.size)
        if wanted is None:
            return web.Response(
                status=416, headers={**fields, "Content-Range": f"bytes */{shape.size}"}
            )
        start, end, partial = wanted
        if partial:
            fields["Content-Range"] = f"bytes {start}-{end - 1}/{shape.size}"
        fields["Content-Length"] = str(end - start)
        if start == 0 and request.method == "GET":
            self._note(request, ticket, stored, now)
        return await self._send(request, ticket, 206 if partial else 200, fields, start, end)

    async def _found(self, ticket: Ticket) -> tuple[Stored, Shape]:
        """Raises 404 when session, rights or file ended since the link was made."""
        caller = await asking_again(self._door, self._look_again, ticket.principal(), ticket.uuid)
        if caller is None:
            raise not_found()
        stored, variant, _, _ = await self._files.fetchable(
            caller, ticket.file, ticket.variant, ticket.key
        )
        shape = stored.shape(variant)
        if shape is None:
            raise not_found()
        return stored, shape

    def _fields(self, request: web.Request, ticket: Ticket, shape: Shape) -> dict[str, str]:
        made = shape.variant is not Variant.SOURCE
        inline = made and not ticket.download
        name = ticket.name or "file"
        if shape.variant in (Variant.PREVIEW, Variant.THUMBNAIL):
            name = f"{shape.variant}.webp"
        return {
            **self._shared(request),
            "Content-Type": shape.media_type if made else OPAQUE,
            "Content-Disposition": disposition(name, inline=inline),
        }

    async def _send(
        self,
        request: web.Request,
        ticket: Ticket,
        status: int,
        fields: dict[str, str],
        start: int,
        end: int,
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=fields)
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        pieces = self._files.parts.vault.read(
            ticket.app, ticket.file, ticket.variant, ticket.key, start, end
        )
        # The first piece before the status: what is gone is an error and no empty file.
        first = await anext(pieces, b"")
        with writing():
            await response.prepare(request)
            await response.write(first)
        async for piece in pieces:
            with writing():
                await response.write(piece)
        with writing():
            await response.write_eof()
        return response

    def _note(self, request: web.Request, ticket: Ticket, stored: Stored, now: float) -> None:
        if ticket.account is not None:
            actor = f"account:{ticket.account}"
        else:
            actor = f"session:{ticket.session}" if ticket.session else f"token:{ticket.token}"
        self._files.parts.audit.note(
            AuditEvent(
                at=now,
                app=ticket.app,
                actor=actor if ticket.kind is not Kind.ANONYMOUS or ticket.token else "anonymous",
                action="files.fetch",
                target=ticket.file,
                request_id=request_id_of(request),
                address=truncated(self._address(request)),
                details={"kind": str(ticket.variant), "room": stored.room},
            )
        )


def _range(request: web.Request, tag: str, size: int) -> tuple[int, int, bool] | None:
    """Start, end (without it), and whether it is a part (RFC 9110 section 14). None: it cannot be
    satisfied. Several ranges, or `If-Range` with another version, get the whole.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if found is None or request.headers.get("If-Range", tag) != tag or found[0] == "bytes=-":
        return 0, size, False
    first, last = found[1], found[2]
    if not first:
        return (max(0, size - int(last)), size, True) if int(last) and size else None
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end, True) if start < end else None


def embed_policy(public: str, origin: str) -> str:
    """`same-site` where both hosts share a parent; a domain of its own must say `cross-origin`."""
    ours, theirs = (host.rpartition("@")[2].lower() for host in (public, origin))
    if not origin or ours == theirs:
        return "same-site"
    shared = ours.split(".")[-2:]
    return "same-site" if len(shared) == 2 and theirs.split(".")[-2:] == shared else "cross-origin"
