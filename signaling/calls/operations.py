"""Calls of rooms over HTTP: begin, join, ring, answer, give up, history, lobby."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.call_operations import Relay
from signaling.accounts.sessions.calls import SCOPE, CallTokens
from signaling.accounts.signin import Directory
from signaling.calls import tokens
from signaling.calls.call import Call as OneCall
from signaling.calls.call import Outcome, Phase
from signaling.calls.service import Calls
from signaling.calls.shapes import (
    AcceptWish,
    AdmitWish,
    CallAnswer,
    CallBegin,
    CancelWish,
    DenyWish,
    HistoryFilter,
    JoinAnswer,
    LobbyAnswer,
    RejectByToken,
    RejectWish,
    RingWish,
    Waiting,
    call_answer,
    when,
)
from signaling.chat.operations.common import ROOM_ERRORS
from signaling.chat.people import People
from signaling.chat.ports import Actor
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Auth, Call, Operation, Page, Reply

TAG = "Calls"
_ERRORS = (*ROOM_ERRORS, Code.NOT_FOUND, Code.CONFLICT)


@dataclass(frozen=True, slots=True)
class Deps:
    """`socket_url`: where LiveKit clients connect, for who asked by this request."""

    calls: Calls
    people: People
    directory: Directory
    tokens: CallTokens
    socket_url: Callable[[web.Request], str]


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._deps, self._calls = deps, deps.calls

    async def _actor(self, principal: Principal) -> Actor:
        if principal.account is None:
            raise Refused(Code.NOT_PERMITTED, 403, "Only an account takes part in calls.")
        return await self._deps.people.actor(principal)

    def _show(self, actor: Actor, call: OneCall, *, sees: bool = True) -> CallAnswer:
        callee = call.callees.get(actor.account)
        reject = None
        if callee is not None and callee.outcome is Outcome.RINGING and not callee.silent:
            reject = tokens.make(self._calls.following.sealer, actor.app, call, actor.account)
        return call_answer(call, actor.account, sees=sees, reject=reject)

    async def _join(self, call: Call[Any], actor: Actor, made: OneCall, name: str) -> JoinAnswer:
        """With a token, unless one waits or it is over."""
        call.note.target = f"room:{made.room}"
        call.note.details.update(call=made.id)
        waiting = actor.account in made.waiting
        shown = self._show(actor, made, sees=not waiting)
        if waiting or made.phase is Phase.ENDED:
            return JoinAnswer(call=shown)
        if not name.isprintable():
            raise ClientError(Code.FIELDS_INVALID, 422, "The name has control characters.")
        issued = await self._deps.tokens.issue(call.principal, made.room, name)
        return JoinAnswer(
            call=shown,
            token=issued.token,
            url=self._deps.socket_url(call.request),
            identity=issued.identity,
            expires_in=issued.expires_in,
            ice_servers=[Relay(list(s.urls), s.username, s.credential) for s in issued.turn],
        )

    async def begin(self, call: Call[CallBegin]) -> JoinAnswer:
        actor, wish = await self._actor(call.principal), call.body
        made = await self._calls.enter(
            actor, call.path["room_id"], ring=wish.ring, video=wish.video
        )
        return await self._join(call, actor, made, wish.name)

    async def look(self, call: Call[None]) -> CallAnswer:
        actor = await self._actor(call.principal)
        room = await self._calls.room(actor, call.path["room_id"])
        found = (await self._calls.named(actor.app, room.id, None)).value
        return self._show(actor, found, sees=self._calls.sees(room, found, actor.account))

    async def ring(self, call: Call[RingWish]) -> CallAnswer:
        actor = await self._actor(call.principal)
        made = await self._calls.ring(actor, call.path["room_id"], call.body.accounts)
        return self._done(call, actor, made)

    async def accept(self, call: Call[AcceptWish]) -> JoinAnswer:
        actor = await self._actor(call.principal)
        made = await self._calls.accept(actor, call.path["room_id"], call.body.call)
        return await self._join(call, actor, made, call.body.name)

    async def reject(self, call: Call[RejectWish]) -> CallAnswer:
        actor, why = await self._actor(call.principal), Outcome(call.body.reason)
        made = await self._calls.reject(actor, call.path["room_id"], call.body.call, why)
        return self._done(call, actor, made)

    async def reject_by_token(self, call: Call[RejectByToken]) -> Reply:
        why = Outcome(call.body.reason)
        made = await self._calls.reject_by_token(call.principal.app, call.body.token, why)
        call.note.target = f"room:{made.room}"
        call.note.details.update(call=made.id)
        return Reply(status=204)

    async def cancel(self, call: Call[CancelWish]) -> CallAnswer:
        actor, wish = await self._actor(call.principal), call.body
        made = await self._calls.cancel(actor, call.path["room_id"], wish.call, wish.accounts)
        return self._done(call, actor, made)

    async def hang_up(self, call: Call[None]) -> CallAnswer:
        actor = await self._actor(call.principal)
        return self._done(call, actor, await self._calls.hang_up(actor, call.path["room_id"]))

    def _done(self, call: Call[Any], actor: Actor, made: OneCall) -> CallAnswer:
        call.note.target = f"room:{made.room}"
        call.note.details.update(call=made.id)
        return self._show(actor, made)

    # History

    async def history(self, call: Call[None]) -> Page:
        actor, page = await self._actor(call.principal), call.page
        records = self._calls.records
        if call.query.open:
            rows = await records.going_on(actor.app, actor.account)
            rows = [row for row in rows if page.after is None or row.value.id < page.after]
        else:
            rows = await records.page(actor.app, actor.account, page.after, page.limit + 1)
        shown = [row.value for row in rows[: page.limit]]
        more = shown[-1].id if len(rows) > page.limit else None
        return Page([self._show(actor, one) for one in shown], next=more)

    async def one(self, call: Call[None]) -> CallAnswer:
        actor = await self._actor(call.principal)
        found = await self._calls.shown(actor, call.path["call_id"])
        return self._show(actor, found, sees=actor.account not in found.waiting)

    # The lobby

    async def lobby(self, call: Call[None]) -> LobbyAnswer:
        actor = await self._actor(call.principal)
        return await self._lobby(actor, await self._calls.queue(actor, call.path["room_id"]))

    async def _lobby(self, actor: Actor, call: OneCall) -> LobbyAnswer:
        waiting = []
        for account, since in sorted(call.waiting.items(), key=lambda item: item[1]):
            view = await self._deps.directory.view(actor.app, account)
            at = when(since)
            if view is not None and at is not None:
                waiting.append(Waiting(account=account, name=view.name, since=at))
        return LobbyAnswer(
            call=call.id, waiting=waiting, admitted=list(call.admitted), denied=list(call.denied)
        )

    async def admit(self, call: Call[AdmitWish]) -> LobbyAnswer:
        actor = await self._actor(call.principal)
        made = await self._calls.admit(actor, call.path["room_id"], call.body.accounts)
        self._done(call, actor, made)
        return await self._lobby(actor, made)

    async def deny(self, call: Call[DenyWish]) -> LobbyAnswer:
        actor = await self._actor(call.principal)
        made = await self._calls.deny(actor, call.path["room_id"], call.body.account)
        self._done(call, actor, made)
        call.note.details.update(account=call.body.account)
        return await self._lobby(actor, made)


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    here, write = "/rooms/{room_id}/call", "write"
    own: dict[str, Any] = {"scope": SCOPE, "tag": TAG, "errors": _ERRORS}
    return [
        Operation(
            "POST", here, "beginCall", "Begin a room's call, or join it", do.begin,
            body=CallBegin, answer=JoinAnswer, idempotent=False, rate="ring",
            description="Without a token and with `call.waiting` you are in the lobby: ask again "
            "when told `admitted`. A call that begins in a direct room rings the other.",
            **{**own, "errors": (*_ERRORS, Code.ENCRYPTION_UNAVAILABLE)},
        ),
        Operation("GET", here, "getRoomCall", "A room's call, if one is going on", do.look,
                  answer=CallAnswer, **own),
        Operation("DELETE", here, "endCall", "End a room's call for everybody", do.hang_up,
                  answer=CallAnswer, rate=write, **own),
        Operation("POST", f"{here}/ring", "ringMembers", "Ring members of the room", do.ring,
                  body=RingWish, answer=CallAnswer, rate="ring", **own),
        Operation("POST", f"{here}/accept", "acceptCall", "Answer a ring and join", do.accept,
                  body=AcceptWish, answer=JoinAnswer, rate=write, idempotent=False, **own),
        Operation("POST", f"{here}/reject", "rejectCall", "Answer a ring with no", do.reject,
                  body=RejectWish, answer=CallAnswer, rate=write, **own),
        Operation("POST", f"{here}/cancel", "cancelCall", "Stop ringing", do.cancel,
                  body=CancelWish, answer=CallAnswer, rate=write, **own),
        *_lobby(do, own),
        Operation(
            "POST", "/calls/reject", "rejectCallByToken",
            "Answer a ring with no, without a session", do.reject_by_token, body=RejectByToken,
            status=204, auth=Auth.NONE, rate="auth", tag=TAG, idempotent=False,
            errors=(Code.TOKEN_INVALID, Code.CONFLICT),
            description="The token comes with the ring (`reject_token`, or in the push message) "
            "and is spent with it.",
        ),
        Operation("GET", "/calls", "listCalls", "Your calls, the newest first", do.history,
                  query=HistoryFilter, answer=CallAnswer, paged=True, scope=SCOPE, tag=TAG),
        Operation("GET", "/calls/{call_id}", "getCall", "One of your calls", do.one,
                  answer=CallAnswer, scope=SCOPE, tag=TAG, errors=(Code.NOT_FOUND,)),
    ]  # fmt: skip


def _lobby(do: Handlers, own: dict[str, Any]) -> Sequence[Operation]:
    lobby = "/rooms/{room_id}/call/lobby"
    return [
        Operation("GET", lobby, "getLobby", "Who waits to be let into a call", do.lobby,
                  answer=LobbyAnswer, **own),
        Operation("POST", f"{lobby}/admit", "admitToCall", "Let in some who wait, or all",
                  do.admit, body=AdmitWish, answer=LobbyAnswer, rate="write", **own),
        Operation("POST", f"{lobby}/deny", "denyCall",
                  "Do not let somebody in, or out again", do.deny, body=DenyWish,
                  answer=LobbyAnswer, rate="write", **own),
    ]  # fmt: skip
