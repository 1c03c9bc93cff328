"""What an account lets others do with it: begin a direct room, add it to a room, ring it.

Its own preferences, kept to by the server on every way in. A block stands above all of them. Who
acts by an access token is the operator's own server and is not asked.
"""

from __future__ import annotations

from signaling.chat.account_ops import Visibility
from signaling.chat.accounts import Accounts
from signaling.chat.people import People
from signaling.chat.ports import Actor
from signaling.errors import Code, Refused


class Wishes:
    """One for each process."""

    def __init__(self, accounts: Accounts, people: People) -> None:
        self._accounts, self._people = accounts, people

    async def may_begin(self, actor: Actor, account: str) -> None:
        """Raises Refused: the other wants no direct room with this one."""
        state = await self._accounts.state_of(actor.app, account)
        if state.blocks(actor.account) or not await self._allows(
            state.preferences.direct_from, actor, account
        ):
            raise Refused(Code.NOT_PERMITTED, 403, "You cannot begin this room.")

    async def may_add(self, actor: Actor, account: str) -> None:
        """Raises Refused: the other wants to be invited."""
        if actor.token or account == actor.account:
            return
        state = await self._accounts.state_of(actor.app, account)
        if not await self._allows(state.preferences.added_by, actor, account):
            raise Refused(Code.NOT_PERMITTED, 403, "Some of them can be invited only.")

    async def hears(self, app: str, caller: str, account: str) -> bool:
        """Whether a ring may be heard. Who rings in a room shares that one with whom it rings."""
        state = await self._accounts.state_of(app, account)
        return not state.blocks(caller) and state.preferences.calls_from is not Visibility.NOBODY

    async def _allows(self, wish: Visibility, actor: Actor, account: str) -> bool:
        if wish is Visibility.CONTACTS:
            return await self._people.share(actor.app, actor.account, account)
        return wish is Visibility.EVERYONE
