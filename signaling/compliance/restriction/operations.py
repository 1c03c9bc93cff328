"""Restriction and objection over HTTP: one's own, and by an administrator others' who asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Role
from signaling.accounts.registry import Registry
from signaling.chat.ops import Set
from signaling.chat.service import Chat
from signaling.compliance.restriction.restrictions import Processing, Restrictions
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import (
    Auth,
    Call,
    Operation,
    Recording,
    Reply,
    administered,
)

TAG = "Compliance"


class ObjectionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    purpose: str
    at: datetime


class ProcessingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`restricted_at`: since when what the person wrote is kept, and nothing else done with it;
    `by` the account that asked for it.
    """

    restricted_at: datetime | None
    by: str | None
    objections: Sequence[ObjectionAnswer]


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, restrictions: Restrictions, registry: Registry, chat: Chat) -> None:
        self._restrictions, self._registry, self._chat = restrictions, registry, chat

    async def mine(self, call: Call[None]) -> ProcessingAnswer:
        return processing_answer(await self._restrictions.of(*_person(call)))

    async def restrict(self, call: Call[None]) -> ProcessingAnswer:
        app, account = _person(call)
        call.note.target = f"account:{account}"
        return processing_answer(await self._restrictions.restrict(app, account, account))

    async def lift(self, call: Call[None]) -> ProcessingAnswer:
        app, account = _person(call)
        call.note.target = f"account:{account}"
        return processing_answer(await self._restrictions.lift(app, account))

    async def object(self, call: Call[None]) -> ProcessingAnswer:
        (app, account), purpose = _person(call), call.path["purpose_id"]
        call.note.target = f"purpose:{purpose}"
        return processing_answer(await self._restrictions.object(app, account, purpose))

    async def withdraw(self, call: Call[None]) -> ProcessingAnswer:
        (app, account), purpose = _person(call), call.path["purpose_id"]
        call.note.target = f"purpose:{purpose}"
        return processing_answer(await self._restrictions.withdraw(app, account, purpose))

    async def restrict_other(self, call: Call[None]) -> ProcessingAnswer:
        app, account = await self._other(call)
        by = call.principal.account or ""
        return processing_answer(await self._restrictions.restrict(app, account, by))

    async def lift_other(self, call: Call[None]) -> ProcessingAnswer:
        app, account = await self._other(call)
        return processing_answer(await self._restrictions.lift(app, account))

    async def _other(self, call: Call[None]) -> tuple[str, str]:
        app, account = call.principal.app, call.path["account_id"]
        await self._registry.require(app, account)
        call.note.target = f"account:{account}"
        return app, account

    async def not_health(self, call: Call[None]) -> Reply:
        """Row A7: only who answers for such data takes the mark away; anybody who may change the
        room can set it.
        """
        app, ident = call.principal.app, call.path["room_id"]
        room = await self._chat.rooms.find_there(app, ident)
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        call.note.target = f"room:{ident}"
        if room.state.settings.phi:
            await self._chat.say(room, Set(phi=False))
        return Reply(status=204)


def _person(call: Call[Any]) -> tuple[str, str]:
    who = call.principal
    if who.account is None or who.kind is not PrincipalKind.ACCOUNT:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
    return who.app, who.account


def processing_answer(processing: Processing) -> ProcessingAnswer:
    since = processing.restricted
    return ProcessingAnswer(
        restricted_at=None if since is None else _time(since), by=processing.by or None,
        objections=[
            ObjectionAnswer(purpose=one.purpose, at=_time(one.at)) for one in processing.objections
        ],
    )  # fmt: skip


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(restrictions: Restrictions, registry: Registry, chat: Chat) -> list[Operation]:
    do, staff = Handlers(restrictions, registry, chat), administered(TAG)
    own: dict[str, Any] = {
        "answer": ProcessingAnswer, "recording": Recording.DURABLE, "scope": "account:write",
        "tag": TAG,
    }  # fmt: skip
    objection, other = "/account/objections/{purpose_id}", "/accounts/{account_id}/restriction"
    return [
        Operation(
            "GET", "/account/processing", "getProcessing", "What I restricted and objected to",
            do.mine, answer=ProcessingAnswer, scope="account:read", tag=TAG,
        ),
        Operation("PUT", "/account/restriction", "restrictProcessing",
                  "Keep what is mine, and do nothing else with it", do.restrict, **own),
        Operation("DELETE", "/account/restriction", "liftRestriction", "Process it again", do.lift,
                  **own),
        Operation("PUT", objection, "objectToPurpose",
                  "Object: to a purpose of the register, or a word for what the server does itself",
                  do.object, errors=(Code.CONFLICT,), **own),
        Operation("DELETE", objection, "withdrawObjection", "Object no more", do.withdraw, **own),
        staff("PUT", other, "restrictAccount", "Restrict processing for somebody who asked",
              do.restrict_other, answer=ProcessingAnswer),
        staff("DELETE", other, "liftAccountRestriction", "Process somebody's data again",
              do.lift_other, answer=ProcessingAnswer),
        Operation(
            "DELETE", "/rooms/{room_id}/phi", "unmarkHealthRoom",
            "Say that a room holds no health data any more", do.not_health, status=204,
            auth=Auth.ROLE, roles=(Role.COMPLIANCE,), scope="admin", reauth=True,
            recording=Recording.DURABLE, errors=(Code.ROOM_NOT_FOUND,), tag=TAG,
        ),
    ]  # fmt: skip
