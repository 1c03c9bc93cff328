"""Runs an `App` until a signal: the first drains and closes, the second ends the process at once,
whatever is open; SIGHUP reloads.

Driven by the commands.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from signaling.service import notify

if TYPE_CHECKING:
    from signaling.app import App

log = logging.getLogger(__name__)
SWITCH_SECONDS = 0.001
"""The thread that waits for the disk gets the interpreter back within this. With the usual 5 ms a
busy loop adds as much, several times over, to each acknowledgement."""
# Of new containers, of young and of middle-aged collections. Python's own (700, 10, 10) looked at
# every object of the server many times a second while it carried messages.
COLLECT_EVERY = (20_000, 20, 20)
SIGNALS = (signal.SIGTERM, signal.SIGINT)
# After a second signal: what a server in good health needs to tell everybody and to close. A
# closing that hangs, a thread that waits for a dead disk and Python's own exit get no more.
AT_ONCE = 1.0


class Stopper:
    """Counts stop signals. `first` is set by the first; the second sets `second` and leaves the
    process `AT_ONCE` to end by itself. What was acknowledged is on disk by then; a child that
    the process leaves behind is killed by the kernel (`turn.supervisor`).
    """

    def __init__(self, leave: Callable[[], None] | None = None) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._leave = leave or _end_by_signal

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.hit)

    def hit(self) -> None:
        if not self.first.is_set():
            self.first.set()
            return
        self.second.set()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)  # a third one is the system's
        log.warning("a second signal: the process ends within %.0f s", AT_ONCE)
        # A thread: the loop may be over, and the interpreter wait for its threads.
        timer = threading.Timer(AT_ONCE, self._leave)
        timer.daemon = True
        timer.start()


def _end_by_signal() -> None:
    """As if nobody had handled it, which a service manager takes for a clean end."""
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)  # the first process of a container does not die of it


async def run(app: App, on_ready: Callable[[App], None], stopper: Stopper | None = None) -> None:
    stopper = stopper or Stopper()
    stopper.install()
    sys.setswitchinterval(SWITCH_SECONDS)
    starting = asyncio.ensure_future(app.start())
    if not await unless(starting, stopper.first):
        await app.stop()
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload)
    on_ready(app)
    notify("READY=1")
    await stopper.first.wait()
    notify("STOPPING=1")
    log.info("draining; a second signal stops at once")
    await unless(asyncio.ensure_future(app.drain()), stopper.second)
    await app.stop()


def collect_seldom() -> None:
    """Also while modules are loaded, which make much and leave nothing to collect."""
    gc.set_threshold(*COLLECT_EVERY)


def settle() -> None:
    """What is there once a server has started stays to its end: the collector passes over it."""
    gc.collect()
    gc.freeze()
    collect_seldom()


async def unless(work: asyncio.Future[None], event: asyncio.Event) -> bool:
    """True when `work` ended first (its error is raised); else it is cancelled."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        pending: set[Awaitable[object]] = {work, waiting}
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
    finally:
        waiting.cancel()
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return False
    work.result()
    return True
