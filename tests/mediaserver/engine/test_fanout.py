"""One call over two workers, through real sockets: everybody hears every packet, once, in order.

The kernel spreads clients over the workers' sockets (SO_REUSEPORT) by their address, whichever
worker their transport lives on; so datagrams are passed on, and packets cross between workers.
"""

from __future__ import annotations

import json
import os
import struct
import time
from typing import Any, Final

import pytest

from mediaserver import _engine
from mediaserver.engine_types import (
    Codec,
    Encoding,
    IceConnected,
    PublicationSpec,
    SrtpKeys,
    SubscriptionSettings,
    SubscriptionSpec,
)
from tests.mediaserver.engine.clients import (
    UdpClient,
    binding,
    new_transport,
    running,
    wait_for,
)

PROFILE: Final = "AEAD_AES_128_GCM"
OPUS = Codec(111, "opus", 48_000)
SOURCE, HEARD = 1_000, 10
PACKETS = 200  # what the buffer of a socket that nobody reads yet holds
LISTENERS = 16


class Client(UdpClient):
    """A keyed transport on the worker of the test's choice, behind a socket of its own."""

    def __init__(self, engine: _engine.Engine, worker: int) -> None:
        super().__init__(engine)
        ice = new_transport(engine, worker)
        assert ice.worker == worker
        self.transport = ice.transport
        ours, theirs = (os.urandom(16), os.urandom(12)), (os.urandom(16), os.urandom(12))
        engine.set_srtp(self.transport, SrtpKeys(PROFILE, *ours, *theirs))
        self.sending = _engine.SrtpOracle(PROFILE, *theirs)
        self.receiving = _engine.SrtpOracle(PROFILE, *ours)
        assert self.ask(binding(ice)) is not None

    def speak(self, number: int) -> None:
        head = struct.pack("!BBHII", 0x80, OPUS.payload_type, number, number * 960, SOURCE)
        self.send(self.sending.protect(head + _payload(number)))

    def heard(self) -> list[bytes]:
        """Payloads in the order of arrival, until nothing comes any more; all are waited for."""
        found: list[bytes] = []
        while datagram := self.receive(5 if len(found) < PACKETS else 0.1):
            control = 192 <= datagram[1] <= 223  # RFC 5761 section 4
            packet = None if control else self.receiving.unprotect(datagram)
            if packet is not None:
                assert struct.unpack("!I", packet[8:12]) == (HEARD,)
                found.append(packet[12:])
        return found


def _payload(number: int) -> bytes:
    return b"\x78" + struct.pack("!I", number) * 20


def _counters(engine: _engine.Engine, packets: int) -> list[dict[str, Any]]:
    """As soon as a snapshot has so many that were sent."""
    workers: list[dict[str, Any]] = []
    for _ in range(100):
        workers = json.loads(engine.snapshot())["workers"]
        if sum(int(worker["counters"]["packets_out"]) for worker in workers) >= packets:
            break
        time.sleep(0.2)
    return sorted(workers, key=lambda worker: int(worker["worker"]))


@pytest.mark.parametrize("home", [0, 1])
def test_every_listener_on_either_worker_hears_every_packet_once(home: int) -> None:
    with running(workers=2) as engine:
        speaker = Client(engine, home)
        # So many that the kernel does not by chance give one worker all of them.
        listeners = [Client(engine, number % 2) for number in range(LISTENERS)]
        wait_for(engine, IceConnected, LISTENERS + 1)
        spec = PublicationSpec("audio", "0", (OPUS,), {}, (Encoding(ssrc=SOURCE),))
        publication = engine.publish(speaker.transport, spec)
        for listener in listeners:
            wanted = SubscriptionSpec("a", HEARD, None, (OPUS,), {})
            settings = SubscriptionSettings()
            engine.subscribe(listener.transport, publication, wanted, settings)
        time.sleep(1)  # the other worker joins the feed
        for number in range(1, PACKETS + 1):
            speaker.speak(number)
            time.sleep(0.002)
        expected = [_payload(number) for number in range(1, PACKETS + 1)]
        for listener in listeners:
            assert listener.heard() == expected
        workers = _counters(engine, LISTENERS * PACKETS)
        sent = [int(worker["counters"]["packets_out"]) for worker in workers]
        assert sent == [LISTENERS // 2 * PACKETS] * 2, "each worker serves its own listeners"
        received = [int(worker["net"]["datagrams_in"]) for worker in workers]
        assert min(received) > 0, "the kernel gave one worker everything"
