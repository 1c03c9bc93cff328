"""DataPackets: what a participant sends over its reliable and lossy channels, relayed to others.

The sender's sid and identity are overwritten, destinations honoured, `canPublishData` enforced,
reliable sequence numbers de-duplicated; payloads, encrypted ones above all, pass unread. Reliable
packets for a participant whose channel is not open yet are held, within a bound.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from livekit.protocol import models

from mediaserver.api import Channel, MediaError
from signaling.rtc.pacing import TokenBucket

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

PacketKind = models.DataPacket.Kind
_KIND = {Channel.RELIABLE: PacketKind.RELIABLE, Channel.LOSSY: PacketKind.LOSSY}


class DataRelay:
    """One for each participant: the way in (`receive`) and the way out (`deliver`)."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self.last_sequence = 0
        limits = participant.services.settings.limits
        rate = limits.data_packets_per_second
        self._bucket = TokenBucket(rate, 2 * rate)
        self._open = False
        self._early: deque[bytes] = deque()
        self._early_bytes = 0

    # In

    def receive(self, channel: Channel, payload: bytes) -> None:
        """A packet from this participant's own channel."""
        participant, services = self._p, self._p.services
        if participant.closed or not participant.grant.can_publish_data:
            services.counters.add("data_not_permitted")
            return
        if not self.admit(channel):
            return
        if len(payload) > services.settings.limits.data_packet_bytes:
            services.counters.add("data_too_large")
            return
        packet = models.DataPacket()
        try:
            packet.ParseFromString(payload)
        except DecodeError:
            services.counters.add("data_malformed")
            return
        if channel is Channel.RELIABLE and self._seen(packet.sequence):
            services.counters.add("data_duplicate")
            return
        packet.kind = _KIND[channel]
        packet.participant_sid = participant.sid
        self._sign(packet)
        if not participant.room.rpc.intercept(packet):
            participant.room.relay.send(packet, channel, participant)

    def admit(self, channel: Channel) -> bool:
        """Within the rate that one participant may send at; data tracks count too."""
        services = self._p.services
        if self._bucket.take(services.clock.monotonic()):
            return True
        services.counters.add("data_flood")
        if channel is Channel.RELIABLE:  # reliable data with holes would be a lie
            self._p.leave(models.DisconnectReason.PARTICIPANT_REMOVED)
        return False

    def _seen(self, sequence: int) -> bool:
        """A client that resumed replays what it is not sure of. 0 is an unnumbered packet."""
        if sequence == 0:
            return False
        if sequence <= self.last_sequence:
            return True
        self.last_sequence = sequence
        return False

    def _sign(self, packet: models.DataPacket) -> None:
        """Receivers choose the decryption key by identity: it must be the true one."""
        participant = self._p
        identity = "" if participant.hidden else participant.identity
        value = packet.WhichOneof("value")
        if value == "user":
            user = packet.user
            user.participant_sid = "" if participant.hidden else participant.sid
            user.participant_identity = identity
            if packet.destination_identities:
                del user.destination_identities[:]
                user.destination_identities.extend(packet.destination_identities)
            else:
                packet.destination_identities.extend(user.destination_identities)
        elif participant.agent and packet.participant_identity and _speaks_for_others(packet):
            if value == "chat_message":
                packet.chat_message.generated = True
            return
        packet.participant_identity = identity

    # Out

    def opened(self) -> None:
        """This participant's data channels work: send what had to wait."""
        self._open = True
        while self._early:
            self._send(Channel.RELIABLE, self._early.popleft())
        self._early_bytes = 0

    def deliver(self, channel: Channel, payload: bytes) -> None:
        if self._open:
            self._send(channel, payload)
        elif channel is Channel.RELIABLE:
            limit = self._p.services.settings.limits.early_data_bytes
            if self._early_bytes + len(payload) > limit:
                self._p.services.counters.add("data_early_dropped")
                return
            self._early.append(payload)
            self._early_bytes += len(payload)

    def _send(self, channel: Channel, payload: bytes) -> None:
        counters = self._p.services.counters
        try:
            sent = self._p.media.send(channel, payload)
        except MediaError:
            # A receiver that does not drain loses data; the others must not wait for it.
            counters.add("data_reliable_dropped")
            return
        counters.add("data_sent" if sent else "data_lossy_dropped")


def _speaks_for_others(packet: models.DataPacket) -> bool:
    """Agents publish text on behalf of the participant whose speech they transcribe."""
    value = packet.WhichOneof("value")
    if value == "stream_header":
        if packet.stream_header.WhichOneof("content_header") != "text_header":
            return False
        packet.stream_header.text_header.generated = True
        return True
    return value in ("transcription", "chat_message")
