"""What is one's own: read cursors and counts, drafts, saved messages, blocks, preferences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.chat.account_ops import (
    Block,
    Draft,
    Hide,
    HideUpto,
    Notify,
    NotifyOp,
    Prefer,
    PreferenceFields,
    Save,
)
from signaling.chat.account_state import Preferences
from signaling.chat.accounts import Accounts
from signaling.chat.bodies import Body as MessageBody
from signaling.chat.bodies import MessageId
from signaling.chat.finding import no_message
from signaling.chat.operations.common import ROOM_ERRORS, Deps, actor_of
from signaling.chat.receipts import Receipt, Receipts
from signaling.chat.unread import Counts
from signaling.errors import Code
from signaling.http.api.operation import Body, Call, Operation, Page, Reply

TAG = "Your own"


class ReadUpto(Body, frozen=True, kw_only=True):
    """Up to this seq: of the room's timeline, of a thread (`parent`), or of all (`everything`)."""

    seq: Annotated[int, Meta(ge=0, le=2**53)]
    parent: MessageId | None = None
    everything: bool = False


class DeliveredUpto(Body, frozen=True, kw_only=True):
    seq: Annotated[int, Meta(ge=0, le=2**53)]


class ReceiptsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    items: Sequence[Receipt]


class RoomCounts(msgspec.Struct, frozen=True, kw_only=True):
    room: str
    counts: Counts


class DraftWish(Body, frozen=True, kw_only=True):
    body: MessageBody
    parent: MessageId | None = None


class SaveWish(Body, frozen=True, kw_only=True):
    note: Annotated[str, Meta(max_length=500)] = ""
    remind_at: datetime | None = None


class HideWish(Body, frozen=True, kw_only=True):
    """Clears the history for you alone, up to this seq."""

    seq: Annotated[int, Meta(ge=1, le=2**53)]


class NotifyWish(Body, frozen=True, kw_only=True):
    level: Notify


class PreferWish(Body, PreferenceFields, frozen=True, kw_only=True):
    """What is named changes."""


class BlockedAnswer(msgspec.Struct, frozen=True):
    account: str


class Handlers:
    def __init__(self, deps: Deps, accounts: Accounts, receipts: Receipts) -> None:
        self._deps, self._accounts, self._receipts = deps, accounts, receipts

    async def read(self, call: Call[ReadUpto]) -> Counts:
        actor, body = await actor_of(self._deps, call), call.body
        return await self._receipts.read(
            actor, call.path["room_id"], body.seq, body.parent, everything=body.everything
        )

    async def delivered(self, call: Call[DeliveredUpto]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._receipts.delivered(actor, call.path["room_id"], call.body.seq)
        return Reply(status=204)

    async def mark(self, call: Call[None]) -> Counts:
        actor = await actor_of(self._deps, call)
        return await self._receipts.mark(actor, call.path["room_id"])

    async def counts(self, call: Call[None]) -> Counts:
        actor = await actor_of(self._deps, call)
        return await self._receipts.counts(actor, call.path["room_id"])

    async def unread(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        rooms = await self._deps.people.rooms_of(actor.app, actor.account)
        rest = [room for room in rooms if call.page.after is None or room.id > call.page.after]
        shown = rest[: call.page.limit]
        found = [
            RoomCounts(room=room.id, counts=await self._receipts.counts_of(actor, room))
            for room in shown
        ]
        return Page(found, next=shown[-1].id if len(rest) > len(shown) else None)

    async def clear(self, call: Call[None]) -> Reply:
        """Every room to zero, whatever is in it."""
        actor = await actor_of(self._deps, call)
        for room in await self._deps.people.rooms_of(actor.app, actor.account):
            await self._receipts.read(actor, room.id, room.state.seq, None, everything=True)
        return Reply(status=204)

    async def receipts(self, call: Call[None]) -> ReceiptsAnswer:
        actor = await actor_of(self._deps, call)
        return ReceiptsAnswer(items=await self._receipts.of_room(actor, call.path["room_id"]))

    async def drafts(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        state = await self._accounts.state_of(actor.app, actor.account)
        found = {k: d.draft for k, d in state.drafts.items() if d.draft.body is not None}
        return _listed(found, call)

    async def draft(self, call: Call[DraftWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        room, body = call.path["room_id"], call.body
        await self._deps.chat.may_read(actor, room)
        await self._accounts.act(actor, Draft(room=room, parent=body.parent, body=body.body))
        return Reply(status=204)

    async def undraft(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._deps.chat.may_read(actor, call.path["room_id"])
        await self._accounts.act(actor, Draft(room=call.path["room_id"]))
        return Reply(status=204)

    async def saved(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        state = await self._accounts.state_of(actor.app, actor.account)
        return _listed({k: s.save for k, s in state.saved.items() if s.save.on}, call)

    async def save(self, call: Call[SaveWish]) -> Reply:
        room, ident = await self._message(call)
        wish = call.body
        op = Save(room=room, id=ident, note=wish.note, remind_at=wish.remind_at)
        await self._accounts.act(await actor_of(self._deps, call), op)
        return Reply(status=204)

    async def unsave(self, call: Call[None]) -> Reply:
        room, ident = await self._message(call)
        await self._accounts.act(
            await actor_of(self._deps, call), Save(room=room, id=ident, on=False)
        )
        return Reply(status=204)

    async def _message(self, call: Call[Any]) -> tuple[str, str]:
        actor = await actor_of(self._deps, call)
        room = call.path["room_id"]
        await self._deps.chat.may_read(actor, room)
        found = await self._deps.chat.rooms.find(actor.app, room)
        ident = call.path["message_id"]
        if found is None or await self._deps.chat.rooms.known(found, ident) is None:
            raise no_message()
        return room, ident

    async def hide(self, call: Call[None]) -> Reply:
        room, ident = await self._message(call)
        await self._accounts.act(await actor_of(self._deps, call), Hide(room=room, id=ident))
        return Reply(status=204)

    async def hide_upto(self, call: Call[HideWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._deps.chat.may_read(actor, call.path["room_id"])
        await self._accounts.act(actor, HideUpto(room=call.path["room_id"], seq=call.body.seq))
        return Reply(status=204)

    async def notify(self, call: Call[NotifyWish]) -> Reply:
        actor = await actor_of(self._deps, call)
        await self._deps.chat.may_read(actor, call.path["room_id"])
        op = NotifyOp(room=call.path["room_id"], level=call.body.level)
        await self._accounts.act(actor, op)
        return Reply(status=204)

    async def blocked(self, call: Call[None]) -> Page:
        actor = await actor_of(self._deps, call)
        state = await self._accounts.state_of(actor.app, actor.account)
        return _listed({a: BlockedAnswer(a) for a, b in state.blocked.items() if b.on}, call)

    async def block(self, call: Call[None]) -> Reply:
        actor, account = await actor_of(self._deps, call), call.path["account_id"]
        await self._deps.people.require_account(actor.app, account)
        await self._accounts.act(actor, Block(account=account))
        return Reply(status=204)

    async def unblock(self, call: Call[None]) -> Reply:
        actor = await actor_of(self._deps, call)
        op = Block(account=call.path["account_id"], on=False)
        await self._accounts.act(actor, op)
        return Reply(status=204)

    async def preferences(self, call: Call[None]) -> Preferences:
        actor = await actor_of(self._deps, call)
        return (await self._accounts.state_of(actor.app, actor.account)).preferences

    async def prefer(self, call: Call[PreferWish]) -> Preferences:
        actor = await actor_of(self._deps, call)
        op = Prefer(**msgspec.structs.asdict(call.body))
        return (await self._accounts.act(actor, op)).preferences


def _listed(found: dict[str, Any], call: Call[Any]) -> Page:
    keys = sorted(key for key in found if call.page.after is None or key > call.page.after)
    shown = keys[: call.page.limit]
    return Page([found[k] for k in shown], next=shown[-1] if len(keys) > len(shown) else None)


def operations(deps: Deps, accounts: Accounts, receipts: Receipts) -> list[Operation]:
    do = Handlers(deps, accounts, receipts)
    room, one = "/rooms/{room_id}", "/rooms/{room_id}/messages/{message_id}"
    errors = (*ROOM_ERRORS, Code.MESSAGE_NOT_FOUND)
    reads: dict[str, Any] = {"scope": "messages:read", "tag": TAG}
    own: dict[str, Any] = {"scope": "messages:write", "rate": "messages", "tag": TAG}
    inside: dict[str, Any] = {**own, "errors": errors}
    full = {**inside, "errors": (*errors, Code.CONFLICT)}
    return [
        Operation("POST", room + "/read", "markRead", "Say how far you have read", do.read,
                  body=ReadUpto, answer=Counts, **inside),
        Operation("POST", room + "/delivered", "markDelivered", "Say what reached your device",
                  do.delivered, body=DeliveredUpto, status=204, **inside),
        Operation("POST", room + "/unread", "markUnread", "Mark a room to come back to", do.mark,
                  answer=Counts, **inside),
        Operation("GET", room + "/unread", "getUnread", "What is unread in a room", do.counts,
                  answer=Counts, errors=errors, **reads),
        Operation("GET", "/unread", "listUnread", "What is unread in all your rooms", do.unread,
                  answer=RoomCounts, paged=True, **reads),
        Operation("DELETE", "/unread", "clearUnread", "Mark everything read", do.clear,
                  status=204, **own),
        Operation("GET", room + "/receipts", "listReceipts", "How far the others are, as they "
                  "show it", do.receipts, answer=ReceiptsAnswer, errors=errors, **reads),
        Operation("GET", "/drafts", "listDrafts", "What you are writing", do.drafts, answer=Draft,
                  paged=True, **reads),
        Operation("PUT", room + "/draft", "putDraft", "Keep a draft", do.draft, body=DraftWish,
                  status=204, **full),
        Operation("DELETE", room + "/draft", "deleteDraft", "Throw a draft away", do.undraft,
                  status=204, **full),
        Operation("GET", "/saved", "listSaved", "Messages that you saved", do.saved, answer=Save,
                  paged=True, **reads),
        Operation("PUT", one + "/saved", "saveMessage", "Save a message", do.save, body=SaveWish,
                  status=204, **full),
        Operation("DELETE", one + "/saved", "unsaveMessage", "Save it no more", do.unsave,
                  status=204, **full),
        Operation("PUT", one + "/hidden", "hideMessage", "Delete a message for yourself", do.hide,
                  status=204, **full),
        Operation("POST", room + "/hidden", "clearHistory", "Clear a room's history for yourself",
                  do.hide_upto, body=HideWish, status=204, **full),
        Operation("PUT", room + "/notify", "setNotify", "What of a room may ring", do.notify,
                  body=NotifyWish, status=204, **full),
        Operation("GET", "/blocks", "listBlocks", "Whom you block", do.blocked,
                  answer=BlockedAnswer, paged=True, **reads),
        Operation("PUT", "/blocks/{account_id}", "block", "Block somebody", do.block, status=204,
                  errors=(Code.NOT_FOUND, Code.CONFLICT), **own),
        Operation("DELETE", "/blocks/{account_id}", "unblock", "Block them no more", do.unblock,
                  status=204, errors=(Code.CONFLICT,), **own),
        Operation("GET", "/preferences", "getPreferences", "What you show of yourself",
                  do.preferences, answer=Preferences, scope="account:read", tag=TAG),
        Operation("PATCH", "/preferences", "changePreferences", "Change what you show",
                  do.prefer, body=PreferWish, answer=Preferences, scope="account:write",
                  rate="write", tag=TAG),
    ]  # fmt: skip
