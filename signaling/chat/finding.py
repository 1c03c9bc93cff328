"""One message, for who may read it. Driven by REST; what one deleted for oneself is its to say."""

from __future__ import annotations

from signaling.chat.ending import is_over
from signaling.chat.ports import Actor
from signaling.chat.reduce import MessageView
from signaling.chat.room import Room
from signaling.chat.service import Chat, hidden_before
from signaling.errors import ClientError, Code


async def find(chat: Chat, actor: Actor, room: Room, ident: str) -> MessageView:
    """As it stands. Raises 404 for what is not there, was erased, is over, or is from before one
    came.
    """
    known = await chat.rooms.known(room, ident)
    if known is None or known.seq <= hidden_before(room.state, actor.account):
        raise no_message()
    found = await chat.rooms.views(room, await chat.rooms.entries(room, [known.seq]))
    if not found or is_over(found[0].expires_at, chat.clock.unix()):
        raise no_message()
    return found[0]


def no_message() -> ClientError:
    return ClientError(Code.MESSAGE_NOT_FOUND, 404, "There is no such message.")
