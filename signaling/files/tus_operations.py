"""tus 1.0 over HTTP: `OPTIONS` and `POST /uploads`, `HEAD`, `PATCH`, `DELETE /uploads/{file_id}`.

Any tus client can upload here; after its last byte the file is completed as `operations` say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from signaling.access.operations import WhoQuery
from signaling.errors import ClientError, Code, Unavailable
from signaling.files import tus
from signaling.files.asking import Asking, Door, asking
from signaling.files.operations import ERRORS, TAG
from signaling.files.service import Files, Wish
from signaling.files.uploads import Interrupted
from signaling.http.api.operation import Auth, Call, Operation
from signaling.http.leaving import reading

# A client that sends nothing for so long is gone; what came is kept.
SILENCE_SECONDS = 30.0
PIECE = 64 * 1024
OVERRIDE = "X-HTTP-Method-Override"
Handler = Callable[[Call[Any]], Awaitable[web.StreamResponse]]


class TusHandlers:
    def __init__(self, files: Files, door: Door) -> None:
        self._files, self._door = files, door

    async def _caller(self, call: Call[Any]) -> Asking:
        tus.require_version(call.request.headers.get("Tus-Resumable"))
        return await asking(self._door, call)

    async def options(self, call: Call[Any]) -> web.StreamResponse:
        fields = tus.options(self._files.parts.settings.max_bytes)
        return web.Response(status=204, headers=fields)

    async def create(self, call: Call[Any]) -> web.StreamResponse:
        caller, headers = await self._caller(call), call.request.headers
        if "Upload-Defer-Length" in headers:
            raise ClientError(Code.BAD_REQUEST, 400, "Say with Upload-Length how long it is.")
        found = tus.metadata(headers.get("Upload-Metadata"))
        wish = Wish(
            room=found.get("room", "")[:128],
            size=tus.number(headers.get("Upload-Length"), "Upload-Length"),
            name=found.get("filename") or found.get("name", ""),
            media_type=found.get("filetype") or found.get("type", ""),
            opaque=tus.flag(found, "opaque"),
            voice=tus.flag(found, "voice"),
            keep_location=tus.flag(found, "keep_location"),
        )
        if not wish.room:
            raise ClientError(Code.BAD_REQUEST, 400, "Upload-Metadata names the room.")
        info = await self._files.create(caller, wish)
        call.note.target, call.note.details["room"] = info.id, wish.room
        fields = {"Location": f"/api/v1/uploads/{info.id}"}
        offset = 0
        if call.request.can_read_body and (call.request.content_length or 0) > 0:
            offset = await self._append(caller, call, info.id, 0)
        return self._done(201, offset, **fields)

    async def head(self, call: Call[Any]) -> web.StreamResponse:
        caller = await self._caller(call)
        _, upload = await self._files.status(caller, call.path["file_id"])
        response = self._done(200, upload.offset)
        response.headers["Upload-Length"] = str(upload.length)
        return response

    async def patch(self, call: Call[Any]) -> web.StreamResponse:
        caller = await self._caller(call)
        offset = tus.number(call.request.headers.get("Upload-Offset"), "Upload-Offset")
        return self._done(204, await self._append(caller, call, call.path["file_id"], offset))

    async def _append(self, caller: Asking, call: Call[Any], ident: str, offset: int) -> int:
        request = call.request
        if request.content_type != tus.CONTENT_TYPE:
            message = f"The body must be {tus.CONTENT_TYPE}."
            raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, message)
        check = tus.checksum(request.headers.get("Upload-Checksum"))
        try:
            return await self._files.append(caller, ident, offset, pieces(request), check)
        except Interrupted as interrupted:
            raise interrupted.refusal from None

    async def terminate(self, call: Call[Any]) -> web.StreamResponse:
        caller = await self._caller(call)
        await self._files.cancel(caller, call.path["file_id"])
        return web.Response(status=204, headers=tus.RESUMABLE)

    async def override(self, call: Call[Any]) -> web.StreamResponse:
        """For clients that can only POST (tus, section 2.2, `X-HTTP-Method-Override`)."""
        method = call.request.headers.get(OVERRIDE, "").upper()
        handlers = {"PATCH": self.patch, "DELETE": self.terminate, "HEAD": self.head}
        if method not in handlers:
            raise ClientError(
                Code.METHOD_NOT_ALLOWED, 405, f"Send PATCH, or {OVERRIDE}.",
                headers={"Allow": "DELETE, HEAD, PATCH"},
            )  # fmt: skip
        return await handlers[method](call)

    def _done(self, status: int, offset: int, **fields: str) -> web.Response:
        settings, clock = self._files.parts.settings, self._files.parts.clock
        headers = {
            **tus.RESUMABLE,
            **fields,
            "Upload-Offset": str(offset),
            "Upload-Expires": tus.expires(clock.unix() + settings.unfinished_seconds),
            "Cache-Control": "no-store",
        }
        return web.Response(status=status, headers=headers)


async def pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Interrupted when the client leaves or falls silent."""
    while True:
        try:
            with reading():
                async with asyncio.timeout(SILENCE_SECONDS):
                    piece = await request.content.read(PIECE)
        except ClientError as refusal:
            raise Interrupted(refusal) from None
        if not piece:
            return
        yield piece


def resumable(handler: Handler) -> Handler:
    """Every answer names the version, refusals too (tus, section 2.2, `Tus-Resumable`)."""

    async def run(call: Call[Any]) -> web.StreamResponse:
        try:
            return await handler(call)
        except ClientError as error:
            error.headers = {**tus.RESUMABLE, **error.headers}
            raise
        except Unavailable:
            raise

    return run


def tus_operations(files: Files, door: Door) -> list[Operation]:
    h = TusHandlers(files, door)
    common = (*ERRORS, Code.TUS_VERSION_UNSUPPORTED)
    one = (*common, Code.NOT_FOUND)
    adds = (
        *one, Code.UPLOAD_OFFSET_MISMATCH, Code.UPLOAD_BUSY, Code.TOO_LARGE,
        Code.CHECKSUM_MISMATCH, Code.UNSUPPORTED_MEDIA_TYPE, Code.BAD_REQUEST,
    )  # fmt: skip
    path = "/uploads/{file_id}"

    def operation(
        method: str, where: str, ident: str, summary: str, handler: Handler, status: int,
        errors: tuple[Code, ...], rate: str = "upload", auth: Auth = Auth.EITHER,
    ) -> Operation:  # fmt: skip
        return Operation(
            method, where, ident, summary, resumable(handler), query=WhoQuery, status=status,
            auth=auth, rate=rate, raw=True, tag=TAG, idempotent=False, errors=errors,
            description="tus 1.0: https://tus.io/protocols/resumable-upload",
        )  # fmt: skip

    return [
        operation("OPTIONS", "/uploads", "describeUploads", "What tus can do here", h.options, 204,
                  (), auth=Auth.OPTIONAL),
        operation("POST", "/uploads", "createUpload", "Begin a file (tus creation)", h.create, 201,
                  (*adds, Code.ROOM_NOT_FOUND, Code.QUOTA_EXCEEDED, Code.FILE_MODE_MISMATCH),
                  "write"),
        operation("HEAD", path, "getUpload", "How far an upload came", h.head, 200, one),
        operation("PATCH", path, "continueUpload", "Add bytes to an upload", h.patch, 204, adds),
        operation("DELETE", path, "cancelUpload", "Give an upload up", h.terminate, 204, one),
        operation("POST", path, "overrideUpload", "PATCH, HEAD or DELETE for who can only POST",
                  h.override, 204, (*adds, Code.METHOD_NOT_ALLOWED)),
    ]  # fmt: skip
