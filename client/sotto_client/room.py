"""One room as a device sees it, and what may be done in it, server or not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sotto_client.model import Entry, Messages, MessageView, Part, RoomState, RoomView
from sotto_client.replica import Frame, Replica

if TYPE_CHECKING:
    from sotto_client.client import Client

# Pending entries stand behind everything that the log can have.
BEHIND = 2**53


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


def entries_of(replica: Replica, account: str) -> list[Entry]:
    """What the log has, then what is pending. What this version does not know is left out."""
    found = [entry for data in replica.entries() if (entry := _read(data)) is not None]
    for change in replica.pending():
        shown = {
            "seq": BEHIND + change.version,
            "ident": replica.file.ident,
            "version": change.version,
            "clock": change.clock,
            "at": datetime.fromtimestamp(change.clock / 1000, UTC).isoformat(),
            "account": account,
            "part": Part.MEMBER,
            "op": msgspec.json.decode(change.op),
        }
        if (entry := _read(shown)) is not None:
            found.append(entry)
    return found


def _read(data: Frame) -> Entry | None:
    try:
        return msgspec.convert(data, Entry)
    except msgspec.ValidationError:
        return None


def view_of(replica: Replica, account: str) -> RoomView:
    """Fold of the confirmed, replay of the pending."""
    entries = entries_of(replica, account)
    state = _state_of(replica.file.state)
    _apply(state, entries)
    return RoomView(state=state, messages=tuple(Messages(entries)))


def advanced(state: bytes, leaving: list[Frame]) -> bytes:
    """The state after entries that are not kept any longer."""
    found = _state_of(state)
    _apply(found, [entry for data in leaving if (entry := _read(data)) is not None])
    return msgspec.json.encode(found)


def _state_of(data: bytes) -> RoomState:
    return msgspec.json.decode(data, type=RoomState) if data else RoomState()


def _apply(state: RoomState, entries: list[Entry]) -> None:
    start = state.seq
    for entry in entries:
        if entry.seq > start:
            state.apply(entry)
