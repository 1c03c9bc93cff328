"""Workers: what they may not do, and that nothing they do hurts the server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from signaling.errors import ClientError
from signaling.files.work import pool, sandbox
from signaling.files.work.job import Job
from signaling.files.work.pool import Bounds, Workers
from tests.signaling.files import samples
from tests.signaling.files.rig import people
from tests.signaling.files.test_checked import wide_png

MEGABYTE = 1024 * 1024
BOUNDS = Bounds(2048 * MEGABYTE, 20, 64 * MEGABYTE)
JOB = Job(family="image", reader="PNG", size=0, max_pixels=10**9, max_unpacked=10**9)


STUCK = """import socket, time
s = socket.socket(fileno=[{arguments}][0])
s.send(b'ready')
time.sleep(60)"""


async def plain(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def code_of(workers: Workers, data: bytes, **job: object) -> str:
    wish = msgspec.structs.replace(JOB, size=len(data), **job)
    with pytest.raises(ClientError) as refused:
        (await workers.run(wish, plain(data))).__exit__()
    return str(refused.value.code)


def tried(script: str) -> str:
    """What a locked process says when it does something."""
    code = "import os, socket, sys, ctypes\nfrom signaling.files.work import sandbox\n"
    code += "sandbox.limit(1 << 30, 5, 1 << 20)\nassert sandbox.lock()\n" + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "act",
    [
        "open('/etc/passwd')",
        "open('/tmp/written', 'w')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.unlink('/tmp/nothing')",
        "os.mkdir('/tmp/nothing')",
        "os.listdir('/')",
    ],
)
def test_a_locked_worker_may_not(act: str) -> None:
    assert "PermissionError" in tried(act)


def test_every_architecture_denies_the_same_ways_out() -> None:
    arm, intel = sandbox.DENIED["aarch64"], sandbox.DENIED["x86_64"]
    # ARM has no calls without `at`.
    assert set(arm) <= set(intel)
    assert {"socket", "connect", "execve", "openat", "ptrace", "kill"} <= set(arm)
    assert len(set(intel.values())) == len(intel)
    assert len(set(arm.values())) == len(arm)


async def test_a_worker_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "START", STUCK)
    workers = Workers(1, Bounds(1 << 30, 1, 1 << 20))
    assert await code_of(workers, b"x") == "file_too_complex"
    await workers.stop()


async def test_a_worker_that_dies_is_a_file_that_cannot_be_read() -> None:
    workers = Workers(1, BOUNDS)
    task = workers._start

    async def dying() -> object:
        worker = await task()
        os.kill(worker.process.pid, signal.SIGSEGV)
        await worker.process.wait()
        return worker

    workers._start = dying  # type: ignore[method-assign,assignment]
    assert await code_of(workers, samples.png()) == "file_unreadable"
    workers._start = task  # type: ignore[method-assign]
    with await workers.run(_job(samples.png()), plain(samples.png())) as result:
        assert result.done.width == 8
    await workers.stop()


def _job(data: bytes) -> Job:
    return msgspec.structs.replace(JOB, size=len(data))


async def test_memory_beyond_its_bound_ends_the_job_alone() -> None:
    workers = Workers(1, Bounds(700 * MEGABYTE, 30, 64 * MEGABYTE))
    assert await code_of(workers, wide_png(25_000, 25_000)) == "file_too_complex"
    with await workers.run(_job(samples.png()), plain(samples.png())) as result:
        assert result.done.outputs
    await workers.stop()


@pytest.mark.parametrize(
    "reply",
    [b"", b"{}", b"[]", b"nonsense", b'{"type":"failed","code":"internal"}',
     b'{"type":"done","outputs":[{"variant":"file","media_type":"text/html","start":0,"size":9}]}',
     b'{"type":"done","outputs":[{"variant":"file","media_type":"image/png","start":0,"size":99}]}',
     b'{"type":"done","waveform":[256]}', b'{"type":"done","latitude":91}'],
)  # fmt: skip
def test_what_a_turned_worker_answers_is_not_believed(reply: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        pool._checked(reply, 10)
    assert refused.value.code == "file_unreadable"


async def test_the_server_goes_on_while_files_kill_their_workers(tmp_path: Path) -> None:
    async with people(tmp_path, files__worker_seconds="20") as there:
        workers = there.files.parts.workers
        task = workers._start

        async def dying() -> object:
            worker = await task()
            os.killpg(worker.process.pid, signal.SIGKILL)
            await worker.process.wait()
            return worker

        made = await there.ana.create(len(samples.png()), name="b.png")
        # One that waits and died is noticed; the next dies with its job.
        workers._spare.cancel()
        await asyncio.wait({workers._spare})
        workers._start, workers._spare = dying, None
        info = await there.ana.send(samples.png(), "a.png")
        assert (info["state"], info["reason"]) == ("refused", "file_unreadable")
        workers._start = task
        await there.ana.patch(made["id"], 0, samples.png())
        assert (await there.ana.complete(made["id"])).json["state"] == "ready"
