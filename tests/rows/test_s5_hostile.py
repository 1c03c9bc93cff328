"""Sections 5.A and 5.B: what ASVS and the top tens ask of accounts, sessions, sockets and the API.

Rows of section 5.A that other rows show are not repeated: 6.x and 7.x stand in C4, C5, C11 and 5.C,
10.x in C4, 12.x in A6 and A9 to A11, 16.x in B11 and B13, 17.x with the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.rows.house import House, Visit, closed, link_of, visiting
from tests.signaling.http.test_roles import NOBODY
from tests.slack import within


async def test_s5a_operators_of_databases_are_text_or_422(there: Visit) -> None:
    """1.2.4: in every filter, path and body."""
    owner = await there.owner()
    auditor, _ = await there.joined("auditor", owner=owner)
    evil = ('{"$gt":""}', "$where", "a.b.c", "'; DROP TABLE meta; --", "\x00", "*)(uid=*", "../..")
    for text in evil:
        for path, token, name in (
            ("/accounts", owner, "login"), ("/audit", auditor, "actor"),
            ("/audit", auditor, "action"), ("/audit", auditor, "cursor"),
        ):  # fmt: skip
            answer = await there.ask("GET", path, token=token, params={name: text})
            if answer.status == 200:
                assert answer.body["items"] == [], (path, name, text)
            else:
                assert answer.status in (400, 422), (path, name, text, answer.text)
    for body in ({"login": {"$gt": ""}, "password": {"$gt": ""}}, {"login": ["root.ana"]}):
        answer = await there.ask("POST", "/sign-in/password", body)
        assert (answer.status, answer.code) == (422, "fields_invalid")


async def test_s5a_a_parameter_comes_once(there: Visit) -> None:
    """15.3.7."""
    owner = await there.owner()
    answer = await there.ask("GET", "/accounts?limit=1&limit=2", token=owner)
    assert (answer.status, answer.code) == (400, "parameter_duplicated")


async def test_s5a_addresses_of_strangers_are_not_believed(there: Visit) -> None:
    """4.1.3: nobody is a proxy here, so nobody's word counts."""
    auditor, _ = await there.joined("auditor")
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP"):
        await there.ask("GET", "/session", headers={name: "203.0.113.9"})
    found = await there.recorded(auditor, "getSession", "denied", 4)
    assert {one["address"] for one in found[:4]} <= {"127.0.0.0/24", "::/48"}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "PROPFIND"])
async def test_s5a_unused_methods_are_refused(there: Visit, method: str) -> None:
    """4.1.4."""
    reader, writer = await opened(there.house)
    writer.write(f"{method} /api/v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 30)
    await end(writer)
    assert line.split()[1] in (b"400", b"404", b"405", b"501"), line


async def opened(house: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        "127.0.0.1", house.facts["https"], ssl=house.trust, server_hostname="localhost"
    )


async def end(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


SMUGGLED = {
    "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 30\r\n\r\n",
    "folded": b"X-A: b\r\n c\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
    "space before the colon": b"Content-Length : 0\r\n\r\n",
    "odd encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "signed length": b"Content-Length: +0\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLED)
async def test_s5a_smuggled_requests_are_refused(there: Visit, case: str) -> None:
    """4.2.1: one answer at most, and it is a refusal; what stands behind it is not served."""
    reader, writer = await opened(there.house)
    tail = b"GET /.well-known/sotto HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
    writer.write(head + SMUGGLED[case] + tail)
    said = b""
    try:
        said = await asyncio.wait_for(reader.read(65536), 30)
        async with asyncio.timeout(3):
            while data := await reader.read(65536):
                said += data
    except (TimeoutError, ConnectionError):
        pass
    await end(writer)
    assert said.startswith(b"HTTP/1.") and said.split()[1] in (b"400", b"405", b"501"), said[:200]
    assert b'"socket"' not in said


async def test_s5a_headers_of_pages_and_answers(there: Visit) -> None:
    """3.4.x, 14.3.2."""
    for path in ("/", "/security", "/api/v1/session"):
        answer = await there.send("GET", path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] in ("no-referrer", "same-origin")
        assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "geolocation=()" in answer.headers["Permissions-Policy"]
        assert "aiohttp" not in answer.headers.get("Server", "").lower()
    token, _ = await there.joined()
    assert (await there.ask("GET", "/account", token=token)).headers["Cache-Control"] == "no-store"
    answer = await there.send("OPTIONS", "/api/v1/session", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE",
    })  # fmt: skip
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_s5a_a_hundred_joins_on_one_use(there: Visit) -> None:
    """2.3.4, 15.4.2: the bound holds under concurrency."""
    made = await there.ask("POST", "/invitations", {"uses": 1}, await there.owner())
    link, word = link_of(made.body["url"]), "four words that nobody guesses"

    async def join(number: int) -> int:
        login = f"race.{secrets.token_hex(8)}.{number}"
        body = {"login": login, "password": word, "link": link}
        return (await there.ask("POST", "/sign-up", body)).status

    # Who is too busy to hash says so: a link is not spent by that.
    statuses = await asyncio.gather(*(join(number) for number in range(100)))
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 404, 503}
    assert await join(100) == 404


async def test_s5a_disabling_an_account_ends_it_everywhere_at_once(there: Visit) -> None:
    """7.4.2, 8.3.2: tokens, open sockets; and roles that change count for the next request."""
    owner = await there.owner()
    token, _ = await there.joined("administrator", owner=owner)
    account = (await there.ask("GET", "/account", token=token)).body["id"]
    path = f"/accounts/{account}"

    async def change(body: Any) -> None:
        answer = await there.ask("PATCH", path, body, owner, headers={"If-Match": "*"})
        assert answer.status == 200, answer.text

    assert (await there.ask("GET", "/accounts", token=token)).status == 200
    async with there.socket(token) as socket:
        await change({"roles": ["member"]})
        assert (await there.ask("GET", "/accounts", token=token)).status in (401, 403)
        await change({"disabled": True})
        assert await closed(socket) is not None
    assert (await there.ask("GET", "/session", token=token)).status == 401


async def test_s5b_what_is_somebody_elses_is_not_there(there: Visit) -> None:
    """API1 (BOLA), ASVS 8.2.2: the answer of what does not exist."""
    mine, _ = await there.joined()
    other, _ = await there.joined()
    sessions = (await there.ask("GET", "/sessions", token=mine)).body["items"]
    devices = (await there.ask("GET", "/account/devices", token=mine)).body["items"]
    paths = [f"/sessions/{sessions[0]['id']}"] + [f"/account/devices/{d['id']}" for d in devices]
    for path in paths:
        theirs = await there.ask("DELETE", path, token=other)
        nobodys = await there.ask("DELETE", f"{path.rpartition('/')[0]}/{NOBODY}", token=other)
        assert theirs.status == nobodys.status == 404, path
        for answer in (theirs, nobodys):
            answer.body.pop("request_id")
        assert theirs.body == nobodys.body
    assert (await there.ask("GET", "/session", token=mine)).status == 200


async def test_s5b_members_call_no_administrators_route(there: Visit) -> None:
    """API5 (BFLA); every cell is in docs/security/endpoint-roles.md and its test."""
    member, _ = await there.joined()
    guest = await there.guest()
    for method, path in (
        ("GET", "/accounts"), ("POST", "/invitations"), ("GET", "/oauth/clients"),
        ("GET", "/access/key-sets"), ("GET", "/keys"), ("GET", "/audit"), ("PATCH", "/app"),
    ):  # fmt: skip
        for token in (member, guest):
            answer = await there.ask(method, path, {} if method != "GET" else None, token)
            assert answer.status == 403, (method, path, answer.text)


async def test_s5b_a_socket_of_another_site_is_refused_even_with_the_cookie(there: Visit) -> None:
    """CSWSH."""
    token, _ = await there.joined()
    url = there.house.url + "/sync"
    for origin, status in (
        (there.house.url, 101), ("https://evil.example", 403), ("null", 403), (None, 403),
    ):  # fmt: skip
        headers = {"Cookie": f"__Host-sotto={token}"} | ({"Origin": origin} if origin else {})
        opening = there.client.ws_connect(url, headers=headers, protocols=("sotto.1",))
        if status == 101:
            async with opening as found:
                assert (await found.receive_json(timeout=30))["type"] == "hello"
            continue
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await opening
        assert refused.value.status == status, origin


async def test_s5b_frames_that_are_too_large_too_many_or_nonsense(there: Visit) -> None:
    token, _ = await there.joined()
    async with there.socket(token) as found:
        await found.send_str("x" * 70_000)
        # Who is still sending when the socket ends may miss the frame that says why.
        assert await closed(found) in (1009, 1006)
    async with there.socket(token) as found:
        for number in range(600):
            await found.send_json({"type": "ping", "id": number})
        assert await closed(found) == 1008
    for text in ("{", "[" * 50_000, '{"type": 1}', '{"type": "ping", "id": 1e999}'):
        async with there.socket(token) as found:
            await found.send_str(text)
            frame = await found.receive_json(timeout=30)
            assert frame["type"] == "error", text[:20]
    async with there.socket(token) as found:
        await found.send_bytes(b"\xff\xfe")
        assert await closed(found) in (1003, 1007)
    assert (await there.ask("GET", "/session", token=token)).status == 200


async def test_s5b_no_compression_is_spoken_so_none_can_explode(there: Visit) -> None:
    """permessage-deflate is not agreed; a compressed frame is a protocol error."""
    token, _ = await there.joined()
    headers = {
        "Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": "sotto.1",
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        "Host": "localhost",
    }  # fmt: skip
    reader, writer = await opened(there.house)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET /sync HTTP/1.1\r\n{head}\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert b" 101 " in answer and b"Extensions" not in answer
    bomb = zlib.compress(b"0" * 10_000_000)[2:-4]
    writer.write(bytes([0xC1, 0xFE]) + struct.pack("!H", len(bomb)) + bytes(4) + bomb)
    try:
        async with asyncio.timeout(30):
            while await reader.read(65536):
                pass
    except ConnectionError:
        pass
    await end(writer)
    assert (await there.ask("GET", "/session", token=token)).status == 200


async def test_s5b_sockets_of_one_account_are_bounded_and_silent_ones_end(
    housed: Callable[..., House],
) -> None:
    house = housed({
        "sync.sockets_per_account": "3", "sync.ping_seconds": "3", "sync.pong_seconds": "2",
    })  # fmt: skip
    async with visiting(house) as there:
        token, _ = await there.joined()
        async with there.socket(token), there.socket(token) as silent, there.socket(token):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with there.socket(token):
                    pass
            assert refused.value.status == 429
            assert await closed(silent) is not None  # it answered no ping


async def test_s5b_slow_headers_are_cut_while_others_are_served(
    housed: Callable[..., House],
) -> None:
    house = housed({"limits.header_seconds": "1", "limits.body_seconds": "1"})
    async with visiting(house) as there:
        began, slow, took = time.monotonic(), [], []
        for _ in range(20):
            one = socket.create_connection(("127.0.0.1", house.facts["http"]))
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            slow.append(one)
        assert (await there.ask("GET", "/session")).status == 401
        for one in slow:
            one.settimeout(10)
            assert await asyncio.to_thread(ended, one)
            took.append(time.monotonic() - began)
        within(2, took)


def ended(one: socket.socket) -> bool:
    """The server closed it, in whichever way."""
    with one:
        try:
            while one.recv(1000):
                pass
        except ConnectionResetError:
            pass
        return True
