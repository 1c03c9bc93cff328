"""Rows A9, A10, A11: the shipped recipes, run, with every byte on the wire recorded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shlex
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from signaling.bus.open import open_bus
from signaling.bus.port import Bus, Reach
from signaling.config.store import Bus as BusSettings
from signaling.config.store import Store as StoreSettings
from signaling.config.store_rules import check_bus
from signaling.errors import Unavailable
from signaling.secret import Secret
from signaling.storage.open import open_store
from signaling.storage.port import NewOp
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER, WORD, Authority, RedisServer
from tests.ports import free_port
from tests.signaling.http.scanners import program
from tests.signaling.http.wire import Recorder, recorder

RECIPES = Path(__file__).resolve().parents[3] / "deploy" / "sidecars"
CANARY = b"canary-on-the-wire"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


def recipe(name: str, place: Path, changes: Mapping[str, str]) -> Path:
    """The shipped file with other addresses and paths; each of them must be in it."""
    text = (RECIPES / name).read_text()
    for before, after in changes.items():
        assert before in text, before
        text = text.replace(before, after)
    made = place / name
    made.write_text(text)
    return made


@contextlib.asynccontextmanager
async def running(*words: str, port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not _open(port):
                assert process.returncode is None, words
                await asyncio.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


# A9: nodes


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """As `redis-mutual-tls.conf` says, with this test's addresses and files."""
    server = RedisServer(tmp_path, free_port(), Authority(tmp_path / "ca"))
    certificate, key = server.authority.issue("server")
    server.authority.issue("client")
    recipe("users.acl", tmp_path, {"REPLACE-WITH-THE-PASSWORD": WORD})
    made = recipe(
        "redis-mutual-tls.conf",
        tmp_path,
        {
            "bind 0.0.0.0": "bind 127.0.0.1",
            "tls-port 6379": f"tls-port {server.port}",
            "/etc/sotto/sidecars/redis.pem": str(certificate),
            "/etc/sotto/sidecars/redis.key": str(key),
            "/etc/sotto/sidecars/authority.pem": str(server.authority.file),
            "/etc/sotto/sidecars/users.acl": str(tmp_path / "users.acl"),
        },
    )
    made.rename(tmp_path / "redis.conf")
    server.start()
    yield server
    server.stop()


async def reached(bus: Bus, seconds: float = 60) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while bus.state().reach is not Reach.SHARED:
                await asyncio.sleep(0.02)
        return True
    return False


async def told(sender: Bus, receiver: Bus) -> bytes:
    """A message from one node to the other."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    subscription = receiver.subscribe("topic", heard.put_nowait)
    await subscription.established()
    await sender.publish("topic", CANARY)
    async with asyncio.timeout(60):
        found = await heard.get()
    subscription.close()
    return found


async def test_a09_nodes_talk_by_mutual_tls_and_a_stranger_is_refused(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with recorder(redis.port) as wire:
        url = f"rediss://localhost:{wire.port}/0"
        nodes = [await open_bus(redis.settings(url=url, timeout_seconds=10.0)) for _ in range(2)]
        for node in nodes:
            assert await reached(node)
        assert await told(*nodes) == CANARY
        for node in nodes:
            await node.close()
        assert len(wire.seen) > 1000
        assert CANARY not in wire.seen
        assert WORD.encode() not in wire.seen
    certificate, key = Authority(tmp_path / "foreign").issue("stranger")
    for strange in (
        {"certificate": str(certificate), "key": str(key)},
        {"certificate": "", "key": ""},
    ):
        stranger = await open_bus(redis.settings(**strange))
        assert not await reached(stranger, 2)
        await stranger.close()


# A11: spiped in front of Redis


@contextlib.asynccontextmanager
async def plain_redis(place: Path) -> AsyncIterator[int]:
    port = free_port()
    acl = recipe("users.acl", place, {"REPLACE-WITH-THE-PASSWORD": WORD})
    words = (
        "redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "",
        "--aclfile", str(acl), "--dir", str(place),
    )  # fmt: skip
    async with running(*words, port=port):
        yield port


def pipe(name: str, place: Path, key: Path, changes: Mapping[str, str]) -> list[str]:
    """The command line in the shipped unit."""
    unit = recipe(name, place, {**changes, "${CREDENTIALS_DIRECTORY}/key": str(key)})
    (line,) = [row for row in unit.read_text().splitlines() if row.startswith("ExecStart=")]
    return [program("spiped", "spiped"), *shlex.split(line.removeprefix("ExecStart="))[1:]]


@contextlib.asynccontextmanager
async def piped(
    place: Path, redis: int, keys: tuple[Path, Path]
) -> AsyncIterator[tuple[Recorder, int]]:
    """Bus -> spiped -> recorder -> spiped -> Redis; the port that the bus talks to."""
    there, here = free_port(), free_port()
    far = pipe(
        "sotto-spiped-server.service", place, keys[1],
        {"[0.0.0.0]:6381": f"[127.0.0.1]:{there}", "[127.0.0.1]:6379": f"[127.0.0.1]:{redis}"},
    )  # fmt: skip
    async with running(*far, port=there), recorder(there) as wire:
        near = pipe(
            "sotto-spiped-client.service", place, keys[0],
            {"[127.0.0.1]:6380": f"[127.0.0.1]:{here}",
             "redis.internal.example:6381": f"[127.0.0.1]:{wire.port}"},
        )  # fmt: skip
        async with running(*near, port=here):
            yield wire, here


def key_file(place: Path, name: str, byte: int) -> Path:
    path = place / name
    path.write_bytes(bytes([byte]) * 32)
    path.chmod(0o600)
    return path


async def test_a11_redis_behind_spiped(tmp_path: Path) -> None:
    key = key_file(tmp_path, "one.key", 1)
    async with plain_redis(tmp_path) as redis, piped(tmp_path, redis, (key, key)) as (wire, port):
        settings = BusSettings(
            url=f"redis://127.0.0.1:{port}/0", user=USER, password=Secret(WORD), sidecar=True,
            timeout_seconds=10.0,
        )  # fmt: skip
        assert list(check_bus(settings)) == []
        nodes = [await open_bus(settings) for _ in range(2)]
        for node in nodes:
            assert await reached(node)
        assert await told(*nodes) == CANARY
        for node in nodes:
            await node.close()
        assert len(wire.seen) > 1000
        assert CANARY not in wire.seen
        assert WORD.encode() not in wire.seen
        # The default user is off, in front of the pipe and behind it.
        for at in (port, redis):
            assert b"WRONGPASS" in await _say(at, b"AUTH default x\r\n")
            assert b"NOAUTH" in await _say(at, b"GET x\r\n")


async def test_a11_another_key_gets_nothing(tmp_path: Path) -> None:
    keys = key_file(tmp_path, "one.key", 1), key_file(tmp_path, "other.key", 2)
    async with plain_redis(tmp_path) as redis, piped(tmp_path, redis, keys) as (_, port):
        assert await _say(port, b"PING\r\n", 3) == b""


async def _say(port: int, line: bytes, seconds: float = 30) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line)
    found = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            found = await reader.read(1000)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return found


# A10: stunnel in front of MongoDB


@pytest.fixture(scope="module")
def mongo() -> Iterator[StandIn]:
    server = StandIn.start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def tunnelled(
    place: Path, mongo: int, *, server: Authority, client: Authority, trusted: Authority
) -> AsyncIterator[tuple[Recorder, int]]:
    """Store -> stunnel -> recorder -> stunnel -> MongoDB. `trusted` signs what both believe."""
    there, here = free_port(), free_port()
    theirs, ours = server.issue("database"), client.issue("node")
    far = recipe(
        "stunnel-mongodb-server.conf", place,
        {"0.0.0.0:27019": f"127.0.0.1:{there}", "127.0.0.1:27017": f"127.0.0.1:{mongo}",
         "/etc/sotto/sidecars/database.pem": str(theirs[0]),
         "/etc/sotto/sidecars/database.key": str(theirs[1]),
         "/etc/sotto/sidecars/authority.pem": str(trusted.file)},
    )  # fmt: skip
    stunnel = program("stunnel", "stunnel4")
    async with running(stunnel, str(far), port=there), recorder(there) as wire:
        near = recipe(
            "stunnel-mongodb-client.conf", place,
            {"accept = 127.0.0.1:27018": f"accept = 127.0.0.1:{here}",
             "connect = db.internal.example:27019": f"connect = 127.0.0.1:{wire.port}",
             "checkHost = db.internal.example": "checkHost = localhost",
             "/etc/sotto/sidecars/authority.pem": str(trusted.file),
             "/etc/sotto/sidecars/node.pem": str(ours[0]),
             "/etc/sotto/sidecars/node.key": str(ours[1])},
        )  # fmt: skip
        async with running(stunnel, str(near), port=here):
            yield wire, here


def settings(port: int, seconds: float = 10.0) -> StoreSettings:
    """The stand-in has no sign-in; that MongoDB asks for one is shown elsewhere (row A8)."""
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    return StoreSettings(url=url, insecure_without_auth=True, timeout_seconds=seconds)


async def test_a10_mongodb_behind_stunnel(tmp_path: Path, mongo: StandIn) -> None:
    authority = Authority(tmp_path / "ca")
    roles = {"server": authority, "client": authority, "trusted": authority}
    async with tunnelled(tmp_path, mongo.port, **roles) as (wire, port):
        store = await open_store(settings(port), tmp_path)
        await store.ready()
        await store.log.append("app", "room", [NewOp("i", 1, CANARY)])
        (found,) = await store.log.read("app", "room", after=0, limit=5)
        assert found.body == CANARY
        await store.close()
        assert len(wire.seen) > 1000
        assert CANARY not in wire.seen


@pytest.mark.parametrize("impostor", ["server", "client"])
async def test_a10_an_impostor_on_either_side_is_refused(
    tmp_path: Path, mongo: StandIn, impostor: str
) -> None:
    ours, foreign = Authority(tmp_path / "ca"), Authority(tmp_path / "foreign")
    roles = {"server": ours, "client": ours, "trusted": ours, impostor: foreign}
    async with tunnelled(tmp_path, mongo.port, **roles) as (_, port):
        store = await open_store(settings(port, 3.0), tmp_path)
        with pytest.raises(Unavailable):
            await store.ready()
        await store.close()
        gc.collect()  # the driver forgets to close the socket of a failed handshake
