"""What the steps of an erasure borrow from the rooms of the house: chat, files, store, keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from signaling.chat.account_ops import AccountOp, Draft, Save
from signaling.chat.account_state import AccountState
from signaling.chat.accounts import Accounts
from signaling.chat.doors import Doors
from signaling.chat.later import Later
from signaling.chat.people import People
from signaling.chat.presence import Presences
from signaling.chat.receipts import Receipts
from signaling.chat.reports import Reports
from signaling.chat.service import Chat
from signaling.compliance.erasure.port import Eraser
from signaling.files.service import Files
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.port import Store

# Ops read from a log at a time, and messages erased between two notes of progress.
PAGE = 500
BATCH = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """Owned by the composition root. `others` may be added to until the first job runs."""

    store: Store
    sealer: Sealer
    chat: Chat
    people: People
    accounts: Accounts
    receipts: Receipts
    doors: Doors
    reports: Reports
    presences: Presences
    later: Later
    files: Files
    others: list[Eraser] = field(default_factory=list)

    async def ask_others(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> dict[str, int]:
        """Queues and whatever else was attached; counts by their names."""
        found: dict[str, int] = {}
        for other in self.others:
            count = await other.erase(app, room=room, account=account, messages=messages)
            found[other.name] = found.get(other.name, 0) + count
        return found

    async def forget_own(
        self, app: str, account: str, room: str, messages: Collection[str] | None = None
    ) -> int:
        """What one member saved or drafted in a room, of these messages or at all."""
        try:
            state = await self.accounts.state_of(app, account)
            ops = quoting(state, room, messages)
            if ops:
                await self.accounts.amend(app, account, ops)
        except KeyDestroyed:
            return 0  # the member was erased
        return len(ops)


def quoting(state: AccountState, room: str, messages: Collection[str] | None) -> list[AccountOp]:
    """Ops that take away what an account keeps of these messages of a room; None: of all."""

    def meant(ident: str | None) -> bool:
        return messages is None or (ident is not None and ident in messages)

    found: list[AccountOp] = []
    for saved in state.saved.values():
        save = saved.save
        if save.on and save.room == room and meant(save.id):
            found.append(Save(room=room, id=save.id, on=False))
    for drafted in state.drafts.values():
        draft = drafted.draft
        if draft.body is not None and draft.room == room and meant(draft.parent):
            found.append(Draft(room=room, parent=draft.parent))
    return found
