"""Calls of who signed in or has an access token: their call tokens, whose end reaches the rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from signaling.access import call_operations as access_operations
from signaling.access.calls import AccessAdmission, Passes, RoomPolicy
from signaling.access.door import Door
from signaling.accounts.sessions import call_operations
from signaling.accounts.sessions.calls import CallTokens, SessionAdmission
from signaling.compose.people import People
from signaling.http.api.operation import Operation
from signaling.rtc import IceServer
from signaling.rtc.tokens import ApiKeys


@dataclass(frozen=True, slots=True)
class Calling:
    """`admission` goes into the rooms; stopped by the app."""

    tokens: CallTokens
    passes: Passes
    door: Door
    admission: AccessAdmission

    def operations(self, socket_url: Callable[[web.Request], str]) -> list[Operation]:
        by_token = access_operations.Deps(self.door, self.passes, socket_url)
        return [
            *call_operations.operations(call_operations.CallDeps(self.tokens, socket_url)),
            *access_operations.operations(by_token),
        ]


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
    sessions = SessionAdmission(tokens.rows, people.sessions, people.revocations)
    access = people.access
    holders = people.revocations.register
    return Calling(
        tokens,
        Passes(keys, core.clock, core.ids),
        access.door,
        AccessAdmission(sessions, access.grants, holders, core.clock),
    )
