"""Answers that go out in one piece: the same fields as ordinary ones, and no way into the head."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from multidict import CIMultiDict

from signaling.config import Config
from signaling.http.middleware import Middleware
from signaling.http.ready import Ready
from tests.signaling.http.api.behind import answering
from tests.signaling.http.api.shop import Open

# They say when, and who asked; one connection is kept and the other is not.
_DIFFER = ("date", "x-request-id", "connection")


@pytest.fixture
async def plain() -> AsyncIterator[str]:
    """Where a server answers `/api/v1/x` with what the path says as a field."""

    async def answer(request: web.Request) -> web.Response:
        return Ready(201, b'{"a":1}', {"ETag": request.query["etag"]})

    middleware = Middleware(Config(), hsts=False, unix=lambda: 1_800_000_000.0)
    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    app.router.add_get("/api/v1/x", answer)
    async with answering(app) as (_, base):
        yield base


async def exchanged(base: str, asked: str) -> tuple[str, CIMultiDict[str], bytes]:
    """Status line, fields and body as they came; the connection is ended by `asked` or by us."""
    there = urlsplit(base)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    try:
        writer.write(asked.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode()
        first, *rest = head.strip().split("\r\n")
        fields = CIMultiDict([(line.partition(": ")[0], line.partition(": ")[2]) for line in rest])
        size = 0 if asked.startswith("HEAD") else int(fields.get("Content-Length", "0"))
        return first, fields, await asyncio.wait_for(reader.readexactly(size), 30)
    finally:
        writer.transport.abort()


def known(fields: CIMultiDict[str]) -> dict[str, str]:
    assert len(fields) == len({name.lower() for name in fields}), "a field comes twice"
    return {name.lower(): value for name, value in fields.items() if name.lower() not in _DIFFER}


async def test_it_says_what_an_ordinary_answer_says(plain: str) -> None:
    """Whoever closes the connection, or speaks HTTP/1.0, is answered by aiohttp's own way."""
    ask = "GET /api/v1/x?etag=%22v1%22 HTTP/1.1\nHost: a"
    first, fields, body = await exchanged(plain, ask)
    ordinary, usual, same = await exchanged(plain, ask + "\nConnection: close")
    assert first == ordinary == "HTTP/1.1 201 Created" and body == same == b'{"a":1}'
    assert known(fields) == known(usual)
    assert fields["ETag"] == '"v1"' and fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert parsedate_to_datetime(usual["Date"]) and usual["Connection"] == "close"
    _, older, _ = await exchanged(plain, ask.replace("HTTP/1.1", "HTTP/1.0"))
    assert known(older) == known(fields)


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("more", ["", "\nConnection: close"])
async def test_the_trace_of_the_request_is_in_its_answer_and_in_no_other(
    plain: str, more: str
) -> None:
    """In one piece or not; twice is as invalid as nonsense."""
    ask = "GET /api/v1/x?etag=1 HTTP/1.1\nHost: a" + more
    said = f"\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01"
    _, fields, _ = await exchanged(plain, ask + said)
    span = fields["X-Request-Id"].replace("-", "")[-16:]
    assert fields["traceparent"] == f"00-{TRACE}-{span}-01"
    for bad in ("", said + said, "\ntraceparent: x", said.replace("00-", "ff-", 1)):
        _, fields, _ = await exchanged(plain, ask + bad)
        assert "traceparent" not in fields


async def test_more_than_one_request_of_a_connection_is_answered(plain: str) -> None:
    there = urlsplit(plain)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    ask = b"GET /api/v1/x?etag=1 HTTP/1.1\r\nHost: a\r\n\r\n"
    writer.write(ask * 3)
    seen = b""
    while seen.count(b'{"a":1}') < 3:
        part = await asyncio.wait_for(reader.read(65536), 30)
        assert part, seen
        seen += part
    assert seen.count(b"HTTP/1.1 201 Created\r\n") == 3
    names = [line for line in seen.split(b"\r\n") if line.startswith(b"X-Request-Id: ")]
    assert len(set(names)) == 3
    writer.close()


@pytest.mark.parametrize("said", ["a%0d%0aSet-Cookie:%20x=1", "a%0ab", "a%0db", "a%00", "a%7f"])
async def test_a_field_cannot_begin_another(
    plain: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is said at all then: it is our error, and it is logged as one."""
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await exchanged(plain, f"GET /api/v1/x?etag={said} HTTP/1.1\nHost: a")
    assert "control characters" in caplog.text


async def test_whoever_looks_at_its_fields_gets_an_ordinary_answer(shop: Open) -> None:
    made = Ready(200, b"{}", {"RateLimit": "r"})
    assert made.headers["RateLimit"] == "r" and made.content_type == "application/json"
    made.headers["Link"] = "<x>"
    assert made.headers["Link"] == "<x>" and not made.prepared and made.status == 200
    status, _, headers = await shop.ask("GET", "/things")
    assert status == 200 and headers["RateLimit-Policy"].startswith('"default"')
    status, _, headers = await shop.ask("HEAD", "/things")
    assert status == 200 and int(headers["Content-Length"]) > 10


async def test_a_kept_answer_has_no_limits_of_the_first(shop: Open) -> None:
    """What is kept for a repeated request is the operation's own, not what the framework adds."""
    key = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    for again in (False, True):
        status, _, headers = await shop.ask("POST", "/things", data=b'{"name":"a"}', headers=key)
        assert status == 201 and ("Idempotency-Replayed" in headers) is again
        assert len(headers.getall("RateLimit")) == len(headers.getall("X-Request-Id")) == 1
