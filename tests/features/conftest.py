"""Two servers for all tests of the nouns; what each test showed is kept for the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.features.features import named
from tests.features.raising import annexed, raised
from tests.features.recorder import pytest_runtest_logreport
from tests.features.town import Annex, Shown, Town
from tests.rows.conftest import LEFT
from tests.signaling.files import scanners
from tests.signaling.files.s3_server import BUCKET, s3

__all__ = ["pytest_runtest_logreport"]

HERE = Path(__file__).parent
PASSED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The page is looked at when everything has been shown."""
    items.sort(key=lambda item: item.path == HERE / "test_the_page.py")
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.filterwarnings(LEFT))
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clamd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[int, Path]]:
    async with scanners.clamd(tmp_path_factory.mktemp("av")) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(
    tmp_path_factory: pytest.TempPathFactory, clamd: tuple[int, Path]
) -> AsyncIterator[Town]:
    async with raised(tmp_path_factory.mktemp("town"), clamd[0]) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bucket(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Path]]:
    """A real S3 server: its endpoint, and the folder in which a bucket's objects lie."""
    folder = tmp_path_factory.mktemp("s3")
    async with s3(folder) as endpoint:
        yield endpoint, folder / "data" / BUCKET


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def annex(
    tmp_path_factory: pytest.TempPathFactory,
    bucket: tuple[str, Path],
    clamd: tuple[int, Path],
) -> AsyncIterator[Annex]:
    async with annexed(tmp_path_factory.mktemp("annex"), bucket[0], clamd[1]) as made:
        yield made


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Iterator[Shown]:
    """A test that passes without having shown all of its noun fails here."""
    feature = named(request.node.name)
    made = Shown()
    yield made
    request.node.user_properties += sorted(made.said.items())
    if request.node.stash.get(PASSED, False):
        assert set(made.said) == {"allowed", "refused", "offline"}, (feature.noun, made.said)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report
