"""Files over JSON: begin, complete, ask, link, list, delete. Bytes go over `tus_operations`.

Either plane may ask: a session, or an access token with the uuid for which it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from signaling.access.operations import WhoQuery
from signaling.errors import Code
from signaling.files.asking import Asking, Door, asking
from signaling.files.links import Links, Ticket
from signaling.files.model import read_key
from signaling.files.port import FileInfo, State, Variant
from signaling.files.service import Files, Wish
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Reply

TAG = "Files"
# How long an answer waits for checks that take longer than most.
WAIT_SECONDS = 20.0
ERRORS = (
    Code.ACCESS_DENIED, Code.ACCESS_TOKEN_INVALID, Code.ACCESS_TOKEN_EXPIRED,
    Code.ACCESS_TOKEN_REVOKED, Code.NOT_PERMITTED, Code.INSUFFICIENT_SCOPE, Code.TOKEN_MISSING,
)  # fmt: skip
Room = Annotated[str, Meta(min_length=1, max_length=128)]
Key = Annotated[str, Meta(max_length=64)]


class NewFile(Body, frozen=True, kw_only=True):
    """`opaque` in encrypted rooms, and only there: the client sealed and stripped it. Where a
    picture or film was taken is removed unless `keep_location`.
    """

    room: Room
    size: Annotated[int, Meta(ge=0, le=2**53)]
    name: Annotated[str, Meta(max_length=1024)] = ""
    media_type: Annotated[str, Meta(max_length=127)] = ""
    opaque: bool = False
    voice: bool = False
    keep_location: bool = False


class LinkWish(Body, frozen=True, kw_only=True):
    """`key` is the one in the message; the owner may leave it out until the first post."""

    key: Key = ""
    variant: Variant = Variant.FILE
    download: bool = False


class LinkAnswer(Struct, frozen=True, kw_only=True):
    """Good until `expires_at` (Unix time), as long as whoever asked may read the file."""

    url: str
    expires_at: int
    media_type: str
    size: int


class Usage(Struct, frozen=True, kw_only=True):
    """Bytes. A limit of 0: none."""

    used_bytes: int
    limit_bytes: int
    uploads: int
    max_file_bytes: int


class Deps(Struct, frozen=True):
    """`origin`: what files are fetched from, for who asked by this request."""

    files: Files
    door: Door
    links: Links
    origin: Callable[[web.Request], str]
    link_seconds: int


class Handlers:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._files = deps, deps.files

    async def _caller(self, call: Call[Any]) -> Asking:
        return await asking(self._deps.door, call)

    async def create(self, call: Call[NewFile]) -> Reply:
        body = call.body
        wish = Wish(
            room=body.room, size=body.size, name=body.name, media_type=body.media_type,
            opaque=body.opaque, voice=body.voice, keep_location=body.keep_location,
        )  # fmt: skip
        info = await self._files.create(await self._caller(call), wish)
        call.note.target, call.note.details["room"] = info.id, body.room
        return Reply(info, headers=[("Location", f"/api/v1/uploads/{info.id}")])

    async def info(self, call: Call[None]) -> FileInfo:
        return await self._files.info(await self._caller(call), call.path["file_id"])

    async def complete(self, call: Call[None]) -> Reply:
        caller = await self._caller(call)
        info = await self._files.complete(caller, call.path["file_id"], WAIT_SECONDS)
        call.note.details["state"] = info.state
        return Reply(info, status=202 if info.state is State.UPLOADED else 200)

    async def link(self, call: Call[LinkWish]) -> LinkAnswer:
        caller, ident, wish = await self._caller(call), call.path["file_id"], call.body
        given = read_key(wish.key) if wish.key else None
        stored, variant, key, name = await self._files.fetchable(caller, ident, wish.variant, given)
        until = call.now + self._deps.link_seconds
        who = call.principal
        ticket = Ticket(
            app=caller.app, file=ident, variant=variant, key=key, name=name,
            download=wish.download, until=until, kind=who.kind, account=who.account,
            device=who.device, session=who.session,
            # A session stands by itself; its tokens come and go.
            token=None if who.session is not None else who.token,
            uuid=call.query.uuid,
        )  # fmt: skip
        shape = stored.shape(variant)
        assert shape is not None  # `fetchable` looked
        origin = self._deps.origin(call.request)
        return LinkAnswer(
            url=f"{origin}/f/{self._deps.links.seal(ticket)}",
            expires_at=int(until),
            media_type=shape.media_type,
            size=shape.size,
        )

    async def delete(self, call: Call[None]) -> None:
        await self._files.remove(await self._caller(call), call.path["file_id"])

    async def of_room(self, call: Call[None]) -> Page:
        caller = await self._caller(call)
        items, following = await self._files.of_room(
            caller, call.path["room"], call.page.after or "", call.page.limit
        )
        return Page(items, next=following)

    async def usage(self, call: Call[None]) -> Usage:
        caller, parts = await self._caller(call), self._files.parts
        used = await parts.quotas.used(caller.app, caller.account)
        return Usage(
            used_bytes=used.size,
            limit_bytes=parts.quotas.account_bytes,
            uploads=used.uploads,
            max_file_bytes=parts.settings.max_bytes,
        )


def operations(deps: Deps) -> list[Operation]:
    h = Handlers(deps)
    found = (*ERRORS, Code.NOT_FOUND)
    return [
        Operation(
            "POST", "/files", "createFile", "Begin a file in a room", h.create, body=NewFile,
            query=WhoQuery, answer=FileInfo, status=201, auth=Auth.EITHER, rate="write", tag=TAG,
            idempotent=False,
            errors=(*ERRORS, Code.ROOM_NOT_FOUND, Code.QUOTA_EXCEEDED, Code.FILE_MODE_MISMATCH),
            description="Send the bytes with tus to `Location`, then complete the file.",
        ),
        Operation(
            "GET", "/files/{file_id}", "getFile", "What a file is and how far it came", h.info,
            query=WhoQuery, answer=FileInfo, auth=Auth.EITHER, tag=TAG, errors=found,
        ),
        Operation(
            "POST", "/files/{file_id}/complete", "completeFile",
            "All bytes are there: check the file and make it ready", h.complete, query=WhoQuery,
            answer=FileInfo, auth=Auth.EITHER, rate="write", tag=TAG, idempotent=False,
            errors=(*found, Code.UPLOAD_INCOMPLETE, Code.FILE_NOT_READY),
            description="202 while the checks go on: ask again. Repeating it is harmless.",
        ),
        Operation(
            "POST", "/files/{file_id}/links", "createFileLink", "A short-lived link to a file",
            h.link, body=LinkWish, query=WhoQuery, answer=LinkAnswer, auth=Auth.EITHER, tag=TAG,
            idempotent=False, errors=(*found, Code.FILE_NOT_READY, Code.FILE_QUARANTINED),
        ),
        Operation(
            "DELETE", "/files/{file_id}", "deleteFile", "Delete a file for everybody", h.delete,
            query=WhoQuery, status=204, auth=Auth.EITHER, rate="write", tag=TAG, errors=found,
        ),
        Operation(
            "GET", "/rooms/{room}/files", "listRoomFiles", "Files that messages of a room hold",
            h.of_room, query=WhoQuery, answer=FileInfo, paged=True, auth=Auth.EITHER, tag=TAG,
            errors=ERRORS,
        ),
        Operation(
            "GET", "/account/files/usage", "getFileUsage", "What your files take, and may take",
            h.usage, query=WhoQuery, answer=Usage, auth=Auth.EITHER, tag=TAG, errors=ERRORS,
        ),
    ]  # fmt: skip
