"""The HTTP operations of key management: what is asked, who may, and what is shown of a key.

Nothing that they show opens anything. `master` stands for the installation's master key, which only
the installation's own app may touch. The custodian decides and records; this translates.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from signaling.accounts.principal import Role
from signaling.errors import Code
from signaling.http.api import Auth, Body, Call, Operation, Page, Recording
from signaling.keys.custodian import Custodian
from signaling.keys.lifecycle import KeySet, State, Version
from signaling.keys.permissions import DEFAULTS, READERS, Actor, Permission, permissions_of
from signaling.keys.port import INSTALLATION, UnknownKey
from signaling.keys.rewrap import Rewrap
from signaling.keys.table import MASTER_ID

MASTER = "master"
TAG = "keys"


class VersionShown(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a key. `master` wraps it; a master key names its `provider` instead."""

    version: int
    state: State
    created_at: datetime
    changed_at: datetime
    master: int | None = None
    provider: str | None = None
    reference: str | None = None
    wraps: int | None = None
    due_at: datetime | None = None
    requested_by: str | None = None
    approved_by: str | None = None


class KeyShown(msgspec.Struct, frozen=True):
    """A key and its versions, the oldest first. `scope` says what it seals."""

    id: str
    scope: str
    versions: list[VersionShown]


class MasterWish(Body, frozen=True):
    """For the master key: where the new version is, or is made. Empty: as before."""

    provider: Annotated[str, msgspec.Meta(max_length=16)] = ""
    reference: Annotated[str, msgspec.Meta(max_length=256)] = ""


class Moved(msgspec.Struct, frozen=True):
    """Keys wrapped anew; `failed` are those whose old master does not unwrap now."""

    moved: int
    failed: int


@dataclass(frozen=True)
class Deps:
    """`home` is the app whose people may manage the master key."""

    custodian: Custodian
    rewrap: Rewrap
    home: str


def roles_with(permission: Permission) -> tuple[Role, ...]:
    return tuple(role for role in Role if permission in DEFAULTS[role])


def actor_of(call: Call[Any]) -> Actor:
    principal = call.principal
    return Actor(
        name=f"account:{principal.account}",
        permissions=permissions_of(principal.roles),
        request_id=call.request_id,
        address=call.client_address,
        token_id=principal.token or "",
    )


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def list(self, call: Call[None]) -> Page:
        app, ask = call.principal.app, call.page
        found = await self._deps.custodian.listed(app, ask.after or "", ask.limit)
        more = found[-1].id if len(found) == ask.limit else None
        return Page([shown(keys) for keys in found], next=more)

    async def get(self, call: Call[None]) -> KeyShown:
        app, key = self._where(call)
        if key == MASTER_ID:
            return await self._master()
        return shown(await self._deps.custodian.describe(app, key))

    async def rotate(self, call: Call[MasterWish]) -> KeyShown:
        app, key = self._where(call)
        actor = actor_of(call)
        if key == MASTER_ID:
            wish = call.body
            await self._deps.custodian.rotate_master(actor, wish.provider, wish.reference)
            return await self._master()
        return shown(await self._deps.custodian.rotate_data(actor, app, key))

    async def generate(self, call: Call[None]) -> KeyShown:
        app, key = self._where(call)
        return shown(await self._deps.custodian.generate(actor_of(call), app, key))

    async def rewrap(self, call: Call[None]) -> Moved:
        if call.principal.app != self._deps.home:
            raise UnknownKey
        done = await self._deps.custodian.rewrap(actor_of(call), self._deps.rewrap)
        return Moved(done.done, done.failed)

    def step(
        self, verb: Callable[[Actor, str, str, int], Awaitable[KeySet]]
    ) -> Callable[[Call[None]], Awaitable[KeyShown]]:
        """A handler for one verb on one version."""

        async def handle(call: Call[None]) -> KeyShown:
            app, key = self._where(call)
            number = call.path["version"]
            if not (number.isascii() and number.isdecimal() and len(number) < 10):
                raise UnknownKey("No such version of the key.")
            after = await verb(actor_of(call), app, key, int(number))
            return await self._master() if key == MASTER_ID else shown(after)

        return handle

    def _where(self, call: Call[Any]) -> tuple[str, str]:
        key = call.path["key_id"]
        call.note.target = f"key:{key}"[:64]
        if key != MASTER:
            return call.principal.app, key
        if call.principal.app != self._deps.home:
            raise UnknownKey
        return INSTALLATION, MASTER_ID

    async def _master(self) -> KeyShown:
        masters = await self._deps.custodian.masters()
        return KeyShown(MASTER, MASTER, [_version(m.version, wraps=m.wraps) for m in masters])


def shown(keys: KeySet) -> KeyShown:
    return KeyShown(keys.id, keys.scope, [_version(version) for version in keys.versions])


def _version(version: Version, wraps: int | None = None) -> VersionShown:
    return VersionShown(
        version=version.number,
        state=version.state,
        created_at=_time(version.created),
        changed_at=_time(version.changed),
        master=version.master or None,
        provider=version.provider or None,
        reference=version.reference or None,
        wraps=wraps,
        due_at=None if version.due is None else _time(version.due),
        requested_by=version.requested or None,
        approved_by=version.approved or None,
    )


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(deps: Deps) -> list[Operation]:
    do, custodian = Handlers(deps), deps.custodian

    def op(
        method: str, path: str, name: str, summary: str, handler: Any,
        permission: Permission | None = None, **more: Any,
    ) -> Operation:  # fmt: skip
        roles = tuple(sorted(READERS)) if permission is None else roles_with(permission)
        if permission is not None:
            # The custodian records the act before it takes place, and its failure.
            more = {"recording": Recording.OWN, "rate": "sensitive", "reauth": True, **more}
        more = {"answer": KeyShown, "errors": (Code.KEY_UNKNOWN,), **more}
        return Operation(
            method, path, name, summary, handler,
            auth=Auth.ROLE, roles=roles, scope="admin", tag=TAG, **more,
        )  # fmt: skip

    generate, use, revoke = Permission.GENERATE, Permission.USE, Permission.REVOKE
    one = "/keys/{key_id}"
    version = one + "/versions/{version}"
    life = {"errors": (Code.KEY_UNKNOWN, Code.CONFLICT, Code.KEY_DESTROYED)}
    ends = {"errors": (*life["errors"], Code.KEY_IN_USE)}
    second = {"errors": (*ends["errors"], Code.SECOND_APPROVER_NEEDED)}
    return [
        op("GET", "/keys", "listKeys", "All data keys of the app", do.list, paged=True),
        op("GET", one, "getKey", "A key and its versions", do.get),
        op("POST", one + "/rotate", "rotateKey", "A new version for new writes", do.rotate,
           generate, body=MasterWish,
           errors=(Code.KEY_UNKNOWN, Code.KEY_DESTROYED, Code.KEY_INACTIVE, Code.CONFLICT)),
        op("POST", one + "/versions", "generateKeyVersion", "A version to activate later",
           do.generate, generate, status=201, **life),
        op("POST", version + "/activate", "activateKeyVersion", "Use it for new writes",
           do.step(custodian.activate), generate, **life),
        op("POST", version + "/disable", "disableKeyVersion", "Nothing under it opens any more",
           do.step(custodian.disable), revoke, **life),
        op("POST", version + "/enable", "enableKeyVersion", "What it sealed opens again",
           do.step(custodian.enable), revoke, **life),
        op("POST", version + "/destruction", "scheduleKeyDestruction",
           "Ask for its destruction, as the first of two people", do.step(custodian.schedule),
           revoke, **ends),
        op("DELETE", version + "/destruction", "cancelKeyDestruction", "Do not destroy it",
           do.step(custodian.cancel), revoke, **life),
        op("POST", version + "/destruction/approval", "approveKeyDestruction",
           "Agree to its destruction, as the second person", do.step(custodian.approve),
           revoke, **second),
        op("POST", "/keys/rewrap", "rewrapKeys", "Wrap data keys under the active master key",
           do.rewrap, use, answer=Moved, errors=(Code.KEY_UNKNOWN, Code.KEY_INACTIVE)),
    ]  # fmt: skip
