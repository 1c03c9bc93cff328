"""Sync sessions over rooms and accounts: partitions, who acts, and the hub behind the socket."""

from __future__ import annotations

from dataclasses import dataclass

from signaling.access.door import Door
from signaling.access.evaluate import Granted
from signaling.accounts.principal import Principal
from signaling.accounts.sessions.port import Holders
from signaling.chat.ports import Actor
from signaling.compose.chat import Chatting
from signaling.compose.core import Core
from signaling.errors import Code, Refused
from signaling.sync.binding import Paths
from signaling.sync.hub import Hub
from signaling.sync.idents import Idents
from signaling.sync.registry import Registry


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts in a session: the sign-in of its socket, or the access token it was bound with."""

    chatting: Chatting
    door: Door

    async def __call__(
        self, principal: Principal, token: str | None, uuid: str | None
    ) -> tuple[Actor, Granted | None]:
        if token is None and principal.known:
            if principal.account is None:
                raise Refused(Code.NOT_PERMITTED, 403, "Only an account takes part in rooms.")
            return await self.chatting.people.actor(principal), None
        if token is None:
            raise Refused(Code.TOKEN_MISSING, 401, "Bring an access token for this partition.")
        holder, who = await self.door.bearer(principal.app, principal, token, uuid)
        if not isinstance(holder, Granted):
            raise Refused(Code.ACCESS_TOKEN_INVALID, 403, "This access token does not hold.")
        account = uuid or holder.bound or f"token-{holder.ident[:16]}"
        actor = Actor(app=principal.app, account=account, holder=holder, who=who, token=True)
        return actor, holder


def make_sync(
    core: Core, chatting: Chatting, door: Door, holders: Holders, frames: Registry
) -> Hub:
    """Registered with the socket; run and closed by the app."""
    hub = Hub(
        Paths(chatting.chat, chatting.accounts, chatting.circles, Acting(chatting, door)),
        Idents(core.sealer.blind, core.entropy),
        holders,
        core.bus,
        core.clock,
    )
    hub.register(frames)
    return hub
