"""The master keys: versions registered in the key table, material in a KMS each.

A provider's key is one version of the installation's master key, so moving from files to a KMS is
a rotation like any other. Every call of a KMS goes through here and leaves an audit event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TypeVar

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.errors import ClientError, Code, ConfigError, Unavailable
from signaling.keys.lifecycle import (
    KeySet,
    State,
    Version,
    activate,
    add,
    readable,
    writable,
)
from signaling.keys.port import INSTALLATION, Context, IntegrityError, Kms, UnknownKey
from signaling.keys.table import MASTER_ID, MASTER_SCOPE, KeyTable

T = TypeVar("T")
SYSTEM = "system:keys"


class Masters:
    """One for each process. Reads the register at every call: masters change rarely, and data keys
    are cached above.
    """

    def __init__(
        self, table: KeyTable, providers: Mapping[str, Kms], audit: Audit, clock: Clock
    ) -> None:
        self._table = table
        self._providers = dict(providers)
        self._audit = audit
        self._clock = clock

    @property
    def providers(self) -> list[str]:
        return sorted(self._providers)

    async def register(self) -> KeySet:
        found = await self._table.get(INSTALLATION, MASTER_ID)
        return found or KeySet(id=MASTER_ID, app=INSTALLATION, scope=MASTER_SCOPE, versions=())

    async def ensure(self, provider: str, reference: str = "") -> None:
        """At the start: a new installation gets its first master key, an old one keeps its own."""
        if (await self.register()).versions:
            return
        await self.introduce(provider, reference)

    async def introduce(self, provider: str, reference: str = "", actor: str = SYSTEM) -> Version:
        """A new version, active at once. `reference` names a key that the operator made;
        without it the provider makes one.
        """
        kms = self._kms(provider)
        now = self._clock.unix()
        number = (await self.register()).newest() + 1
        if not reference:
            reference = await self._audited(
                kms.create(f"sotto-{number}"), "keys.create", number, provider, {}, actor
            )
        await self._try(kms, number, reference, actor)

        def change(before: KeySet | None) -> KeySet:
            keys = before or KeySet(id=MASTER_ID, app=INSTALLATION, scope=MASTER_SCOPE, versions=())
            if any(
                v.provider == provider and v.reference == reference and v.state != State.DESTROYED
                for v in keys.versions
            ):
                raise ClientError(Code.CONFLICT, 409, "That key is a master key already.")
            made = Version(
                number=keys.newest() + 1,
                state=State.PRE_ACTIVE,
                created=now,
                changed=now,
                provider=provider,
                reference=reference,
            )
            return activate(add(keys, made), made.number, now)

        after = await self._table.change(INSTALLATION, MASTER_ID, change)
        return writable(after)

    async def _try(self, kms: Kms, number: int, reference: str, actor: str) -> None:
        """A key that cannot wrap and unwrap now never becomes the active one."""
        context, probe = {"purpose": "probe"}, b"\x5a" * 32
        wrapped = await self._audited(
            kms.wrap(reference, probe, context), "keys.wrap", number, kms.provider, context, actor
        )
        back = await self._audited(
            kms.unwrap(reference, wrapped, context),
            "keys.unwrap", number, kms.provider, context, actor,
        )  # fmt: skip
        if back != probe or probe in wrapped:
            raise IntegrityError("The KMS did not give back what it wrapped.")

    async def wrap(self, plaintext: bytes, context: Context) -> tuple[int, bytes]:
        """Under the active master: its number and the wrapped key."""
        master = writable(await self.register())
        kms = self._kms(master.provider)
        wrapped = await self._audited(
            kms.wrap(master.reference, plaintext, context),
            "keys.wrap", master.number, master.provider, context,
        )  # fmt: skip
        return master.number, wrapped

    async def unwrap(self, number: int, wrapped: bytes, context: Context) -> bytes:
        master = readable((await self.register()).version(number))
        kms = self._kms(master.provider)
        return await self._audited(
            kms.unwrap(master.reference, wrapped, context),
            "keys.unwrap", number, master.provider, context,
        )  # fmt: skip

    async def destroy(self, version: Version, actor: str) -> None:
        """The provider's key. The register is the custodian's to change."""
        kms = self._kms(version.provider)
        await self._audited(
            kms.destroy(version.reference),
            "keys.destroy_master", version.number, version.provider, {}, actor,
        )  # fmt: skip

    async def close(self) -> None:
        for kms in self._providers.values():
            await kms.close()

    def _kms(self, provider: str) -> Kms:
        if (kms := self._providers.get(provider)) is None:
            if not self._providers:
                raise ConfigError("kms", "no key management is configured")
            raise UnknownKey(f"No KMS named {provider} is configured.")
        return kms

    async def _audited(
        self,
        work: Awaitable[T],
        action: str,
        number: int,
        provider: str,
        context: Context,
        actor: str = SYSTEM,
    ) -> T:
        code = Code.INTERNAL.value
        result = "failed"
        try:
            done = await work
        except ClientError as error:
            code, result = error.code.value, "denied" if error.status < 500 else "failed"
            raise
        except Unavailable:
            code = Code.UNAVAILABLE.value
            raise
        else:
            code, result = "", "allowed"
            return done
        finally:
            self._audit.note(
                AuditEvent(
                    at=self._clock.unix(),
                    app=context.get("app", INSTALLATION),
                    actor=actor,
                    action=action,
                    target=f"master:{number}",
                    result=result,  # type: ignore[arg-type]
                    code=code,
                    details={
                        "provider": provider,
                        **{k: context[k] for k in ("scope", "version") if k in context},
                    },
                )
            )
