"""This room put together: what the composition root makes once and the operations call.

Order matters to whoever wires: `Registry` (a `Directory`) first, then sessions, then `Service`.
"""

from __future__ import annotations

from collections.abc import Sequence

from signaling.accounts.administration import Administration
from signaling.accounts.devices import Devices
from signaling.accounts.enrolling import Enrolling
from signaling.accounts.factors import Factors
from signaling.accounts.federation import Federation
from signaling.accounts.joining import Joining
from signaling.accounts.labels import Labels
from signaling.accounts.links import Links
from signaling.accounts.oidc import Provider, Registration
from signaling.accounts.parts import Parts
from signaling.accounts.passkey_signing import PasskeySigning
from signaling.accounts.registry import Registry
from signaling.accounts.sessions.port import Revoker
from signaling.accounts.signin import Sessions
from signaling.accounts.signing import Signing
from signaling.accounts.throttle import Throttle


class Service:
    """Owned by the composition root. Its members are the services; each says what it does."""

    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        sessions: Sessions,
        revoker: Revoker,
        providers: Sequence[Provider] = (),
    ) -> None:
        self.parts = parts
        self.registry = registry
        self.sessions = sessions
        self.throttle = Throttle(parts)
        self.labels = Labels(registry, parts.clock)
        self.devices = Devices(parts)
        self.links = Links(parts)
        self.signing = Signing(parts, registry, self.devices, self.throttle)
        self.concluding = self.signing.concluding
        self.factors = Factors(parts, registry, self.concluding)
        self.passkeys = PasskeySigning(
            parts, registry, self.devices, self.throttle, self.concluding
        )
        self.enrolling = Enrolling(registry, self.factors, self.concluding)
        self.joining = Joining(
            parts, registry, self.links, self.throttle, self.concluding, self.factors
        )
        self.federation = Federation(
            parts, registry, self.devices, self.throttle, self.concluding, providers
        )
        self.administration = Administration(
            parts,
            registry,
            self.links,
            self.devices,
            self.factors,
            self.throttle,
            sessions,
            revoker,
            frozenset(one.known.issuer for one in providers if one.known.trust_mfa),
        )

    def providers(self) -> list[Registration]:
        return [provider.known for provider in self.federation.providers()]
