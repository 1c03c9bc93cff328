"""Runs coturn, restarts it with growing pauses, and ends it with its supervisor.

States: idle -> running <-> waiting -> stopped. Owned by one task; `up` may be read by anybody on
the loop.
coturn's own log lines hold peers' addresses, so only its errors are passed on, to a callback.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
from pathlib import Path

from turn.coturn import Program, Relay, render
from turn.errors import CoturnFailed

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# Up this long means that the last start was good: the next failure begins with a short pause.
SETTLED = 60.0
# How often its certificate is looked at; coturn reads it again on SIGUSR2, at once and for good.
LOOK = 10.0
_GLANCE = 0.05  # between two looks at its sockets while it starts
_PR_SET_PDEATHSIG = 1


def pause_after(failures: int) -> float:
    """Seconds to wait before start number `failures` + 1."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(0, failures - 1)))


class Supervisor:
    """`start` returns once coturn listens; `run` keeps it up until `stop`."""

    def __init__(self, program: Program, relay: Relay, directory: Path) -> None:
        self._program = program
        self._relay = relay
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._said: list[str] = []
        self.restarts = 0

    @property
    def up(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def configuration(self) -> Path:
        return self._directory / "turnserver.conf"

    async def start(self) -> None:
        """Raises CoturnFailed with what coturn said when it does not stay up."""
        try:
            self._write()
        except OSError as error:
            reason = f"cannot write {self.configuration}: {error.strerror}"
            raise CoturnFailed(reason) from error
        await self._spawn()
        try:
            await asyncio.wait_for(self._listening(), 10)
        except TimeoutError:
            await self.stop()
            raise CoturnFailed("coturn did not start listening within 10 s") from None
        except CoturnFailed:
            await self.stop()
            raise
        self._tasks = [asyncio.create_task(work) for work in (self._keep(), self._renew())]

    def _write(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = render(self._relay, self._program, self._directory)
        self.configuration.unlink(missing_ok=True)
        descriptor = os.open(self.configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    async def _spawn(self) -> None:
        self._said = []
        self._process = await asyncio.create_subprocess_exec(
            self._program.path,
            "-c",
            str(self.configuration),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )

    async def _listening(self) -> None:
        """Until every socket that the configuration asks for is bound, by the kernel's word."""
        process = self._process
        if process is None or process.stdout is None:
            raise CoturnFailed("coturn was not started")
        while process.returncode is None:
            if self._bound():
                return
            try:
                line = await asyncio.wait_for(process.stdout.readline(), _GLANCE)
            except TimeoutError:
                continue  # its last words may come before its last socket
            if not line:
                await process.wait()
                break
            text = line.decode(errors="replace")
            self._note(text)
            if "Trying to bind" in text:  # it says so only when it failed, then tries on and on
                raise CoturnFailed("coturn cannot listen: an address or port is not free")
        raise CoturnFailed("coturn ended at once: " + (" / ".join(self._said[-3:]) or "no reason"))

    def _bound(self) -> bool:
        """TCP and UDP on every address that it was told, and TLS."""
        addresses = max(1, len(self._relay.listen))
        wanted = [("tcp", self._relay.port), ("udp", self._relay.port)] if self._relay.port else []
        if self._relay.tls_port and self._relay.certificate:
            wanted.append(("tcp", self._relay.tls_port))
        return all(len(_bound_addresses(*pair)) >= addresses for pair in wanted)

    def _note(self, line: str) -> None:
        if "ERROR" in line or "Cannot" in line or "cannot" in line:
            self._said.append(line.strip()[:300])
            del self._said[:-20]

    async def _drain(self) -> None:
        """coturn blocks when nobody reads what it writes."""
        if self._process is not None and self._process.stdout is not None:
            while line := await self._process.stdout.readline():
                self._note(line.decode(errors="replace"))

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            await self._drain()
            if self._process is not None:
                await self._process.wait()
            failures = 1 if loop.time() - began > SETTLED else failures + 1
            pause = pause_after(failures)
            log.warning("coturn ended; starting it again in %.1f s", pause)
            await asyncio.sleep(pause)
            self.restarts += 1
            await self._spawn()

    async def _renew(self) -> None:
        seen = self._certificate_stamp()
        while True:
            await asyncio.sleep(LOOK)
            now = self._certificate_stamp()
            if now and now != seen and self._process is not None and self.up:
                self._process.send_signal(signal.SIGUSR2)
                log.info("coturn reads its renewed certificate")
                seen = now

    def _certificate_stamp(self) -> tuple[int, ...]:
        """Empty without a certificate, and in the middle of a renewal."""
        try:
            files = [Path(name).stat() for name in (self._relay.certificate, self._relay.key)]
        except OSError:
            return ()
        return tuple(value for file in files for value in (file.st_mtime_ns, file.st_ino))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 3)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """What is left after `stop`, or in the middle of it."""
        if self._process is not None and self.up:
            self._process.kill()
            await self._process.wait()


def _die_with_parent() -> None:
    """In the child: a supervisor that is killed must not leave a relay behind (prctl(2)), nor one
    that hears no SIGTERM."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound_addresses(protocol: str, port: int) -> set[str]:
    """Where TCP listens or UDP is bound on this port, in this network namespace (proc(5))."""
    wanted, ready = f"{port:04X}", {"tcp": "0A", "udp": "07"}[protocol]
    found = set()
    for name in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        with contextlib.suppress(OSError):
            for row in Path(name).read_text(encoding="ascii").splitlines()[1:]:
                local, state = row.split()[1], row.split()[3]
                address, _, bound = local.rpartition(":")
                if state == ready and bound == wanted:
                    found.add(address)
    return found
