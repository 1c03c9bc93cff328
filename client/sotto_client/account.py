"""An account's own data on each of its devices: drafts, saved messages, blocks, preferences.

What one device does the others have, whether it went by sync or by REST; server or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sotto_client.folding import entries_of, folded, read
from sotto_client.model import AccountEntry, AccountState, Draft, Preferences, Save
from sotto_client.replica import Frame, Replica

if TYPE_CHECKING:
    from sotto_client.client import Client

PATH = "account"


class Account:
    """Borrowed from its client; holds nothing of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.replica = client.replica(PATH)

    def state(self) -> AccountState:
        return state_of(self.replica)

    def drafts(self) -> list[Draft]:
        """What is being written, in all rooms."""
        held = self.state().drafts.values()
        return [one.draft for one in held if one.draft.body is not None]

    def saved(self) -> list[Save]:
        return [one.save for one in self.state().saved.values() if one.save.on]

    def blocked(self) -> list[str]:
        return sorted(account for account, one in self.state().blocked.items() if one.on)

    def preferences(self) -> Preferences:
        return self.state().preferences

    def draft(self, room: str, text: str, *, parent: str | None = None) -> None:
        """Empty: it was sent, or given up."""
        body = {"format": "m.plain.v1", "text": text} if text else None
        self._make({"type": "draft", "room": room, "parent": parent, "body": body})

    def save(self, room: str, message: str, note: str = "", *, on: bool = True) -> None:
        self._make({"type": "save", "room": room, "id": message, "note": note, "on": on})

    def block(self, account: str, *, on: bool = True) -> None:
        self._make({"type": "block", "account": account, "on": on})

    def prefer(self, **changed: Any) -> None:
        self._make({"type": "prefer", **changed})

    def _make(self, op: Frame) -> None:
        self._client.make(PATH, op)

    async def synced(self, seconds: float = 30.0) -> None:
        await self._client.synced(PATH, seconds)


def state_of(replica: Replica) -> AccountState:
    return folded(replica.file.state, AccountState, entries_of(replica, AccountEntry))


def advanced(state: bytes, leaving: list[Frame]) -> bytes:
    """The state after entries that are not kept any longer."""
    return msgspec.json.encode(folded(state, AccountState, read(leaving, AccountEntry)))
