"""Rows A9, A10, A11: what leaves the machine for the store and the bus, every byte recorded."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.ferretdb.server import FerretDb
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER, WORD, Authority, RedisServer
from tests.rows.conftest import on_mongo
from tests.rows.house import House, Visit, visiting
from tests.rows.test_a08_mongodb import deployed, readiness, waiting
from tests.signaling.http.test_sidecars import _say, key_file, piped, plain_redis, tunnelled
from tests.signaling.http.wire import recorder
from tests.slack import SLACK


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    server = RedisServer.new(tmp_path / "redis")
    yield server
    server.stop()


def on_bus(server: RedisServer, port: int, **changes: str) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and environment of a house on this bus, by way of `port`."""
    found = server.settings(url=f"rediss://localhost:{port}/0", **changes)
    names = ("url", "user", "ca", "certificate", "key")
    settings = {f"bus.{name}": str(getattr(found, name)) for name in names}
    return settings, {"SOTTO_BUS__PASSWORD": WORD}


async def notes(there: Visit, word: str, present: bool) -> None:
    async with asyncio.timeout(90):
        while True:
            text = (await there.send("GET", there.house.operator + "/readyz")).text
            if (word in text) is present:
                return
            await asyncio.sleep(0.1)


async def test_a09_a11_two_nodes_over_mutual_tls_and_a_stranger(
    redis: RedisServer, stand_in: StandIn, tmp_path: Path
) -> None:
    """What one node ends is ended on the other; on the wire between them nothing can be read."""
    store = on_mongo(stand_in)
    async with recorder(redis.port) as wire:
        settings, environment = on_bus(redis, wire.port)
        shared = {**store, **settings, "kms.directory": str(tmp_path / "keys")}
        houses = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            houses.append(House(tmp_path / name, shared, environment=environment))
        one, two = houses
        try:
            await asyncio.to_thread(one.start)
            await asyncio.to_thread(one.setup)
            await asyncio.to_thread(two.start)
            async with visiting(one) as here, visiting(two) as there:
                for visit in (here, there):
                    await notes(visit, "bus: away", False)
                login = f"canary.{secrets.token_hex(8)}"
                token, _ = await here.joined(login=login)
                async with there.socket(token) as socket:
                    assert (await here.ask("DELETE", "/session", token=token)).status == 204
                    async with asyncio.timeout(2 + SLACK):
                        while not socket.closed:
                            await socket.receive()
                assert (await there.ask("GET", "/session", token=token)).status == 401
            assert len(wire.seen) > 1000
            for canary in (login, token, WORD, "default"):
                assert canary.encode() not in wire.seen
        finally:
            await asyncio.to_thread(one.stop)
            await asyncio.to_thread(two.stop)
    certificate, key = Authority(tmp_path / "foreign").issue("stranger")
    settings, environment = on_bus(redis, redis.port, certificate=str(certificate), key=str(key))
    (tmp_path / "three").mkdir()
    stranger = House(tmp_path / "three", settings, environment=environment)
    try:
        await asyncio.to_thread(stranger.start)
        async with visiting(stranger) as visit:
            await notes(visit, "bus: away", True)
    finally:
        await asyncio.to_thread(stranger.stop)


async def test_a11_the_default_user_is_off_and_dangerous_commands_too(redis: RedisServer) -> None:
    assert "NOAUTH" in await asyncio.to_thread(redis.talk, "GET x")
    assert "WRONGPASS" in await asyncio.to_thread(redis.talk, "AUTH default x")
    for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE"):
        said = await asyncio.to_thread(redis.talk, f"AUTH {USER} {WORD}", command)
        assert "NOPERM" in said or "not allowed" in said, command


def refused(house: House, said: str) -> None:
    done = subprocess.run(house.command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [("redis://127.0.0.1:6379", "rediss"), ("rediss://redis.example", "bus.user")],
)
def test_a11_a_plain_redis_is_refused_in_production(tmp_path: Path, url: str, said: str) -> None:
    refused(House(tmp_path, {"bus.url": url}), said)


async def test_a11_the_override_is_explicit_and_shown(tmp_path: Path) -> None:
    async with asyncio.timeout(240):
        async with plain_redis(tmp_path) as port:
            (tmp_path / "house").mkdir()
            settings = {
                "bus.url": f"redis://127.0.0.1:{port}/0", "bus.insecure_plaintext": "true",
                "bus.user": USER,
            }  # fmt: skip
            house = House(tmp_path / "house", settings, environment={"SOTTO_BUS__PASSWORD": WORD})
            try:
                await asyncio.to_thread(house.start)
                async with visiting(house) as there:
                    await notes(there, "insecure: insecure_bus_plaintext", True)
            finally:
                await asyncio.to_thread(house.stop)


async def test_a11_behind_spiped(tmp_path: Path) -> None:
    key = key_file(tmp_path, "one.key", 1)
    async with plain_redis(tmp_path) as redis, piped(tmp_path, redis, (key, key)) as (wire, port):
        (tmp_path / "house").mkdir()
        settings = {
            "bus.url": f"redis://127.0.0.1:{port}/0", "bus.sidecar": "true", "bus.user": USER,
        }  # fmt: skip
        house = House(tmp_path / "house", settings, environment={"SOTTO_BUS__PASSWORD": WORD})
        try:
            await asyncio.to_thread(house.start)
            await asyncio.to_thread(house.setup)
            async with visiting(house) as there:
                await notes(there, "bus: away", False)
                assert (await there.ask("GET", "/session", token=await there.owner())).status == 200
        finally:
            await asyncio.to_thread(house.stop)
        assert len(wire.seen) > 1000
        assert WORD.encode() not in wire.seen
        for at in (port, redis):
            assert b"WRONGPASS" in await _say(at, b"AUTH default x\r\n")


async def test_a10_mongodb_behind_stunnel_shows_no_canary(
    stand_in: StandIn, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    roles = {"server": authority, "client": authority, "trusted": authority}
    async with tunnelled(tmp_path, stand_in.port, **roles) as (wire, port):
        (tmp_path / "house").mkdir()
        url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        house = House(tmp_path / "house", {**on_mongo(stand_in), "store.url": url})
        try:
            await asyncio.to_thread(house.start)
            await asyncio.to_thread(house.setup)
            async with visiting(house) as there:
                login = f"canary.{secrets.token_hex(8)}"
                token, _ = await there.joined(login=login)
                assert (await there.ask("GET", "/account", token=token)).status == 200
        finally:
            await asyncio.to_thread(house.stop)
        assert len(wire.seen) > 10_000
        for canary in (login, token):
            assert canary.encode() not in wire.seen


@pytest.mark.parametrize("impostor", ["server", "client"])
async def test_a10_an_impostor_behind_stunnel_gets_nothing(
    stand_in: StandIn, tmp_path: Path, impostor: str
) -> None:
    ours, foreign = Authority(tmp_path / "ca"), Authority(tmp_path / "foreign")
    roles = {"server": ours, "client": ours, "trusted": ours, impostor: foreign}
    async with tunnelled(tmp_path, stand_in.port, **roles) as (_, port):
        (tmp_path / "house").mkdir()
        url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        changes = {**on_mongo(stand_in), "store.url": url, "store.timeout_seconds": "2"}
        house = waiting(tmp_path / "house", changes)
        try:
            async with visiting(house) as there:
                assert "store" in await readiness(there, 503)
        finally:
            await asyncio.to_thread(house.stop)


@pytest.fixture(scope="module")
def ferretdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FerretDb]:
    server = FerretDb.start(tmp_path_factory.mktemp("ferretdb"))
    yield server
    server.stop()


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a10_a_certificate_of_somebody_else_is_refused(
    ferretdb: FerretDb, tmp_path: Path, wrong: str
) -> None:
    """Native TLS: a certificate of another authority, or of ours for another name."""
    (tmp_path / "word").write_text("whatever the word is")
    settings = deployed(ferretdb)
    if wrong == "authority":
        settings["store.ca"] = str(Authority(tmp_path / "foreign").file)
    else:
        settings["store.url"] = settings["store.url"].replace("localhost", "127.0.0.1")
    toml = f'[store]\npassword = {{ file = "{tmp_path / "word"}" }}\n'
    (tmp_path / "house").mkdir()
    house = waiting(tmp_path / "house", settings, toml)
    try:
        async with visiting(house) as there:
            assert "store" in await readiness(there, 503)
    finally:
        await asyncio.to_thread(house.stop)


@pytest.mark.parametrize("option", ["tlsAllowInvalidCertificates", "tlsInsecure"])
def test_a10_certificates_cannot_be_left_unchecked(tmp_path: Path, option: str) -> None:
    url = f"mongodb://db.example/?tls=true&{option}=true"
    refused(House(tmp_path, {"store.url": url, "store.user": "sotto"}), "always checked")


def test_a10_plain_mongodb_is_refused_in_production(tmp_path: Path) -> None:
    refused(House(tmp_path, {"store.url": "mongodb://db.example/"}), "tls=true")
