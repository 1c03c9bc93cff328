"""Calls as the HTTP API shows them, and what it takes. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from signaling.accounts.sessions.call_operations import Relay
from signaling.calls.call import Call, End, Outcome, Phase
from signaling.calls.tokens import MOST
from signaling.chat.bodies import AccountId
from signaling.chat.ops import CallPolicy
from signaling.http.api.operation import Body, Query

CallId = Annotated[str, Meta(min_length=1, max_length=64)]
Some = Annotated[tuple[AccountId, ...], Meta(max_length=100)]
Answered = Literal["rejected", "busy", "not_supported"]


class CallBegin(Body, frozen=True, kw_only=True):
    """`ring`: whether a call that begins rings the room's members; left out, a direct room does.
    `name` is what the others see; left out, the account's.
    """

    ring: bool | None = None
    video: bool = False
    name: Annotated[str, Meta(max_length=64)] = ""


class RingWish(Body, frozen=True, kw_only=True):
    """Members to ring; left out, all who are not in the call."""

    accounts: Some = ()


class AcceptWish(Body, frozen=True, kw_only=True):
    """`call`: the one that rang; left out, the room's."""

    call: CallId | None = None
    name: Annotated[str, Meta(max_length=64)] = ""


class RejectWish(Body, frozen=True, kw_only=True):
    """`reason` `busy`: in another call; `not_supported`: this device cannot, others ring on."""

    call: CallId | None = None
    reason: Answered = "rejected"


class RejectByToken(Body, frozen=True, kw_only=True):
    """`token` came with the ring."""

    token: Annotated[str, Meta(min_length=1, max_length=MOST)]
    reason: Literal["rejected", "busy"] = "rejected"


class CancelWish(Body, frozen=True, kw_only=True):
    """Whom to stop ringing; left out, everybody, which ends a call that nobody answered."""

    call: CallId | None = None
    accounts: Some = ()


class AdmitWish(Body, frozen=True, kw_only=True):
    """Who may come in; left out, all who wait."""

    accounts: Some = ()


class DenyWish(Body, frozen=True, kw_only=True):
    account: AccountId


class HistoryFilter(Query, frozen=True, kw_only=True):
    """`open`: only calls that are not over."""

    open: bool = False


class CalleeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One who was rung. `at` the ring ended; `until` it would."""

    account: str
    outcome: Outcome
    by: str
    until: datetime
    at: datetime | None = None


class CallAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`mine`: what became of the ring for you; `reject_token`, while it rings: says no without a
    session. `inside` are the accounts that are in now, `took_part` all that were. Of a call that
    you wait for in the lobby (`waiting`) you see nobody. Media is encrypted between each device
    and the server, not end to end (`encryption`).
    """

    id: str
    room: str
    state: Phase
    video: bool
    waiting: bool
    made_at: datetime
    caller: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: int = 0
    outcome: End | None = None
    mine: Outcome | None = None
    reject_token: str | None = None
    callees: list[CalleeAnswer] = []
    inside: list[str] = []
    took_part: list[str] = []
    encryption: CallPolicy = CallPolicy.NONE


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Join `url` with `token` as a LiveKit client does; it ends with the session. Without a token
    you wait in the lobby (`call.waiting`), or the call ended at once since all were busy.
    """

    call: CallAnswer
    token: str | None = None
    url: str | None = None
    identity: str | None = None
    expires_in: int | None = None
    ice_servers: list[Relay] = []
    encryption: CallPolicy = CallPolicy.NONE


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in the lobby."""

    account: str
    name: str
    since: datetime


class LobbyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Who waits, the longest first; who was let in or not."""

    call: str
    waiting: list[Waiting]
    admitted: list[str]
    denied: list[str]


def when(unix: float) -> datetime | None:
    return datetime.fromtimestamp(unix, UTC) if unix else None


def _at(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def call_answer(call: Call, account: str, *, sees: bool, reject: str | None = None) -> CallAnswer:
    """As this account sees it."""
    mine = call.callees.get(account)
    bare = CallAnswer(
        id=call.id, room=call.room, state=call.phase, video=call.video,
        waiting=account in call.waiting, made_at=_at(call.made),
    )  # fmt: skip
    if not sees:
        return bare
    return msgspec.structs.replace(
        bare,
        caller=call.caller or None,
        started_at=when(call.up),
        ended_at=when(call.ended),
        seconds=call.seconds,
        outcome=call.end,
        mine=None if mine is None or mine.silent else mine.outcome,
        reject_token=reject,
        callees=[
            CalleeAnswer(
                account=one, outcome=callee.outcome, by=callee.by, until=_at(callee.until),
                at=when(callee.at),
            )
            for one, callee in call.callees.items()
        ],
        inside=call.inside,
        took_part=list(call.took),
    )  # fmt: skip
