"""Call tokens on the HTTP API: one for a room, and taking one's own back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from signaling.accounts.sessions.calls import SCOPE, CallTokens
from signaling.errors import ClientError, Code
from signaling.http.api.operation import Body, Call, Operation, Recording, Reply

_TAG = "Calls"


class CallWish(Body, frozen=True):
    """`name` is what the others see; left out, it is the account's."""

    room: Annotated[str, Meta(min_length=1, max_length=128)]
    name: Annotated[str, Meta(max_length=64)] = ""


class Relay(msgspec.Struct, frozen=True):
    """A TURN server for this device and room, as `RTCIceServer` has it."""

    urls: list[str]
    username: str
    credential: str


class CallTokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Join `url` with `token` as a LiveKit client does. It ends with the session."""

    id: str
    token: str
    url: str
    identity: str
    expires_in: int
    ice_servers: list[Relay]


class CallDeps(msgspec.Struct, frozen=True):
    """`socket_url`: where LiveKit clients connect, for who asked by this request."""

    tokens: CallTokens
    socket_url: Callable[[web.Request], str]


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: CallDeps) -> None:
        self._tokens = deps.tokens
        self._socket_url = deps.socket_url

    async def issue(self, call: Call[CallWish]) -> CallTokenAnswer:
        room, name = call.body.room, call.body.name
        if not room.isprintable() or not name.isprintable() or room != room.strip():
            message = "The room or the name has control characters or spaces around it."
            raise ClientError(Code.BAD_REQUEST, 422, message)
        made = await self._tokens.issue(call.principal, room, name)
        call.note.target = f"call-token:{made.id}"
        return CallTokenAnswer(
            id=made.id,
            token=made.token,
            url=self._socket_url(call.request),
            identity=made.identity,
            expires_in=made.expires_in,
            ice_servers=[Relay(list(s.urls), s.username, s.credential) for s in made.turn],
        )

    async def take_back(self, call: Call[None]) -> Reply:
        call.note.target = f"call-token:{call.path['token_id']}"
        await self._tokens.take_back(call.principal, call.path["token_id"])
        return Reply(status=204)


def operations(deps: CallDeps) -> list[Operation]:
    do = Handlers(deps)
    return [
        Operation(
            "POST", "/calls/tokens", "createCallToken", "A token to join the call of a room",
            do.issue, body=CallWish, answer=CallTokenAnswer, status=201, scope=SCOPE,
            idempotent=False, errors=(Code.NOT_PERMITTED,), tag=_TAG,
        ),
        Operation(
            "DELETE", "/calls/tokens/{token_id}", "revokeCallToken",
            "Take a call token back: who joined with it leaves", do.take_back, status=204,
            scope=SCOPE, recording=Recording.DURABLE, errors=(Code.NOT_FOUND,), tag=_TAG,
        ),
    ]  # fmt: skip
