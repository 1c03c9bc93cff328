"""One HTTP/2 connection to one service: opened when needed, and again when it ended (RFC 9113).

Requests are small and share it. What was under way when a connection ended fails, and its maker
decides whether to ask again. A thin adapter around h2, which knows no sockets; streams come from
the egress guard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from msgspec import Struct

Open = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
MAX_ANSWER = 16384
READ = 65536


class Http2Failed(Exception):  # noqa: N818 - names what happened
    """The connection ended, or its other side broke the protocol or took too long."""


class Reply(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Exchange:
    """A request under way."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Http2Failed(why))

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(Reply(self.status, self.headers, bytes(self.body)))


class _Wire:
    """States: open -> over. Owned by `Http2`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config=config)
        self._reader, self._writer = reader, writer
        self._exchanges: dict[int, _Exchange] = {}
        self._moved = asyncio.Event()
        self.over = ""
        self._h2.initiate_connection()
        self._flush()
        self._task = asyncio.get_running_loop().create_task(self._read())

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._writer.write(data)

    async def ask(self, headers: Sequence[tuple[str, str]], body: bytes) -> Reply:
        stream, exchange = await self._begin(headers)
        try:
            await self._send(stream, body)
            return await exchange.done
        finally:
            if self._exchanges.pop(stream, None) is not None and not exchange.done.done():
                exchange.done.cancel()
            elif exchange.done.done() and not exchange.done.cancelled():
                exchange.done.exception()  # looked at, also when the sending failed first
            self._moved.set()

    async def _begin(self, headers: Sequence[tuple[str, str]]) -> tuple[int, _Exchange]:
        """As many at once as the other side takes (RFC 9113 section 5.1.2)."""
        while not self.over:
            if self._h2.open_outbound_streams < self._h2.remote_settings.max_concurrent_streams:
                exchange = _Exchange()
                stream = self._h2.get_next_available_stream_id()
                self._exchanges[stream] = exchange
                self._h2.send_headers(stream, list(headers))
                self._flush()
                return stream, exchange
            await self._wait()
        raise Http2Failed(self.over)

    async def _send(self, stream: int, body: bytes) -> None:
        """All at once, when there is room for all (RFC 9113 section 5.2)."""
        size = self._h2.max_outbound_frame_size
        while not self.over and self._h2.local_flow_control_window(stream) < len(body):
            await self._wait()
        if self.over:
            raise Http2Failed(self.over)
        for at in range(0, max(1, len(body)), size):
            part = body[at : at + size]
            self._h2.send_data(stream, part, end_stream=at + size >= len(body))
        self._flush()
        await self._writer.drain()

    async def _wait(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _read(self) -> None:
        why = "the other side closed the connection"
        try:
            while data := await self._reader.read(READ):
                for event in self._h2.receive_data(data):
                    self._take(event)
                self._flush()
                self._moved.set()
                if self.over:
                    break
        except (h2.exceptions.ProtocolError, ValueError):
            why = "the other side broke the protocol"
        except OSError as error:
            why = type(error).__name__
        finally:
            self._end(why)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            # Streams above the last it names were not looked at; of others nobody knows.
            self.over = "the other side is going away"
            return
        exchange = self._exchanges.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            if exchange is not None:
                exchange.body += event.data or b""
                if len(exchange.body) > MAX_ANSWER:
                    exchange.fail("the answer is too long")
        elif exchange is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            fields = {str(name).lower(): str(value) for name, value in event.headers or ()}
            exchange.status = int(fields.pop(":status", "0"))
            exchange.headers = fields
        elif isinstance(event, h2.events.StreamEnded):
            exchange.finish()
        elif isinstance(event, h2.events.StreamReset):
            exchange.fail("the other side reset the stream")

    def _end(self, why: str) -> None:
        self.over = self.over or why
        for exchange in self._exchanges.values():
            exchange.fail(self.over)
        self._moved.set()
        self._writer.transport.abort()

    async def close(self) -> None:
        """Without a farewell: whoever is silent would make us wait for theirs."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._end("closed")


class Http2:
    """See the module. `close` it."""

    def __init__(self, open: Open, authority: str) -> None:  # noqa: A002 - it opens
        self._open = open
        self._authority = authority
        self._wire: _Wire | None = None
        self._opening = asyncio.Lock()

    async def post(
        self, path: str, headers: Mapping[str, str], body: bytes, seconds: float = 10.0
    ) -> Reply:
        """Raises Http2Failed, and what opening raises."""
        fields = [
            (":method", "POST"), (":scheme", "https"), (":authority", self._authority),
            (":path", path), *((name.lower(), value) for name, value in headers.items()),
        ]  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                wire = await self._ready()
                return await wire.ask(fields, body)
        except TimeoutError:
            # Whatever is wrong with it, the next request has another.
            await self.close()
            raise Http2Failed(f"no answer within {seconds} s") from None
        except (h2.exceptions.ProtocolError, ConnectionError) as error:
            await self.close()
            raise Http2Failed(type(error).__name__) from error

    async def _ready(self) -> _Wire:
        async with self._opening:
            if self._wire is None or self._wire.over:
                if self._wire is not None:
                    await self._wire.close()
                self._wire = _Wire(*await self._open())
            return self._wire

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()
