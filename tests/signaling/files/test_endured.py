"""F5, class 23: a server killed in the middle of an upload, a full disk, changed chunks."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.seeds import run_seed
from tests.signaling.accounts.test_server import Server
from tests.signaling.files.rig import BYTES, every_byte, people

MEGABYTE = 1024 * 1024


class Killed(Server):
    """A server of its own that can be killed, and started again on the same state."""

    process: subprocess.Popen[bytes]

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        self.process = super()._start(words)
        return self.process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


async def send(server: Server, token: str, ident: str, at: int, data: bytes) -> int:
    fields = {**BYTES, "Upload-Offset": str(at), "Authorization": f"Bearer {token}"}
    async with server.client.patch(
        f"{server.url}/api/v1/uploads/{ident}", data=io.BytesIO(data), headers=fields
    ) as answer:
        return answer.status


async def offset(server: Server, token: str, ident: str) -> int:
    fields = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {token}"}
    async with server.client.head(f"{server.url}/api/v1/uploads/{ident}", headers=fields) as answer:
        assert answer.status == 200
        return int(answer.headers["Upload-Offset"])


async def test_an_upload_survives_kills_and_leaves_nothing_else(tmp_path: Path) -> None:
    """What HEAD says is there; nothing lies anywhere in the clear; nothing is left over."""
    dice = random.Random(run_seed())
    canary = b"canary-of-an-upload-that-was-killed"
    data = canary + dice.randbytes(9 * MEGABYTE + 12_345) + canary
    server = Killed(tmp_path)
    token, ident, at = "", "", 0
    for life in range(3):
        async with server.running():
            if life == 0:
                token = await server.owner()
                _, room = await server.ask("POST", "/rooms", {"name": "lobby"}, token)
                wish = {"room": room["id"], "size": len(data), "name": "a.bin"}
                status, made = await server.ask("POST", "/files", wish, token)
                assert status == 201
                ident = made["id"]
            now = await offset(server, token, ident)
            assert now >= at, "what was acknowledged is gone"
            at = now
            if life == 2:
                assert await send(server, token, ident, at, data[at:]) == 204
                break
            sending = asyncio.create_task(send(server, token, ident, at, data[at:]))
            while await offset(server, token, ident) < min(at + 2 * MEGABYTE, len(data) - MEGABYTE):
                await asyncio.sleep(0.005)
            at = await offset(server, token, ident)
            await asyncio.sleep(dice.random() * 0.05)
            server.kill()
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                await sending
            assert canary not in every_byte(server.state)
    async with server.running():
        status, done = await server.ask("POST", f"/files/{ident}/complete", token=token)
        assert (status, done["state"], done["size"]) == (200, "ready", len(data))
        _, link = await server.ask("POST", f"/files/{ident}/links", {}, token)
        async with server.client.get(link["url"]) as answer:
            assert await answer.read() == data
        kept = [p for p in (server.state / "store" / "blobs").rglob("*") if p.is_file()]
        names = [path for path in kept if not path.name.startswith(".")]
        assert len(names) == len(data) // 65536 + 1
        assert (await server.ask("DELETE", f"/files/{ident}", token=token))[0] == 204
        assert not [p for p in names if p.exists()]
    assert canary not in every_byte(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.fail("a small file system needs root and mount, as the tests of the network do")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_never_acknowledges_and_recovers(small_disk: Path) -> None:
    data = os.urandom(6 * MEGABYTE)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 * MEGABYTE))
    async with people(small_disk / "state") as there:
        made = await there.ana.create(len(data), name="a.bin")
        filler = small_disk / "filler"
        free = shutil.disk_usage(small_disk).free
        filler.write_bytes(bytes(max(0, free - 2 * MEGABYTE)))
        answer = await there.ana.patch(made["id"], 0, data)
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        ballast.unlink()
        filler.unlink()
        at = int((await there.ana.head(made["id"])).headers["Upload-Offset"])
        assert at < len(data)
        assert (await there.ana.patch(made["id"], at, data[at:])).status == 204
        assert (await there.ana.complete(made["id"])).json["state"] == "ready"
        assert (await there.ana.fetch(made["id"])).body == data
        kept = [p for p in (small_disk / "state").rglob("blobs/*/*/*") if p.name[0] != "."]
        assert len(kept) == len(data) // 65536


async def test_a_chunk_that_was_changed_or_lost_is_an_error_and_no_content(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        data = os.urandom(100_000)
        info = await there.ana.send(data, "a.bin")
        chunks = sorted((tmp_path / "store" / "blobs").rglob("*"))
        one, two = (path for path in chunks if path.is_file())
        first, second = one.read_bytes(), two.read_bytes()
        for broken in (first[:-1] + bytes([first[-1] ^ 1]), first[:100], second):
            one.write_bytes(broken)
            two.write_bytes(second if broken is not second else first)
            with contextlib.suppress(aiohttp.ClientPayloadError):
                got = await there.ana.fetch(info["id"])
                assert got.status == 500
                assert got.code == "integrity_error"
                assert data[:50] not in got.body
        one.unlink()
        with contextlib.suppress(aiohttp.ClientPayloadError):
            assert (await there.ana.fetch(info["id"])).status == 500
