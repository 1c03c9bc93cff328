"""`POST /api/v1/access/call-tokens`: into a room's call with an access token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from signaling.access.calls import Passes
from signaling.access.door import Door
from signaling.access.evaluate import Ask, Granted
from signaling.access.operations import WhoQuery
from signaling.access.permissions import Operation as Act
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Auth, Body, Call, Operation


class PassWish(Body, frozen=True, kw_only=True):
    """`name` is what the others see; left out, it is the uuid."""

    room: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(max_length=64)] = ""


class PassAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Join `url` with `token` as a LiveKit client does. It ends with the access token."""

    token: str
    url: str
    identity: str
    expires_in: int


Gate = Callable[[str, str, str], Awaitable[None]]
"""Of app, account and room. Raises Refused for who was banned, whatever they hold."""


class Deps(msgspec.Struct, frozen=True):
    """`socket_url`: where LiveKit clients connect, for who asked by this request."""

    door: Door
    passes: Passes
    socket_url: Callable[[web.Request], str]
    gate: Gate | None = None


class Handlers:
    def __init__(self, deps: Deps) -> None:
        self._door, self._passes = deps.door, deps.passes
        self._socket_url, self._gate = deps.socket_url, deps.gate

    async def issue(self, call: Call[PassWish]) -> PassAnswer:
        room, name, uuid = call.body.room, call.body.name, call.query.uuid
        if not name.isprintable():
            raise ClientError(Code.FIELDS_INVALID, 422, "The name has control characters.")
        ask = Ask(Act.JOIN_CALL, (room,))
        holder = await self._door.require(call.request, call.principal, ask, uuid)
        if not isinstance(holder, Granted):
            # Whoever signed in has a way of their own, which knows their account and device.
            raise Refused(Code.NOT_PERMITTED, 403, "Use /api/v1/calls/tokens when signed in.")
        if self._gate is not None:
            await self._gate(holder.app, uuid or holder.bound or "", room)
        made = self._passes.issue(holder, room, uuid, name)
        return PassAnswer(
            token=made.token,
            url=self._socket_url(call.request),
            identity=made.identity,
            expires_in=made.expires_in,
        )


def operations(deps: Deps) -> list[Operation]:
    return [
        Operation(
            "POST", "/access/call-tokens", "createCallTokenByAccessToken",
            "A call token for the bearer of an access token", Handlers(deps).issue,
            body=PassWish, query=WhoQuery, answer=PassAnswer, status=201, auth=Auth.ACCESS,
            idempotent=False, tag="Access Manager",
            errors=(
                Code.ACCESS_DENIED, Code.ACCESS_TOKEN_INVALID, Code.ACCESS_TOKEN_EXPIRED,
                Code.ACCESS_TOKEN_REVOKED, Code.NOT_PERMITTED, Code.INSUFFICIENT_SCOPE,
                Code.BANNED,
            ),
        )
    ]  # fmt: skip
