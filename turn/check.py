"""Tests a TURN relay as a client would.

Allocate, permit, send one datagram through it and get one back.

Over UDP, TCP or TLS (RFC 8656). Raises CheckFailed with the step that broke; knows no fixes.
Driven by
`sotto doctor` and tests; needs no configuration of the relay, only a credential.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, cast

from aioice import stun

UDP_TRANSPORT = 17 << 24  # REQUESTED-TRANSPORT, RFC 8656 section 18.7
# RFC 8489 section 6.2.1 doubles from 500 ms; a doctor need not wait 39 s for a dead port.
RESENDS = (0.0, 0.3, 0.7, 1.5)
PATIENCE = 5.0
HEADER = 20


class Step(StrEnum):
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    ANSWER = "answer"
    ALLOCATE = "allocate"
    PERMISSION = "permission"
    RELAY = "relay"


class CheckFailed(Exception):  # noqa: N818 - names what happened
    """`code` is the STUN error code where there was one (RFC 8656 section 19)."""

    def __init__(self, step: Step, detail: str, code: int = 0) -> None:
        super().__init__(f"{step}: {detail}")
        self.step = step
        self.detail = detail
        self.code = code


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    transport: str
    """`udp`, `tcp` or `tls`."""
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}/{self.transport})"


class Wire(Protocol):
    """One way to a STUN server: whole messages in and out."""

    reliable: bool

    def send(self, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def close(self) -> None: ...


def reason(error: OSError) -> str:
    """asyncio's own text names addresses and not the cause."""
    return os.strerror(error.errno) if error.errno else "it cannot be reached"


class _Datagrams(asyncio.DatagramProtocol):
    reliable = False

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | Exception] = asyncio.Queue(64)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own class does not inherit from the abstract one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(exc)

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data)

    async def receive(self) -> bytes:
        got = await self._queue.get()
        if isinstance(got, Exception):
            raise got
        return got

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)  # the transport lets go of its socket in the next turn


class _Stream:
    """STUN over TCP has no framing of its own.

    The header says the length (RFC 8489 section 6.2.2).
    """

    reliable = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> bytes:
        header = await self._reader.readexactly(HEADER)
        (length,) = struct.unpack_from("!H", header, 2)
        return header + await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)


@contextlib.asynccontextmanager
async def connect(
    host: str, port: int, transport: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[Wire]:
    """Raises CheckFailed at RESOLVE, CONNECT or TLS."""
    loop = asyncio.get_running_loop()
    wire: Wire
    try:
        if transport == "udp":
            _, wire = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(host, port))
        else:
            secure = (context or ssl.create_default_context()) if transport == "tls" else None
            opening = asyncio.open_connection(
                host, port, ssl=secure, server_hostname=host if secure else None
            )
            wire = _Stream(*await asyncio.wait_for(opening, PATIENCE))
    except ssl.SSLCertVerificationError as error:
        raise CheckFailed(Step.TLS, error.verify_message) from error
    except ssl.SSLError as error:
        raise CheckFailed(Step.TLS, error.reason or "the TLS handshake failed") from error
    except TimeoutError:
        raise CheckFailed(Step.CONNECT, f"no answer within {PATIENCE:.0f} s") from None
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise CheckFailed(Step.RESOLVE, f"{host} has no address") from error
        raise CheckFailed(Step.CONNECT, reason(error)) from error
    try:
        yield wire
    finally:
        await wire.close()


async def ask(wire: Wire, request: stun.Message, step: Step) -> stun.Message:
    """Send until answered. Raises CheckFailed(ANSWER) when nothing that fits comes back."""
    waits = (0.0,) if wire.reliable else RESENDS
    deadline = asyncio.get_running_loop().time() + PATIENCE
    try:
        async with asyncio.timeout_at(deadline):
            for number in range(len(waits)):
                wire.send(bytes(request))
                more = waits[number + 1] if number + 1 < len(waits) else PATIENCE
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(_answer(wire, request), more)
    except TimeoutError:
        pass
    except ConnectionRefusedError:
        raise CheckFailed(step, "nothing listens there") from None
    except (OSError, asyncio.IncompleteReadError):
        raise CheckFailed(step, "the connection was closed") from None
    raise CheckFailed(step, f"no answer within {PATIENCE:.0f} s")


async def _answer(wire: Wire, request: stun.Message) -> stun.Message:
    while True:
        with contextlib.suppress(ValueError):
            message = stun.parse_message(await wire.receive())
            if message.transaction_id == request.transaction_id:
                return message


class Allocation:
    """A relayed address on a wire. `key` is the long-term credential (RFC 8489 section 9.2.2)."""

    def __init__(self, wire: Wire, server: Server) -> None:
        self._wire = wire
        self._server = server
        self._realm = ""
        self._nonce = b""
        self._key = b""

    async def allocate(self) -> tuple[str, int]:
        """The relayed address. Raises CheckFailed(ALLOCATE) with coturn's code."""
        request = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
        request.attributes["REQUESTED-TRANSPORT"] = UDP_TRANSPORT
        answer = await ask(self._wire, request, Step.ANSWER)
        if answer.error_code == 401:
            self._realm = str(answer.attributes.get("REALM", ""))
            self._nonce = bytes(answer.attributes.get("NONCE", b""))
            secret = f"{self._server.username}:{self._realm}:{self._server.password}"
            # MD5 is what RFC 8489 section 9.2.2 derives this key with.
            self._key = hashlib.md5(secret.encode(), usedforsecurity=False).digest()
            answer = await self._ask(
                stun.Method.ALLOCATE, {"REQUESTED-TRANSPORT": UDP_TRANSPORT}, Step.ALLOCATE
            )
        self._expect(answer, Step.ALLOCATE)
        host, port = answer.attributes["XOR-RELAYED-ADDRESS"]
        return str(host), int(port)

    async def permit(self, peer: tuple[str, int]) -> None:
        attributes = {"XOR-PEER-ADDRESS": peer}
        answer = await self._ask(stun.Method.CREATE_PERMISSION, attributes, Step.PERMISSION)
        self._expect(answer, Step.PERMISSION)

    async def exchange(
        self, peer: tuple[str, int], payload: bytes, wanted: Callable[[bytes], bool]
    ) -> None:
        """One datagram to the peer and one that is `wanted` back."""
        for wait in RESENDS[1:]:
            indication = stun.Message(stun.Method.SEND, stun.Class.INDICATION)
            indication.attributes["XOR-PEER-ADDRESS"] = peer
            indication.attributes["DATA"] = payload
            self._wire.send(bytes(indication))
            try:
                return await asyncio.wait_for(self._back(wanted), wait)
            except TimeoutError:
                continue
            except (OSError, asyncio.IncompleteReadError):
                raise CheckFailed(Step.RELAY, "the connection to the relay was closed") from None
        raise CheckFailed(Step.RELAY, "nothing came back through the relay")

    async def release(self) -> None:
        with contextlib.suppress(CheckFailed):
            await self._ask(stun.Method.REFRESH, {"LIFETIME": 0}, Step.ALLOCATE)

    async def _back(self, wanted: Callable[[bytes], bool]) -> None:
        while True:
            with contextlib.suppress(ValueError):
                message = stun.parse_message(await self._wire.receive())
                data = message.attributes.get("DATA", b"")
                if message.message_method == stun.Method.DATA and wanted(bytes(data)):
                    return

    async def _ask(
        self, method: stun.Method, attributes: Mapping[str, object], step: Step
    ) -> stun.Message:
        request = stun.Message(method, stun.Class.REQUEST)
        request.attributes.update(attributes)
        request.attributes["USERNAME"] = self._server.username
        request.attributes["REALM"] = self._realm
        request.attributes["NONCE"] = self._nonce
        request.add_message_integrity(self._key)
        return await ask(self._wire, request, step)

    def _expect(self, answer: stun.Message, step: Step) -> None:
        if answer.message_class == stun.Class.RESPONSE:
            return
        code, reason = answer.attributes.get("ERROR-CODE", (0, "an unknown error"))
        raise CheckFailed(step, f"{code} {reason}".strip(), int(code))


async def check(
    server: Server,
    peer: tuple[str, int],
    payload: bytes,
    wanted: Callable[[bytes], bool],
    context: ssl.SSLContext | None = None,
) -> tuple[str, int]:
    """The whole way there and back; returns the relayed address."""
    async with connect(server.host, server.port, server.transport, context) as wire:
        allocation = Allocation(wire, server)
        relayed = await allocation.allocate()
        try:
            await allocation.permit(peer)
            await allocation.exchange(peer, payload, wanted)
        finally:
            await allocation.release()
        return relayed
