"""TLS and SCRAM, against FerretDB: who is let in, and what a refusal tells.

Sign-in and one append only: FerretDB's updates are not atomic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from signaling.config.store import Store as Settings
from signaling.config.store_rules import check_store
from signaling.errors import ConfigError, Unavailable
from signaling.secret import Secret
from signaling.storage.open import open_store
from signaling.storage.port import Appended, NewOp, Store
from tests.peers.ferretdb.server import WORD, FerretDb
from tests.peers.redis_server import Authority

pytestmark = [
    pytest.mark.usefixtures("driver_sockets"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FerretDb]:
    running = FerretDb.start(tmp_path_factory.mktemp("ferretdb"))
    yield running
    running.stop()


@pytest.fixture
async def store(server: FerretDb, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(server.settings(), tmp_path)
    yield opened
    await opened.close()


def test_a8_production_takes_these_settings(server: FerretDb) -> None:
    assert list(check_store(server.settings(), production=True)) == []


async def test_a8_signed_in_over_tls_one_append_is_kept(store: Store) -> None:
    await store.ready()
    assert await store.log.append("app", "room", [NewOp("i", 1, b"body")]) == [Appended(1)]
    (found,) = await store.log.read("app", "room", after=0, limit=5)
    assert (found.seq, found.ident, found.body) == (1, "i", b"body")


async def refused(settings: Settings, directory: Path) -> Unavailable:
    """Opening never fails because nobody answers; `ready` says it."""
    store = await open_store(settings, directory)
    with pytest.raises(Unavailable) as said:
        await store.ready()
    with pytest.raises(Unavailable):
        await store.meta.get("app", "kind", "key")
    await store.close()
    assert said.value.retry_after
    return said.value


async def test_a8_a_wrong_password_is_not_ready_and_shows_nothing(
    server: FerretDb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    said = await refused(server.settings(password=Secret("wrong-word")), tmp_path)
    for secret in ("wrong-word", WORD, "sotto"):
        assert secret not in said.message
        assert secret not in caplog.text


async def test_a10_a_server_of_another_authority_is_refused(
    server: FerretDb, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path / "foreign")
    await refused(server.settings(ca=str(foreign.file), timeout_seconds=1.0), tmp_path)


async def test_a10_a_server_of_another_name_is_refused(server: FerretDb, tmp_path: Path) -> None:
    url = server.settings().url.replace("localhost", "127.0.0.1")
    await refused(server.settings(url=url, timeout_seconds=1.0), tmp_path)


async def test_a10_plaintext_is_not_answered(server: FerretDb, tmp_path: Path) -> None:
    url = server.settings().url.replace("tls=true&", "")
    await refused(server.settings(url=url, timeout_seconds=1.0), tmp_path)


async def test_a_certificate_that_cannot_be_read_stops_the_start(
    server: FerretDb, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="driver"):
        await open_store(server.settings(ca=str(tmp_path / "none.pem")), tmp_path)
