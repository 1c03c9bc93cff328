"""Two nodes behind one name: the one that did not order answers the authority all the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp.test_utils import TestClient, TestServer

from signaling.clock import FakeClock
from signaling.compose.tls import challenge_application
from signaling.config import Config
from signaling.http.acme.challenges import PATH, Pending
from signaling.http.acme.shared import KIND, SECONDS, SharedTexts
from signaling.http.middleware import Middleware
from signaling.keys.port import INSTALLATION
from signaling.storage.memory import MemoryStore

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ"


@contextlib.asynccontextmanager
async def node(pending: Pending) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    app = challenge_application(pending, Middleware(Config(), hsts=False))
    async with TestClient(TestServer(app)) as client:
        yield client


async def asked(client: TestClient, token: str) -> tuple[int, str]:  # type: ignore[type-arg]
    async with client.get(PATH + token) as answer:
        return answer.status, await answer.text()


async def test_a_node_answers_what_another_ordered() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, two = (Pending(SharedTexts(store.meta, clock)) for _ in range(2))
    alone = Pending()
    ordering, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def order() -> None:
        """In a thread, as the client does."""
        with one.text(TOKEN, TOKEN + ".thumbprint"):
            loop.call_soon_threadsafe(ordering.set)
            asyncio.run_coroutine_threadsafe(done.wait(), loop).result(10)

    async with node(one) as first, node(two) as second, node(alone) as third:
        assert (await asked(second, TOKEN))[0] == 404
        work = asyncio.create_task(asyncio.to_thread(order))
        await ordering.wait()
        for client in (first, second):
            assert await asked(client, TOKEN) == (200, TOKEN + ".thumbprint")
        assert (await asked(third, TOKEN))[0] == 404
        for odd in (TOKEN[:-1], TOKEN + "x", "x", "%00" * 30, "a" * 600):
            assert (await asked(second, odd))[0] == 404, odd
        done.set()
        await work
        assert (await asked(second, TOKEN))[0] == 404


async def test_what_a_crash_left_expires() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    shared = SharedTexts(store.meta, clock)
    await asyncio.to_thread(shared.put, TOKEN, "text")
    assert await store.meta.get(INSTALLATION, KIND, TOKEN) is not None
    clock.advance(SECONDS + 1)
    assert await shared.find(TOKEN) is None
