"""Calls of who signed in or has an access token: their call tokens, whose end reaches the rooms,
and the calls of chat's rooms: ringing, timeline, history, lobby.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from signaling.access import call_operations as access_operations
from signaling.access.calls import AccessAdmission, Passes, RoomPolicy
from signaling.access.door import Door
from signaling.accounts.sessions import call_operations
from signaling.accounts.sessions.calls import CallTokens, SessionAdmission
from signaling.accounts.sessions.port import Change, Revocation, Revoker
from signaling.accounts.signin import Directory
from signaling.calls import operations as room_operations
from signaling.calls.ears import Ears
from signaling.calls.following import Following
from signaling.calls.keeper import Keeper
from signaling.calls.policy import Gated
from signaling.calls.port import Media
from signaling.calls.records import Records
from signaling.calls.service import Calls
from signaling.calls.verbs import Present, Rules
from signaling.compose.chat import Chatting
from signaling.compose.core import Core
from signaling.compose.people import People
from signaling.config import Config
from signaling.http.api.operation import Operation
from signaling.rtc import IceServer, Rooms
from signaling.rtc.tokens import ApiKeys


@dataclass(frozen=True, slots=True)
class Leave:
    """Every process hears of a revocation. Implements `Leaving`."""

    revoker: Revoker

    async def leave(self, app: str, account: str | None, room: str) -> None:
        await self.revoker.revoke(
            Revocation(app=app, account=account, room=room, reason="left the call")
        )

    async def look(self, app: str, account: str | None, room: str) -> None:
        await self.revoker.revoke(
            Revocation(
                app=app, account=account, room=room, change=Change.CHANGED, reason="part changed"
            )
        )


@dataclass(frozen=True, slots=True)
class Ringing:
    """Calls of chat's rooms in one process."""

    calls: Calls
    keeper: Keeper
    chatting: Chatting
    directory: Directory

    async def is_room(self, name: str) -> bool:
        """Whether a room of chat has this name."""
        following = self.calls.following
        return await following.room(self.chatting.core.app, name) is not None

    def operations(
        self, tokens: CallTokens, socket_url: Callable[[web.Request], str]
    ) -> list[Operation]:
        deps = room_operations.Deps(
            self.calls, self.chatting.people, self.directory, tokens, socket_url
        )
        return room_operations.operations(deps)


def rules_of(config: Config) -> Rules:
    ringing = config.ringing
    return Rules(
        ring=ringing.ring_seconds, setup=ringing.setup_seconds, empty=ringing.empty_seconds,
        lobby=ringing.lobby_seconds,
    )  # fmt: skip


def make_ringing(
    core: Core, chatting: Chatting, directory: Directory, look: Callable[[], None]
) -> Ringing:
    """`look` makes the media server say who is in."""
    records = Records(core.store, core.sealer)
    following = Following(
        records, chatting.chat, chatting.accounts, core.sealer, core.clock,
        rules_of(core.config), core.config.ringing.history_days,
    )  # fmt: skip
    calls = Calls(records, following, chatting.wishes, core.ids, busy=core.config.ringing.busy)
    chatting.chat.committed.append(calls.committed)
    return Ringing(calls, Keeper(following, look), chatting, directory)


@dataclass(frozen=True, slots=True)
class Calling:
    """`ears` are the rooms' hooks and admission. Run, and stopped, by the app."""

    core: Core
    tokens: CallTokens
    passes: Passes
    door: Door
    admission: AccessAdmission
    ears: Ears
    ringing: Ringing

    def operations(self, socket_url: Callable[[web.Request], str]) -> list[Operation]:
        gate = self.ringing.calls.refuse_banned
        by_token = access_operations.Deps(self.door, self.passes, socket_url, gate)
        return [
            *call_operations.operations(call_operations.CallDeps(self.tokens, socket_url)),
            *access_operations.operations(by_token),
            *self.ringing.operations(self.tokens, socket_url),
        ]

    def listen(self, rooms: Rooms) -> None:
        """To the media server's rooms."""
        app, calls = self.core.app, self.ringing.calls

        async def hear(room: str, word: Present) -> None:
            await calls.heard(app, room, word)

        media: Media = self.ears
        calls.following.media = media
        self.ears.listen(rooms, hear)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Each runs until it is cancelled."""
        return [self.ears.run(), self.ringing.keeper.run(self.core.app)]


def make_calling(
    people: People, keys: ApiKeys, ice_servers: Callable[[str], Sequence[IceServer]]
) -> Calling:
    core = people.core
    tokens = CallTokens(
        core.store,
        people.sessions,
        people.service.registry,
        people.revocations,
        keys,
        core.ids,
        ice_servers,
        core.config.calls.token_seconds,
        RoomPolicy(people.chatting.people, core.clock),
        core.sealer,
    )
    sessions = SessionAdmission(tokens, people.revocations)
    access = people.access
    holders = people.revocations.register
    admission = AccessAdmission(sessions, access.grants, holders, core.clock)
    ears = Ears(admission)
    ringing = make_ringing(core, people.chatting, people.service.registry, ears.look)
    ringing.calls.following.leaving = Leave(people.revocations)
    tokens.door = Gated(tokens.policy, ringing.calls.gate)
    passes = Passes(keys, core.clock, core.ids)
    return Calling(core, tokens, passes, access.door, admission, ears, ringing)
