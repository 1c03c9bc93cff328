"""ICE over passive TCP: framing, limits, cuts."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace

import pytest

from mediaserver import _engine
from mediaserver.engine_types import EngineError, EngineErrorCode, EngineLimits, IceConnected
from tests.mediaserver.engine.clients import (
    LOOPBACK,
    PATIENCE,
    SUCCESS,
    TcpClient,
    UdpClient,
    binding,
    new_transport,
    running,
    wait_for,
)

assert LOOPBACK.limits.tcp_first_frame_ms == 1_500


def cuts(engine: _engine.Engine) -> dict[str, int]:
    """Connections ended by the engine, by reason; the snapshot is at most a second old."""
    merged: dict[str, int] = {}
    for worker in json.loads(engine.snapshot())["workers"]:
        for reason, count in worker["net"]["tcp_cut"].items():
            merged[reason] = merged.get(reason, 0) + count
    return merged


def wait_for_cut(engine: _engine.Engine, reason: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not cuts(engine).get(reason):
        assert time.monotonic() < deadline, cuts(engine)
        time.sleep(0.05)


def test_a_framed_check_is_answered_and_connects() -> None:
    with running() as engine:
        ice = new_transport(engine)
        answer = TcpClient(engine).ask(binding(ice))
        assert answer is not None
        assert answer.kind == SUCCESS
        event = wait_for(engine, IceConnected)[-1]
        assert isinstance(event, IceConnected)
        assert (event.transport, event.protocol) == (ice.transport, "tcp")


def test_frames_may_arrive_byte_by_byte_and_many_at_once() -> None:
    with running() as engine:
        ice = new_transport(engine)
        client = TcpClient(engine)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        check = binding(ice)
        for byte in len(check).to_bytes(2, "big") + check:
            client.socket.send(bytes([byte]))
        assert client.receive() is not None
        many = [binding(ice) for _ in range(50)]
        client.socket.sendall(b"\0\0".join(len(m).to_bytes(2, "big") + m for m in many))
        assert sum(bool(client.receive()) for _ in many) == 50


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "oversize"),
        (b"\x00\x04abcd", "not_stun"),
        (b"\xff\xff", "oversize"),
        (b"\x00\x15\x16\xfe\xfd" + bytes(18), "not_stun"),
    ],
)
def test_a_connection_that_does_not_begin_with_a_check_is_cut(frame: bytes, reason: str) -> None:
    with running() as engine:
        client = TcpClient(engine)
        client.socket.sendall(frame)
        assert client.closed_by_engine()
        wait_for_cut(engine, reason)


def test_silence_before_the_first_frame_is_cut() -> None:
    with running() as engine:
        client = TcpClient(engine)
        client.socket.sendall(b"\x00")
        assert client.closed_by_engine()
        wait_for_cut(engine, "no_frame")


def test_a_check_that_proves_nothing_is_cut_too() -> None:
    with running() as engine:
        client = TcpClient(engine)
        client.send(binding(new_transport(engine), pwd="wrong" * 6))
        assert client.closed_by_engine()
        wait_for_cut(engine, "unanswered")


def test_an_idle_connection_is_cut() -> None:
    limits = replace(LOOPBACK.limits, tcp_idle_ms=500)
    with running(limits=limits) as engine:
        client = TcpClient(engine)
        assert client.ask(binding(new_transport(engine))) is not None
        assert client.closed_by_engine()
        wait_for_cut(engine, "idle")


def test_a_reader_that_stops_reading_is_cut_and_its_queue_is_bounded() -> None:
    limits = replace(LOOPBACK.limits, tcp_send_buffer=64 * 1024, tcp_idle_ms=60_000)
    with running(limits=limits) as engine:
        ice = new_transport(engine)
        client = TcpClient(engine)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert client.ask(binding(ice)) is not None
        engine.events()
        deadline = time.monotonic() + 60
        while not cuts(engine).get("stalled"):
            assert time.monotonic() < deadline, cuts(engine)
            for _ in range(100):
                engine.send_dtls(ice.transport, bytes(1200))
            time.sleep(0.02)
        drops = json.loads(engine.snapshot())["workers"][0]["drops"]
        assert drops["tcp_buffer_full"] > 0
        assert UdpClient(engine).ask(binding(ice)) is not None


def test_connections_are_limited_by_address_and_places_come_back() -> None:
    limits = replace(LOOPBACK.limits, tcp_connections_per_address=3)
    with running(limits=limits) as engine:
        ice = new_transport(engine)
        clients = [TcpClient(engine) for _ in range(3)]
        assert all(client.ask(binding(ice)) for client in clients)
        assert TcpClient(engine).closed_by_engine()
        for client in clients:
            client.close()
        wait_for_cut(engine, "closed")
        deadline = time.monotonic() + PATIENCE
        while TcpClient(engine).ask(binding(ice)) is None:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("workers", [2, 3])
def test_a_connection_is_handed_to_the_worker_that_owns_the_ufrag(workers: int) -> None:
    with running(workers=workers) as engine:
        for worker in range(workers):
            ice = new_transport(engine, worker)
            for _ in range(6):
                client = TcpClient(engine)
                assert client.ask(binding(ice)) is not None
                assert client.ask(binding(ice)) is not None
                client.close()
            engine.close_transport(ice.transport)


def test_the_transport_outlives_its_connection() -> None:
    with running() as engine:
        ice = new_transport(engine)
        first = TcpClient(engine)
        assert first.ask(binding(ice)) is not None
        first.close()
        wait_for_cut(engine, "closed")
        assert TcpClient(engine).ask(binding(ice)) is not None


def test_without_a_tcp_port_there_is_none() -> None:
    with running(tcp_port=None) as engine:
        assert engine.tcp_port is None


def test_a_taken_tcp_port_is_refused() -> None:
    with running() as engine, pytest.raises(EngineError) as caught:
        _engine.Engine(replace(LOOPBACK, tcp_port=engine.tcp_port, limits=EngineLimits()))
    assert caught.value.code is EngineErrorCode.BIND
