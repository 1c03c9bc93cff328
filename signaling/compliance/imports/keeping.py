"""Drafts and saved messages of an archive, for the accounts that an administrator named.

They come last, once what they are about is here; what somebody has in the same place already stays
as it is, so repeating it changes nothing. Only for members, and only what the room's mode allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from signaling.chat.account_ops import AccountOp, Draft, Save
from signaling.chat.account_state import AccountState, draft_key, save_key
from signaling.chat.accounts import Accounts
from signaling.chat.bodies import Plain
from signaling.chat.ops import Mode
from signaling.chat.room import Room
from signaling.chat.state import RANK
from signaling.compliance.imports.bringing import Bringing
from signaling.compliance.imports.port import Kept
from signaling.compliance.imports.rooms import Filling
from signaling.keys.port import KeyDestroyed


class Keeping:
    """Of one import. `found` counts what came and what did not."""

    def __init__(self, accounts: Accounts, app: str, bringing: Bringing, now: float) -> None:
        self._accounts, self._app, self._bringing, self._now = accounts, app, bringing, now
        self.found: Counter[str] = Counter()

    async def bring(self, some: Iterable[tuple[Kept, Filling | None]]) -> None:
        for kept, filling in some:
            try:
                op = None if filling is None else await self._op(kept, filling)
            except KeyDestroyed:
                op = None  # the account or the room was erased meanwhile
            word = "saved" if kept.body is None else "drafts"
            self.found[word if op is not None else "skipped"] += 1

    async def _op(self, kept: Kept, filling: Filling) -> AccountOp | None:
        """What was brought; None when it cannot be."""
        account, room = self._bringing.cast.account(kept.person), await filling.room()
        if account is None or room.state.part(account) not in RANK:
            return None
        message = None
        if kept.message:
            message = self._bringing.ident(filling.place.id, kept.message)
            if not await filling.has(message):
                return None
        op = self._made(kept, room, message)
        state = await self._accounts.state_of(self._app, account)
        if op is not None and not _is_there(state, op):
            await self._accounts.amend(self._app, account, [op])
        return op

    def _made(self, kept: Kept, room: Room, message: str | None) -> AccountOp | None:
        if kept.body is None:
            remind = None
            if kept.remind is not None and kept.remind > self._now:
                remind = datetime.fromtimestamp(kept.remind, UTC)
            if message is None:
                return None
            return Save(room=room.id, id=message, note=kept.note, remind_at=remind)
        if not isinstance(kept.body, Plain) or room.state.mode is not Mode.SEARCHABLE:
            return None  # ciphertext is of the device that made it
        return Draft(room=room.id, parent=message, body=replace(kept.body, files=()))


def _is_there(state: AccountState, op: AccountOp) -> bool:
    """Also what was taken away again."""
    if isinstance(op, Draft):
        return draft_key(op) in state.drafts
    return isinstance(op, Save) and save_key(op) in state.saved
