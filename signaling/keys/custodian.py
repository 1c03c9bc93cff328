"""The verbs of key management: who may, what happens, and the audit of both.

A record of the act is durable before the act, so nothing happens to a key that the audit does not
know; a failure is noted after it. Drives the key table and tells the envelope what to forget.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent, Result
from signaling.errors import ClientError, Code, Refused
from signaling.keys import lifecycle
from signaling.keys.envelope import Envelope
from signaling.keys.lifecycle import KeySet, State, Version
from signaling.keys.masters import SYSTEM, Masters
from signaling.keys.permissions import Actor, Permission
from signaling.keys.port import INSTALLATION, UnknownKey
from signaling.keys.rewrap import Rewrap, Rewrapped
from signaling.keys.table import MASTER_ID, KeyTable

Announce = Callable[[KeySet], None]


@dataclass(frozen=True)
class MasterStatus:
    """One master version and how many key sets it still wraps."""

    version: Version
    wraps: int


class Custodian:
    """One for each process. `announce` tells the other processes what to forget."""

    def __init__(
        self,
        table: KeyTable,
        masters: Masters,
        envelope: Envelope,
        audit: Audit,
        clock: Clock,
        wait_seconds: float,
    ) -> None:
        self._table = table
        self._masters = masters
        self._envelope = envelope
        self._audit = audit
        self._clock = clock
        self._wait = wait_seconds
        self.announce: Announce = lambda keys: None

    async def masters(self) -> list[MasterStatus]:
        register = await self._masters.register()
        return [
            MasterStatus(v, await self._table.wrapped_under(v.number)) for v in register.versions
        ]

    async def describe(self, app: str, key: str) -> KeySet:
        """Raises UnknownKey (422)."""
        found = await self._table.get(app, key)
        if found is None:
            raise UnknownKey
        return found

    async def listed(self, app: str, after: str, limit: int) -> list[KeySet]:
        return await self._table.page(app, after, limit)

    async def rotate_master(self, actor: Actor, provider: str = "", reference: str = "") -> Version:
        """A new master wraps from here on; what the old one wraps waits for a rewrap."""
        register = await self._masters.register()
        provider = provider or lifecycle.writable(register).provider
        details = {"provider": provider}
        async with self._act(actor, Permission.GENERATE, "keys.rotate", register, details):
            made = await self._masters.introduce(provider, reference, actor.name)
        self._changed(await self._masters.register())
        return made

    async def rotate_data(self, actor: Actor, app: str, key: str) -> KeySet:
        keys = await self.describe(app, key)
        async with self._act(actor, Permission.GENERATE, "keys.rotate", keys):
            after = await self._envelope.rotate(app, keys.scope)
        self._changed(after)
        return after

    async def generate(self, actor: Actor, app: str, key: str) -> KeySet:
        """A further version of a data key, not active yet."""
        keys = await self.describe(app, key)
        async with self._act(actor, Permission.GENERATE, "keys.generate", keys):
            return await self._envelope.prepare(keys)

    async def activate(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        return await self._step(
            actor, Permission.GENERATE, "keys.activate", app, key, number,
            lambda keys: lifecycle.activate(keys, number, self._clock.unix()),
        )  # fmt: skip

    async def disable(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        """Nothing under it opens any more, from now on here and at once where the hint arrives."""
        return await self._step(
            actor, Permission.REVOKE, "keys.disable", app, key, number,
            lambda keys: lifecycle.move(keys, number, State.DISABLED, self._clock.unix()),
        )  # fmt: skip

    async def enable(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        """To read with again; a new active version comes from a rotation."""
        return await self._step(
            actor, Permission.REVOKE, "keys.enable", app, key, number,
            lambda keys: lifecycle.enable(keys, number, self._clock.unix()),
        )  # fmt: skip

    async def schedule(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        """The first person asks for destruction."""
        now = self._clock.unix()
        return await self._step(
            actor, Permission.REVOKE, "keys.schedule", app, key, number,
            lambda keys: lifecycle.schedule(keys, number, actor.name, now, now + self._wait),
            destroys=True,
        )  # fmt: skip

    async def cancel(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        return await self._step(
            actor, Permission.REVOKE, "keys.cancel", app, key, number,
            lambda keys: lifecycle.cancel(keys, number, self._clock.unix()),
        )  # fmt: skip

    async def approve(self, actor: Actor, app: str, key: str, number: int) -> KeySet:
        """The second person agrees; it is destroyed when its waiting time is over."""
        after = await self._step(
            actor, Permission.REVOKE, "keys.approve", app, key, number,
            lambda keys: lifecycle.approve(keys, number, actor.name),
            destroys=True,
        )  # fmt: skip
        await self._destroy_ripe(after)
        return await self.describe(app, key)

    async def rewrap(self, actor: Actor, rewrap: Rewrap) -> Rewrapped:
        register = await self._masters.register()
        async with self._act(actor, Permission.USE, "keys.rewrap", register):
            return await rewrap.run()

    async def sweep(self) -> int:
        """Destroys what two people agreed on and whose time has come. How many versions."""
        count = 0
        for app in await self._table.apps():
            async for keys in self._table.walk(app, term=State.SCHEDULED.value):
                count += await self._destroy_ripe(keys)
        return count

    async def _destroy_ripe(self, keys: KeySet) -> int:
        count = 0
        for version in keys.versions:
            if lifecycle.ripe(version, self._clock.unix()):
                await self._destroy(keys, version)
                count += 1
        return count

    async def _destroy(self, keys: KeySet, version: Version) -> None:
        details = {
            "version": str(version.number),
            "scope": keys.scope,
            "approver": version.approved,
        }
        event = self._event(version.requested, "keys.destroy", keys, details)
        if keys.id == MASTER_ID:
            await self._refuse_in_use(version.number)
        await self._audit.record(event)
        if keys.id == MASTER_ID:
            await self._masters.destroy(version, SYSTEM)

        def change(before: KeySet | None) -> KeySet:
            current = before or keys
            # Cancelled in the meantime, or destroyed by another process: then it stays so.
            if not lifecycle.ripe(current.version(version.number), self._clock.unix()):
                return current
            return lifecycle.move(current, version.number, State.DESTROYED, self._clock.unix())

        self._changed(await self._table.change(keys.app, keys.id, change))

    async def _step(
        self,
        actor: Actor,
        permission: Permission,
        action: str,
        app: str,
        key: str,
        number: int,
        step: Callable[[KeySet], KeySet],
        *,
        destroys: bool = False,
    ) -> KeySet:
        keys = await self._table.get(app, key)
        details = {"version": str(number)}
        async with self._act(actor, permission, action, keys, details, app, key):
            if keys is None:
                raise UnknownKey
            if destroys:
                await self._refuse_loss(keys, number)

            def change(before: KeySet | None) -> KeySet:
                return step(before or keys)

            after = await self._table.change(app, key, change)
        self._changed(after)
        return after

    async def _refuse_loss(self, keys: KeySet, number: int) -> None:
        """What the server itself cannot live without, and masters that still wrap something."""
        keys.version(number)
        if keys.id == MASTER_ID:
            await self._refuse_in_use(number)
        elif keys.app == INSTALLATION:
            raise ClientError(
                Code.KEY_IN_USE, 409, "The installation cannot live without this key."
            )

    async def _refuse_in_use(self, number: int) -> None:
        if count := await self._table.wrapped_under(number):
            raise ClientError(
                Code.KEY_IN_USE, 409, f"It still wraps {count} keys: have them wrapped anew first."
            )

    @contextlib.asynccontextmanager
    async def _act(
        self,
        actor: Actor,
        permission: Permission,
        action: str,
        keys: KeySet | None,
        details: dict[str, str] | None = None,
        app: str = "",
        key: str = "",
    ) -> AsyncIterator[None]:
        """Refuses and records; records an act before it and its failure after it."""
        target = keys or KeySet(id=key, app=app or INSTALLATION, scope="", versions=())
        event = self._event(
            actor.name, action, target,
            {"permission": permission.value, "scope": target.scope, **(details or {})}, actor,
        )  # fmt: skip
        try:
            actor.require(permission)
        except Refused as refused:
            await self._audit.record(_ended(event, refused, "denied"))
            raise
        await self._audit.record(event)
        try:
            yield
        except ClientError as error:
            self._audit.note(_ended(event, error, "failed"))
            raise

    def _event(
        self,
        actor_name: str,
        action: str,
        keys: KeySet,
        details: dict[str, str],
        actor: Actor | None = None,
    ) -> AuditEvent:
        return AuditEvent(
            at=self._clock.unix(),
            app=keys.app,
            actor=actor_name,
            action=action,
            target="master" if keys.id == MASTER_ID else f"key:{keys.id}",
            request_id=actor.request_id if actor else "",
            address=actor.address if actor else "",
            token_id=actor.token_id if actor else "",
            details={name: value for name, value in details.items() if value},
        )

    def _changed(self, keys: KeySet) -> None:
        forget(self._envelope, keys)
        self.announce(keys)


def _ended(event: AuditEvent, error: ClientError, result: Result) -> AuditEvent:
    return replace(event, result=result, code=error.code.value)


def forget(envelope: Envelope, keys: KeySet) -> None:
    """A master's change may concern any data key."""
    if keys.id == MASTER_ID:
        envelope.forget_all()
    else:
        envelope.forget(keys)
