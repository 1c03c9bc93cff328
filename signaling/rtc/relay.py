"""Data packets on their way through a room: to those named, or to everybody but the sender.

The sender's side has signed and checked them (`data`); this only decides who gets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import models

from mediaserver.api import Channel

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.room import Room

_NONCES_KEPT = 1_000


class Relay:
    """One for each room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._nonces: dict[bytes, None] = {}

    def send(self, packet: models.DataPacket, channel: Channel, sender: Participant | None) -> None:
        """Metrics go to those with the grant for them; everything else to all who are named."""
        wanted = set(packet.destination_identities)
        sids = set(packet.user.destination_sids) if packet.HasField("user") else set()
        metrics = packet.HasField("metrics")
        payload = packet.SerializeToString()
        everybody = not wanted and not sids
        for participant in self._room.participants():
            if participant is sender or not participant.ready:
                continue
            if everybody or participant.identity in wanted or participant.sid in sids:
                if metrics and not participant.grant.can_subscribe_metrics:
                    continue
                participant.data.deliver(channel, payload)

    def repeated(self, nonce: bytes) -> bool:
        """The server API retries; a nonce that was seen lately is the same message."""
        if nonce in self._nonces:
            return True
        self._nonces[nonce] = None
        if len(self._nonces) > _NONCES_KEPT:
            del self._nonces[next(iter(self._nonces))]
        return False
