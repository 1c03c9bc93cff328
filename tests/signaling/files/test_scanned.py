"""ASVS 5.4.3: EICAR is stopped by a real clamd, directly and behind a real c-icap, on every way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from signaling.config.files import Files as Settings
from signaling.errors import ConfigError, Unavailable
from signaling.files.scan import clamd as clamd_client
from signaling.files.scan import icap as icap_client
from signaling.files.scan.icap import Icap
from signaling.files.scan.open import open_scanner
from tests.ports import free_port
from tests.signaling.files import scanners
from tests.signaling.files.rig import There, every_byte, join, people
from tests.signaling.files.scanners import EICAR

Scanners = dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scanners]:
    folder = tmp_path_factory.mktemp("av")
    async with (
        scanners.clamd(folder) as (port, path),
        scanners.icap(folder, path) as icap,
    ):
        yield {
            "clamd": f"clamd://127.0.0.1:{port}",
            "socket": f"clamd://{path}",
            "icap": f"icap://127.0.0.1:{icap}/virus_scan",
        }


async def recorded(there: There, action: str) -> None:
    """As soon as the audit has it, which is written beside the answer."""
    auditor = await join(there.root, "some.auditor", "auditor")
    async with asyncio.timeout(60):
        while True:
            answer = await auditor.ask("GET", "/audit?limit=100")
            if action in [one["action"] for one in answer.json["items"]]:
                return
            await asyncio.sleep(0.1)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("way", ["clamd", "socket", "icap"])
async def test_eicar_is_quarantined(running: Scanners, tmp_path: Path, way: str) -> None:
    async with people(tmp_path, files__scanner=running[way]) as there:
        clean = await there.ana.send(b"nothing wrong with it" * 9000, "a.txt")
        assert (clean["state"], clean["scanned"]) == ("ready", True)
        info = await there.ana.send(EICAR, "invoice.txt")
        assert (info["state"], info["scanned"]) == ("quarantined", True)
        assert "EICAR" in info["reason"]
        refused = await there.ana.link(info["id"])
        assert (refused.status, refused.code) == (403, "file_quarantined")
        assert EICAR not in every_byte(tmp_path / "store")
        await recorded(there, "files.quarantine")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_hides_it_is_looked_into(running: Scanners, tmp_path: Path) -> None:
    """ClamAV unpacks; it sees the file as it came, before anything was made harmless."""
    import io
    import zipfile

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("inside.com", EICAR)
    async with people(tmp_path, files__scanner=running["clamd"]) as there:
        assert (await there.ana.send(data.getvalue(), "a.zip"))["state"] == "quarantined"


@pytest.mark.parametrize("failure", ["closed", "open"])
async def test_without_a_verdict(tmp_path: Path, failure: str) -> None:
    """Closed: nobody gets the file until there is one. Open: it passes, and the audit says so."""
    nowhere = f"clamd://127.0.0.1:{free_port()}"
    async with people(tmp_path, files__scanner=nowhere, files__scan_failure=failure) as there:
        made = await there.ana.create(4, name="a.bin")
        await there.ana.patch(made["id"], 0, b"data")
        done = await there.ana.complete(made["id"])
        if failure == "open":
            assert (done.json["state"], "scanned" in done.json) == ("ready", False)
        else:
            assert done.status == 503
            assert "Retry-After" in done.headers
            assert (await there.ana.link(made["id"])).code == "file_not_ready"
        await recorded(there, "files.unscanned")


async def test_a_closed_door_opens_with_the_scanner(tmp_path: Path) -> None:
    port, found = free_port(), b"stream: OK\0"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readexactly(10)
            while size := int.from_bytes(await reader.readexactly(4), "big"):
                await reader.readexactly(size)
            writer.write(found)
        writer.close()

    async with people(tmp_path, files__scanner=f"clamd://127.0.0.1:{port}") as there:
        made = await there.ana.create(4, name="a.bin")
        await there.ana.patch(made["id"], 0, b"data")
        assert (await there.ana.complete(made["id"])).status == 503
        server = await asyncio.start_server(answer, "127.0.0.1", port)
        done = await there.ana.complete(made["id"])
        assert (done.status, done.json["state"]) == (200, "ready")
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"garbage\r\n\r\n", b"ICAP/1.0 500 Server Error\r\n\r\n",
        b"ICAP/1.0 404 Not Found\r\n\r\n", b"ICAP/1.0 100 Continue\r\n\r\n",
        b"ICAP/1.0 2x4 No\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        b"5\r\nother\r\n0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-body=zz\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nX: " + b"y" * 40_000,
    ],
)  # fmt: skip
async def test_what_is_no_verdict_is_none(answer: bytes) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answer)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async def data() -> AsyncIterator[bytes]:
        yield b"data"

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable):
        await Icap("127.0.0.1", port, "scan", seconds=30).scan(data(), 4)
    server.close()
    await server.wait_closed()


@given(st.binary(max_size=200))
def test_clamd_answers_are_yes_no_or_nothing(answer: bytes) -> None:
    try:
        found = clamd_client.verdict(answer)
    except Unavailable:
        return
    text = answer.rstrip(b"\0\n")
    assert text.endswith(b": OK") or found.infected


@given(st.binary(max_size=300))
def test_icap_heads_parse_or_raise_value_error(head: bytes) -> None:
    for data in (head, b"ICAP/1.0 " + head):
        with contextlib.suppress(ValueError):
            status, fields = icap_client.parse(data)
            with contextlib.suppress(Unavailable):
                assert not icap_client.verdict(status, fields, b"").infected or status == 200


@pytest.mark.parametrize(
    "text", ["clamd:", "http://a/b", "icap://host", "clamd://[", "icap:///service", "nonsense"]
)
def test_a_scanner_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        open_scanner(Settings(scanner=text))
    assert refused.value.path == "files.scanner"
