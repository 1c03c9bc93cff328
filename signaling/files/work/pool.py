"""Workers from the server's side: started ahead, given one job each, killed when they take long.

Plain bytes travel in files that exist in memory only (memfd_create(2)). What a worker answers is
believed as far as its form goes: the reader that made it may have been turned against us.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from signaling.errors import ClientError, Code, Unavailable
from signaling.files.work.job import MESSAGE_BYTES, Done, Failed, Job

log = logging.getLogger(__name__)

START = """import sys
sys.path[:] = {path!r}
from signaling.files.work.worker import main
main({arguments})"""
READY = b"ready"
# Imports take half a second, on a loaded machine some.
START_SECONDS = 30.0
MEMORY_ROOM = 64 * 1024 * 1024
MESSAGES = {
    Code.FILE_UNREADABLE: (422, "The file cannot be read as what it says it is."),
    Code.FILE_TOO_COMPLEX: (422, "Reading or unpacking the file would take too much."),
    Code.FILE_TYPE_REFUSED: (415, "Files of this type are not taken."),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one worker: address space, seconds (of clock and processor), bytes that it may write."""

    memory: int
    seconds: int
    written: int


@dataclass(frozen=True, slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    channel: socket.socket

    def end(self) -> None:
        """It leads a group of its own: whatever it started ends with it."""
        self.channel.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Result:
    """`done`, and the forms that the worker wrote. Used in a `with`."""

    def __init__(self, done: Done, target: int) -> None:
        self.done = done
        size = os.fstat(target).st_size
        self._mapped = mmap.mmap(target, size, access=mmap.ACCESS_READ) if size else None
        self._view = memoryview(self._mapped or b"")

    def form(self, start: int, size: int) -> memoryview:
        return self._view[start : start + size]

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.release()
        if self._mapped is not None:
            # An exception may still hold a piece; the memory goes with it.
            with contextlib.suppress(BufferError):
                self._mapped.close()


class Workers:
    """Owned by the composition root. `stop` it."""

    def __init__(self, count: int, bounds: Bounds) -> None:
        self._bounds = bounds
        self._places = asyncio.Semaphore(count)
        self._spare: asyncio.Task[_Worker] | None = None
        self._ending: set[asyncio.Task[int]] = set()
        self._stopped = False

    def prepare(self) -> None:
        """Have one ready: called when an upload begins, so that its end need not wait."""
        if self._spare is None and not self._stopped:
            self._spare = asyncio.create_task(self._start())

    async def run(self, job: Job, plain: AsyncIterator[bytes]) -> Result:
        """Raises ClientError for what cannot be read, Unavailable when no worker can be had."""
        async with self._places:
            source = os.memfd_create("sotto-source", os.MFD_CLOEXEC)
            target = os.memfd_create("sotto-target", os.MFD_CLOEXEC)
            try:
                async for piece in plain:
                    await asyncio.to_thread(_write, source, piece)
                reply = await self._ask(job, source, target)
                return Result(_checked(reply, os.fstat(target).st_size), target)
            finally:
                os.close(source)
                os.close(target)

    async def _ask(self, job: Job, source: int, target: int) -> bytes:
        worker = await self._take()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._bounds.seconds):
                # A few hundred bytes into an empty socket: they never wait.
                socket.send_fds(worker.channel, [msgspec.json.encode(job)], [source, target])
                return await loop.sock_recv(worker.channel, MESSAGE_BYTES)
        except TimeoutError:
            log.info("files: a worker took too long and was killed")
            raise refusal(Code.FILE_TOO_COMPLEX) from None
        except OSError:
            return b""
        finally:
            self._end(worker)

    async def _take(self) -> _Worker:
        """The one that waits, unless something ended it meanwhile."""
        spare, self._spare = self._spare, None
        worker = None
        if spare is not None:
            try:
                worker = await spare
            except (Unavailable, OSError, TimeoutError):
                log.info("files: a worker could not be started ahead")
        if worker is None or worker.process.returncode is not None:
            if worker is not None:
                self._end(worker)
            worker = await self._start()
        self.prepare()
        return worker

    async def _start(self) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        bounds = self._bounds
        arguments = f"{theirs.fileno()}, {bounds.memory}, {bounds.seconds}, {bounds.written}"
        words = [sys.executable, "-c", START.format(path=sys.path, arguments=arguments)]
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *words,
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        worker = _Worker(process, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await asyncio.get_running_loop().sock_recv(ours, 16)
        except BaseException:
            self._end(worker)
            raise
        if not said:
            self._end(worker)
            raise Unavailable("no worker for files can be started", 30)
        if said != READY:
            log.warning("files: this kernel cannot lock the worker in; only its limits hold")
        return worker

    def _end(self, worker: _Worker) -> None:
        worker.end()
        waiting = asyncio.create_task(worker.process.wait())
        self._ending.add(waiting)
        waiting.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        self._stopped = True
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.cancel()
            found = (await asyncio.gather(spare, return_exceptions=True))[0]
            if isinstance(found, _Worker):
                self._end(found)
        await asyncio.gather(*self._ending, return_exceptions=True)


def _write(target: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]


def _checked(reply: bytes, size: int) -> Done:
    """An empty reply: the worker died, of its limits or of what it read."""
    if not reply:
        raise refusal(Code.FILE_UNREADABLE)
    try:
        found: Done | Failed = msgspec.json.decode(reply, type=Done | Failed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refusal(Code.FILE_UNREADABLE) from None
    if isinstance(found, Failed):
        code = Code(found.code) if found.code in MESSAGES else Code.FILE_UNREADABLE
        raise refusal(code)
    if any(output.start + output.size > size for output in found.outputs):
        raise refusal(Code.FILE_UNREADABLE)
    if len({output.variant for output in found.outputs}) != len(found.outputs):
        raise refusal(Code.FILE_UNREADABLE)
    return found


def refusal(code: Code) -> ClientError:
    status, message = MESSAGES[code]
    return ClientError(code, status, message)
