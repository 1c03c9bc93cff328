"""From a request, a socket or a call to a holder, and from a decision to an answer.

The adapter in front of `evaluate` that every part of the server asks: `holder_of` says who it is
on either plane, `require` raises what that plane answers. The session plane's authenticator hands
`am_` tokens here (`plane`). Nothing about a resource is looked up before the decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec
from aiohttp import web

from signaling.access import roles
from signaling.access.evaluate import ALLOWED, Ask, Decision, Granted, Holder, Nobody, evaluate
from signaling.access.grants import Grants
from signaling.access.roles import Standing
from signaling.access.wire import refusal, session_refusal
from signaling.accounts.principal import Principal, Via
from signaling.clock import Clock
from signaling.errors import ClientError

# Every refusal of a token leaves this late, whatever was found wrong with it and however soon: the
# longest way (a signature, two look-ups in a local store) is done by then.
REFUSAL_SECONDS = 0.005
_HOLDER = web.RequestKey("access.holder", Granted)


class Standings(Protocol):
    """What an account is in each room; a room that is not in the answer is a stranger's."""

    async def of(self, principal: Principal) -> Mapping[str, Standing]: ...


class Door:
    """Owned by the composition root; one for each process."""

    def __init__(self, grants: Grants, standings: Standings, clock: Clock) -> None:
        self._grants, self._standings, self._clock = grants, standings, clock

    async def plane(self, request: web.Request, app: str, text: str) -> Principal:
        """The principal of an access token: nobody who is signed in, but with a `token`.

        Raises Refused (403) for a token that says nothing now.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        holder = await self._grants.find(app, text)
        if not isinstance(holder, Granted) or holder.fault is not None:
            await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - loop.time()))
            raise refusal(Decision(holder.fault or Nobody().fault))
        request[_HOLDER] = holder
        return principal_of(holder)

    async def look_again(self, principal: Principal) -> Principal | None:
        """What something open may go on with; None when its token ended. Raises Unavailable."""
        if principal.token is None:
            return None
        holder = await self._grants.again(principal.app, principal.token)
        if not isinstance(holder, Granted) or holder.fault is not None:
            return None
        return principal_of(holder)

    async def holder_of(
        self, request: web.Request, principal: Principal, uuid: str | None = None
    ) -> tuple[Holder, tuple[str, ...]]:
        """The holder, and the uuids that it has shown to be: a session its account and device, the
        bearer of a bare token the one they claim.
        """
        granted = request.get(_HOLDER)
        if granted is not None:
            return granted, () if uuid is None else (uuid,)
        standings = await self._standings.of(principal) if principal.known else {}
        return roles.holder(principal, standings), roles.uuids_of(principal)

    async def again(
        self, principal: Principal, uuid: str | None = None
    ) -> tuple[Holder, tuple[str, ...]]:
        """`holder_of` later and without the request, for what this principal opened."""
        if principal.known:
            standings = await self._standings.of(principal)
            return roles.holder(principal, standings), roles.uuids_of(principal)
        holder = await self._grants.again(principal.app, principal.token or "")
        return holder, () if uuid is None else (uuid,)

    async def bearer(
        self, app: str, principal: Principal, token: str | None, uuid: str | None
    ) -> tuple[Holder, tuple[str, ...]]:
        """`holder_of` where the token comes in a message. Takes as long for a bad one as HTTP."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if token is None:
            standings = await self._standings.of(principal) if principal.known else {}
            return roles.holder(principal, standings), roles.uuids_of(principal)
        holder = await self._grants.find(app, token)
        if holder.fault is not None:
            await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - loop.time()))
        # Whoever signed in cannot claim to be somebody else with a token.
        who = roles.uuids_of(principal) if principal.known else () if uuid is None else (uuid,)
        return holder, who

    async def require(
        self, request: web.Request, principal: Principal, ask: Ask, uuid: str | None = None
    ) -> Holder:
        """Raises Refused: 403 of the Access Manager, or 401 and 403 of the session plane."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        holder, who = await self.holder_of(request, principal, uuid)
        decision = evaluate(holder, ask, who, self._clock.unix())
        if decision is ALLOWED:
            return holder
        await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - loop.time()))
        if isinstance(holder, roles.Session):
            raise session_refusal(decision, ask.operation.scope)
        raise refusal(decision)


def principal_of(granted: Granted) -> Principal:
    """For the register of what is open: found by its token, ended with it. It has no roles, no
    scopes and is not `known`: what asks for a session is not for it.
    """
    return Principal(
        app=granted.app, token=granted.ident, via=Via.BEARER, valid_until=granted.until
    )


def whose(granted: Granted) -> Principal:
    """For what is open by a token for one account: the end of that account ends it too."""
    return msgspec.structs.replace(principal_of(granted), account=granted.bound)


async def late(error: ClientError, started: float) -> ClientError:
    """The same error, not before the common time of refusals."""
    await asyncio.sleep(max(0.0, started + REFUSAL_SECONDS - asyncio.get_running_loop().time()))
    return error
