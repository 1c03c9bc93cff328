"""Erasure over HTTP: of messages, a stretch, a room, oneself, somebody else; and how far it is.

Every request answers with the erasure, new (202) or asked for before (200). Its id is a secret of
who asked, so it can be polled when the account that asked is gone. Rooms and messages go by the
same rights as deleting them; people by those of the administration of accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.accounts.administration import Administration
from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Role
from signaling.chat import rights
from signaling.chat.bodies import MessageId
from signaling.chat.operations.common import ROOM_ERRORS, Deps, Uuid, actor_of
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.compliance.erasure.port import Job, Kind, State
from signaling.compliance.erasure.service import Erasures
from signaling.errors import ClientError, Code, FieldError, Refused
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording, Reply

TAG = "Compliance"
MOST_MESSAGES = 100
OVERSEERS = (Role.OWNER, Role.ADMINISTRATOR, Role.COMPLIANCE)


class ErasureWish(Body, frozen=True, kw_only=True):
    """Some messages by id, or everything between two places of the log."""

    messages: Annotated[tuple[MessageId, ...], Meta(max_length=MOST_MESSAGES)] = ()
    first_seq: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    last_seq: Annotated[int, Meta(ge=1, le=2**53)] | None = None


class Farewell(Body, frozen=True, kw_only=True):
    """`confirm` is the id of the account that is to be erased."""

    confirm: Annotated[str, Meta(max_length=256)]


class ErasureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`held`: it waits for the end of a legal hold and then goes on by itself. `step` of `steps`;
    within a step `done` of `total`, where that is known. `counts` are by what was removed; of a
    `dry_run` by what would be, and `reason` is what would stop it.
    """

    id: str
    kind: Kind
    state: State
    step: int
    done: int
    total: int
    counts: dict[str, int]
    asked_at: datetime
    finished_at: datetime | None
    reason: str | None
    dry_run: bool


class CertificateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`signature` (Ed25519, hexadecimal) over `sotto erasure certificate`, a zero byte and the text
    of `certificate`, by the audit's `key`.
    """

    certificate: str
    key: str
    signature: str


def erasure_answer(job: Job) -> ErasureAnswer:
    return ErasureAnswer(
        id=job.id, kind=job.kind, state=job.state, step=job.step, done=job.done, total=job.total,
        counts=job.counts, asked_at=datetime.fromtimestamp(job.asked, UTC),
        finished_at=None if job.finished is None else datetime.fromtimestamp(job.finished, UTC),
        reason="legal_hold" if job.state is State.HELD or (job.dry and job.hold) else None,
        dry_run=job.dry,
    )  # fmt: skip


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps, erasures: Erasures, administration: Administration) -> None:
        self._deps, self._chat, self._erasures = deps, deps.chat, erasures
        self._administration = administration

    async def room(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        name = call.path["room_id"]
        try:
            room = await self._own_room(actor, name, call.now)
        except ClientError as error:
            return await self._again(actor, name, error)
        call.note.target = f"room:{name}"
        return _accepted(*await self._erasures.room(room, _by(actor)))

    async def _own_room(self, actor: Actor, name: str, now: float) -> Room:
        room = await self._chat.room_for(actor, name, Act.REMOVE_CHANNEL)
        if not actor.token:
            # Moderators delete messages; a room is its owner's to end.
            rights.require(actor, name, Act.SET_CHANNEL, now)
        return room

    async def _again(self, actor: Actor, name: str, error: ClientError) -> Reply:
        """Whoever asked is told the same of a room that is gone; nobody else that there was one."""
        job = await self._erasures.jobs.find(actor.app, self._erasures.room_id(actor.app, name))
        if job is None or error.status != 404 or job.by != _by(actor):
            raise error
        return _accepted(job, False)

    async def messages(self, call: Call[ErasureWish]) -> Reply:
        return await self._messages(await actor_of(self._deps, call), call, dry=False)

    async def try_room(self, call: Call[ErasureWish]) -> Reply:
        """By the rights that the erasure would ask for. Nothing named: the whole room."""
        actor = await actor_of(self._deps, call)
        if call.body != ErasureWish():
            return await self._messages(actor, call, dry=True)
        room = await self._own_room(actor, call.path["room_id"], call.now)
        call.note.target = f"room:{room.id}"
        return _accepted(*await self._erasures.room(room, _by(actor), dry=True))

    async def _messages(self, actor: Actor, call: Call[ErasureWish], *, dry: bool) -> Reply:
        wish, act = call.body, Act.DELETE_MESSAGES if actor.token else Act.GET_CHANNEL
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        call.note.target = f"room:{room.id}"
        anybodys = rights.allowed(actor, room.id, Act.DELETE_MESSAGES, call.now)
        if wish.messages and wish.first_seq is None and wish.last_seq is None:
            authors = await self._authors(room, wish.messages, actor, anybodys)
            made = await self._erasures.messages(room, _by(actor), wish.messages, authors, dry=dry)
            return _accepted(*made)
        first, last = wish.first_seq, wish.last_seq
        if wish.messages or first is None or last is None or last < first:
            errors = [FieldError("/messages", "invalid", "Messages, or a first and a last seq.")]
            message = "Name messages, or a first and a last seq."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        rights.require(actor, room.id, Act.DELETE_MESSAGES, call.now)
        return _accepted(*await self._erasures.stretch(room, _by(actor), first, last, dry=dry))

    async def _authors(
        self, room: Room, ids: Sequence[str], actor: Actor, anybodys: bool
    ) -> list[str]:
        """Raises 404 for what is not there, 403 for what is somebody else's."""
        known = [await self._chat.rooms.known(room, ident) for ident in ids]
        if not all(known):
            by = self._erasures.jobs.ident(actor.app, Kind.MESSAGES, room.id, *sorted(set(ids)))
            job = await self._erasures.jobs.find(actor.app, by)
            if job is not None and job.by == _by(actor):
                return []
            raise ClientError(Code.MESSAGE_NOT_FOUND, 404, "There is no such message.")
        authors = [one.account or "" for one in known if one is not None]
        if not anybodys and any(author != actor.account for author in authors):
            raise ClientError(Code.NOT_PERMITTED, 403, "This message is somebody else's.")
        return [author for author in authors if author]

    async def leave(self, call: Call[Farewell]) -> Reply:
        who = call.principal
        if who.kind is not PrincipalKind.ACCOUNT or who.account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
        call.note.target = f"account:{who.account}"
        _confirmed(call.body.confirm, who.account)
        await self._administration.leave(who.app, who.account)
        return await self._person(who.app, who.account, who.account)

    async def person(self, call: Call[Farewell]) -> Reply:
        app, ident = call.principal.app, call.path["account_id"]
        call.note.target = f"account:{ident}"
        _confirmed(call.body.confirm, ident)
        job = await self._erasures.jobs.find(app, self._erasures.person_id(app, ident))
        if job is not None:
            return _accepted(job, False)
        await self._administration.remove(app, call.principal.roles, ident)
        return await self._person(app, ident, call.principal.account or "")

    async def _person(self, app: str, account: str, by: str) -> Reply:
        """The account's end has asked for it already."""
        return _accepted((await self._erasures.person(app, account, by))[0], True)

    async def try_leaving(self, call: Call[None]) -> Reply:
        who = call.principal
        if who.kind is not PrincipalKind.ACCOUNT or who.account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
        call.note.target = f"account:{who.account}"
        return _accepted(*await self._erasures.person(who.app, who.account, who.account, dry=True))

    async def try_person(self, call: Call[None]) -> Reply:
        who, ident = call.principal, call.path["account_id"]
        await self._administration.managed(who.app, who.roles, ident)
        call.note.target = f"account:{ident}"
        return _accepted(*await self._erasures.person(who.app, ident, who.account or "", dry=True))

    async def get(self, call: Call[None]) -> ErasureAnswer:
        job = await self._erasures.jobs.get(call.principal.app, call.path["erasure_id"])
        return erasure_answer(job)

    async def page(self, call: Call[None]) -> Page:
        ask = call.page
        found = await self._erasures.jobs.page(call.principal.app, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].id if len(found) > ask.limit else None
        return Page([erasure_answer(job) for job in found[: ask.limit]], next=more)

    async def certificate(self, call: Call[None]) -> CertificateAnswer:
        job = await self._erasures.jobs.get(call.principal.app, call.path["erasure_id"])
        if job.dry:
            raise ClientError(Code.CONFLICT, 409, "A dry run erased nothing.")
        if job.state is not State.DONE:
            raise ClientError(Code.CONFLICT, 409, "The erasure is not done.")
        return CertificateAnswer(
            certificate=job.certificate.decode(), key=job.key, signature=job.signature.hex()
        )


def _by(actor: Actor) -> str:
    """An access token's uuid is not an account of that name."""
    return f"uuid:{actor.account}" if actor.token else actor.account


def _confirmed(said: str, account: str) -> None:
    if said != account:
        errors = [FieldError("/confirm", "invalid", "This is not the id of the account.")]
        message = "Confirm with the id of the account."
        raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)


def _accepted(job: Job, fresh: bool) -> Reply:
    where = [("Location", f"/api/v1/erasures/{job.id}")]
    return Reply(erasure_answer(job), status=202 if fresh else 200, headers=where)


def _tried(do: Handlers, either: dict[str, Any], asked: dict[str, Any]) -> list[Operation]:
    """Dry runs."""
    return [
        Operation(
            "POST", "/rooms/{room_id}/erasures/dry-run", "tryErasure",
            "Count what an erasure would remove: messages, or the whole room", do.try_room,
            body=ErasureWish, rate="write", errors=(*ROOM_ERRORS, Code.MESSAGE_NOT_FOUND),
            **either, **asked,
        ),
        Operation(
            "POST", "/account/erasure/dry-run", "tryAccountErasure",
            "Count what would go with me", do.try_leaving, scope="account:write", rate="sensitive",
            **asked,
        ),
        Operation(
            "POST", "/accounts/{account_id}/erasure/dry-run", "tryOneAccountErasure",
            "Count what would go with a person", do.try_person, auth=Auth.ROLE,
            roles=(Role.OWNER, Role.ADMINISTRATOR), scope="admin", rate="sensitive",
            errors=(Code.NOT_FOUND,), **asked,
        ),
    ]  # fmt: skip


def operations(deps: Deps, erasures: Erasures, administration: Administration) -> list[Operation]:
    do = Handlers(deps, erasures, administration)
    either: dict[str, Any] = {"auth": Auth.EITHER, "query": Uuid}
    asked: dict[str, Any] = {
        "answer": ErasureAnswer, "status": 202, "again": 200, "recording": Recording.DURABLE,
        "tag": TAG, "idempotent": False,
    }  # fmt: skip
    known: dict[str, Any] = {"auth": Auth.OPTIONAL, "tag": TAG}
    last: dict[str, Any] = {"reauth": True, "rate": "sensitive", "body": Farewell}
    return [
        Operation(
            "DELETE", "/rooms/{room_id}", "deleteRoom", "Erase a room with everything in it",
            do.room, rate="write", errors=ROOM_ERRORS, **either, **asked,
        ),
        Operation(
            "POST", "/rooms/{room_id}/erasures", "eraseMessages",
            "Erase messages for good: one's own, or anybody's for a moderator", do.messages,
            body=ErasureWish, rate="write", errors=(*ROOM_ERRORS, Code.MESSAGE_NOT_FOUND),
            **either, **asked,
        ),
        Operation(
            "POST", "/account/erasure", "eraseAccount",
            "Erase myself: account, messages, files", do.leave, scope="account:write",
            errors=(Code.LAST_OWNER,), **last, **asked,
        ),
        Operation(
            "POST", "/accounts/{account_id}/erasure", "eraseOneAccount",
            "Erase a person: account, messages, files", do.person, auth=Auth.ROLE,
            roles=(Role.OWNER, Role.ADMINISTRATOR), scope="admin",
            errors=(Code.NOT_FOUND, Code.LAST_OWNER), **last, **asked,
        ),
        Operation(
            "GET", "/erasures", "listErasures", "All erasures", do.page, auth=Auth.ROLE,
            roles=OVERSEERS, scope="admin", answer=ErasureAnswer, paged=True, tag=TAG,
        ),
        Operation(
            "GET", "/erasures/{erasure_id}", "getErasure",
            "How far an erasure is; whoever has its id asked for it", do.get,
            answer=ErasureAnswer, errors=(Code.NOT_FOUND,), **known,
        ),
        Operation(
            "GET", "/erasures/{erasure_id}/certificate", "getErasureCertificate",
            "What was erased, signed", do.certificate, answer=CertificateAnswer,
            errors=(Code.NOT_FOUND, Code.CONFLICT), **known,
        ),
        *_tried(do, either, asked),
    ]  # fmt: skip
