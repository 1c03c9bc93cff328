"""Row A8: production and a MongoDB without sign-in or TLS, with wrong credentials, or away."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.ferretdb.server import WORD, FerretDb
from tests.peers.mongo.stand_in import StandIn
from tests.ports import free_port
from tests.rows.house import House, Visit, pump, visiting

WRONG = "a-wrong-word-of-the-rows"


def ports() -> dict[str, str]:
    """Known before it serves, since it does not say so while it waits."""
    return {
        "http.listen": f"127.0.0.1:{free_port(above=1)}",
        "http.plain": f"127.0.0.1:{free_port(above=1)}",
        "operator.listen": f"127.0.0.1:{free_port(above=1)}",
    }


def waiting(folder: Path, settings: dict[str, str], toml: str = "") -> House:
    """Launched and left to wait."""
    house = House(folder, {**ports(), **settings}, toml=toml)
    given = house.settings
    house.facts = {
        "https": given["http.listen"].rpartition(":")[2],
        "http": given["http.plain"].rpartition(":")[2],
        "operator": given["operator.listen"].rpartition(":")[2],
    }
    house.launch()
    return house


async def readiness(there: Visit, status: int, seconds: float = 120) -> str:
    """What /readyz says, as soon as it is this."""
    async with asyncio.timeout(seconds):
        while True:
            assert there.house.process is not None and there.house.process.poll() is None, (
                there.house.written()
            )
            try:
                answer = await there.send("GET", there.house.operator + "/readyz")
            except OSError:
                await asyncio.sleep(0.1)
                continue
            if answer.status == status:
                return answer.text
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def ferretdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FerretDb]:
    server = FerretDb.start(tmp_path_factory.mktemp("ferretdb"))
    yield server
    server.stop()


def deployed(server: FerretDb) -> dict[str, str]:
    """The settings of a deployment; its password is in a file."""
    settings = server.settings()
    return {
        "store.url": settings.url,
        "store.user": settings.user,
        "store.ca": settings.ca,
        "store.timeout_seconds": "2",
    }


@pytest.mark.parametrize("plain", ["no sign-in", "no tls"])
def test_a08_production_refuses_a_mongodb_without_sign_in_or_tls(
    stand_in: StandIn, tmp_path: Path, plain: str
) -> None:
    """It answers on its port; the server ends before it says a word to it."""
    url = f"mongodb://127.0.0.1:{stand_in.port}/"
    more = {"no sign-in": {"store.url": url + "?tls=true"}, "no tls": {"store.url": url}}[plain]
    said = {"no sign-in": "store.user", "no tls": "tls=true"}[plain]
    house = House(tmp_path, more)
    done = subprocess.run(house.command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 2
    assert said in done.stderr


async def test_a08_wrong_credentials_are_503_and_are_not_in_the_log(
    ferretdb: FerretDb, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text(WRONG)
    toml = f'[store]\npassword = {{ file = "{tmp_path / "word"}" }}\n'
    house = waiting(tmp_path, deployed(ferretdb), toml)
    try:
        async with visiting(house) as there:
            assert "store" in await readiness(there, 503)
            assert (await there.send("GET", house.operator + "/healthz")).status == 200
            for path in ("/api/v1/session", "/", "/rtc/validate"):
                answer = await there.send("GET", path)
                assert (answer.status, answer.code) == (503, "unavailable"), path
                assert int(answer.headers["Retry-After"]) >= 1
            sent = await there.ask("POST", "/sign-in/password", {"login": "a", "password": "b"})
            assert sent.status == 503
            assert house.process is not None and house.process.poll() is None
    finally:
        house.stop()
    for secret in (WRONG, WORD):
        assert secret not in house.written()


async def test_a08_a_mongodb_that_is_away_at_start_is_waited_for(
    stand_in: StandIn, tmp_path: Path
) -> None:
    """503 while nobody listens; once somebody does, the server serves without a new start."""
    port = free_port()
    house = waiting(tmp_path, {
        "store.url": f"mongodb://127.0.0.1:{port}/?directConnection=true",
        "store.insecure_without_auth": "true",
        "store.timeout_seconds": "2",
        "store.database": f"rows_away_{port}",
    })  # fmt: skip
    try:
        async with visiting(house) as there:
            assert "store" in await readiness(there, 503)
            assert (await there.ask("GET", "/session")).status == 503
            carrier = await asyncio.start_server(_carrier(stand_in.port), "127.0.0.1", port)
            try:
                assert "insecure_store_without_auth" in await readiness(there, 200)
                assert (await there.ask("GET", "/session")).status == 401
                await asyncio.to_thread(house.stop)
            finally:
                carrier.close()
    finally:
        house.stop()


Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _carrier(port: int) -> Carry:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    return carry
