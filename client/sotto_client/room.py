"""One room as a device sees it, and what may be done in it, server or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sotto_client.folding import entries_of, folded, read
from sotto_client.model import Entry, Messages, MessageView, Part, RoomState, RoomView
from sotto_client.replica import Frame, Replica

if TYPE_CHECKING:
    from sotto_client.client import Client


class Room:
    """Borrowed from its client; holds nothing of its own."""

    def __init__(self, client: Client, room: str) -> None:
        self.id = room
        self.path = f"room:{room}"
        self._client = client
        self.replica = client.replica(self.path)

    def view(self) -> RoomView:
        return view_of(self.replica, self._client.account)

    def messages(self) -> list[MessageView]:
        return list(self.view().messages)

    def post(self, text: str, **more: Any) -> str:
        """The message's id; it is visible here at once."""
        name = self._client.new_id()
        body = {"format": "m.plain.v1", "text": text}
        self._make({"type": "post", "id": name, "body": body, **more})
        return name

    def edit(self, message: str, text: str) -> None:
        body = {"format": "m.plain.v1", "text": text}
        self._make({"type": "edit", "id": message, "body": body})

    def delete(self, message: str) -> None:
        self._make({"type": "delete", "id": message})

    def react(self, message: str, emoji: str, *, on: bool = True) -> None:
        self._make({"type": "react", "id": message, "emoji": emoji, "on": on})

    def _make(self, op: Frame) -> None:
        self._client.make(self.path, op)

    async def synced(self, seconds: float = 30.0) -> None:
        await self._client.synced(self.path, seconds)


def view_of(replica: Replica, account: str) -> RoomView:
    """Fold of the confirmed, replay of the pending."""
    entries = entries_of(replica, Entry, account=account, part=Part.MEMBER)
    state = folded(replica.file.state, RoomState, entries)
    return RoomView(state=state, messages=tuple(Messages(entries)))


def advanced(state: bytes, leaving: list[Frame]) -> bytes:
    """The state after entries that are not kept any longer."""
    return msgspec.json.encode(folded(state, RoomState, read(leaving, Entry)))
