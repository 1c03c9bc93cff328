"""Keeps a certificate fresh: a placeholder until the first order, then renewal before it ends.

    PLACEHOLDER --order--> GOOD --renew_days left--> order --> GOOD
        failure: the old certificate stays; try again later, twice as late each time

Owned by `app`, which runs `run` as a task and lets the certificate watch look after each order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.clock import Clock
from signaling.config import Tls
from signaling.config.acme import Acme
from signaling.errors import Unavailable
from signaling.http.acme.challenges import Pending, utc
from signaling.http.acme.client import Issued, order, store

log = logging.getLogger(__name__)

LOOK_SECONDS = 3600.0
MOST_WAIT = 86400.0
# Of a placeholder: never trusted, replaced by the first order.
PLACEHOLDER = "Sotto waits for its certificate"
PLACEHOLDER_DAYS = 7


class Keeper:
    """`tls` names the files; the listener is made with it."""

    def __init__(
        self,
        settings: Acme,
        state: Path,
        tls: Tls,
        pending: Pending,
        clock: Clock,
        renewed: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._directory = state / "acme"
        self._certificate = Path(tls.certificate)
        self._key = Path(tls.key)
        self._pending = pending
        self._clock = clock
        self._renewed = renewed
        self.failures = 0

    def due(self) -> bool:
        """No certificate, a placeholder, other names, or nearly its end."""
        try:
            found = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError):
            return True
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = set(names.get_values_for_type(x509.DNSName))
        if PLACEHOLDER in found.issuer.rfc4514_string() or listed != set(self._settings.domains):
            return True
        left = found.not_valid_after_utc - utc(self._clock.unix())
        life = found.not_valid_after_utc - found.not_valid_before_utc
        # Certificates of a few days are renewed at a third of their life.
        return left < min(timedelta(days=self._settings.renew_days), life / 3)

    async def attempt(self) -> None:
        """Raises Unavailable; then everything is as it was."""
        now = utc(self._clock.unix())
        issued = await asyncio.to_thread(order, self._settings, self._directory, self._pending, now)
        await asyncio.to_thread(store, issued, self._certificate, self._key)
        self.failures = 0
        self._renewed()

    async def run(self) -> None:
        while True:
            wait = LOOK_SECONDS
            if self.due():
                try:
                    await self.attempt()
                except Unavailable as error:
                    self.failures += 1
                    wait = min(MOST_WAIT, self._settings.retry_seconds * 2 ** (self.failures - 1))
                    log.error("no certificate: %s; next try in %.0f s", error.message, wait)
            await asyncio.sleep(wait)


def files_of(tls: Tls, state: Path) -> Tls:
    """Where the certificate lies when ACME keeps it."""
    directory = state / "acme"
    return msgspec.structs.replace(
        tls, certificate=str(directory / "certificate.pem"), key=str(directory / "certificate.key")
    )


def ensure_placeholder(tls: Tls, domains: tuple[str, ...], now: datetime) -> None:
    """A listener cannot start without a certificate, and ACME needs the listener."""
    if Path(tls.certificate).exists() and Path(tls.key).exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, PLACEHOLDER)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=PLACEHOLDER_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(d) for d in domains]), False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    store(Issued(made.public_bytes(serialization.Encoding.PEM), pem), *_paths(tls))


def _paths(tls: Tls) -> tuple[Path, Path]:
    return Path(tls.certificate), Path(tls.key)
