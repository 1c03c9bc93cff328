"""What every connection of this node shares: engine, certificate, addresses, limits, gate, and
which object stands behind which engine id (events name ids).

Owned by `node.py`, handed down; nobody below changes it except through its methods.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mediaserver.api import IceCandidate, MediaLimits
from mediaserver.data_channels import DataLimits, MakeAssociation
from mediaserver.handshakes import HandshakeGate
from mediaserver.ports import Engine

if TYPE_CHECKING:
    from mediaserver.call import Call
    from mediaserver.dtls import Certificate
    from mediaserver.participant.connection import Connection
    from mediaserver.participant.participant import Participant
    from mediaserver.participant.subscribing import Subscription
    from mediaserver.tracks import Publication


def random_id() -> int:
    """For SSRCs and session ids: not guessable, never 0."""
    return secrets.randbelow(2**31 - 1) + 1


@dataclass(slots=True)
class Context:
    engine: Engine
    candidates: tuple[IceCandidate, ...]
    limits: MediaLimits
    gate: HandshakeGate
    make_association: MakeAssociation
    new_id: Callable[[], int] = random_id
    drops: Counter[str] = field(default_factory=Counter)
    transports: dict[int, "Connection"] = field(default_factory=dict)
    publications: dict[int, "Publication"] = field(default_factory=dict)
    subscriptions: dict[int, "Subscription"] = field(default_factory=dict)
    owners: dict[int, tuple["Call", "Participant"]] = field(default_factory=dict)
    """Whose a transport is."""
    _certificate: "Certificate | None" = None

    @property
    def certificate(self) -> "Certificate":
        if self._certificate is None:
            self.renew_certificate()
        assert self._certificate is not None
        return self._certificate

    def renew_certificate(self) -> None:
        """Those who have the old one keep it."""
        # Here and not above: aiortc brings codecs and more that we do not use, and a server that
        # starts again should not keep everybody waiting for it (`MediaServer.warm`).
        from mediaserver.dtls import Certificate

        self._certificate = Certificate.generateCertificate()

    @property
    def data_limits(self) -> DataLimits:
        limits = self.limits
        return DataLimits(
            limits.message_bytes,
            limits.channels,
            limits.send_buffer_bytes,
            limits.lossy_buffer_bytes,
            limits.receive_window_bytes,
        )
