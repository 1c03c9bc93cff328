"""`POST /api/join`: a call token for whoever types a name and a room, where the operator allows it.

Off in production unless `calls.guest_join` is on; accounts replace it later. Driven by `app`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from signaling.config import Config
from signaling.errors import ClientError, Code
from signaling.http.api.operation import Auth, Body, Call, Operation
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue


class JoinRequest(Body, frozen=True):
    room: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class JoinAnswer(msgspec.Struct, frozen=True):
    token: str
    url: str
    identity: str


class Guests:
    """Makes identities that nobody can guess or choose: nobody pushes another out by taking one."""

    def __init__(
        self,
        config: Config,
        keys: ApiKeys,
        new_identity: Callable[[], str],
        clock: Callable[[], float] = time.time,  # noqa: TID251 - the adapter that reads it
        is_room: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """`is_room`: whether a lasting room has this name; it has members, and guests by link."""
        self._config = config
        self._keys = keys
        self._new_identity = new_identity
        self._clock = clock
        self._is_room = is_room

    def operations(self) -> list[Operation]:
        return [
            Operation(
                method="POST",
                path="/join",
                id="createGuestCallToken",
                summary="A call token for a guest, where the operator allows it",
                handler=self.join,
                body=JoinRequest,
                answer=JoinAnswer,
                auth=Auth.NONE,
                base="/api",
                idempotent=False,
                errors=(Code.NOT_PERMITTED,),
                tag="calls",
            )
        ]

    async def join(self, call: Call[JoinRequest]) -> JoinAnswer:
        if not self._config.calls.guest_join:
            raise ClientError(
                Code.NOT_PERMITTED, 403, "This server gives call tokens to its own users only."
            )
        room, name = _clean(call.body.room, "room"), _clean(call.body.name, "name")
        if self._is_room is not None and await self._is_room(room):
            raise ClientError(Code.NOT_PERMITTED, 403, "Only who belongs to this room joins it.")
        identity = self._new_identity()
        grant = VideoGrant(room=room, room_join=True, update_own_metadata=True)
        claims = Claims(
            key=self._keys.first(), identity=identity, name=name, video=grant, has_video=True
        )
        token = issue(self._keys, claims, self._clock(), self._config.calls.token_seconds)
        url = socket_url(call.request, self._config)
        return JoinAnswer(token=token, url=url, identity=identity)


def _clean(text: str, what: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ClientError(Code.BAD_REQUEST, 422, f"The {what} is empty or has control characters.")
    return text


def socket_url(request: web.Request, config: Config) -> str:
    """Where the page came from; behind a proxy, the URL that the operator wrote."""
    if config.http.public_url:
        return config.http.public_url.replace("http", "ws", 1).rstrip("/")
    return f"{'wss' if request.secure else 'ws'}://{request.host}"
