"""The parts of key management for one process, as the configuration names them.

Called by the composition root and by commands; makes no decision of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from signaling.bus.port import Bus
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit
from signaling.config import Config
from signaling.ids import Entropy
from signaling.keys.custodian import Custodian
from signaling.keys.envelope import Envelope, Policy
from signaling.keys.hints import KeyHints
from signaling.keys.keeper import Keeper
from signaling.keys.masters import Masters
from signaling.keys.port import Kms
from signaling.keys.providers.local import LocalKms
from signaling.keys.rewrap import Rewrap
from signaling.keys.table import KeyTable
from signaling.storage.port import Meta

# Below `process.state_dir`.
DIRECTORY = "keys"


@dataclass(frozen=True)
class Keys:
    """`envelope` is what everybody seals with. `close` ends the providers' connections."""

    table: KeyTable
    masters: Masters
    envelope: Envelope
    custodian: Custodian
    rewrap: Rewrap
    keeper: Keeper

    def follow(self, bus: Bus) -> None:
        """Other processes hear of changes made here, and this one of theirs."""
        hints = KeyHints(bus, self.envelope)
        self.custodian.announce = hints.announce

    async def close(self) -> None:
        await self.masters.close()


async def open_keys(
    config: Config,
    state: Path,
    meta: Meta,
    audit: Audit,
    clock: Clock,
    entropy: Entropy,
) -> Keys:
    """Makes the first master key of a new installation. Raises Unavailable without the KMS."""
    settings = config.kms
    table = KeyTable(meta)
    masters = Masters(table, providers(config, state, clock, entropy), audit, clock)
    policy = Policy(
        cache_seconds=settings.cache_seconds, renew_seconds=settings.renew_days * 86400.0
    )
    envelope = Envelope(table, masters, audit, clock, entropy, policy)
    wait = settings.destroy_wait_hours * 3600.0
    custodian = Custodian(table, masters, envelope, audit, clock, wait)
    rewrap = Rewrap(table, masters)
    keys = Keys(table, masters, envelope, custodian, rewrap, Keeper(envelope, custodian, rewrap))
    try:
        await masters.ensure(settings.provider, settings.key)
        await envelope.start()
    except BaseException:
        await keys.close()
        raise
    return keys


def providers(config: Config, state: Path, clock: Clock, entropy: Entropy) -> dict[str, Kms]:
    """Every one that is configured: rewrapping needs the old and the new one."""
    seconds = config.kms.timeout_seconds
    found: dict[str, Kms] = {"local": _local(config, state, entropy, os.environ)}
    if (aws := config.kms_aws).region and aws.access_key_id and aws.secret_access_key:
        from signaling.keys.providers.aws import AwsKms
        from signaling.sigv4 import Credentials

        credentials = Credentials(
            aws.access_key_id.reveal(), aws.secret_access_key, aws.session_token
        )
        found["aws"] = AwsKms(
            aws.region, credentials, clock,
            endpoint=aws.endpoint, authority=aws.ca, seconds=seconds,
        )  # fmt: skip
    if (vault := config.kms_vault).url and vault.token:
        from signaling.keys.providers.vault import VaultKms

        found["vault"] = VaultKms(
            vault.url, vault.token, mount=vault.mount,
            namespace=vault.namespace, authority=vault.ca, seconds=seconds,
        )  # fmt: skip
    if (hsm := config.kms_pkcs11).module and hsm.pin:
        from signaling.keys.providers.pkcs11 import Pkcs11Kms

        found["pkcs11"] = Pkcs11Kms(hsm.module, hsm.token, hsm.pin, entropy)
    return found


def _local(config: Config, state: Path, entropy: Entropy, environ: Mapping[str, str]) -> LocalKms:
    """systemd names the directory of a service's credentials (systemd.exec, LoadCredential)."""
    given = environ.get("CREDENTIALS_DIRECTORY", "")
    directory = Path(config.kms.directory) if config.kms.directory else state / DIRECTORY
    return LocalKms(directory, entropy, Path(given) if given else None)
