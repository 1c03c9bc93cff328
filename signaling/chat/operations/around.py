"""Around messages: invitations, requests to join, reports, typing, presence, search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.chat.bodies import MessageId, RoomId
from signaling.chat.doors import Doors, Ended, Invite, Request
from signaling.chat.later import Later, Scheduled
from signaling.chat.operations.common import (
    ROOM_ERRORS,
    TAG,
    Deps,
    RoomAnswer,
    Uuid,
    actor_of,
    room_reply,
)
from signaling.chat.operations.messages import MAX_BODY, NewMessage, post_of
from signaling.chat.ops import Mode, Word
from signaling.chat.presence import Presences
from signaling.chat.reports import Outcome, Report, Reports
from signaling.chat.search import Question, search, terms_of
from signaling.chat.seeing import Shown, State
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import (
    Auth,
    Body,
    Call,
    Operation,
    Page,
    Query,
    Recording,
    Reply,
)
from signaling.storage.table import Row

WEEK = 7 * 86400
# What one answer of a search may take, and hold.
SEARCH_SECONDS = 0.5
MOST_FOUND = 100


class InviteWish(Body, frozen=True, kw_only=True):
    """`uses` 0: any number."""

    expires_in: Annotated[int, Meta(ge=60, le=52 * WEEK)] = WEEK
    uses: Annotated[int, Meta(ge=0, le=100_000)] = 1


class NewInvite(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is told here and never again."""

    invite: Invite
    secret: str


class Accept(Body, frozen=True, kw_only=True):
    secret: Annotated[str, Meta(min_length=16, max_length=128)]


class RequestWish(Body, frozen=True, kw_only=True):
    text: Annotated[str, Meta(max_length=500)] = ""


class Decision(Body, frozen=True, kw_only=True):
    accept: bool


class ReportWish(Body, frozen=True, kw_only=True):
    reason: Word = "other"
    text: Annotated[str, Meta(max_length=2000)] = ""


class QueueQuery(Query, frozen=True, kw_only=True):
    done: bool = False


class OutcomeWish(Body, frozen=True, kw_only=True):
    outcome: Outcome


class TypingWish(Body, frozen=True, kw_only=True):
    """For so many seconds more; 0: stopped."""

    seconds: Annotated[int, Meta(ge=0, le=30)] = 10
    parent: MessageId | None = None


class StatusWish(Body, frozen=True, kw_only=True):
    state: State = State.ONLINE
    text: Annotated[str, Meta(max_length=140)] = ""
    emoji: Annotated[str, Meta(max_length=64)] = ""
    until: datetime | None = None


class ScheduleWish(Body, frozen=True, kw_only=True):
    at: datetime
    message: NewMessage


class ScheduledAnswer(msgspec.Struct, frozen=True, kw_only=True):
    items: Sequence[Scheduled]


class SearchQuery(Query, frozen=True, kw_only=True):
    """Words and "phrases", all of which a message has; `sender`, dates and files narrow it."""

    q: Annotated[str, Meta(max_length=200)] = ""
    room: RoomId | None = None
    sender: Annotated[str, Meta(max_length=256)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    has_file: bool | None = None
    after: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 50


class Handlers:
    def __init__(
        self, deps: Deps, doors: Doors, reports: Reports, presences: Presences, later: Later
    ) -> None:
        self._deps, self._doors, self._later = deps, doors, later
        self._reports, self._presences = reports, presences

    async def schedule(self, call: Call[ScheduleWish]) -> Scheduled:
        actor = await actor_of(self._deps, call)
        room, at = call.path["room_id"], call.body.at
        if at.tzinfo is None:
            raise ClientError(Code.FIELDS_INVALID, 422, "The time says no zone.")
        post = post_of(call.body.message, self._deps.ids.new())
        call.note.target = f"room:{room}"
        return await self._later.schedule(actor, room, at, post)

    async def scheduled(self, call: Call[None]) -> ScheduledAnswer:
        actor = await actor_of(self._deps, call)
        return ScheduledAnswer(items=await self._later.scheduled(actor))

    async def unschedule(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._later.cancel(actor, call.path["scheduled_id"])
        return Reply(status=204)

    async def invite(self, call: Call[InviteWish]) -> NewInvite:
        actor = await actor_of(self._deps, call)
        made, secret = await self._doors.invite(
            actor, call.path["room_id"], call.body.expires_in, call.body.uses
        )
        call.note.target = f"room:{made.room}"
        return NewInvite(invite=made, secret=secret)

    async def invites(self, call: Call[None]) -> Page:
        actor, page = await actor_of(self._deps, call), call.page
        rows = await self._doors.invites(
            actor, call.path["room_id"], after=page.after or "", limit=page.limit + 1
        )
        return _listed(rows, page.limit)

    async def withdraw(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._doors.withdraw(actor, call.path["room_id"], call.path["invite_id"])
        call.note.target = f"room:{call.path['room_id']}"
        return Reply(status=204)

    async def accept(self, call: Call[Accept]) -> Reply:
        actor = await actor_of(self._deps, call)
        try:
            room = await self._doors.accept(actor, call.body.secret)
        except Ended as ended:
            call.note.target = f"room:{ended.room}"
            call.note.details["reason"] = ended.reason
            raise
        call.note.target = f"room:{room.id}"
        return room_reply(room, actor.account)

    async def request(self, call: Call[RequestWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._doors.ask(actor, call.path["room_id"], call.body.text)
        return Reply(status=204)

    async def requests(self, call: Call[None]) -> Page:
        actor, page = await actor_of(self._deps, call), call.page
        rows = await self._doors.requests(
            actor, call.path["room_id"], after=page.after or "", limit=page.limit + 1
        )
        return _listed(rows, page.limit)

    async def decide(self, call: Call[Decision]) -> Reply:
        actor = await actor_of(self._deps, call)
        room, account = call.path["room_id"], call.path["account_id"]
        await self._doors.answer(actor, room, account, accept=call.body.accept)
        call.note.target = f"room:{room}"
        call.note.details.update(account=account)
        return Reply(status=204)

    async def report(self, call: Call[ReportWish]) -> Report:
        actor = await actor_of(self._deps, call)
        call.note.target = f"room:{call.path['room_id']}"
        return await self._reports.report(
            actor, call.path["room_id"], call.path["message_id"], call.body.reason, call.body.text
        )

    async def queue(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        limit = call.page.limit
        found = await self._reports.queue(
            actor, call.path["room_id"], done=call.query.done, after=call.page.after or "",
            limit=limit + 1,
        )  # fmt: skip
        return Page(found[:limit], next=found[limit - 1].id if len(found) > limit else None)

    async def resolve(self, call: Call[OutcomeWish]) -> Report:
        actor = await actor_of(self._deps, call)
        room = call.path["room_id"]
        call.note.target = f"room:{room}"
        return await self._reports.resolve(actor, room, call.path["report_id"], call.body.outcome)

    async def typing(self, call: Call[TypingWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._presences.typing(
            actor, call.path["room_id"], call.body.seconds, call.body.parent
        )
        return Reply(status=204)

    async def say(self, call: Call[StatusWish]) -> Shown:
        actor, wish = await actor_of(self._deps, call), call.body
        await self._presences.say(actor, wish.state, wish.text, wish.emoji, wish.until)
        return await self._presences.of(actor, actor.account)

    async def presence(self, call: Call[None]) -> Shown:
        actor = await actor_of(self._deps, call)
        return await self._presences.of(actor, call.path["account_id"])

    async def search(self, call: Call[None]) -> Reply:
        actor, query = await actor_of(self._deps, call), call.query
        if query.room is not None:
            room = await self._deps.chat.room_for(actor, query.room, Act.HISTORY)
            if room.state.mode is not Mode.SEARCHABLE and not room.state.mode_seq:
                message = "What is said in this room cannot be searched by the server."
                raise ClientError(Code.CONFLICT, 409, message)
            rooms = [room]
        else:
            rooms = await self._deps.people.rooms_of(actor.app, actor.account)
        question = Question(
            terms=terms_of(query.q), sender=query.sender, since=query.since, until=query.until,
            has_file=query.has_file,
        )  # fmt: skip
        if question == Question():
            errors = [FieldError("/q", "missing", "Say what to look for.")]
            raise ClientError(Code.FIELDS_INVALID, 422, "Say what to look for.", errors=errors)

        # Deleted for oneself alone.
        mine = await self._deps.accounts.state_of(actor.app, actor.account)

        async def lines() -> AsyncIterator[bytes]:
            found = search(
                self._deps.chat, rooms, actor.account, mine.hides, question, query.after,
                SEARCH_SECONDS, query.limit,
            )  # fmt: skip
            async for one in found:
                yield msgspec.json.encode(one) + b"\n"

        return Reply(lines(), content_type="application/x-ndjson")


def _listed(rows: list[Row[Any]], limit: int) -> Page:
    """`rows`: one more than are shown, when there are."""
    shown = rows[:limit]
    return Page([row.value for row in shown], next=shown[-1].key if len(rows) > limit else None)


def operations(
    deps: Deps, doors: Doors, reports: Reports, presences: Presences, later: Later
) -> list[Operation]:
    do = Handlers(deps, doors, reports, presences, later)
    room = "/rooms/{room_id}"
    write: dict[str, Any] = {"scope": "rooms:write", "rate": "write", "tag": TAG}
    lasting = {**write, "recording": Recording.DURABLE}
    errors = (*ROOM_ERRORS, Code.NOT_FOUND)
    return [
        Operation("POST", room + "/invites", "createRoomInvite", "Make an invitation", do.invite,
                  body=InviteWish, answer=NewInvite, status=201, idempotent=False,
                  errors=ROOM_ERRORS, **lasting),
        Operation("GET", room + "/invites", "listRoomInvites", "Invitations that stand",
                  do.invites, answer=Invite, paged=True, scope="rooms:read",
                  errors=ROOM_ERRORS, tag=TAG),
        Operation("DELETE", room + "/invites/{invite_id}", "withdrawRoomInvite",
                  "Withdraw an invitation", do.withdraw, status=204, errors=errors, **lasting),
        Operation("POST", "/room-invites/accept", "acceptRoomInvite", "Use an invitation",
                  do.accept, body=Accept, answer=RoomAnswer,
                  errors=(*ROOM_ERRORS, Code.LINK_INVALID, Code.ROOM_FULL), **lasting),
        Operation("POST", room + "/requests", "requestToJoin", "Ask to be let in", do.request,
                  body=RequestWish, status=204, errors=(*ROOM_ERRORS, Code.CONFLICT), **write),
        Operation("GET", room + "/requests", "listRequests", "Who asks to be let in", do.requests,
                  answer=Request, paged=True, scope="rooms:read", errors=ROOM_ERRORS, tag=TAG),
        Operation("POST", room + "/requests/{account_id}", "answerRequest",
                  "Let somebody in, or not", do.decide, body=Decision, status=204,
                  errors=(*errors, Code.ROOM_FULL), **lasting),
        Operation("POST", room + "/messages/{message_id}/reports", "reportMessage",
                  "Report a message to the moderators", do.report, body=ReportWish, answer=Report,
                  status=201, errors=(*ROOM_ERRORS, Code.MESSAGE_NOT_FOUND), **lasting),
        Operation("GET", room + "/reports", "listReports", "The moderators' queue", do.queue,
                  query=QueueQuery, answer=Report, paged=True, scope="rooms:read",
                  errors=ROOM_ERRORS, tag=TAG),
        Operation("POST", room + "/reports/{report_id}", "resolveReport",
                  "Say what came of a report", do.resolve, body=OutcomeWish, answer=Report,
                  errors=errors, **lasting),
        Operation("POST", room + "/typing", "type", "Say that you are writing", do.typing,
                  body=TypingWish, query=Uuid, status=204, auth=Auth.EITHER, rate="messages",
                  errors=ROOM_ERRORS, tag=TAG),
        Operation("POST", room + "/scheduled", "schedulePost", "Post at a time", do.schedule,
                  body=ScheduleWish, answer=Scheduled, status=201, max_body=MAX_BODY,
                  scope="messages:write", rate="write",
                  errors=(*ROOM_ERRORS, Code.CONFLICT), tag=TAG),
        Operation("GET", "/scheduled", "listScheduled", "Your posts that wait", do.scheduled,
                  answer=ScheduledAnswer, scope="messages:read", tag=TAG),
        Operation("DELETE", "/scheduled/{scheduled_id}", "cancelScheduled", "Post it not",
                  do.unschedule, status=204, scope="messages:write", rate="write",
                  errors=(Code.NOT_FOUND,), tag=TAG),
        Operation("PUT", "/presence", "setPresence", "Say that you are there, and how", do.say,
                  body=StatusWish, answer=Shown, scope="presence:write", rate="messages", tag=TAG),
        Operation("GET", "/presence/{account_id}", "getPresence", "Whether somebody is there",
                  do.presence, answer=Shown, scope="presence:read", tag=TAG),
        Operation("GET", "/search", "search", "Search messages; a line of JSON for each",
                  do.search, query=SearchQuery, scope="messages:read", rate="search",
                  errors=(*ROOM_ERRORS, Code.CONFLICT), answer=bytes,
                  answer_type="application/x-ndjson", tag=TAG,
                  description="The last line has `next`: where to go on (`after`), or null."),
    ]  # fmt: skip
