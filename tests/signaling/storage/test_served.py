"""The store through a whole server: readiness, 503, and what production refuses to start on."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from signaling.cli import main
from signaling.config.store import Store as Settings
from tests.peers.mongo.fault_proxy import FaultProxy
from tests.signaling.house import Running, serving
from tests.signaling.storage import places

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


async def readiness(house: Running) -> tuple[int, str]:
    async with house.client.get(house.operator + "/readyz") as answer:
        return answer.status, await answer.text()


async def becomes(house: Running, status: int) -> str:
    async with asyncio.timeout(20):
        while True:
            found, body = await readiness(house)
            if found == status:
                return body
            await asyncio.sleep(0.1)


def find(directory: Path) -> Path:
    (file,) = directory.rglob("sotto.db")
    return file


async def health(house: Running) -> int:
    async with house.client.get(house.operator + "/healthz") as answer:
        return answer.status


async def test_a_lost_file_makes_the_server_unready_and_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        assert (await readiness(house))[0] == 200
        file = find(tmp_path)
        file.rename(file.with_name("moved.db"))
        assert "store" in await becomes(house, 503)
        assert await health(house) == 200
        file.with_name("moved.db").rename(file)
        await becomes(house, 200)


async def test_a_lost_mongodb_makes_the_server_unready_and_comes_back(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    proxy = FaultProxy(stand_in())
    await proxy.start()
    settings = places.stand_in_settings(proxy.port)
    flags = {
        "store.url": settings.url,
        "store.database": settings.database,
        "store.insecure_without_auth": "true",
        "store.timeout_seconds": "1",
    }
    async with serving(tmp_path, flags) as house:
        status, body = await readiness(house)
        assert status == 200
        assert "insecure_store_without_auth" in body
        await proxy.stop()
        await becomes(house, 503)
        assert await health(house) == 200
        await proxy.start()
        await becomes(house, 200)
    await proxy.stop()
    real = places.stand_in_settings(stand_in())
    await places.MongoPlace(
        Settings(url=real.url, database=settings.database, insecure_without_auth=True),
        tmp_path,
    ).clear()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--store", "mongodb://127.0.0.1:{port}/"], "store.user"),
        (["--store", "mongodb://db.example/", "--insecure-store-without-auth"], "loopback"),
        (["--store", "mongodb://db.example/?tls=true&tlsInsecure=true"], "always checked"),
        (["--store", "memory:"], "forgets"),
        (["--bus", "redis://127.0.0.1:6379"], "rediss"),
        (["--bus", "rediss://redis.example"], "bus.user"),
    ],
)
def test_a8_a11_production_refuses_to_start(
    words: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stand_in: Callable[[], int],
) -> None:
    config = tmp_path / "sotto.toml"
    config.write_text('[keys]\napp = { env = "SOTTO_TEST_KEY" }\n')
    given = [word.format(port=stand_in()) if "{port}" in word else word for word in words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOTTO_TEST_KEY", "k" * 40)
        assert main(["serve", "--config", str(config), *given]) == 2
    assert said in capsys.readouterr().err


async def test_a_server_ends_in_time_although_mongodb_is_away(
    tmp_path: Path, stand_in: Callable[[], int]
) -> None:
    """With time-outs of the store that alone would take longer than a service manager waits."""
    proxy = FaultProxy(stand_in())
    await proxy.start()
    settings = places.stand_in_settings(proxy.port)
    flags = {
        "store.url": settings.url,
        "store.database": settings.database,
        "store.insecure_without_auth": "true",
        "store.timeout_seconds": "60",
        "process.stop_seconds": "2",
    }
    async with asyncio.timeout(60):
        async with serving(tmp_path, flags) as house:
            await proxy.stop()
            # What this leaves to write, the audit cannot write any more.
            async with house.client.get(house.https + "/api/v1/session") as answer:
                assert answer.status in (401, 503)
        # What was cut ends by itself, soon: the driver's client is closed before the collector.
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.05)
    gc.collect()
