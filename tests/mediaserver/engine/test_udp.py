"""What the engine's UDP port answers, and what it never answers."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest

from mediaserver import _engine
from mediaserver.engine_types import EngineError, EngineErrorCode, IceConnected
from tests.mediaserver.engine.clients import (
    LOOPBACK,
    REMOTE_UFRAG,
    SILENCE,
    SUCCESS,
    UdpClient,
    binding,
    new_transport,
    running,
    wait_for,
)


def test_a_check_with_the_right_password_is_answered_with_the_mapped_address() -> None:
    with running() as engine:
        client = UdpClient(engine)
        answer = client.ask(binding(new_transport(engine), transaction=b"0123456789ab"))
        assert answer is not None
        assert (answer.kind, answer.transaction) == (SUCCESS, b"0123456789ab")
        assert answer.mapped_port == client.port


def test_a_nominating_check_connects_the_transport() -> None:
    with running() as engine:
        ice = new_transport(engine)
        client = UdpClient(engine)
        client.ask(binding(ice))
        event = wait_for(engine, IceConnected)[-1]
        assert event == IceConnected(ice.transport, "udp", f"127.0.0.1:{client.port}")


def test_ipv6_is_served_on_the_same_port() -> None:
    with running(udp_addresses=("127.0.0.1", "::1")) as engine:
        ice = new_transport(engine)
        for host in ("127.0.0.1", "::1"):
            assert UdpClient(engine, host).ask(binding(ice)) is not None


def test_a_reply_leaves_from_the_address_that_was_asked() -> None:
    with running(udp_addresses=("0.0.0.0",)) as engine:
        client = UdpClient(engine, "127.0.0.77")
        # A connected socket takes datagrams from 127.0.0.77 only.
        assert client.ask(binding(new_transport(engine))) is not None


def test_a_wrong_password_is_not_answered() -> None:
    with running() as engine:
        ice = new_transport(engine)
        assert UdpClient(engine).ask(binding(ice, pwd="x" * 24), SILENCE) is None


def test_an_unknown_ufrag_is_not_answered() -> None:
    with running() as engine:
        ice = replace(new_transport(engine), ufrag="00nobody")
        assert UdpClient(engine).ask(binding(ice), SILENCE) is None


def test_old_credentials_stop_working_when_the_transport_is_closed() -> None:
    with running() as engine:
        ice = new_transport(engine)
        client = UdpClient(engine)
        assert client.ask(binding(ice)) is not None
        engine.close_transport(ice.transport)
        assert client.ask(binding(ice), SILENCE) is None


def test_after_an_ice_restart_both_credentials_work_until_the_new_pair_is_nominated() -> None:
    with running() as engine:
        old = new_transport(engine)
        client = UdpClient(engine)
        assert client.ask(binding(old)) is not None
        new = engine.restart_ice(old.transport)
        assert new.transport == old.transport
        assert new.ufrag != old.ufrag
        assert client.ask(binding(old)) is not None
        assert UdpClient(engine).ask(binding(new)) is not None


def junk(seed: int) -> list[bytes]:
    """Noise, and each kind of packet cut short or with lengths that lie."""
    rng = random.Random(seed)
    firsts = (0, 1, 3, 20, 22, 63, 64, 79, 128, 143, 191, 200, 255)
    packets = [b"", b"\x00", b"\x80"]
    for _ in range(400):
        first = bytes([rng.choice(firsts)])
        packets.append(first + rng.randbytes(rng.choice((0, 1, 7, 11, 19, 40, 300, 1400))))
    stun = struct.pack("!HHI", 1, 8, 0x2112A442) + bytes(12)
    for kind, size in ((6, 0xFFFF), (8, 20), (0x8028, 4), (6, 4)):
        packets.append(stun + struct.pack("!HH", kind, size) + b"abcd")
    return packets


def test_junk_is_never_answered_and_harms_nobody() -> None:
    with running() as engine:
        ice = new_transport(engine)
        stranger, client = UdpClient(engine), UdpClient(engine)
        for packet in junk(1):
            stranger.send(packet)
        assert stranger.receive(SILENCE) is None
        assert client.ask(binding(ice)) is not None


def test_every_cut_and_flipped_bit_of_a_good_check_is_silent() -> None:
    with running() as engine:
        ice = new_transport(engine)
        good = binding(ice)
        client = UdpClient(engine)
        for size in range(len(good)):
            client.send(good[:size])
        # Up to the fingerprint, which stands behind the integrity: flipped into an unknown
        # attribute it is ignored (RFC 8489 section 14.5).
        for at in range(20, len(good) - 8):
            client.send(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :])
        assert client.receive(SILENCE) is None
        assert client.ask(good) is not None


@pytest.mark.parametrize("workers", [2, 4])
def test_a_transport_is_reached_whichever_socket_the_kernel_picks(workers: int) -> None:
    with running(workers=workers) as engine:
        for worker in range(workers):
            ice = new_transport(engine, worker)
            assert ice.ufrag.startswith(f"0{worker}")
            for _ in range(12):
                client = UdpClient(engine)
                assert client.ask(binding(ice)) is not None
                assert client.ask(binding(ice)) is not None
                client.close()
            engine.close_transport(ice.transport)


def test_a_forged_ufrag_does_not_divert_the_packets_of_an_address() -> None:
    with running(workers=2) as engine:
        here, there = (new_transport(engine, worker) for worker in (0, 1))
        for _ in range(8):
            client = UdpClient(engine)
            assert client.ask(binding(here)) is not None
            client.send(binding(there, pwd="wrong" * 6))
            assert client.ask(binding(here)) is not None


def test_a_taken_port_is_refused_with_the_reason() -> None:
    with running() as engine, pytest.raises(EngineError) as caught:
        _engine.Engine(replace(LOOPBACK, udp_port=engine.udp_port))
    assert caught.value.code is EngineErrorCode.BIND
    assert f"udp 127.0.0.1:{engine.udp_port}" in str(caught.value)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(EngineError) as caught:
        _engine.Engine(replace(LOOPBACK, udp_addresses=("192.0.2.1",)))
    assert caught.value.code is EngineErrorCode.BIND


def test_remote_credentials_that_no_agent_sends_are_refused() -> None:
    with running() as engine:
        ice = engine.create_transport(1)
        for ufrag, pwd in (("abc", "x" * 22), (REMOTE_UFRAG, "short"), ("a\r\nb", "x" * 22)):
            with pytest.raises(EngineError) as caught:
                engine.set_remote_ice(ice.transport, ufrag, pwd)
            assert caught.value.code is EngineErrorCode.ARGUMENT
