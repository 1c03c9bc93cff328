"""Requests of data subjects over HTTP: one's own; and all of them, for those who have to answer.

What the server does by itself needs no request: export, correction, erasure, restriction. This is
for the rest, and for what came on paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Role
from signaling.accounts.registry import Registry
from signaling.chat.bodies import AccountId
from signaling.compliance.requests.tracker import (
    DAY,
    UNANSWERED,
    Kind,
    Nudge,
    Request,
    State,
    Tracker,
)
from signaling.errors import ClientError, Code, FieldError, Refused
from signaling.http.api.operation import (
    Auth,
    Body,
    Call,
    Operation,
    Page,
    Query,
    Recording,
)

TAG = "Compliance"
Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Moment = Annotated[datetime, Meta(tz=True)]
ANSWERERS = (Role.OWNER, Role.ADMINISTRATOR, Role.COMPLIANCE)
LONGEST_AGO = 365 * DAY


class OwnRequest(Body, frozen=True, kw_only=True):
    kind: Kind
    text: Text


class PaperRequest(Body, frozen=True, kw_only=True):
    """About an `account`, or of a `subject` without one. `received_at`: now, unless it came before
    it was entered.
    """

    kind: Kind
    text: Text
    account: AccountId | None = None
    subject: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    received_at: Moment | None = None


class Extension(Body, frozen=True, kw_only=True):
    """`reason` is shown to the person (GDPR 12 (3))."""

    reason: Text


class Verdict(Body, frozen=True, kw_only=True):
    """`text` is shown to the person: what was done, or why not and where they may complain."""

    outcome: Literal["answered", "refused"]
    text: Text


class Which(Query, frozen=True, kw_only=True):
    """`waiting`: only what nobody answered."""

    show: Literal["waiting", "all"] = "waiting"


class ReminderShown(msgspec.Struct, frozen=True):
    about: Nudge
    at: datetime


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`due_at`: thirty days after it was received, ninety once extended. `days_left`, begun ones
    counted, none or below when `overdue`; null when it is over. The audit was told of `reminders`.
    """

    id: str
    kind: Kind
    text: str
    account: str | None
    subject: str | None
    received_at: datetime
    due_at: datetime
    state: State
    days_left: int | None
    overdue: bool
    reminders: Sequence[ReminderShown]
    reason: str | None
    answer: str | None
    ended_at: datetime | None


def request_answer(request: Request, now: float) -> RequestAnswer:
    waiting = request.state in UNANSWERED
    return RequestAnswer(
        id=request.id, kind=request.kind, text=request.text, account=request.account or None,
        subject=request.subject or None, received_at=_time(request.received),
        due_at=_time(request.due), state=request.state,
        days_left=math.ceil((request.due - max(now, request.received)) / DAY) if waiting else None,
        overdue=waiting and now >= request.due,
        reminders=[ReminderShown(one.about, _time(one.at)) for one in request.reminders],
        reason=request.reason or None, answer=request.answer or None,
        ended_at=None if request.ended is None else _time(request.ended),
    )  # fmt: skip


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, requests: Tracker, registry: Registry) -> None:
        self._requests, self._registry = requests, registry

    # One's own

    async def ask(self, call: Call[OwnRequest]) -> RequestAnswer:
        app, account = _person(call)
        body = call.body
        made = await self._requests.ask(app, body.kind, body.text, account, account=account)
        return _said(call, made)

    async def mine(self, call: Call[None]) -> Page:
        found = await self._requests.of(*_person(call))
        after = call.page.after or ""
        rest = [one for one in found if one.id > after]
        return _page(call, rest[: call.page.limit + 1])

    async def one_of_mine(self, call: Call[None]) -> RequestAnswer:
        app, account = _person(call)
        found = await self._requests.get(app, call.path["request_id"], account)
        return request_answer(found, call.now)

    async def withdraw(self, call: Call[None]) -> RequestAnswer:
        app, account = _person(call)
        ident = call.path["request_id"]
        done = await self._requests.end(app, ident, State.WITHDRAWN, account, account=account)
        return _said(call, done)

    # Everybody's

    async def enter(self, call: Call[PaperRequest]) -> RequestAnswer:
        app, body = call.principal.app, call.body
        if (body.account is None) == (body.subject is None):
            raise _wrong("/subject", "Name an account, or who else asked.")
        if body.account is not None:
            await self._registry.require(app, body.account)
        received = None if body.received_at is None else body.received_at.timestamp()
        if received is not None and not call.now - LONGEST_AGO < received <= call.now:
            raise _wrong("/received_at", "Within the last year, and not yet to come.")
        made = await self._requests.ask(
            app, body.kind, body.text, call.principal.account or "", account=body.account or "",
            subject=body.subject or "", received=received,
        )  # fmt: skip
        return _said(call, made)

    async def page(self, call: Call[None]) -> Page:
        ask, waiting = call.page, call.query.show == "waiting"
        found = await self._requests.page(
            call.principal.app, ask.after or "", ask.limit + 1, waiting=waiting
        )
        return _page(call, found)

    async def get(self, call: Call[None]) -> RequestAnswer:
        found = await self._requests.get(call.principal.app, call.path["request_id"])
        return request_answer(found, call.now)

    async def extend(self, call: Call[Extension]) -> RequestAnswer:
        app, ident = call.principal.app, call.path["request_id"]
        return _said(call, await self._requests.extend(app, ident, call.body.reason))

    async def answer(self, call: Call[Verdict]) -> RequestAnswer:
        app, ident, body = call.principal.app, call.path["request_id"], call.body
        by, state = call.principal.account or "", State(body.outcome)
        return _said(call, await self._requests.end(app, ident, state, by, body.text))


def _person(call: Call[Any]) -> tuple[str, str]:
    who = call.principal
    if who.account is None or who.kind is not PrincipalKind.ACCOUNT:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
    return who.app, who.account


def _said(call: Call[Any], request: Request) -> RequestAnswer:
    call.note.target = f"request:{request.id}"
    call.note.details |= {"kind": request.kind.value, "due": str(int(request.due))}
    return request_answer(request, call.now)


def _page(call: Call[None], found: Sequence[Request]) -> Page:
    limit = call.page.limit
    more = found[limit - 1].id if len(found) > limit else None
    return Page([request_answer(one, call.now) for one in found[:limit]], next=more)


def _wrong(where: str, message: str) -> ClientError:
    errors = [FieldError(where, "invalid", message)]
    return ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(requests: Tracker, registry: Registry) -> list[Operation]:
    do = Handlers(requests, registry)
    own: dict[str, Any] = {"answer": RequestAnswer, "tag": TAG}
    staff: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": ANSWERERS, "scope": "admin", "answer": RequestAnswer,
        "tag": TAG,
    }  # fmt: skip
    change: dict[str, Any] = {"recording": Recording.DURABLE, "rate": "write"}
    mine, one = "/account/requests/{request_id}", "/requests/{request_id}"
    return [
        Operation(
            "POST", "/account/requests", "askAboutMyData",
            "Ask for what people have to do: it is answered within thirty days", do.ask,
            body=OwnRequest, status=201, scope="account:write", errors=(Code.CONFLICT,),
            **change, **own,
        ),
        Operation("GET", "/account/requests", "listMyRightsRequests", "What I asked for", do.mine,
                  scope="account:read", paged=True, **own),
        Operation("GET", mine, "getMyRightsRequest", "One request of mine", do.one_of_mine,
                  scope="account:read", errors=(Code.NOT_FOUND,), **own),
        Operation("DELETE", mine, "withdrawMyRightsRequest", "Ask for it no more", do.withdraw,
                  scope="account:write", errors=(Code.NOT_FOUND, Code.CONFLICT), **change, **own),
        Operation(
            "POST", "/requests", "enterRightsRequest", "Enter a request that came on paper",
            do.enter, body=PaperRequest, status=201, errors=(Code.NOT_FOUND, Code.CONFLICT),
            **change, **staff,
        ),
        Operation("GET", "/requests", "listRightsRequests", "What people asked for, and by when",
                  do.page, query=Which, paged=True, **staff),
        Operation("GET", one, "getRightsRequest", "One request, and when it is due", do.get,
                  errors=(Code.NOT_FOUND,), **staff),
        Operation(
            "POST", f"{one}/extension", "extendRightsRequest",
            "Say, once and in time, that it takes two months more", do.extend, body=Extension,
            errors=(Code.NOT_FOUND, Code.CONFLICT), **change, **staff,
        ),
        Operation(
            "POST", f"{one}/answer", "answerRightsRequest", "Say what was done, or why not",
            do.answer, body=Verdict, errors=(Code.NOT_FOUND, Code.CONFLICT), **change, **staff,
        ),
    ]  # fmt: skip
