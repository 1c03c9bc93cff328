"""Imports over HTTP, for owners and administrators; and who wrote in a room before it came here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.accounts.registry import Registry
from signaling.chat.bodies import AccountId
from signaling.chat.operations.common import ROOM_ERRORS, Deps, actor_of
from signaling.compliance.imports.port import MOST_PEOPLE, Format, Job, State
from signaling.compliance.imports.service import Imports
from signaling.errors import ClientError, Code
from signaling.files import tus
from signaling.files.tus_operations import pieces
from signaling.files.uploads import Interrupted
from signaling.http.api.operation import (
    Body,
    Call,
    Operation,
    Page,
    Recording,
    administered,
)

TAG = "Imports"
MAX_START = 2 * 1024 * 1024
ForeignId = Annotated[str, Meta(min_length=1, max_length=256)]


class NewImport(Body, frozen=True, kw_only=True):
    """`size` of the archive in bytes; `sha256` of it, as whoever made it said. The same archive
    under another `label` makes other rooms.
    """

    format: Format
    size: Annotated[int, Meta(ge=1, le=2**53)]
    label: Annotated[str, Meta(max_length=64)] = ""
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""


class StartedImport(Body, frozen=True, kw_only=True):
    """`people`: accounts of here by their ids in the archive; everybody else stays a placeholder.
    `owner` gets the rooms; without it whoever starts the import.
    """

    people: Annotated[dict[ForeignId, AccountId], Meta(max_length=MOST_PEOPLE)] = msgspec.field(
        default_factory=dict
    )
    owner: AccountId | None = None


class ImportProblem(msgspec.Struct, frozen=True, kw_only=True):
    code: Code
    detail: str


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`done` of `total`: bytes while it is checked, messages while it runs. `counts` of what is in
    the archive until it is started, then of what was brought (`known`: was here already). `rooms`
    are the first hundred.
    """

    id: str
    format: Format
    label: str
    state: State
    size: int
    received: int
    sha256: str | None
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    done: int
    total: int
    counts: Mapping[str, int]
    rooms: Sequence[str]
    problem: ImportProblem | None


class ForeignPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in the archive; `account` once they were named."""

    id: str
    name: str
    account: str | None


class Placeholder(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class PlaceholdersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    items: Sequence[Placeholder]


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps, imports: Imports, registry: Registry) -> None:
        self._deps, self._imports, self._registry = deps, imports, registry

    async def ask(self, call: Call[NewImport]) -> ImportAnswer:
        wish, app = call.body, call.principal.app
        by = call.principal.account or ""
        made = await self._imports.ask(
            app, by, wish.format, wish.size, wish.label, wish.sha256
        )  # fmt: skip
        return await self._said(call, made)

    async def page(self, call: Call[None]) -> Page:
        app, ask = call.principal.app, call.page
        found = await self._imports.jobs.page(app, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].id if len(found) > ask.limit else None
        return Page([await self._answer(app, one) for one in found[: ask.limit]], next=more)

    async def get(self, call: Call[None]) -> ImportAnswer:
        app = call.principal.app
        return await self._answer(app, await self._imports.jobs.get(app, call.path["import_id"]))

    async def append(self, call: Call[Any]) -> web.StreamResponse:
        request, ident = call.request, call.path["import_id"]
        if request.content_type != tus.CONTENT_TYPE:
            message = f"The body must be {tus.CONTENT_TYPE}."
            raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, message)
        offset = tus.number(request.headers.get("Upload-Offset"), "Upload-Offset")
        call.note.target = f"import:{ident}"
        try:
            offset = await self._imports.append(call.principal.app, ident, offset, pieces(request))
        except Interrupted as interrupted:
            raise interrupted.refusal from None
        headers = {"Upload-Offset": str(offset), "Cache-Control": "no-store"}
        return web.Response(status=204, headers=headers)

    async def people(self, call: Call[None]) -> Page:
        app, ident = call.principal.app, call.path["import_id"]
        await self._imports.jobs.get(app, ident)
        people = (await self._imports.jobs.crowd(app, ident)).people
        start = int(call.page.after or 0)
        end = start + call.page.limit
        shown = [
            ForeignPerson(id=one.id, name=one.name, account=one.account or None)
            for one in people[start:end]
        ]
        return Page(shown, next=str(end) if end < len(people) else None)

    async def start(self, call: Call[StartedImport]) -> ImportAnswer:
        wish, app = call.body, call.principal.app
        owner = wish.owner or call.principal.account or ""
        for account in {owner, *wish.people.values()}:
            await self._registry.require(app, account)
        job = await self._imports.start(app, call.path["import_id"], owner, wish.people)
        call.note.details["count"] = str(len(wish.people))
        return await self._said(call, job)

    async def cancel(self, call: Call[None]) -> ImportAnswer:
        app = call.principal.app
        return await self._said(call, await self._imports.cancel(app, call.path["import_id"]))

    async def placeholders(self, call: Call[None]) -> PlaceholdersAnswer:
        actor = await actor_of(self._deps, call)
        room = await self._deps.chat.room_for(actor, call.path["room_id"], Act.HISTORY)
        names = await self._imports.jobs.placeholders(actor.app, room.id)
        items = [Placeholder(id=ident, name=name) for ident, name in sorted(names.items())]
        return PlaceholdersAnswer(items=items)

    async def _said(self, call: Call[Any], job: Job) -> ImportAnswer:
        call.note.target = f"import:{job.id}"
        call.note.details["kind"] = job.format.value
        return await self._answer(call.principal.app, job)

    async def _answer(self, app: str, job: Job) -> ImportAnswer:
        received = job.size
        if job.state is State.UPLOADING:
            received = await self._imports.archives.received(app, job)
        return ImportAnswer(
            id=job.id, format=job.format, label=job.label, state=job.state, size=job.size,
            received=received, sha256=job.digest or None, asked_by=job.by,
            asked_at=_time(job.asked), done=job.done, total=job.total, counts=job.counts,
            finished_at=None if job.finished is None else _time(job.finished), rooms=job.rooms,
            problem=ImportProblem(code=Code(job.code), detail=job.detail) if job.code else None,
        )  # fmt: skip


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(deps: Deps, imports: Imports, registry: Registry) -> list[Operation]:
    do, op = Handlers(deps, imports, registry), administered(TAG)
    one = "/imports/{import_id}"
    return [
        op("POST", "/imports", "createImport", "Begin an import: say what the archive is", do.ask,
           body=NewImport, answer=ImportAnswer, status=201,
           errors=(Code.CONFLICT, Code.TOO_LARGE)),
        op("GET", "/imports", "listImports", "All imports", do.page, answer=ImportAnswer,
           paged=True),
        op("GET", one, "getImport", "How far an import is", do.get, answer=ImportAnswer),
        op("PATCH", f"{one}/archive", "uploadImport", "Add bytes to the archive, as tus does",
           do.append, status=204, raw=True, reauth=False, recording=Recording.NOTE, rate="upload",
           errors=(Code.CONFLICT, Code.TOO_LARGE, Code.UPLOAD_OFFSET_MISMATCH, Code.UPLOAD_BUSY,
                   Code.UNSUPPORTED_MEDIA_TYPE, Code.BAD_REQUEST)),
        op("GET", f"{one}/people", "listImportPeople", "Who is in the archive", do.people,
           answer=ForeignPerson, paged=True),
        op("POST", f"{one}/start", "startImport", "Say who is who, and bring everything", do.start,
           body=StartedImport, answer=ImportAnswer, max_body=MAX_START,
           errors=(Code.CONFLICT, Code.ARCHIVE_INVALID, Code.ARCHIVE_TAMPERED,
                   Code.ARCHIVE_TOO_LARGE, Code.KEY_DESTROYED)),
        op("DELETE", one, "cancelImport", "End an import; what was brought stays", do.cancel,
           answer=ImportAnswer),
        Operation(
            "GET", "/rooms/{room_id}/placeholders", "listPlaceholders",
            "Who wrote in a room before it was imported", do.placeholders,
            answer=PlaceholdersAnswer, errors=ROOM_ERRORS, tag=TAG,
        ),
    ]  # fmt: skip
