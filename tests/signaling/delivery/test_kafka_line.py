"""What a broker may say that is no answer: nothing of it costs memory, time, or trust."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import struct
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from aiokafka.protocol.admin import (
    ApiVersionResponse_v0,
    SaslAuthenticateResponse_v0,
    SaslHandShakeResponse_v1,
)
from aiokafka.protocol.metadata import MetadataRequest

from signaling.delivery.sinks.kafka_line import MOST_ANSWER, BrokerError, Line
from signaling.delivery.subscriptions import Kafka
from signaling.egress import Allow, Egress, EgressRefused

VERSIONS = [(18, 0, 2), (17, 1, 1), (36, 0, 0), (3, 1, 5)]
HELLO = ApiVersionResponse_v0(0, VERSIONS).encode()
SHAKEN = SaslHandShakeResponse_v1(0, ["SCRAM-SHA-512"]).encode()
# From what was asked, and its body, what is answered: a body, or None to say nothing more.
Script = Callable[[int, bytes], bytes | None]


def framed(turn: bytes, body: bytes) -> bytes:
    return struct.pack(">i", len(turn + body)) + turn + body


@contextlib.asynccontextmanager
async def lined(script: Script, raw: bytes | None = None, **more: str) -> AsyncIterator[Line]:
    """A line to a broker that does as the script says; `raw` instead of all but the hello."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                request = await reader.readexactly(size)
                key, turn = int.from_bytes(request[:2], "big"), request[4:8]
                if raw is not None and key != 18:
                    writer.write(raw)
                    continue
                answer = HELLO if key == 18 else script(key, request)
                if answer is None:
                    break
                writer.write(framed(turn, answer))
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    egress = Egress([Allow(ipaddress.ip_network("127.0.0.1/32"), port)])
    to = Kafka(servers=(f"127.0.0.1:{port}",), topic="t", tls=False)
    async with server:
        try:
            line = await Line.open(egress, msgspec.structs.replace(to, **more), "127.0.0.1", port)
            try:
                yield line
            finally:
                line.close()
                await asyncio.sleep(0)
        finally:
            await egress.close()


def nothing(_: int, __: bytes) -> bytes | None:
    return None


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (struct.pack(">i", -1), "does not answer as"),
        (struct.pack(">i", 0), "does not answer as"),
        (struct.pack(">i", MOST_ANSWER + 1), "does not answer as"),
        (framed(struct.pack(">i", 2), b""), "does not answer as"),
        (framed(struct.pack(">i", 2), b"\x7f" * 40), "does not answer as"),
        (framed(b"", b"\0"), "does not answer as"),
        (framed(struct.pack(">i", 7), b"\0" * 40), "answers something else"),
    ],
)
async def test_what_is_no_answer_of_kafka_is_refused(raw: bytes, words: str) -> None:
    async with lined(nothing, raw) as line:
        with pytest.raises(BrokerError, match=words):
            await line.ask(MetadataRequest(["t"], False))


async def test_a_broker_that_hangs_up_is_no_answer() -> None:
    async with lined(nothing) as line:
        with pytest.raises(EOFError):
            await line.ask(MetadataRequest(["t"], False))


async def test_a_broker_that_knows_no_version_of_ours_is_told_apart() -> None:
    async with lined(nothing) as line:
        line._versions = {3: (90, 99)}
        with pytest.raises(BrokerError, match="no version"):
            await line.ask(MetadataRequest(["t"], False))
        line._versions = {}
        with pytest.raises(BrokerError, match="no version"):
            await line.ask(MetadataRequest(["t"], False))


async def test_nobody_is_called_who_may_not_be() -> None:
    egress = Egress([])
    to = Kafka(servers=("127.0.0.1:9092",), topic="t")
    for host in ("127.0.0.1", "10.0.0.1", "::1", "169.254.169.254", "0x7f000001", "me@127.0.0.1"):
        with pytest.raises(EgressRefused):
            await Line.open(egress, to, host, 9092)
    await egress.close()


def scram(said: Callable[[str], bytes]) -> Script:
    """Answers the first message as `said` says, given its nonce, and then with a signature that
    it could not know.
    """
    turns = iter((said, lambda _: b"v=" + base64.b64encode(bytes(64))))

    def script(key: int, request: bytes) -> bytes | None:
        if key == 17:
            return bytes(SHAKEN)
        nonce = request.rpartition(b"r=")[2].decode("latin1")
        return bytes(SaslAuthenticateResponse_v0(0, None, next(turns)(nonce)).encode())

    return script


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lambda n: f"r={n}x,s=AAAA,i=2000000000".encode(), "too many rounds"),
        (lambda n: b"r=another,s=AAAA,i=4096", "does not answer as"),
        (lambda n: b"\xff\xfe", "does not answer as"),
        (lambda n: b"", "does not answer as"),
        (lambda n: f"r={n}x,s=AAAA,i=4096".encode(), "does not answer as"),
    ],
)
async def test_a_broker_that_does_not_know_the_password_is_found_out(
    said: Callable[[str], bytes], words: str
) -> None:
    with pytest.raises(BrokerError, match=words):
        async with lined(scram(said), user="sotto", password="a password"):
            pass
