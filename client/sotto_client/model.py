"""What rooms and accounts' own data are made of, and how it folds. One source for both ends.

The wheel carries the server's pure modules as `_model`; in the repository they are imported from
where they are. Nothing else of this package imports from the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signaling.chat import account_ops, account_state, bodies, ops, reduce, state
else:
    try:
        from sotto_client._model import account_ops, account_state, bodies, ops, reduce, state
    except ImportError:
        from signaling.chat import account_ops, account_state, bodies, ops, reduce, state

AccountEntry = account_ops.AccountEntry
AccountState = account_state.AccountState
Draft = account_ops.Draft
Entry = ops.Entry
Messages = reduce.Messages
MessageView = reduce.MessageView
Part = ops.Part
Plain = bodies.Plain
Post = ops.Post
Preferences = account_state.Preferences
RoomState = state.RoomState
RoomView = reduce.RoomView
Save = account_ops.Save

__all__ = [
    "AccountEntry",
    "AccountState",
    "Draft",
    "Entry",
    "MessageView",
    "Messages",
    "Part",
    "Plain",
    "Post",
    "Preferences",
    "RoomState",
    "RoomView",
    "Save",
    "account_ops",
    "account_state",
    "bodies",
    "ops",
    "reduce",
    "state",
]
