"""ClamAV's daemon and c-icap with one signature of our own, EICAR: nothing is downloaded."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.ports import free_port

MODULES = next(Path("/usr/lib").glob("*/c_icap"), Path("/usr/lib/c_icap"))
# The test file that every scanner knows (eicar.org), in two halves so that none stops this source.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR" + b"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def program(name: str, *places: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *places)))
    assert found is not None, f"{name} is missing (.ci/debian-packages)"
    return found


def database(folder: Path) -> Path:
    """`MD5:size:name`, ClamAV's .hdb; the malware that it names is EICAR."""
    made = folder / "db"
    made.mkdir()
    digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
    (made / "test.hdb").write_text(f"{digest}:{len(EICAR)}:Sotto.Test.EICAR\n")
    return made


@contextlib.asynccontextmanager
async def clamd(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """Its TCP port and its Unix socket."""
    port, path = free_port(), folder / "clamd.ctl"
    config = folder / "clamd.conf"
    config.write_text(
        f"DatabaseDirectory {database(folder)}\nTCPSocket {port}\nTCPAddr 127.0.0.1\n"
        f"LocalSocket {path}\nForeground yes\nMaxThreads 2\nStreamMaxLength 1M\n"
    )
    async with running(program("clamd", "/usr/sbin"), "-c", str(config), port=port):
        yield port, path


@contextlib.asynccontextmanager
async def icap(folder: Path, clamd_socket: Path) -> AsyncIterator[int]:
    """c-icap with its virus_scan service, which asks the daemon above."""
    port = free_port()
    modules = MODULES
    config = folder / "c-icap.conf"
    config.write_text(
        f"PidFile {folder}/c-icap.pid\nCommandsSocket {folder}/c-icap.ctl\n"
        f"Port 127.0.0.1:{port}\nStartServers 1\nMaxServers 1\nThreadsPerChild 4\n"
        f"ModulesDir {modules}\nServicesDir {modules}\nServerLog {folder}/c-icap.log\n"
        f"AccessLog {folder}/c-icap-access.log\nTmpDir {folder}\n"
        "LoadMagicFile /etc/c-icap/c-icap.magic\nTemplateDir /usr/share/c_icap/templates/\n"
        "Service virus_scan virus_scan.so\nvirus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE "
        "GRAPHICS STREAM DOCUMENT\nvirus_scan.SendPercentData 0\nvirus_scan.Allow204Responces on\n"
        "Module common clamd_mod.so\n"
        f"clamd_mod.ClamdSocket {clamd_socket}\nvirus_scan.DefaultEngine clamd\n"
    )
    async with running(program("c-icap"), "-N", "-f", str(config), port=port):
        yield port


@contextlib.asynccontextmanager
async def running(*words: str, port: int) -> AsyncIterator[None]:
    """Until it listens, and ended afterwards."""
    with tempfile.TemporaryFile() as said:  # a pipe that nobody reads fills up
        process = await asyncio.create_subprocess_exec(*words, stdout=said, stderr=said)
        try:
            async with asyncio.timeout(120):
                while not await _listens(port):
                    if process.returncode is not None:
                        said.seek(0)
                        raise AssertionError(said.read().decode(errors="replace"))
                    await asyncio.sleep(0.1)
            yield
        finally:
            await _end(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 20)
    except TimeoutError:
        process.kill()
        await process.wait()
