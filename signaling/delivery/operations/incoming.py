"""Incoming webhooks over HTTP: an address with a secret in it, whose posts appear as a bot's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts import names
from signaling.accounts.model import Account
from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.registry import Registry
from signaling.bus.port import Bus
from signaling.chat.bodies import AccountId, Plain, RoomId
from signaling.chat.ops import Kind as RoomKind
from signaling.chat.ops import Member, Mode, Part, Post
from signaling.chat.people import People
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.chat.state import RANK
from signaling.clock import Clock
from signaling.config import Limits
from signaling.delivery.inlets import FORM, Inlet, Inlets, text_of
from signaling.delivery.operations.common import STAFF
from signaling.errors import ClientError, Code
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording, Reply
from signaling.http.body import read_body
from signaling.ids import Ids
from signaling.keys.port import KeyDestroyed, Sealer

TAG = "Webhooks"
MAX_BODY = 64 * 1024
SCOPES = frozenset({"messages:write", "rooms:read"})


class NewInlet(Body, frozen=True, kw_only=True):
    """`name` is what the others see; `bot` an account of a bot that is there already."""

    room: RoomId
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    bot: AccountId | None = None


class InletAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is shown once: whoever knows it can post."""

    id: str
    name: str
    room: str
    bot: str
    created_at: float
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Deps:
    """`base` is where the API is; `per_minute` bounds what one address takes."""

    inlets: Inlets
    chat: Chat
    people: People
    registry: Registry
    sealer: Sealer
    bus: Bus
    clock: Clock
    ids: Ids
    limits: Limits
    base: str
    per_minute: int


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._deps, self._chat = deps, deps.chat

    async def create(self, call: Call[NewInlet]) -> InletAnswer:
        wish, app, deps = call.body, call.principal.app, self._deps
        room = await self._room(app, wish.room)
        if room.state.mode is Mode.E2EE:
            message = "What comes in by a webhook is plain text; this room is encrypted."
            raise ClientError(Code.PLAINTEXT_REFUSED, 422, message)
        if room.state.kind is RoomKind.DIRECT:
            raise ClientError(Code.NOT_PERMITTED, 403, "A direct room has two members for good.")
        bot = await self._bot(app, wish)
        if room.state.part(bot) not in RANK:
            await deps.people.enter(app, room.id, bot)
            await self._chat.say(room, Member(account=bot, part=Part.MEMBER))
        made = Inlet(
            id=deps.ids.new(), name=wish.name, room=room.id, account=bot, created=deps.clock.unix()
        )
        token = await deps.inlets.create(app, made)
        call.note.target = f"incoming:{made.id}"
        call.note.details.update(room=room.id, account=bot)
        return _answer(made, f"{deps.base}/incoming/{token}")

    async def _bot(self, app: str, wish: NewInlet) -> str:
        registry = self._deps.registry
        if wish.bot is not None:
            found = await registry.get(app, wish.bot)
            if found is None or found.kind is not Kind.BOT:
                raise ClientError(Code.NOT_FOUND, 404, "There is no such bot.")
            return found.id
        account = Account(
            id=self._deps.ids.new(), login="", kind=Kind.BOT, roles=(Role.BOT,),
            created=self._deps.clock.unix(), name=names.display(wish.name),
        )  # fmt: skip
        await registry.create(app, account)
        return account.id

    async def _room(self, app: str, name: str) -> Room:
        try:
            room = await self._chat.rooms.find(app, name)
        except KeyDestroyed:
            room = None
        if room is None:
            raise ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
        if room.state.settings.phi:
            message = "No program outside says anything in a room with health data."
            raise ClientError(Code.NOT_PERMITTED, 403, message)
        return room

    async def list(self, call: Call[None]) -> Page:
        ask = call.page
        found = await self._deps.inlets.page(call.principal.app, ask.after or "", ask.limit + 1)
        more = found[ask.limit - 1].key if len(found) > ask.limit else None
        return Page([_answer(row.value) for row in found[: ask.limit]], next=more)

    async def revoke(self, call: Call[None]) -> Reply:
        ident = call.path["incoming_id"]
        call.note.target = f"incoming:{ident}"
        if not await self._deps.inlets.revoke(call.principal.app, ident):
            raise ClientError(Code.NOT_FOUND, 404, "There is no such incoming webhook.")
        return Reply(status=204)

    async def post(self, call: Call[None]) -> Reply:
        """Nobody signs in: the address is the proof. It is named in no record."""
        call.note.target = "incoming"
        app, deps = call.principal.app, self._deps
        one = await deps.inlets.find(app, call.path["hook_token"])
        if one is None:
            raise _nowhere()
        call.note.target = f"incoming:{one.id}"
        call.note.details["room"] = one.room
        await self._bounded(app, one)
        kind = call.request.content_type
        if kind not in ("application/json", FORM):
            raise ClientError(Code.UNSUPPORTED_MEDIA_TYPE, 415, "Send application/json.")
        text = text_of(kind, await read_body(call.request, deps.limits, MAX_BODY))
        view = await deps.people.directory.view(app, one.account)
        if view is None or view.disabled:
            raise _nowhere()
        call.note.actor = f"account:{one.account}"
        who = Principal(
            app=app, kind=Kind.BOT, account=one.account, device=f"incoming:{one.id}",
            roles=view.roles, scopes=SCOPES,
        )  # fmt: skip
        room = await self._room(app, one.room)
        actor = await deps.people.actor(who)
        op = Post(id=deps.ids.new(), body=Plain(text=text))
        await self._chat.act(actor, room.id, op, self._ident(app, one, call))
        return Reply(b"ok", content_type="text/plain")

    def _ident(self, app: str, one: Inlet, call: Call[None]) -> str | None:
        """Of an Idempotency-Key: the same request twice is one message."""
        if call.idempotency_key is None:
            return None
        said = f"incoming:{one.id}:{call.idempotency_key}"
        return "key:" + self._deps.sealer.blind(app, said)

    async def _bounded(self, app: str, one: Inlet) -> None:
        """Raises ClientError (429)."""
        deps = self._deps
        rate = deps.per_minute / 60
        limit = await deps.bus.limit(f"{app}:incoming:{one.id}", rate, max(1, deps.per_minute // 4))
        if not limit.allowed:
            wait = str(max(1, int(limit.retry_after) + 1))
            message = f"Too many messages; wait {wait} s."
            raise ClientError(Code.RATE_LIMITED, 429, message, headers={"Retry-After": wait})


def _nowhere() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is nothing at this address.")


def _answer(one: Inlet, url: str | None = None) -> InletAnswer:
    return InletAnswer(
        id=one.id, name=one.name, room=one.room, bot=one.account, created_at=one.created, url=url
    )


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    staff: dict[str, Any] = {"auth": Auth.ROLE, "roles": STAFF, "scope": "admin", "tag": TAG}
    acts: dict[str, Any] = {
        **staff, "recording": Recording.DURABLE, "reauth": True, "idempotent": False,
    }  # fmt: skip
    return [
        Operation(
            "GET", "/incoming-webhooks", "listIncomingWebhooks", "Addresses that programs post to",
            do.list, answer=InletAnswer, paged=True, **staff,
        ),
        Operation(
            "POST", "/incoming-webhooks", "createIncomingWebhook",
            "An address whose posts appear in a room as a bot's; shown once", do.create,
            body=NewInlet, answer=InletAnswer, status=201,
            errors=(Code.ROOM_NOT_FOUND, Code.NOT_FOUND, Code.PLAINTEXT_REFUSED), **acts,
        ),
        Operation(
            "DELETE", "/incoming-webhooks/{incoming_id}", "revokeIncomingWebhook",
            "Take an address back", do.revoke, status=204, errors=(Code.NOT_FOUND,), **acts,
        ),
        Operation(
            "POST", "/incoming/{hook_token}", "postIncoming", "Post as a program", do.post,
            auth=Auth.NONE, raw=True, any_origin=True, rate="messages", max_body=MAX_BODY,
            idempotent=False, answer_type="text/plain", tag=TAG,
            errors=(
                Code.NOT_FOUND, Code.ROOM_NOT_FOUND, Code.FIELDS_INVALID, Code.PLAINTEXT_REFUSED,
                Code.NOT_PERMITTED, Code.BANNED,
            ),
            description=(
                "JSON with `text` in Markdown, or a payload as Slack's incoming webhooks take it "
                "(`text`, `blocks`, `attachments`). Answers `ok`."
            ),
        ),
    ]  # fmt: skip
