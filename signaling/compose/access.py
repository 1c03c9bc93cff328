"""The Access Manager over the core: key sets, grants, groups, and the door that everybody asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web

from signaling.access import operations, signed
from signaling.access.door import Door, Standings
from signaling.access.grants import Grants
from signaling.access.groups import Groups
from signaling.access.keysets import KeySets
from signaling.access.tokens import PREFIX
from signaling.accounts.principal import Authenticator, Principal
from signaling.accounts.sessions.port import Revocation, Revoker
from signaling.accounts.sessions.revocation import LookAgain
from signaling.accounts.signin import Directory
from signaling.clock import Clock
from signaling.compose.core import Core
from signaling.config import Limits
from signaling.errors import Unavailable
from signaling.http.api.operation import Operation

log = logging.getLogger(__name__)


# What the administration of accounts says of one that is no more.
REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Access:
    """`hear` must be told of every revocation."""

    clock: Clock
    door: Door
    grants: Grants
    groups: Groups
    keysets: KeySets
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def hear(self, revocation: Revocation) -> None:
        """Every process does so, which does no harm: revoking twice is once."""
        self.grants.hear(revocation)
        if revocation.account is not None and revocation.reason == REMOVED:
            ending = self._end(revocation.app, revocation.account)
            task = asyncio.get_running_loop().create_task(ending)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end(self, app: str, account: str) -> None:
        try:
            await self.grants.revoke_of(app, account)
        except Unavailable:
            log.warning("the tokens of a removed account could not be revoked now")

    def operations(self, limits: Limits) -> list[Operation]:
        signing = signed.Deps(self.grants, self.keysets, self.clock, limits)
        own = operations.Deps(self.door, self.grants, self.groups, self.keysets)
        return [*signed.operations(signing), *operations.operations(own)]


def make_access(core: Core, revoker: Revoker, standings: Standings, directory: Directory) -> Access:
    grants = Grants(core.store, core.sealer, core.clock, core.entropy, revoker, directory)
    return Access(
        clock=core.clock,
        door=Door(grants, standings, core.clock),
        grants=grants,
        groups=Groups(core.store, core.sealer),
        keysets=KeySets(core.store, core.sealer, core.clock, core.ids, core.entropy),
    )


class Planes:
    """The session plane's authenticator, with access tokens sent to their door."""

    def __init__(self, sessions: Authenticator, door: Door, app: str) -> None:
        self._sessions, self._door, self._app = sessions, door, app

    def authenticate(self, request: web.Request) -> Coroutine[Any, Any, Principal]:
        # Nearly every request is of a session, whose authenticator takes the field apart again.
        if PREFIX in request.headers.get(hdrs.AUTHORIZATION, ""):
            fields = request.headers.getall(hdrs.AUTHORIZATION)
            scheme, _, text = fields[0].partition(" ")
            if len(fields) == 1 and scheme.lower() == "bearer" and text.strip().startswith(PREFIX):
                return self._door.plane(request, self._app, text.strip())
        return self._sessions.authenticate(request)


def on_either_plane(sessions: LookAgain, door: Door) -> LookAgain:
    """What something open may go on with: whoever signed in is asked of sessions."""

    async def look_again(principal: Principal) -> Principal | None:
        return await (sessions if principal.known else door.look_again)(principal)

    return look_again
