"""What rooms are made of: the ops, and how they fold into messages. One source for both ends.

The wheel carries the server's pure modules as `_model`; in the repository they are imported from
where they are. Nothing else of this package imports from the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signaling.chat import account_ops, bodies, ops, reduce, state
else:
    try:
        from sotto_client._model import account_ops, bodies, ops, reduce, state
    except ImportError:
        from signaling.chat import account_ops, bodies, ops, reduce, state

Entry = ops.Entry
Messages = reduce.Messages
MessageView = reduce.MessageView
Part = ops.Part
Plain = bodies.Plain
Post = ops.Post
RoomState = state.RoomState
RoomView = reduce.RoomView

__all__ = [
    "Entry",
    "MessageView",
    "Messages",
    "Part",
    "Plain",
    "Post",
    "RoomState",
    "RoomView",
    "account_ops",
    "bodies",
    "ops",
    "reduce",
    "state",
]
