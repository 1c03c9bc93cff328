"""Messages over HTTP: post, read, edit, delete, react, pin, vote; the room's log as it is.

Long because every verb finds its message in the same way, and its declaration stands beside it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.access.permissions import Operation as Act
from signaling.chat import rights
from signaling.chat.account_state import AccountState
from signaling.chat.bodies import Body as MessageBody
from signaling.chat.bodies import MessageId, Plain, RoomId, Sealed
from signaling.chat.ending import is_over
from signaling.chat.finding import find, no_message
from signaling.chat.operations.common import (
    MESSAGES,
    ROOM_ERRORS,
    WRITE_ERRORS,
    Deps,
    Uuid,
    actor_of,
    etag_of,
    ident_of,
)
from signaling.chat.ops import (
    Attachment,
    CallOp,
    Close,
    Custom,
    Delete,
    Edit,
    Entry,
    Forwarded,
    Mentions,
    Pin,
    Poll,
    Post,
    React,
    Seconds,
    Vote,
    Word,
    files_of,
)
from signaling.chat.ports import Actor, Below
from signaling.chat.reduce import Messages, MessageView
from signaling.chat.room import Room
from signaling.chat.service import hidden_before
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Reply

# Ops read at a time in search of a page of messages; at first hardly more than the page, since most
# ops are messages and each costs its unsealing.
STRETCH, SPARE = 200, 10
MAX_BODY = 128 * 1024


class NewMessage(Body, frozen=True, kw_only=True):
    """`text` is short for a plain body. `id` is a UUIDv7 of the sender's, or of the server's."""

    id: MessageId | None = None
    text: Annotated[str, Meta(min_length=1, max_length=16_000)] | None = None
    body: MessageBody | None = None
    kind: Word = "text"
    parent: MessageId | None = None
    reply_to: MessageId | None = None
    mentions: Mentions | None = None
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=20)] = ()
    custom: Custom = msgspec.field(default_factory=dict)
    silent: bool = False
    ttl: Seconds | None = None
    poll: Poll | None = None


class EditedMessage(Body, frozen=True, kw_only=True):
    """`attachments` in encrypted rooms only, when its files change."""

    text: Annotated[str, Meta(min_length=1, max_length=16_000)] | None = None
    body: MessageBody | None = None
    mentions: Mentions | None = None
    attachments: Annotated[tuple[Attachment, ...], Meta(max_length=20)] | None = None


class SealedReaction(Body, frozen=True, kw_only=True):
    """In encrypted rooms, where the emoji of the path is an opaque tag."""

    body: Sealed | None = None


class Ballot(Body, frozen=True, kw_only=True):
    choices: Annotated[tuple[Annotated[int, Meta(ge=0, le=19)], ...], Meta(max_length=20)] = ()


class ForwardWish(Body, frozen=True, kw_only=True):
    """`to`: the room that gets it."""

    to: RoomId


class MessageFilter(Uuid, frozen=True, kw_only=True):
    """Newest first. `around` a message to jump to it; `parent` for the replies of a thread."""

    around: MessageId | None = None
    parent: MessageId | None = None


class LogQuery(Uuid, frozen=True, kw_only=True):
    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class LogAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Ask again with `after` the last seq while that is below `head`."""

    entries: Sequence[Entry]
    head: int
    floor: int
    chain: str


class Handlers:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._chat, self._rooms = deps, deps.chat, deps.chat.rooms

    async def post(self, call: Call[NewMessage]) -> Reply:
        actor = await actor_of(self._deps, call)
        room_id = call.path["room_id"]
        op = post_of(call.body, self._deps.ids.new())
        key = ident_of(self._deps, actor, call, room_id)
        entry = await self._chat.act(actor, room_id, op, key)
        room = await self._chat.room_for(actor, room_id, Act.PUBLISH)
        call.note.target = f"room:{room_id}"
        return _shown(await self.view(room, entry), 201)

    async def view(self, room: Room, entry: Entry) -> MessageView:
        if room.transient:
            found = list(Messages([entry]))
        else:
            found = await self._rooms.views(room, [entry])
        if not found:
            raise no_message()
        return found[0]

    async def find(self, actor: Actor, room: Room, ident: str) -> MessageView:
        """To be shown: raises 404 also for what one deleted for oneself alone."""
        view = await find(self._chat, actor, room, ident)
        if (await self._mine(actor)).hides(room.id, view.id, view.seq):
            raise no_message()
        return view

    async def _mine(self, actor: Actor) -> AccountState:
        """What one deleted for oneself alone; an access token is nobody's."""
        if actor.token:
            return AccountState()
        return await self._deps.accounts.state_of(actor.app, actor.account)

    async def _found(self, call: Call[Any], act: Act) -> tuple[Actor, Room, MessageView]:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        call.note.target = f"room:{room.id}"
        return actor, room, await self.find(actor, room, call.path["message_id"])

    async def get(self, call: Call[None]) -> Reply:
        _, _, view = await self._found(call, Act.HISTORY)
        return _shown(view)

    async def page(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], Act.HISTORY)
        found = await self._page(actor, room, call)
        mine = await self._mine(actor)
        found.items = [m for m in found.items if not mine.hides(room.id, m.id, m.seq)]
        return found

    async def _page(self, actor: Actor, room: Room, call: Call[None]) -> Page:
        query: MessageFilter = call.query
        if query.parent is not None:
            return await self._thread(actor, room, query.parent, call)
        floor = hidden_before(room.state, actor.account)
        before, after = call.page.before, call.page.after
        if query.around is not None and before is None and after is None:
            middle = await self.find(actor, room, query.around)
            return await self._around(room, middle.seq, call.page.limit, floor)
        # Positions are seqs: `after` goes to older ones, as the list does.
        if before is not None:
            posts, more = await self._newer(room, int(before), call.page.limit, floor)
            posts.reverse()
            return await self._paged(room, posts, older=True, newer=more)
        start = int(after) if after is not None else room.state.seq + 1
        posts, more = await self._older(room, start, call.page.limit, floor)
        return await self._paged(room, posts, older=more, newer=after is not None)

    async def _paged(self, room: Room, posts: list[Entry], *, older: bool, newer: bool) -> Page:
        now = self._deps.clock.unix()
        views = [v for v in await self._rooms.views(room, posts) if not is_over(v.expires_at, now)]
        if not posts:
            return Page([])
        last, first = str(posts[-1].seq), str(posts[0].seq)
        return Page(views, next=last if older else None, prev=first if newer else None)

    async def _around(self, room: Room, seq: int, limit: int, floor: int) -> Page:
        newer, more_new = await self._newer(room, seq - 1, max(1, limit // 2), floor)
        older, more_old = await self._older(room, seq, max(1, limit - len(newer)), floor)
        posts = [*reversed(newer), *older]
        return await self._paged(room, posts, older=more_old, newer=more_new)

    async def _older(
        self, room: Room, before: int, limit: int, floor: int
    ) -> tuple[list[Entry], bool]:
        """Newest first; whether there are more."""
        found: list[Entry] = []
        stretch = limit + SPARE
        while before > floor + 1 and len(found) <= limit:
            stored = await room.log.read(room.app, room.id, before=before, limit=stretch)
            stretch = STRETCH
            stored = [op for op in stored if op.seq > floor]
            if not stored:
                break
            entries = await self._chat.sealing.open(room.app, room.id, stored)
            found += [e for e in reversed(entries) if isinstance(e.op, Post | CallOp)]
            before = stored[0].seq
        return found[:limit], len(found) > limit

    async def _newer(
        self, room: Room, after: int, limit: int, floor: int
    ) -> tuple[list[Entry], bool]:
        """Oldest first; whether there are more."""
        found: list[Entry] = []
        after = max(after, floor)
        stretch = limit + SPARE
        while len(found) <= limit:
            stored = await room.log.read(room.app, room.id, after=after, limit=stretch)
            stretch = STRETCH
            if not stored:
                break
            entries = await self._chat.sealing.open(room.app, room.id, stored)
            found += [e for e in entries if isinstance(e.op, Post | CallOp)]
            after = stored[-1].seq
        return found[:limit], len(found) > limit

    async def _thread(self, actor: Actor, room: Room, parent: str, call: Call[Any]) -> Page:
        """Oldest first, as one reads a thread."""
        root = await self.find(actor, room, parent)
        about = await self._rooms.about(room, root.id, root.seq)
        start = int(call.page.after or 0)
        seqs = [seq for seq, _ in about.replies if seq > start]
        shown = seqs[: call.page.limit]
        entries = await self._rooms.entries(room, shown)
        now = self._deps.clock.unix()
        found = await self._rooms.views(room, entries)
        views = [view for view in found if not is_over(view.expires_at, now)]
        return Page(views, next=str(shown[-1]) if len(seqs) > len(shown) else None)

    async def log(self, call: Call[None]) -> LogAnswer:
        actor = await actor_of(self._deps, call)
        query: LogQuery = call.query
        name = call.path["room_id"]
        try:
            batch = await self._chat.read(actor, name, query.after, query.limit)
        except Below as below:
            # What is gone is no error for who asks from the beginning: `floor` says so.
            batch = await self._chat.read(actor, name, below.head.floor, query.limit)
        return LogAnswer(
            entries=batch.entries, head=batch.head.seq, floor=batch.head.floor,
            chain=base64.b64encode(batch.chain).decode(),
        )  # fmt: skip

    # About a message

    async def edit(self, call: Call[EditedMessage]) -> Reply:
        actor, room, view = await self._found(call, Act.PUBLISH)
        if view.account != actor.account:
            raise ClientError(Code.NOT_PERMITTED, 403, "This message is somebody else's.")
        if view.deleted is not None:
            raise no_message()
        call.expect(etag_of(view))
        said = call.body
        op = Edit(
            id=view.id, body=_said(said.text, said.body), mentions=said.mentions,
            attachments=said.attachments,
        )  # fmt: skip
        await self._chat.act(actor, room.id, op)
        return _shown(await self.find(actor, room, view.id))

    async def delete(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(
            actor, call.path["room_id"], Act.DELETE_MESSAGES if actor.token else Act.GET_CHANNEL
        )
        call.note.target = f"room:{room.id}"
        view = await find(self._chat, actor, room, call.path["message_id"])
        anybodys = rights.allowed(actor, room.id, Act.DELETE_MESSAGES, call.now)
        if view.account != actor.account and not anybodys:
            raise ClientError(Code.NOT_PERMITTED, 403, "This message is somebody else's.")
        if view.deleted is None:
            await self._chat.act(actor, room.id, Delete(id=view.id))
        return Reply(status=204)

    async def react(self, call: Call[SealedReaction]) -> Reply:
        return await self._reaction(call, True, call.body.body)

    async def unreact(self, call: Call[None]) -> Reply:
        return await self._reaction(call, False, None)

    async def _reaction(self, call: Call[Any], on: bool, body: Sealed | None) -> Reply:
        act = Act.ADD_REACTION if on else Act.GET_CHANNEL
        actor = await actor_of(self._deps, call)
        if actor.token and not on:
            act = Act.REMOVE_REACTION
        room = await self._chat.room_for(actor, call.path["room_id"], act)
        view = await self.find(actor, room, call.path["message_id"])
        op = _read(React, {"id": view.id, "emoji": call.path["emoji"], "on": on, "body": body})
        call.note.target = f"room:{room.id}"
        await self._chat.act(actor, room.id, op)
        return _shown(await self.find(actor, room, view.id))

    async def pin(self, call: Call[None]) -> Reply:
        return await self._pin(call, True)

    async def unpin(self, call: Call[None]) -> Reply:
        return await self._pin(call, False)

    async def _pin(self, call: Call[None], on: bool) -> Reply:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], Act.GET_CHANNEL)
        call.note.target = f"room:{room.id}"
        view = await find(self._chat, actor, room, call.path["message_id"])
        await self._chat.act(actor, room.id, Pin(id=view.id, on=on))
        return Reply(status=204)

    async def pins(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        room = await self._chat.room_for(actor, call.path["room_id"], Act.HISTORY)
        listed, last = room.state.pinned(), call.page.after
        rest = listed[listed.index(last) + 1 :] if last in listed else listed
        shown = rest[: call.page.limit]
        found, mine = [], await self._mine(actor)
        for ident in shown:
            try:
                view = await find(self._chat, actor, room, ident)
            except ClientError:
                continue
            if not mine.hides(room.id, view.id, view.seq):
                found.append(view)
        return Page(found, next=shown[-1] if len(rest) > len(shown) else None)

    async def vote(self, call: Call[Ballot]) -> Reply:
        actor, room, view = await self._found(call, Act.PUBLISH)
        if view.poll is None:
            raise no_message()
        chosen = call.body.choices
        if view.poll.closed or (
            view.poll.closes_at is not None and view.poll.closes_at.timestamp() < call.now
        ):
            raise ClientError(Code.CONFLICT, 409, "The poll is closed.")
        many = len(chosen) > 1 and not view.poll.multiple
        if many or any(choice >= len(view.poll.votes) for choice in chosen):
            raise _invalid("/choices", "The poll has no such choice, or takes one only.")
        await self._chat.act(actor, room.id, Vote(id=view.id, choices=chosen))
        return _shown(await self.find(actor, room, view.id))

    async def close(self, call: Call[None]) -> Reply:
        actor, room, view = await self._found(call, Act.PUBLISH)
        if view.poll is None:
            raise no_message()
        anybodys = rights.allowed(actor, room.id, Act.DELETE_MESSAGES, call.now)
        if view.account != actor.account and not anybodys:
            raise ClientError(Code.NOT_PERMITTED, 403, "This poll is somebody else's.")
        await self._chat.act(actor, room.id, Close(id=view.id))
        return _shown(await self.find(actor, room, view.id))

    async def forward(self, call: Call[ForwardWish]) -> Reply:
        """Into another room; the files' keys go with it. Encrypted bodies are the client's to
        forward: the server cannot read them.
        """
        actor, room, view = await self._found(call, Act.HISTORY)
        if view.deleted is not None or not isinstance(view.body, Plain):
            raise ClientError(Code.CONFLICT, 409, "Only a readable message can be forwarded.")
        op = Post(
            id=self._deps.ids.new(), body=msgspec.structs.replace(view.body, options=()),
            attachments=view.attachments,
            forwarded=Forwarded(room=room.id, id=view.id, account=view.account),
        )  # fmt: skip
        key = ident_of(self._deps, actor, call, call.body.to)
        entry = await self._chat.act(actor, call.body.to, op, key)
        target = await self._chat.room_for(actor, call.body.to, Act.PUBLISH)
        return _shown(await self.view(target, entry), 201)


def post_of(wish: NewMessage, ident: str) -> Post:
    body = _said(wish.text, wish.body)
    attachments = wish.attachments
    if isinstance(body, Plain) and not attachments:
        attachments = files_of(body)
    return Post(
        id=wish.id or ident, body=body, kind=wish.kind, parent=wish.parent,
        reply_to=wish.reply_to, mentions=wish.mentions, attachments=attachments,
        custom=wish.custom, silent=wish.silent, ttl=wish.ttl, poll=wish.poll,
    )  # fmt: skip


def _said(text: str | None, body: MessageBody | None) -> MessageBody:
    if (text is None) == (body is None):
        raise _invalid("/body", "Give either `text` or `body`.")
    return Plain(text=text) if body is None else body  # type: ignore[arg-type]


def _read(kind: type[Any], said: dict[str, Any]) -> Any:
    """An op out of parts of a path, held to the same limits as one out of JSON."""
    try:
        return msgspec.convert(
            {**msgspec.to_builtins(said), "type": kind.__struct_config__.tag}, kind
        )
    except msgspec.ValidationError as error:
        raise _invalid("/emoji", str(error)) from None


def _shown(view: MessageView, status: int = 200) -> Reply:
    return Reply(view, status=status, etag=etag_of(view))


def _invalid(pointer: str, message: str) -> ClientError:
    errors = [FieldError(pointer, "invalid", message)]
    return ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    either: dict[str, Any] = {"auth": Auth.EITHER, "query": Uuid, "tag": MESSAGES}
    gone = (*ROOM_ERRORS, Code.MESSAGE_NOT_FOUND)
    write = {"rate": "messages", "errors": (*WRITE_ERRORS, Code.MESSAGE_NOT_FOUND), **either}
    at = "/rooms/{room_id}/messages"
    one = at + "/{message_id}"
    return [
        Operation(
            "POST", at, "postMessage", "Post a message", do.post, body=NewMessage,
            answer=MessageView, status=201, max_body=MAX_BODY, **write,
        ),
        Operation(
            "GET", at, "listMessages", "Messages of a room, newest first", do.page,
            answer=MessageView, paged=True, errors=gone, **{**either, "query": MessageFilter},
        ),
        Operation(
            "GET", one, "getMessage", "One message as it stands, with what it said before",
            do.get, answer=MessageView, errors=gone, **either,
        ),
        Operation(
            "PATCH", one, "editMessage", "Say it otherwise", do.edit, body=EditedMessage,
            answer=MessageView, max_body=MAX_BODY, **write,
        ),
        Operation(
            "DELETE", one, "deleteMessage", "Delete a message for everybody", do.delete,
            status=204, **write,
        ),
        Operation(
            "PUT", one + "/reactions/{emoji}", "addReaction", "React", do.react,
            body=SealedReaction, answer=MessageView, **write,
        ),
        Operation(
            "DELETE", one + "/reactions/{emoji}", "removeReaction", "Take a reaction back",
            do.unreact, answer=MessageView, **write,
        ),
        Operation("PUT", one + "/pin", "pinMessage", "Pin", do.pin, status=204, **write),
        Operation("DELETE", one + "/pin", "unpinMessage", "Unpin", do.unpin, status=204, **write),
        Operation(
            "GET", "/rooms/{room_id}/pins", "listPins", "What is pinned, the newest pin first",
            do.pins, answer=MessageView, paged=True, errors=gone, **either,
        ),
        Operation(
            "PUT", one + "/vote", "vote", "Vote in a poll; no choice takes the vote back", do.vote,
            body=Ballot, answer=MessageView, **write,
        ),
        Operation(
            "POST", one + "/close", "closePoll", "End a poll", do.close, answer=MessageView,
            **write,
        ),
        Operation(
            "POST", one + "/forward", "forwardMessage", "Forward into another room", do.forward,
            body=ForwardWish, answer=MessageView, status=201, **write,
        ),
        Operation(
            "GET", "/rooms/{room_id}/log", "readLog", "The room's ops as sync sees them", do.log,
            answer=LogAnswer, errors=ROOM_ERRORS, **{**either, "query": LogQuery},
        ),
    ]  # fmt: skip
