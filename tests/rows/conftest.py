"""One server for each store, for all rows; houses whose time can be moved, or with few changes."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.mongo.stand_in import StandIn
from tests.rows.house import House, Visit, standing, visiting
from tests.rows.mirrors import at, mirroring, servers
from tests.rows.sink import Sink

__all__ = ("at", "mirroring", "servers")
# aiohttp leaves closing a TLS connection to its loop, which ends with the test.
LEFT = (
    "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
    ":pytest.PytestUnraisableExceptionWarning"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings(LEFT))


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    running = StandIn.start()
    yield running
    running.stop()


def on_mongo(stand_in: StandIn) -> dict[str, str]:
    return {
        "store.url": f"mongodb://127.0.0.1:{stand_in.port}/?directConnection=true",
        "store.database": f"rows_{secrets.token_hex(4)}",
        "store.insecure_without_auth": "true",
    }


@pytest.fixture(scope="session", params=["embedded", "mongo"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings: dict[str, str] = {}
    if request.param == "mongo":
        settings = on_mongo(request.getfixturevalue("stand_in"))
    with standing(House(tmp_path_factory.mktemp(request.param), settings)) as made:
        yield made


@pytest.fixture
async def there(house: House) -> AsyncIterator[Visit]:
    async with visiting(house) as visit:
        yield visit


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose time can be moved on."""
    with standing(House(tmp_path_factory.mktemp("later"), clock=True)) as made:
        yield made


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    """A receiver of webhooks and routes."""
    made = Sink()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def wide(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[House]:
    """A house that takes as much of one socket as comes, believes a proxy here, and may call the
    sink, which is on loopback.
    """
    settings = {
        "sync.messages_per_second": "100000", "sync.messages_burst": "100000",
        "http.trusted_proxies": "127.0.0.1,::1", "delivery.retry_most_seconds": "1",
    }  # fmt: skip
    allow = f'{{ network = "127.0.0.1/32", port = {sink.port} }}'
    toml = f"[egress]\nallow = [{allow}]\n"
    with standing(House(tmp_path_factory.mktemp("wide"), settings, toml=toml)) as made:
        yield made


@pytest.fixture
def housed(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Starts a house of one's own with other settings; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def make(settings: dict[str, str] | None = None, **more: object) -> House:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            made = House(folder, settings or {}, **more)  # type: ignore[arg-type]  # of a House
            return stack.enter_context(standing(made))  # type: ignore[no-any-return]

        yield make
