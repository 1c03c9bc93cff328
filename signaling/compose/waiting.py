"""Starting without a store: the listeners answer 503 until it is there, then the server goes on.

A store that is away, or that does not know our password (row A8), is no reason to end: an operator
sees in `/readyz` what is missing, and mends it without starting anything again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from aiohttp import web

from signaling.clock import SystemClock
from signaling.closing import Closing
from signaling.compose.core import Core, StoreAway, open_core
from signaling.compose.tls import Certificates, make_certificates
from signaling.config import Config, parse_address
from signaling.http.gate import Gate
from signaling.http.listener import Listener, handler_arguments, open_socket
from signaling.http.middleware import Middleware
from signaling.http.waiting import Waiting
from signaling.service import notify

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
REASON = "store: does not answer"
# Told to systemd at each try, which otherwise ends what does not get ready (sd_notify(3)).
EXTEND = f"EXTEND_TIMEOUT_USEC={int(RETRY_SECONDS * 60 * 1_000_000)}"


async def patient_core(config: Config, state: Path, middleware: Middleware, stack: Closing) -> Core:
    """As `open_core`, whenever the store comes. Raises ConfigError."""
    with contextlib.suppress(StoreAway):
        return await _opened(config, state, stack)
    log.warning("the store does not answer; until it does the server answers 503")
    async with contextlib.AsyncExitStack() as front:
        waiting = Waiting(REASON, int(RETRY_SECONDS))
        await _listen(config, state, waiting, middleware, front)
        while True:
            notify(EXTEND)
            await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(StoreAway):
                core = await _opened(config, state, stack)
                break
    log.info("the store answers")
    return core


async def _opened(config: Config, state: Path, stack: Closing) -> Core:
    """What was opened before something failed is closed again."""
    attempt = stack.part()
    try:
        core = await open_core(config, state, attempt)
    except BaseException:
        await attempt.aclose()
        raise
    stack.adopt(attempt)
    return core


async def _listen(
    config: Config,
    state: Path,
    waiting: Waiting,
    middleware: Middleware,
    front: contextlib.AsyncExitStack,
) -> None:
    """The configured listeners; they are closed before the server's own take their places."""
    public = await _runner(config, waiting.public(middleware), front)
    for address in config.http.plain:
        await _place(config, public, address, "http.plain", front)
    if config.http.listen:
        tls = make_certificates(config, state, SystemClock())
        for address in config.http.listen:
            await _place(config, public, address, "http.listen", front, tls)
    if config.operator.listen:
        operator = await _runner(config, waiting.operator(), front)
        await _place(config, operator, config.operator.listen, "operator.listen", front)


async def _runner(
    config: Config, app: web.Application, front: contextlib.AsyncExitStack
) -> web.AppRunner:
    arguments = handler_arguments(config.limits)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.5, **arguments)
    await runner.setup()
    front.push_async_callback(runner.cleanup)
    return runner


async def _place(
    config: Config,
    runner: web.AppRunner,
    address: str,
    key: str,
    front: contextlib.AsyncExitStack,
    tls: Certificates | None = None,
) -> None:
    sock = open_socket(*parse_address(address, key), key)
    front.callback(sock.close)
    context = tls.context if tls is not None else None
    listener = await Listener.start(runner, sock, Gate(config.limits), config.limits, context)
    front.push_async_callback(listener.close)
