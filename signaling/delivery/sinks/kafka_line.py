"""One guarded connection to a broker of Kafka: frames, versions and SASL, one request at a time.

The brokers of a cluster name each other's addresses; each is looked up and checked here, where it
is connected to, whoever named it. Requests and answers are aiokafka's; its client is not used: it
connects to whatever a broker names, and tries for ever what a route tries again itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.conn import SaslPlainAuthenticator, ScramAuthenticator
from aiokafka.errors import for_code
from aiokafka.protocol.admin import (
    ApiVersionRequest,
    SaslAuthenticateRequest,
    SaslHandShakeRequest,
)

from signaling.delivery.subscriptions import Kafka
from signaling.egress import Egress

CLIENT = "sotto"
# For a name that leads nowhere, so that the next server has its turn within one send.
CONNECT_SECONDS = 5.0
# Of a cluster with thousands of partitions the metadata is far below this.
MOST_ANSWER = 4 * 1024 * 1024
# Brokers allow 16,384; whoever names more wants this server to compute for hours.
MOST_ROUNDS = 100_000
_ROUNDS = re.compile(rb"(?:^|,)i=(\d+)")
# What decoding bytes that are no answer of Kafka raises.
_ODD = (ValueError, TypeError, LookupError, AttributeError, struct.error)


class BrokerError(Exception):
    """What a broker answers is no, or is no answer; `code` as the protocol numbers it."""

    def __init__(self, message: str, code: int = -1, *, again: bool = False) -> None:
        super().__init__(message)
        self.code, self.again = code, again


class Line:
    """Made by `open`. Whoever is cancelled in `ask` closes it: half of an answer may be left."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._versions: dict[int, tuple[int, int]] = {}
        self._turn = 0

    @classmethod
    async def open(cls, egress: Egress, to: Kafka, host: str, port: int) -> Line:
        """Raises EgressRefused, EgressFailed, BrokerError, OSError, EOFError."""
        async with asyncio.timeout(CONNECT_SECONDS):
            place = await egress.place(host, port, plain=not to.tls)
            reader, writer = await asyncio.open_connection(
                place.address, place.port, ssl=place.context if to.tls else None,
                server_hostname=place.name if to.tls else None,
            )  # fmt: skip
            line = cls(reader, writer)
            try:
                await line._agree()
                if to.user:
                    await line._sign_in(to)
            except BaseException:
                line.close()
                raise
        return line

    def close(self) -> None:
        self._writer.transport.abort()

    async def ask(self, request: Any) -> Any:
        """Raises BrokerError, OSError, EOFError."""
        try:
            shape = request.prepare(self._versions)
        except RuntimeError as error:  # of aiokafka, two kinds
            raise BrokerError("it speaks no version that is known here") from error
        self._turn += 1
        head = shape.build_request_header(correlation_id=self._turn, client_id=CLIENT)
        frame = head.encode() + shape.encode()
        self._writer.write(struct.pack(">i", len(frame)) + frame)
        await self._writer.drain()
        answer = io.BytesIO(await self._frame())
        try:
            turn = shape.parse_response_header(answer).correlation_id
            shown = shape.RESPONSE_TYPE.decode(answer)
        except _ODD as error:
            raise BrokerError("it does not answer as Kafka does") from error
        if turn != self._turn:
            raise BrokerError("it answers something else")
        return shown

    async def _frame(self) -> bytes:
        (size,) = struct.unpack(">i", await self._reader.readexactly(4))
        if not 0 < size <= MOST_ANSWER:
            raise BrokerError("it does not answer as Kafka does")
        return await self._reader.readexactly(size)

    async def _agree(self) -> None:
        answer = await self.ask(ApiVersionRequest())
        check(answer.error_code)
        with _answering():
            self._versions = {key: (least, most) for key, least, most in answer.api_versions}

    async def _sign_in(self, to: Kafka) -> None:
        """RFC 5802 (SCRAM) or RFC 4616 (PLAIN), inside Kafka's own frames."""
        check((await self.ask(SaslHandShakeRequest(to.mechanism))).error_code)
        steps: Any
        more = {"loop": asyncio.get_running_loop(), "sasl_plain_username": to.user,
                "sasl_plain_password": to.password}  # fmt: skip
        if to.mechanism == "PLAIN":
            steps = SaslPlainAuthenticator(**more)
        else:
            steps = ScramAuthenticator(sasl_mechanism=to.mechanism, **more)
        said: bytes | None = None
        while True:
            with _answering():
                step = await steps.step(_bounded(said))
            if step is None:
                return
            answer = await self.ask(SaslAuthenticateRequest(step[0]))
            check(answer.error_code)
            said = answer.sasl_auth_bytes


def check(code: int) -> None:
    """Raises BrokerError."""
    if code:
        kind = for_code(code)
        again = bool(kind.retriable or kind.invalid_metadata)
        name = kind.__name__.removesuffix("Error")
        raise BrokerError(f"{name} ({code})", code, again=again)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """What a broker said is taken apart inside."""
    try:
        yield
    except (*_ODD, AssertionError) as error:
        raise BrokerError("it does not answer as Kafka does") from error


def _bounded(said: bytes | None) -> bytes | None:
    found = _ROUNDS.search(said or b"")
    if found is not None and int(found[1]) > MOST_ROUNDS:
        raise BrokerError("it wants too many rounds of SCRAM")
    return said
