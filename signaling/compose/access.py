"""The Access Manager over the core: key sets, grants, groups, and the door that everybody asks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aiohttp import hdrs, web

from signaling.access import operations, signed
from signaling.access.door import Door, Standings
from signaling.access.grants import Grants
from signaling.access.groups import Groups
from signaling.access.keysets import KeySets
from signaling.access.roles import Standing
from signaling.access.tokens import PREFIX
from signaling.accounts.principal import Authenticator, Kind, Principal
from signaling.accounts.sessions.port import Revoker
from signaling.accounts.sessions.revocation import LookAgain, Revocations
from signaling.clock import Clock, SystemClock
from signaling.compose.core import Core
from signaling.config import Limits
from signaling.http.api.operation import Operation
from signaling.ids import Entropy, Ids, SystemEntropy, SystemIds
from signaling.keys.port import Sealer
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Store


@dataclass(frozen=True, slots=True)
class Access:
    """`grants.hear` must be told of every revocation."""

    clock: Clock
    door: Door
    grants: Grants
    groups: Groups
    keysets: KeySets

    def operations(self, limits: Limits) -> list[Operation]:
        signing = signed.Deps(self.grants, self.keysets, self.clock, limits)
        own = operations.Deps(self.door, self.grants, self.groups, self.keysets)
        return [*signed.operations(signing), *operations.operations(own)]


def make_access(core: Core, revoker: Revoker, standings: Standings) -> Access:
    return _over(core.store, core.sealer, core.clock, core.ids, core.entropy, revoker, standings)


def _over(
    store: Store,
    sealer: Sealer,
    clock: Clock,
    ids: Ids,
    entropy: Entropy,
    revoker: Revoker,
    standings: Standings,
) -> Access:
    grants = Grants(store, sealer, clock, entropy, revoker)
    return Access(
        clock=clock,
        door=Door(grants, standings, clock),
        grants=grants,
        groups=Groups(store, sealer),
        keysets=KeySets(store, sealer, clock, ids, entropy),
    )


async def open_access(core: Core, stack: contextlib.AsyncExitStack) -> Access:
    """With revocations of its own: for a server that has no sessions."""
    revocations = Revocations(core.store, core.bus, core.ids)
    access = make_access(core, revocations, OpenRooms())
    revocations.listen(access.grants.hear)
    revocations.start(access.door.look_again)
    stack.push_async_callback(revocations.stop)
    return access


class OpenRooms:
    """Until rooms have members: whoever signed in is a member of every room that they name, as a
    call's room is whoever knows its name. Guests are in the rooms of their link, which name them.
    """

    async def of(self, principal: Principal) -> Mapping[str, Standing]:
        if principal.kind in (Kind.ACCOUNT, Kind.BOT):
            return _Everywhere()
        return {}


class _Everywhere(dict[str, Standing]):
    def get(self, key: str, default: object = None) -> Standing:
        return Standing.MEMBER


class Planes:
    """The session plane's authenticator, with access tokens sent to their door."""

    def __init__(self, sessions: Authenticator, door: Door, app: str) -> None:
        self._sessions, self._door, self._app = sessions, door, app

    async def authenticate(self, request: web.Request) -> Principal:
        fields = request.headers.getall(hdrs.AUTHORIZATION, [])
        if len(fields) == 1:
            scheme, _, text = fields[0].partition(" ")
            if scheme.lower() == "bearer" and text.strip().startswith(PREFIX):
                return await self._door.plane(request, self._app, text.strip())
        return await self._sessions.authenticate(request)


def on_either_plane(sessions: LookAgain, door: Door) -> LookAgain:
    """What something open may go on with: whoever signed in is asked of sessions."""

    async def look_again(principal: Principal) -> Principal | None:
        return await (sessions if principal.known else door.look_again)(principal)

    return look_again


def described_access(limits: Limits) -> list[Operation]:
    """For the documents: handlers that nobody calls, over a store in memory."""
    clock = SystemClock()
    made = _over(
        MemoryStore(clock),
        cast("Sealer", None),
        clock,
        SystemIds(clock),
        SystemEntropy(),
        cast("Revoker", None),
        OpenRooms(),
    )
    return made.operations(limits)
