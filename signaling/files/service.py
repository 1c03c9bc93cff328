"""Files as the rest of the server uses them: begin, add, complete, fetch, hold, release, delete.

Rights are decided here, by the holder that the caller brings: a file is its owner's until a message
holds it, and then of who may read one of the rooms that hold it. Adapters (tus, JSON, chat) are
thin. See `port` for the life of a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from signaling.access import roles
from signaling.access.evaluate import Ask, evaluate
from signaling.access.permissions import Operation as Act
from signaling.access.wire import refusal, session_refusal
from signaling.errors import ClientError, Code
from signaling.files import names
from signaling.files.completing import Completing, Parts
from signaling.files.model import (
    KEY_BYTES,
    NONCE_BYTES,
    Private,
    Reference,
    Stored,
    Upload,
    check_of,
    info_of,
    is_key,
    open_private,
    seal_private,
)
from signaling.files.port import Caller, FileInfo, Mode, Rooms, State, Variant
from signaling.files.register import changed, not_found
from signaling.files.tus import Checksum
from signaling.ids import Ids
from signaling.storage.port import Conflict
from signaling.storage.table import Row


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody wants to upload. `media_type` is what they say it is."""

    room: str
    size: int
    name: str = ""
    media_type: str = ""
    opaque: bool = False
    voice: bool = False
    keep_location: bool = False


class Files:
    """Owned by the composition root; one for each process. `stop` it."""

    def __init__(self, parts: Parts, ids: Ids, rooms: Rooms) -> None:
        self.parts, self._ids = parts, ids
        self.rooms = rooms
        self._register = parts.register
        self.completing = Completing(parts)

    async def stop(self) -> None:
        await self.completing.stop()
        await self.parts.workers.stop()

    # Rights

    def require(self, caller: Caller, act: Act, room: str) -> None:
        """Raises what the caller's plane answers."""
        now = self.parts.clock.unix()
        decision = evaluate(caller.holder, Ask(act, (room,)), caller.who, now)
        if decision.allowed:
            return
        if isinstance(caller.holder, roles.Session):
            raise session_refusal(decision, act.scope)
        raise refusal(decision)

    def allows(self, caller: Caller, act: Act, room: str) -> bool:
        now = self.parts.clock.unix()
        return evaluate(caller.holder, Ask(act, (room,)), caller.who, now).allowed

    async def may(self, caller: Caller, ident: str) -> bool:
        """May they read this file now?"""
        row = await self._register.files.get(caller.app, ident)
        return row is not None and await self._may(caller, ident, row.value)

    async def _may(self, caller: Caller, ident: str, stored: Stored) -> bool:
        if not stored.posted:
            own = bool(caller.account) and caller.account == stored.owner
            return own and self.allows(caller, Act.DOWNLOAD_FILE, stored.room)
        rooms = await self._register.rooms_of(caller.app, ident)
        return any(self.allows(caller, Act.DOWNLOAD_FILE, room) for room in rooms)

    async def _own(self, caller: Caller, ident: str) -> Row[Stored]:
        """For who uploads. Raises 404 for what is another's."""
        row = await self._register.get(caller.app, ident)
        if not caller.account or caller.account != row.value.owner:
            raise not_found()
        self.require(caller, Act.SEND_FILE, row.value.room)
        return row

    async def _readable(self, caller: Caller, ident: str) -> Row[Stored]:
        row = await self._register.get(caller.app, ident)
        if not await self._may(caller, ident, row.value):
            raise not_found()
        return row

    # Uploading

    async def create(self, caller: Caller, wish: Wish) -> FileInfo:
        """Raises 403, 404 (no such room), 413 (too large, no room left), 422 (the room's mode)."""
        self.require(caller, Act.SEND_FILE, wish.room)
        await self._check_mode(caller.app, wish)
        return await self.begin(caller.app, caller.account, self._ids.new(), wish)

    async def _check_mode(self, app: str, wish: Wish) -> None:
        mode = await self.rooms.mode(app, wish.room)
        if mode is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        if mode is Mode.TRANSIENT or (mode is Mode.E2EE) is not wish.opaque:
            raise ClientError(
                Code.FILE_MODE_MISMATCH, 422, f"A {mode.value} room takes no such file."
            )

    async def begin(self, app: str, owner: str, ident: str, wish: Wish) -> FileInfo:
        """Nobody is asked whether they may."""
        settings, quotas = self.parts.settings, self.parts.quotas
        if wish.size > settings.max_bytes:
            message = f"A file has at most {settings.max_bytes} bytes."
            raise ClientError(Code.TOO_LARGE, 413, message)
        self.parts.workers.prepare()
        await quotas.reserve(app, owner, wish.room, wish.size)
        try:
            return await self._begin(app, owner, ident, wish)
        except BaseException:
            await quotas.settle(app, owner, wish.room, -wish.size, True)
            raise

    async def _begin(self, app: str, owner: str, ident: str, wish: Wish) -> FileInfo:
        now = self.parts.clock.unix()
        key = self.parts.entropy.token(KEY_BYTES)
        private = Private(
            name="" if wish.opaque else names.cleaned(wish.name), declared=wish.media_type[:127]
        )
        stored = Stored(
            owner=owner,
            room=wish.room,
            created=now,
            touched=now,
            check=check_of(key),
            private=seal_private(key, ident, private, self.parts.entropy.token(NONCE_BYTES)),
            key=await self._register.seal_key(app, ident, owner, key),
            size=wish.size,
            charged=wish.size,
            opaque=wish.opaque,
            voice=wish.voice,
            keep_location=wish.keep_location,
        )
        await self._register.files.create(app, ident, stored)
        await self._register.uploads.create(app, ident, Upload(length=wish.size))
        return info_of(ident, stored, key, 0)

    async def status(self, caller: Caller, ident: str) -> tuple[Stored, Upload]:
        """For HEAD of tus: raises 404 when the upload is over."""
        row = await self._own(caller, ident)
        upload = (await self.parts.uploads.get(caller.app, ident)).value
        return row.value, upload

    async def append(
        self,
        caller: Caller,
        ident: str,
        offset: int,
        data: AsyncIterator[bytes],
        check: Checksum | None = None,
    ) -> int:
        """See `Uploads.append`."""
        row = await self._own(caller, ident)
        key = await self._register.key_of(caller.app, ident, row.value)
        if row.value.state is not State.UPLOADING or key is None:
            raise not_found()
        now = self.parts.clock.unix()
        if now - row.value.touched > 60:
            try:
                value = changed(row.value, touched=now)
                await self._register.files.replace(caller.app, row, value)
            except Conflict:
                raise not_found() from None
        return await self.parts.uploads.append(caller.app, ident, key, offset, data, check)

    async def cancel(self, caller: Caller, ident: str) -> None:
        """An upload that is not complete."""
        row = await self._own(caller, ident)
        if row.value.state is not State.UPLOADING:
            raise not_found()
        await self.delete(caller.app, ident)

    async def complete(self, caller: Caller, ident: str, seconds: float) -> FileInfo:
        """Waits up to `seconds` for the checks; the state says whether they ended. Repeating it is
        harmless. Raises 409 for what is missing, Unavailable without a scanner's verdict.
        """
        app = caller.app
        row = await self._own(caller, ident)
        if row.value.state is State.UPLOADING:
            row = await self.uploaded(app, ident, row)
        if row.value.state is State.UPLOADED:
            task = self.completing.task(app, ident)
            done, _ = await asyncio.wait({task}, timeout=seconds)
            if done:
                row = task.result()
        return await self.told(app, ident, row.value)

    async def uploaded(self, app: str, ident: str, row: Row[Stored]) -> Row[Stored]:
        upload = (await self.parts.uploads.get(app, ident)).value
        if upload.offset < upload.length:
            missing = upload.length - upload.offset
            raise ClientError(Code.UPLOAD_INCOMPLETE, 409, f"{missing} bytes are missing.")
        now = self.parts.clock.unix()
        try:
            value = changed(row.value, state=State.UPLOADED, touched=now)
            row = await self._register.files.replace(app, row, value)
        except Conflict:
            return await self._register.get(app, ident)
        await self.parts.quotas.settle(app, row.value.owner, row.value.room, 0, True)
        return row

    async def told(self, app: str, ident: str, stored: Stored) -> FileInfo:
        key = await self._register.key_of(app, ident, stored)
        return info_of(ident, stored, key)

    # Reading

    async def info(self, caller: Caller, ident: str, key: bytes | None = None) -> FileInfo:
        row = await self._readable(caller, ident)
        if key is not None and not is_key(row.value, key):
            raise not_found()
        if key is None and row.value.owner == caller.account:
            return await self.told(caller.app, ident, row.value)
        return info_of(ident, row.value, key)

    async def fetchable(
        self, caller: Caller, ident: str, variant: Variant, key: bytes | None
    ) -> tuple[Stored, Variant, bytes, str]:
        """What a link needs: the row, the form that is there, the key, the name. Raises 403, 404,
        409. `FILE` stands for the main form, whichever that is.
        """
        row = await self._readable(caller, ident)
        stored = row.value
        if stored.state is State.QUARANTINED:
            raise quarantined()
        if stored.state is not State.READY:
            raise ClientError(Code.FILE_NOT_READY, 409, "The file is not ready.")
        key = key or await self._register.key_of(caller.app, ident, stored)
        if key is None or not is_key(stored, key):
            raise not_found()
        if variant is Variant.FILE and stored.shape(variant) is None:
            variant = Variant.SOURCE
        if stored.shape(variant) is None:
            raise ClientError(Code.NOT_FOUND, 404, "The file has no such form.")
        return stored, variant, key, open_private(key, ident, stored.private).name

    async def of_room(
        self, caller: Caller, room: str, after: str, limit: int
    ) -> tuple[list[FileInfo], str | None]:
        self.require(caller, Act.LIST_FILES, room)
        found: dict[str, FileInfo] = {}
        rows = await self._register.page_of_room(caller.app, room, after, limit)
        for row in rows:
            ident, message = row.value.file, row.value.message
            if row.value.begun or not await self.rooms.shows(
                caller.app, room, message, caller.account
            ):
                continue
            file = await self._register.files.get(caller.app, ident)
            if file is not None:
                found[ident] = info_of(ident, file.value)
        return list(found.values()), rows[-1].key if len(rows) == limit else None

    # What chat calls

    async def attach(self, caller: Caller, room: str, message: str, files: Sequence[str]) -> None:
        """Before a post or an edit is appended: these files are ready, and the caller's own or
        theirs to read. From here on the message is about to hold them; should `posted` never come,
        because it was refused after all or this process died, `look_after` asks the log.
        """
        for ident in files:
            row = await self._readable(caller, ident)
            stored = row.value
            if stored.state is State.QUARANTINED:
                raise quarantined()
            if stored.state is not State.READY:
                raise ClientError(Code.FILE_NOT_READY, 409, "The file is not ready.")
            mode = await self.rooms.mode(caller.app, room)
            if mode is Mode.TRANSIENT or (mode is Mode.E2EE) is not stored.opaque:
                raise ClientError(Code.FILE_MODE_MISMATCH, 422, "The room takes no such file.")
        for ident in files:
            await self.begun(caller.app, room, message, ident)

    async def begun(self, app: str, room: str, message: str, ident: str) -> None:
        now = self.parts.clock.unix()
        await self._register.refer(
            app, Reference(file=ident, room=room, message=message, begun=now)
        )

    async def awaits(self, app: str, room: str, message: str, ident: str) -> bool:
        """Whether the message was begun with it, and nobody said that it is in the log."""
        return await self._register.is_begun(app, Reference(file=ident, room=room, message=message))

    async def posted(self, app: str, room: str, message: str, files: Sequence[str]) -> None:
        """The post is in the log. The key is in it, and the server's own copy goes. What was begun
        is so until the end: whoever finds it does all of this again.
        """
        for ident in files:
            while (row := await self._register.files.get(app, ident)) and not row.value.posted:
                try:
                    value = changed(row.value, posted=True, key=b"")
                    await self._register.files.replace(app, row, value)
                except Conflict:
                    continue
            await self._register.refer(app, Reference(file=ident, room=room, message=message))

    async def look_after(self, app: str, row: Row[Reference]) -> int:
        """Of a message that was begun so long ago that nobody is about to append it any more: its
        file is held if the log has it, by whomever, and waits if it is scheduled; else it is not.
        How many files went with that: one that was never posted is left to the sweep.
        """
        one = row.value
        if await self.rooms.expects(app, one.message):
            return 0
        if await self.rooms.holds(app, one.room, one.message, one.file):
            await self.posted(app, one.room, one.message, [one.file])
            return 0
        try:
            await self._register.forget(app, one, expect=row.version)
        except Conflict:
            return 0
        file = await self._register.files.get(app, one.file)
        if file is None or not file.value.posted or await self._register.held(app, one.file):
            return 0
        return int(await self.delete(app, one.file) > 0)

    async def released(self, app: str, room: str, message: str) -> int:
        """The message was erased. How many files went with it."""
        return await self._release(app, await self._register.of_message(app, room, message))

    async def room_erased(self, app: str, room: str) -> int:
        return await self._release(app, await self._register.of_room(app, room))

    async def _release(self, app: str, references: Sequence[Reference]) -> int:
        gone = 0
        for reference in references:
            await self._register.forget(app, reference)
            if not await self._register.held(app, reference.file):
                gone += await self.delete(app, reference.file) > 0
        return gone

    async def erase_account(self, app: str, account: str) -> int:
        """Everything that somebody uploaded, whoever holds it; how many files."""
        owned = [row.key async for row in self._register.all_files(app, f"owner:{account}")]
        for ident in owned:
            await self.delete(app, ident)
        await self._register.used.delete(app, f"owner:{account}")
        return len(owned)

    async def remove(self, caller: Caller, ident: str) -> None:
        """By its owner, or by who may delete in every room that holds it. Raises 404."""
        row = await self._register.get(caller.app, ident)
        rooms = await self._register.rooms_of(caller.app, ident) or [row.value.room]
        if caller.account and caller.account == row.value.owner:
            scopes = caller.holder.scopes
            if scopes is None or Act.DELETE_FILE.scope in scopes:
                await self.delete(caller.app, ident)
                return
        if not all(self.allows(caller, Act.DELETE_FILE, room) for room in rooms):
            if await self._may(caller, ident, row.value):
                self.require(caller, Act.DELETE_FILE, rooms[0])
            raise not_found()
        await self.delete(caller.app, ident)

    async def delete(self, app: str, ident: str) -> int:
        """For good, with every form and reference; how many chunks left the disk. Repeatable."""
        row = await self._register.files.get(app, ident)
        await self._register.untold.parting(app, ident)
        removed = await self.parts.uploads.drop(app, ident)
        for variant in (Variant.FILE, Variant.PREVIEW, Variant.THUMBNAIL):
            removed += await self.parts.vault.drop(app, ident, variant)
        for reference in await self._register.held(app, ident):
            await self._register.forget(app, reference)
        if row is not None and await self._register.files.delete(app, ident):
            stored = row.value
            begun = stored.state is State.UPLOADING
            await self.parts.quotas.settle(app, stored.owner, stored.room, -stored.charged, begun)
            self._register.untold.nudge(app, ident)
        return removed


def quarantined() -> ClientError:
    return ClientError(Code.FILE_QUARANTINED, 403, "The virus scanner stopped this file.")
