"""ICAP (RFC 3507): the file as the body of a response that a scanner may modify (RESPMOD)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Mapping

from signaling.errors import Unavailable
from signaling.files.port import Verdict

HEADER_BYTES = 16 * 1024
RETRY_AFTER = 10
_THREAT = re.compile(r"Threat=([^;]*)")


class Icap:
    """A connection for each file. `tls` for `icaps:` (not in the RFC, and common)."""

    def __init__(
        self,
        host: str,
        port: int,
        service: str,
        *,
        tls: ssl.SSLContext | None = None,
        seconds: float = 60.0,
    ) -> None:
        self._host, self._port, self._service = host, port, service
        self._tls, self._seconds = tls, seconds

    async def scan(self, data: AsyncIterator[bytes], size: int) -> Verdict:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._scan(data, size)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise Unavailable("the virus scanner does not answer", RETRY_AFTER) from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise Unavailable("the virus scanner gave no verdict", RETRY_AFTER) from error

    async def _scan(self, data: AsyncIterator[bytes], size: int) -> Verdict:
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._tls, limit=HEADER_BYTES
        )
        sent = hashlib.sha256()
        sending = asyncio.create_task(self._send(writer, data, size, sent))
        try:
            # It may answer before it has seen everything, so both go on at once.
            head = await reader.readuntil(b"\r\n\r\n")
            status, fields = parse(head)
            inner, came = b"", b""
            if status == 200 and "res-body=" in fields.get("encapsulated", ""):
                inner, came = await _answered(reader, fields["encapsulated"])
                same = sending.done() and came == sent.digest()
            else:
                same = False
            if status == 204 and not sending.done():
                await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return verdict(status, fields, inner, same=same)

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        data: AsyncIterator[bytes],
        size: int,
        sent: hashlib._Hash,
    ) -> None:
        """RFC 3507 section 4.9: a made-up request, a made-up response, the body in chunks."""
        asked = b"GET /file HTTP/1.1\r\nHost: files.invalid\r\n\r\n"
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        answer += f"Content-Length: {size}\r\n\r\n".encode()
        where = f"{self._host}:{self._port}" if ":" not in self._host else f"[{self._host}]"
        head = (
            f"RESPMOD icap://{where}/{self._service} ICAP/1.0\r\n"
            f"Host: {where}\r\nUser-Agent: sotto\r\nAllow: 204\r\nConnection: close\r\n"
            f"Encapsulated: req-hdr=0, res-hdr={len(asked)}, "
            f"res-body={len(asked) + len(answer)}\r\n\r\n"
        )
        writer.write(head.encode() + asked + answer)
        async for piece in data:
            if piece:
                sent.update(piece)
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _answered(reader: asyncio.StreamReader, where: str) -> tuple[bytes, bytes]:
    """The response inside the answer: its first line, and the digest of its body."""
    at = next(part for part in where.split(",") if "res-body=" in part).partition("=")[2]
    head = await reader.readexactly(min(int(at), HEADER_BYTES))
    digest = hashlib.sha256()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        digest.update(await reader.readexactly(size))
        await reader.readexactly(2)
    return head.partition(b"\r\n")[0], digest.digest()


def parse(head: bytes) -> tuple[int, Mapping[str, str]]:
    """Raises ValueError for what is no ICAP response."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("ICAP/1."):
        raise ValueError("not ICAP")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return int(rest[:3]), fields


def verdict(status: int, fields: Mapping[str, str], inner: bytes, *, same: bool = False) -> Verdict:
    """Found by the extension fields that scanners share (draft-stecher-icap-subid), or by an answer
    that forbids. Clean is 204, and what comes back as it was (`same`). Raises Unavailable else.
    """
    if status == 204:
        return Verdict()
    if status == 200:
        if found := fields.get("x-infection-found"):
            named = _THREAT.search(found)
            return Verdict((named[1].strip() if named else "")[:200] or "unnamed")
        if found := fields.get("x-virus-id") or fields.get("x-violations-found"):
            return Verdict(found.split()[-1][:200] if found.split() else "unnamed")
        if inner.startswith((b"HTTP/1.1 403", b"HTTP/1.0 403")):
            return Verdict("unnamed")
        if same:
            return Verdict()
    raise Unavailable("the virus scanner gave no verdict", RETRY_AFTER)
