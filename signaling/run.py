"""Runs an `App` until a signal: the first drains, the second stops at once, SIGHUP reloads.

Driven by the commands.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
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


class Stopper:
    """Counts stop signals. `first` is set by the first, `second` by the second."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.hit)

    def hit(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def run(app: App, on_ready: Callable[[App], None], stopper: Stopper | None = None) -> None:
    stopper = stopper or Stopper()
    stopper.install()
    sys.setswitchinterval(SWITCH_SECONDS)
    starting = asyncio.ensure_future(app.start())
    if not await _unless(starting, stopper.first):
        await app.stop()
        return
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app.reload)
    on_ready(app)
    notify("READY=1")
    await stopper.first.wait()
    notify("STOPPING=1")
    log.info("draining; a second signal stops at once")
    await _unless(asyncio.ensure_future(app.drain()), stopper.second)
    await app.stop()


def collect_seldom() -> None:
    """Also while modules are loaded, which make much and leave nothing to collect."""
    gc.set_threshold(*COLLECT_EVERY)


def settle() -> None:
    """What is there once a server has started stays to its end: the collector passes over it."""
    gc.collect()
    gc.freeze()
    collect_seldom()


async def _unless(work: asyncio.Future[None], event: asyncio.Event) -> bool:
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
