"""The socket over TLS, on a whole server: its small buffer takes large frames too."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from signaling.sync.connection import CLOSE_SECONDS
from signaling.sync.errors import Close
from tests.signaling.house import Running, serving
from tests.websocket import close_codes, spelled

PASSWORD = "a password for the socket over tls"


async def sign_up(running: Running) -> str:
    link = (running.app.setup_link or "").rpartition("#")[2]
    body = {"login": "root.ana", "password": PASSWORD, "link": link}
    async with running.client.post(running.https + "/api/v1/sign-up", json=body) as answer:
        made = await answer.json()
        assert answer.status == 200, made
        return str(made["access_token"])


async def test_a15_a_socket_over_tls_takes_frames_larger_than_its_buffer(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        headers = {"Authorization": f"Bearer {await sign_up(running)}"}
        async with running.client.ws_connect(
            running.https + "/sync", headers=headers, protocols=("sotto.1",)
        ) as socket:
            assert socket.protocol == "sotto.1"
            assert (await socket.receive_json(timeout=30))["type"] == "hello"
            for size in (10, 4095, 4097, 16384, 60000):
                await socket.send_json({"type": "ping", "id": size, "more": "x" * size})
                assert (await socket.receive_json(timeout=30)) == {"type": "pong", "id": size}
        async with running.client.delete(
            running.https + "/api/v1/session", headers=headers
        ) as answer:
            assert answer.status == 204
        async with running.client.get(running.https + "/api/v1/session", headers=headers) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("talks", [False, True])
async def test_who_reads_only_after_the_server_gave_up_still_learns_why(
    tmp_path: Path, talks: bool
) -> None:
    """The close frame lies in the peer's own buffer by then, also when the peer went on talking."""
    async with serving(tmp_path) as running:
        token = await sign_up(running)
        port = running.app.facts()["https"]
        # A stream that takes little and reads nothing by itself stands for a page that sleeps.
        reader, writer = await asyncio.open_connection(
            "localhost", port, ssl=running.trust, limit=4096
        )
        writer.write(spelled(token))
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
        headers = {"Authorization": f"Bearer {token}"}
        async with running.client.delete(
            running.https + "/api/v1/session", headers=headers
        ) as answer:
            assert answer.status == 204
        for _ in range(15):
            if talks:
                writer.write(b"\x89\x80\0\0\0\0")
            await asyncio.sleep(CLOSE_SECONDS / 10)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        seen = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                while part := await reader.read(4096):
                    seen += part
        writer.transport.abort()
        assert close_codes(seen) == [Close.SIGNED_OUT]


async def test_a_call_token_of_a_session_is_issued_by_a_whole_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as running:
        headers = {"Authorization": f"Bearer {await sign_up(running)}"}
        url = running.https + "/api/v1/calls/tokens"
        async with running.client.post(url, json={"room": "r"}, headers=headers) as answer:
            made = await answer.json()
            assert answer.status == 201, made
        validate = f"{running.https}/rtc/validate?access_token={made['token']}"
        async with running.client.get(validate) as answer:
            assert answer.status == 200
        async with running.client.delete(f"{url}/{made['id']}", headers=headers) as answer:
            assert answer.status == 204
        async with running.client.get(validate) as answer:
            assert (answer.status, await answer.text()) == (401, "token was revoked")
        for path in ("oauth-authorization-server", "oauth-protected-resource"):
            async with running.client.get(f"{running.https}/.well-known/{path}") as answer:
                assert answer.status == 200
