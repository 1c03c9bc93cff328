"""An answer of the API that goes out in one piece, spelled here instead of by aiohttp.

aiohttp makes a dictionary of fields for each answer, lets hooks change it and folds it into bytes:
a sixth of what a small request costs. Most answers need none of it. Whoever looks at `headers`, and
whoever asks in another way than plain HTTP/1.1, gets an ordinary answer with the same fields. Made
by `api.endpoint`; `middleware` gives it the `lead`, which is what it says in every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

JSON = "application/json"
NO_STORE = "no-store"
_OWN = f"{hdrs.CONTENT_TYPE}: {JSON}\r\n{hdrs.CACHE_CONTROL}: {NO_STORE}\r\n"
_LENGTH = f"{hdrs.CONTENT_LENGTH}: "
_ORDINARY = CIMultiDict({hdrs.CONTENT_TYPE: JSON, hdrs.CACHE_CONTROL: NO_STORE})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_HEAD = HTTPMethod.HEAD.value


class Ready(web.Response):
    """JSON with a body. States: made -> in one piece -> sent, or made -> ordinary -> sent."""

    def __init__(self, status: int, body: bytes, fields: Mapping[str, str]) -> None:
        """`fields` are those of this answer alone."""
        # Not aiohttp's own, which would make the dictionary; the rest are its class's defaults.
        self._status, self._reason = status, _PHRASES[status]
        self._body = self._json = body
        self._state = {}
        self._fields = fields
        self._ordinary: CIMultiDict[str] | None = None
        self._one_piece = False
        self.lead: str | None = None

    @property
    def _headers(self) -> CIMultiDict[str]:  # type: ignore[override]
        """What `headers` and all of aiohttp read and write."""
        found = self._ordinary
        if found is None:
            found = self._ordinary = CIMultiDict(_ORDINARY)
            found.update(self._fields)
        return found

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        touched = self._ordinary is not None or self._cookies or self._keep_alive is False
        if self.lead is None or touched or not _is_plain(request):
            return await super().prepare(request)
        self._one_piece = self._keep_alive = True
        self._req, self._payload_writer = request, request.writer
        return self._payload_writer

    async def write_eof(self, data: bytes = b"") -> None:
        if not self._one_piece:
            await super().write_eof(data)
        elif not self._eof_sent:
            request, self._req = self._req, None
            assert request is not None
            transport, answer = request.transport, self._spelled()
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client has gone")
            transport.write(answer)
            self._eof_sent, self._body_length, self._payload_writer = True, len(answer), None
            if request.protocol.writing_paused:
                await request.writer.drain()

    def _spelled(self) -> bytes:
        """Raises ValueError for a value that is more than one field (RFC 9110 section 5.5)."""
        body, fields = self._json, self._fields
        if not "".join(fields.values()).isprintable():
            raise ValueError("a field has control characters")
        head = f"HTTP/1.1 {self._status} {self._reason}\r\n{self.lead}{_OWN}{lines(fields)}"
        return f"{head}{_LENGTH}{len(body)}\r\n\r\n".encode() + body


def _is_plain(request: web.BaseRequest) -> bool:
    return request.version == HttpVersion11 and request.keep_alive and request.method != _HEAD


def lines(fields: Mapping[str, str]) -> str:
    """As they go out, for a `lead` too. A list: a generator would take longer than the rest."""
    return "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
