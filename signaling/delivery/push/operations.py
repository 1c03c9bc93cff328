"""Operations on one's own devices that may be woken, and on what may wake them.

A subscription belongs to the session that registers it. What opens a device (endpoint, keys, token)
is never answered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Principal
from signaling.delivery.push import checks
from signaling.delivery.push.model import (
    ApnsEnvironment,
    PushKind,
    PushSettings,
    Quiet,
    Subscription,
)
from signaling.delivery.push.notifier import Devices
from signaling.delivery.push.quiet import zone
from signaling.delivery.push.register import Lives, Register
from signaling.egress import Egress, EgressRefused
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Body, Call, Operation, Reply
from signaling.ids import Ids

TAG = "Push"
# Refuses pages that wake up and show nothing, after a few times.
NO_SILENCE = ".push.apple.com"


@dataclass(frozen=True, slots=True)
class Deps:
    """`kinds`: those that the operator configured. `lives`: until when a session may at most."""

    register: Register
    devices: Devices
    public_key: str
    kinds: Sequence[PushKind]
    egress: Egress | None
    lives: Lives
    ids: Ids


class PushSubscriptionWish(Body, frozen=True, kw_only=True):
    """As the service gave it to the device: `endpoint`, `p256dh` and `auth` of Web Push and
    UnifiedPush, `token` of APNs and FCM. `withdrawals`: may be sent what shows nothing.
    """

    kind: PushKind
    endpoint: Annotated[str, Meta(max_length=checks.MAX_ENDPOINT)] = ""
    p256dh: Annotated[str, Meta(max_length=128)] = ""
    auth: Annotated[str, Meta(max_length=64)] = ""
    token: Annotated[str, Meta(max_length=checks.MAX_TOKEN)] = ""
    environment: ApnsEnvironment = ApnsEnvironment.PRODUCTION
    voip: bool = False
    withdrawals: bool | None = None


class PushSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """`current`: registered by the session that asks."""

    id: str
    kind: PushKind
    device: str
    environment: ApnsEnvironment
    voip: bool
    withdrawals: bool
    created_at: float
    current: bool


class PushSubscriptions(msgspec.Struct, frozen=True):
    """The oldest first."""

    items: list[PushSubscription]


class PushFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`public_key` is the `applicationServerKey` of Web Push (RFC 8292 section 3.2)."""

    public_key: str
    kinds: list[PushKind]


class PushSettingsWish(Body, frozen=True, kw_only=True):
    """All of it. `previews`: show what was written, in rooms that allow it; `time_zone` by its IANA
    name; without `quiet` no hours are.
    """

    previews: bool = False
    reactions: bool = False
    invites: bool = True
    calls: bool = True
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    quiet: Quiet | None = None


def owner(principal: Principal) -> tuple[str, str, str]:
    """App, account and session. Raises Refused (403)."""
    account, session = principal.account, principal.session
    if principal.kind is not PrincipalKind.ACCOUNT or account is None or session is None:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account's own devices are woken.")
    return principal.app, account, session


def _nothing() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such subscription.")


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._deps, self._register = deps, deps.register

    async def facts(self, call: Call[None]) -> PushFacts:
        return PushFacts(public_key=self._deps.public_key, kinds=list(self._deps.kinds))

    async def add(self, call: Call[PushSubscriptionWish]) -> Reply:
        app, account, session = owner(call.principal)
        wish = call.body
        if not await self._deps.devices.agreed(app, account):
            raise Refused(Code.CONSENT_REQUIRED, 403, "Agree to the purpose `push` first.")
        if wish.kind not in self._deps.kinds:
            raise checks.invalid("/kind", "The operator has not set up this service.")
        made = Subscription(
            id=self._deps.ids.new(), account=account, session=session,
            device=call.principal.device or "", kind=wish.kind, created=call.now,
            **await self._way(wish),
        )  # fmt: skip
        made = await self._register.add(app, made, await self._deps.lives(app, session))
        call.note.target = f"push:{made.id}"
        call.note.details["kind"] = made.kind.value
        return Reply(_answer(made, session), status=201)

    async def _way(self, wish: PushSubscriptionWish) -> dict[str, Any]:
        if wish.kind in (PushKind.WEB_PUSH, PushKind.UNIFIED_PUSH):
            _only(wish, "endpoint", "p256dh", "auth")
            found = {
                "endpoint": checks.endpoint(wish.endpoint),
                "p256dh": checks.point(wish.p256dh),
                "auth": checks.auth(wish.auth),
            }
            await self._judge(wish.endpoint)
            host = wish.endpoint.partition("://")[2].partition("/")[0].lower()
            usual = not host.endswith(NO_SILENCE)
            withdrawals = usual if wish.withdrawals is None else wish.withdrawals
            return {**found, "withdrawals": withdrawals}
        _only(wish, "token", *(("environment", "voip") if wish.kind is PushKind.APNS else ()))
        return {
            "token": checks.token(wish.kind, wish.token),
            "environment": wish.environment,
            "voip": wish.voip,
            "withdrawals": wish.withdrawals is not False,
        }

    async def _judge(self, endpoint: str) -> None:
        if self._deps.egress is None:
            return
        try:
            await self._deps.egress.check(endpoint)
        except EgressRefused as error:
            raise checks.invalid("/endpoint", f"This server may not call it: {error}.") from None

    async def list(self, call: Call[None]) -> PushSubscriptions:
        app, account, session = owner(call.principal)
        mine = await self._register.of(app, account)
        return PushSubscriptions([_answer(one, session) for one in mine])

    async def remove(self, call: Call[None]) -> Reply:
        app, account, _ = owner(call.principal)
        ident = call.path["push_id"]
        call.note.target = f"push:{ident}"
        if not await self._register.remove(app, account, ident):
            raise _nothing()
        return Reply(status=204)

    async def test(self, call: Call[None]) -> Reply:
        app, account, _ = owner(call.principal)
        one = await self._register.get(app, call.path["push_id"])
        if one is None or one.account != account:
            raise _nothing()
        await self._deps.devices.test(app, one)
        return Reply(status=202)

    async def settings(self, call: Call[None]) -> PushSettings:
        app, account, _ = owner(call.principal)
        return await self._register.settings(app, account)

    async def set_settings(self, call: Call[PushSettingsWish]) -> PushSettings:
        app, account, _ = owner(call.principal)
        if zone(call.body.time_zone) is None:
            raise checks.invalid("/time_zone", "The IANA database has no such time zone.")
        wish = PushSettings(**{name: getattr(call.body, name) for name in _SETTINGS})
        await self._register.set_settings(app, account, wish)
        return wish


_SETTINGS = PushSettings.__struct_fields__
# What only some kinds have.
_USUAL = {
    "endpoint": "", "p256dh": "", "auth": "", "token": "", "voip": False,
    "environment": ApnsEnvironment.PRODUCTION,
}  # fmt: skip


def _only(wish: PushSubscriptionWish, *names: str) -> None:
    for name, usual in _USUAL.items():
        if name not in names and getattr(wish, name) != usual:
            raise checks.invalid(f"/{name}", f"{wish.kind.value} has no such field.")


def _answer(one: Subscription, session: str) -> PushSubscription:
    return PushSubscription(
        id=one.id, kind=one.kind, device=one.device, environment=one.environment, voip=one.voip,
        withdrawals=one.withdrawals, created_at=one.created, current=one.session == session,
    )  # fmt: skip


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)
    one = "/push/subscriptions/{push_id}"
    reads: dict[str, Any] = {"scope": "account:read", "tag": TAG, "errors": (Code.NOT_PERMITTED,)}
    own: dict[str, Any] = {"scope": "account:write", "rate": "write", "tag": TAG}
    writes = {**own, "errors": (Code.NOT_PERMITTED, Code.NOT_FOUND)}
    return [
        Operation("GET", "/push", "getPush", "Which services wake devices, and the key for Web "
                  "Push", do.facts, answer=PushFacts, **reads),
        Operation("POST", "/push/subscriptions", "addPushSubscription", "Let this device be woken",
                  do.add, body=PushSubscriptionWish, answer=PushSubscription, status=201,
                  **{**own, "errors": (Code.NOT_PERMITTED, Code.CONSENT_REQUIRED)}),
        Operation("GET", "/push/subscriptions", "listPushSubscriptions", "Your devices that may "
                  "be woken", do.list, answer=PushSubscriptions, **reads),
        Operation("DELETE", one, "removePushSubscription", "Wake a device no more", do.remove,
                  status=204, **writes),
        Operation("POST", one + "/test", "testPushSubscription", "Send a test notification",
                  do.test, status=202, **writes),
        Operation("GET", "/push/settings", "getPushSettings", "What may wake your devices",
                  do.settings, answer=PushSettings, **reads),
        Operation("PUT", "/push/settings", "setPushSettings", "Change what may wake your devices",
                  do.set_settings, body=PushSettingsWish, answer=PushSettings,
                  **{**own, "errors": (Code.NOT_PERMITTED,)}),
    ]  # fmt: skip
