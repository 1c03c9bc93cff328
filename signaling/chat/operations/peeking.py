"""Looking into a public room before joining it, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signaling.chat.operations.common import ROOM_ERRORS, TAG, Deps, actor_of
from signaling.chat.peeking import MOST_SHOWN, Peeked, Peeking
from signaling.http.api.operation import Call, Operation


class PeekAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    items: Sequence[Peeked]


def operations(deps: Deps) -> list[Operation]:
    peeking = Peeking(deps.chat, deps.accounts)

    async def look(call: Call[None]) -> PeekAnswer:
        actor = await actor_of(deps, call)
        room = call.path["room_id"]
        call.note.target = f"room:{room}"
        return PeekAnswer(items=await peeking.look(actor, room))

    return [
        Operation(
            "GET", "/public-rooms/{room_id}/messages", "peekRoom",
            "The newest messages of a public room, before joining it", look, answer=PeekAnswer,
            scope="messages:read", errors=ROOM_ERRORS, tag=TAG,
            description=f"At most {MOST_SHOWN}, where `settings.peek` of the room is on.",
        ),
    ]  # fmt: skip
