"""Connections: slow headers are cut, numbers are bounded, long LiveKit request lines pass."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from signaling import logs
from signaling.config import Limits
from signaling.errors import ConfigError
from signaling.http.gate import Gate
from signaling.http.listener import ACCEPTED_AT_ONCE, Listener, open_socket
from signaling.http.middleware import Handler
from signaling.http.rates import Buckets
from tests.signaling.house import Running, serving
from tests.slack import SLACK


async def connect(house: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    at = urlsplit(house.http)
    return await asyncio.open_connection(at.hostname, at.port)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /healthz"],
    ids=["silent", "header", "line"],
)
async def test_a_header_that_never_ends_is_cut(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path, {"limits.header_seconds": "0.4"}) as house:
        reader, writer = await connect(house)
        writer.write(sent)
        began = time.monotonic()
        # A byte now and then does not buy more time.
        for _ in range(100):
            await asyncio.sleep(0.1)
            if reader.at_eof() or reader.exception() is not None:
                break
            if sent:
                writer.write(b"a")
        assert 0.3 < time.monotonic() - began < 0.4 + SLACK
        await close(writer)
        async with house.client.get(house.operator + "/metrics") as answer:
            assert 'sotto_connections_refused_total{reason="slow_header"} 1' in await answer.text()


async def test_a_slow_header_on_a_kept_connection_is_cut_too(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits.header_seconds": "0.4"}) as house:
        reader, writer = await connect(house)
        writer.write(b"GET /nothing.js HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 404 " in head
        writer.write(b"GET / HT")
        async with asyncio.timeout(60):
            while not reader.at_eof() and reader.exception() is None:
                try:
                    if not await reader.read(4096):
                        break
                except ConnectionResetError:
                    break
        await close(writer)


async def test_a_slow_tls_handshake_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits.header_seconds": "0.4"}) as house:
        at = urlsplit(house.https)
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        await close(writer)


async def test_a_slow_body_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits.body_seconds": "0.3"}) as house:
        reader, writer = await connect(house)
        writer.write(
            b"POST /api/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(60):
            assert b" 408 " in await reader.readline()
        await close(writer)


async def test_there_are_so_many_connections(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits.connections": "3"}) as house:
        opened = [await connect(house) for _ in range(5)]
        await asyncio.sleep(0.2)
        cut = 0
        for reader, _ in opened:
            try:
                await asyncio.wait_for(reader.read(1), 0.5)
                cut += 1
            except ConnectionResetError:
                cut += 1
            except TimeoutError:
                pass
        assert cut == 2
        # The operator still gets in.
        async with house.client.get(house.operator + "/healthz") as answer:
            assert answer.status == 200
        for _, writer in opened:
            await close(writer)
        await asyncio.sleep(0.1)
        async with house.client.get(house.http + "/nothing.js") as answer:
            assert answer.status == 404


async def test_a_join_request_of_64_kb_passes_and_more_does_not(house: Running) -> None:
    request = base64.urlsafe_b64encode(b"x" * 48_000).decode()
    token = house.token("room", "ann")
    url = f"{house.http}/rtc/v1/validate?access_token={token}&join_request="
    async with house.client.get(url + request) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    reader, writer = await connect(house)
    writer.write(b"GET /rtc?join_request=" + b"x" * 200_000)
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            assert b" 400 " in await reader.readline()
    await close(writer)


def test_a_proxy_stands_for_many() -> None:
    gate = Gate(Limits(connections=3, connections_per_address=1), lambda a: a == "127.0.0.1")
    assert [gate.enter("127.0.0.1") for _ in range(4)] == [True, True, True, False]


async def test_one_address_asks_so_often(tmp_path: Path) -> None:
    flags = {
        "limits.requests_per_second": "0.1",
        "limits.requests_burst": "3",
        "http.trusted_proxies": "127.0.0.1",
    }
    async with serving(tmp_path, flags) as house:
        statuses = []
        for _ in range(5):
            headers = {"X-Forwarded-For": "198.51.100.1", "Content-Type": "application/sdp"}
            async with house.client.post(house.http + "/whip/a", headers=headers) as answer:
                statuses.append(answer.status)
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "1"
                    assert answer.content_type == "application/problem+json"
        assert statuses == [401, 401, 401, 429, 429]
        other = {"X-Forwarded-For": "198.51.100.2"}
        async with house.client.get(house.http + "/rtc/validate", headers=other) as answer:
            assert answer.status == 401


def test_the_gate_counts_and_lets_go() -> None:
    gate = Gate(Limits(connections=3, connections_per_address=2))
    assert [gate.enter("a"), gate.enter("a"), gate.enter("a")] == [True, True, False]
    assert [gate.enter("b"), gate.enter("c")] == [True, False]
    gate.leave("a")
    assert gate.enter("c")
    assert gate.refused == {"connections_per_address": 1, "connections": 1}


def test_buckets_refill_with_time_and_forget_the_oldest() -> None:
    buckets = Buckets(rate=2.0, burst=3, size=2)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("a", 0.5)
    assert not buckets.take("a", 0.5)
    buckets.take("b", 1.0)
    buckets.take("c", 1.0)
    assert len(buckets) == 2


def test_a_port_that_is_taken_is_named() -> None:
    with open_socket("127.0.0.1", 0, "http.listen") as sock:
        sock.listen()
        with pytest.raises(ConfigError, match=r"http\.listen: cannot listen on 127\.0\.0\.1"):
            open_socket("127.0.0.1", sock.getsockname()[1], "http.listen")
    with pytest.raises(ConfigError, match="not an address of this machine"):
        open_socket("no.such.name.invalid", 1, "http.listen")


async def test_a06_plain_http_to_the_tls_port_is_refused_and_not_redirected(house: Running) -> None:
    port = urlsplit(house.https).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Location" not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    await close(writer)


async def test_connections_in_their_handshake_count(tmp_path: Path) -> None:
    async with serving(tmp_path, {"limits.connections": "2"}) as house:
        port = urlsplit(house.https).port
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionResetError):
                assert await opened[2][0].read() == b""
        for _, writer in opened:
            await close(writer)
        await asyncio.sleep(0.1)
        # The places were given back, also by those that never shook hands.
        for _ in range(5):
            async with house.client.get(house.https + "/nothing.js") as answer:
                assert answer.status == 404


async def test_a_hello_byte_by_byte_is_still_a_hello(house: Running) -> None:
    port = urlsplit(house.https).port
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = house.trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(20):
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                writer.write(bytes([byte]))
                await writer.drain()
            incoming.write(await asyncio.wait_for(reader.read(65536), 30))
    assert tls.version() == "TLSv1.3"
    await close(writer)


async def test_requests_are_read_however_tls_cuts_them(house: Running) -> None:
    """Several records in one segment, several requests in one record, a record in two segments."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(house.https).port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = house.trust.wrap_bio(incoming, outgoing, server_hostname="localhost")

    async def done(act: Callable[[], bytes | None]) -> bytes:
        while True:
            try:
                return act() or b""
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await asyncio.wait_for(reader.read(65536), 10))

    await done(tls.do_handshake)
    asked = b"GET /nothing.js HTTP/1.1\r\nHost: x\r\n\r\n" * 3
    for size in (1, 7, len(asked) // 3, len(asked)):
        for at in range(0, len(asked), size):
            tls.write(asked[at : at + size])
        sent, seen = outgoing.read(), b""
        for part in (sent[:-5], sent[-5:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        while seen.count(b"HTTP/1.1 404 ") < 3:
            seen += await done(lambda: tls.read(65536))
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.unwrap()  # close_notify, which the server answers and ends
    writer.write(outgoing.read())
    assert await asyncio.wait_for(reader.read(), 10)
    await close(writer)


async def test_a_crowd_is_let_in_a_few_for_each_step_of_the_loop() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    sock = open_socket("127.0.0.1", 0, "http.listen")
    gate = Gate(Limits(), lambda address: True)
    listener = await Listener.start(runner, sock, gate, Limits())
    at, steps = ("127.0.0.1", listener.port), list[int]()
    # The kernel lets them in; the loop has not had a step yet.
    crowd = [socket.create_connection(at) for _ in range(5 * ACCEPTED_AT_ONCE)]
    try:
        async with asyncio.timeout(60):
            while gate.total < len(crowd):
                before = gate.total
                await asyncio.sleep(0)
                steps.append(gate.total - before)
        assert max(steps) <= ACCEPTED_AT_ONCE
    finally:
        for one in crowd:
            one.close()
        await listener.close()
        await runner.cleanup()


async def test_requests_of_a_connection_share_its_task_and_leave_nothing_bound() -> None:
    seen: list[object] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((asyncio.current_task(), logs._bound.get()))
        with logs.bind(room="r1"):
            return web.Response(text="ok")

    async with listening(handler) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"ok"), 30)
        await close(writer)
    assert len(seen) == 3 and set(seen) == {seen[0]}


async def test_a_request_under_way_is_ended_with_the_server() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return web.Response()

    async with listening(handler) as (port, runner):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(begun.wait(), 30)
        await runner.cleanup()
        await asyncio.wait_for(ended.wait(), 30)
        await close(writer)


@contextlib.asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[tuple[int, web.AppRunner]]:
    app = web.Application()
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    sock = open_socket("127.0.0.1", 0, "http.listen")
    listener = await Listener.start(runner, sock, Gate(Limits()), Limits())
    try:
        yield listener.port, runner
    finally:
        await listener.close()
        await runner.cleanup()
