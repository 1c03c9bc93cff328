"""A message to an account: posted into the direct room of the two, which is begun if there is none.

For searchable rooms. Of an encrypted one the devices make the group first, so it is begun by hand.
"""

from __future__ import annotations

import msgspec

from signaling.access.permissions import Operation as Act
from signaling.chat import checks, rights
from signaling.chat.operations.common import TAG, WRITE_ERRORS, Deps, actor_of, ident_of
from signaling.chat.operations.messages import MAX_BODY, Handlers, NewMessage, post_of
from signaling.chat.operations.rooms import begun
from signaling.chat.ops import Create, Kind, Mode
from signaling.chat.reduce import MessageView
from signaling.errors import Code
from signaling.http.api.operation import Call, Operation, Recording


class DirectAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`room`: where it was posted, and where answers are."""

    room: str
    message: MessageView


def operations(deps: Deps) -> list[Operation]:
    messages = Handlers(deps)

    async def post(call: Call[NewMessage]) -> DirectAnswer:
        actor = await actor_of(deps, call)
        if fault := rights.scope_fault(actor, Act.PUBLISH):
            raise fault
        post = post_of(call.body, deps.ids.new())
        # A message that nobody takes begins no room.
        checks.check(post, Mode.SEARCHABLE, actor.account, actor.device)
        op = Create(kind=Kind.DIRECT, mode=Mode.SEARCHABLE)
        room, _ = await begun(deps, actor, op, (call.path["account_id"],))
        call.note.target = f"room:{room.id}"
        key = ident_of(deps, actor, call, room.id)
        entry = await deps.chat.act(actor, room.id, post, key)
        return DirectAnswer(room=room.id, message=await messages.view(room, entry))

    return [
        Operation(
            "POST", "/direct/{account_id}/messages", "postDirect",
            "Post to somebody, in the direct room that you two have or that begins with it", post,
            body=NewMessage, answer=DirectAnswer, status=201, scope="rooms:write", rate="write",
            max_body=MAX_BODY, recording=Recording.DURABLE, tag=TAG,
            errors=(*WRITE_ERRORS, Code.NOT_FOUND),
        ),
    ]  # fmt: skip
