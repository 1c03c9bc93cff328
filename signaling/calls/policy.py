"""What an account may do in a call, with the lobby of its room before it. Implements `Policy`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.calls import Policy
from signaling.accounts.signin import AccountView
from signaling.ids import is_id
from signaling.rtc.grants import VideoGrant

Gate = Callable[[str, str, str], Awaitable[None]]
"""Of app, account and room. Raises Refused (403)."""


class Gated:
    """`inner` decides; then who must wait is refused."""

    def __init__(self, inner: Policy, gate: Gate) -> None:
        self._inner, self._gate = inner, gate

    async def __call__(self, principal: Principal, view: AccountView, room: str) -> VideoGrant:
        grant = await self._inner(principal, view, room)
        if is_id(room):
            await self._gate(principal.app, principal.account or "", room)
        return grant
