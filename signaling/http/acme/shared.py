"""http-01 challenges that every node answers: the authority asks the name, not the node.

The node that orders puts the text into the store; another that is asked finds it there. A text is
no secret (RFC 8555 section 8.1: a token and a digest of the account's public key). Written from the
client's thread, read on the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import re
from collections.abc import Coroutine
from typing import Any

from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.keys.port import INSTALLATION
from signaling.storage.port import Conflict, Meta

KIND = "acme_challenge"
# Longer than any authority takes; what a crash leaves behind expires.
SECONDS = 900.0
WAIT = 15.0
# RFC 8555 section 8.3: base64url, at least 128 bits.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,256}", re.ASCII)


class SharedTexts:
    """One for each process. Made inside the loop that owns the store."""

    def __init__(self, meta: Meta, clock: Clock) -> None:
        self._meta = meta
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    async def find(self, token: str) -> str | None:
        """Raises Unavailable."""
        if _TOKEN.fullmatch(token) is None:
            return None
        found = await self._meta.get(INSTALLATION, KIND, token)
        return None if found is None else found.value.decode()

    def put(self, token: str, text: str) -> None:
        """From another thread. A store that is away leaves this node to answer alone."""
        self._do(self._put(token, text))

    def drop(self, token: str) -> None:
        self._do(self._drop(token))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed: the server has stopped, and the text expires
            work.close()
            return
        with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
            asked.result(WAIT)

    async def _put(self, token: str, text: str) -> None:
        expires = self._clock.unix() + SECONDS
        with contextlib.suppress(Conflict, Unavailable):
            value = text.encode()
            await self._meta.put(INSTALLATION, KIND, token, value, expect=0, expires=expires)

    async def _drop(self, token: str) -> None:
        with contextlib.suppress(Unavailable):
            await self._meta.delete(INSTALLATION, KIND, token)
