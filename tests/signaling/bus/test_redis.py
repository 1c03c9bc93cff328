"""Redis over TLS with an ACL, and what is left when it goes, hangs and comes back."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from signaling.bus.open import open_bus
from signaling.bus.port import Bus, BusState, Reach, Subscription
from signaling.bus.redis.connect import tls_context
from signaling.errors import ConfigError, Unavailable
from signaling.secret import Secret
from tests.peers.redis_server import ACL, USER, WORD, Authority, RedisServer
from tests.signaling.bus.conftest import shared, until


async def stays_away(server: RedisServer, **changes: object) -> None:
    """Nobody is let in, and nothing fails because of it."""
    bus = await open_bus(server.settings(**changes))
    await asyncio.sleep(0.4)
    assert bus.state().reach is Reach.LOST
    await bus.publish("t", b"x")
    assert (await bus.limit("k", 1, 1)).allowed
    assert await bus.cache_get("k") is None
    await bus.close()


async def test_a11_a_server_of_another_authority_is_refused(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path)
    await stays_away(shared_redis, ca=str(foreign.file))


async def test_a11_a_server_of_another_name_is_refused(shared_redis: RedisServer) -> None:
    await stays_away(shared_redis, url=f"rediss://127.0.0.1:{shared_redis.port}/0")


async def test_a11_a_client_without_certificate_is_refused(shared_redis: RedisServer) -> None:
    await stays_away(shared_redis, certificate="", key="")


async def test_a11_a_client_of_another_authority_is_refused(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path).issue("client")
    await stays_away(shared_redis, certificate=str(certificate), key=str(key))


async def test_a11_a_wrong_password_is_refused(shared_redis: RedisServer) -> None:
    await stays_away(shared_redis, password=Secret("something else"))


async def test_a11_plaintext_is_not_answered(shared_redis: RedisServer) -> None:
    url = f"redis://localhost:{shared_redis.port}/0"
    await stays_away(shared_redis, url=url, insecure_plaintext=True)


async def test_a11_the_default_user_is_off_and_ours_may_little(shared_redis: RedisServer) -> None:
    assert "NOAUTH" in shared_redis.talk("GET sotto:x")
    assert "WRONGPASS" in shared_redis.talk("AUTH default x", f"AUTH {USER} {WORD}")
    for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "SAVE", "ACL LIST"):
        assert "NOPERM" in shared_redis.talk(f"AUTH {USER} {WORD}", command)
    for command in ("GET other:key", "SET x y"):
        assert "NOPERM" in shared_redis.talk(f"AUTH {USER} {WORD}", command)
    assert "@all" not in ACL.replace("-@all", "")


async def test_files_that_cannot_be_read_stop_the_start(
    shared_redis: RedisServer, tmp_path: Path
) -> None:
    for change in ({"ca": str(tmp_path / "none.pem")}, {"certificate": str(tmp_path), "key": ""}):
        with pytest.raises(ConfigError):
            await open_bus(shared_redis.settings(**change))
    with pytest.raises(ConfigError, match="database"):
        await open_bus(shared_redis.settings(url="rediss://localhost/zero"))


async def test_no_password_shows_in_an_error(
    shared_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await stays_away(shared_redis, password=Secret("hunter-two-and-more"))
    assert "hunter-two" not in caplog.text + str(shared_redis.settings())


async def test_a_lost_bus_is_noticed_and_found_again(redis: RedisServer) -> None:
    one, other = await shared(redis), await shared(redis)
    states: list[BusState] = []
    one.on_state(states.append)
    heard: list[bytes] = []
    subscription = one.subscribe("topic", heard.append)
    await subscription.established()
    redis.stop()
    await until(lambda: one.state().reach is Reach.LOST and other.state().reach is Reach.LOST)
    await one.publish("topic", b"to myself")
    await other.publish("topic", b"lost")
    await until(lambda: heard == [b"to myself"])
    later = one.subscribe("later", heard.append)
    await later.established()
    redis.start()
    await until(lambda: one.state().reach is Reach.SHARED and other.state().reach is Reach.SHARED)
    assert [state.reach for state in states] == [Reach.LOST, Reach.SHARED]
    assert states[-1].losses == 1
    await other.publish("topic", b"again")
    await other.publish("later", b"too")
    await until(lambda: heard == [b"to myself", b"again", b"too"])
    for bus in (one, other):
        await bus.close()


async def test_a_hanging_redis_delays_nobody(redis: RedisServer) -> None:
    bus = await shared(redis, timeout_seconds=0.5)
    redis.pause()
    start = asyncio.get_running_loop().time()
    for n in range(50):
        await bus.publish("topic", b"x")
        assert (await bus.limit(f"k{n}", 1, 1)).allowed
        assert await bus.cache_get("k") is None
        await bus.presence_set("room", "ann", 30)
        assert await bus.presence_list("room") == ["ann"]
    # Two hundred calls that each waited would take a hundred seconds.
    assert asyncio.get_running_loop().time() - start < 20
    await until(lambda: bus.state().reach is Reach.LOST)
    redis.resume()
    await until(lambda: bus.state().reach is Reach.SHARED)
    await bus.close()


async def test_a_strict_limit_fails_closed(redis: RedisServer) -> None:
    bus = await shared(redis)
    assert (await bus.limit("login", 1, 5, strict=True)).allowed
    redis.stop()
    await until(lambda: bus.state().reach is Reach.LOST)
    with pytest.raises(Unavailable) as refused:
        await bus.limit("login", 1, 5, strict=True)
    assert refused.value.retry_after
    assert [(await bus.limit("page", 1, 2)).allowed for _ in range(3)] == [True, True, False]
    await bus.close()


async def test_what_redis_missed_is_said_again(redis: RedisServer) -> None:
    """A revoked token must not come back from the cache, nor a person vanish."""
    one, other = await shared(redis, timeout_seconds=0.5), await shared(redis)
    await one.cache_set("token", b"valid", 60)
    redis.pause()
    await one.cache_delete("token")
    await one.presence_set("room", "ann", 60)
    assert await one.cache_get("token") is None
    redis.resume()
    async with asyncio.timeout(60):
        while await other.cache_get("token") or not await other.presence_list("room"):
            await asyncio.sleep(0.05)
    assert await other.presence_list("room") == ["ann"]
    for bus in (one, other):
        await bus.close()


async def test_many_calls_at_once_wait_instead_of_failing(shared_redis: RedisServer) -> None:
    bus = await shared(shared_redis)
    await asyncio.gather(*(bus.cache_set(f"k{n}", b"v", 60) for n in range(500)))
    found = await asyncio.gather(*(bus.cache_get(f"k{n}") for n in range(500)))
    assert found == [b"v"] * 500
    await bus.close()


async def test_topics_come_and_go_while_it_is_connecting(redis: RedisServer) -> None:
    """A topic wanted between connecting and being told so must not be forgotten."""
    publisher = await shared(redis)
    for _ in range(10):
        bus: Bus = await open_bus(redis.settings(timeout_seconds=10.0))
        heard: list[bytes] = []
        wanted: dict[str, Subscription] = {}
        while bus.state().reach is not Reach.SHARED:
            name = f"topic{len(wanted)}"
            wanted[name] = bus.subscribe(name, heard.append)
            await asyncio.sleep(0 if len(wanted) < 1000 else 0.001)
        wanted["last"] = bus.subscribe("last", heard.append)
        async with asyncio.timeout(60):
            for subscription in wanted.values():
                await subscription.established()
        for name in wanted:
            await publisher.publish(name, name.encode())
        await until(lambda heard=heard, wanted=wanted: len(heard) == len(wanted))  # type: ignore[misc]
        await bus.close()
    await publisher.close()


def test_the_servers_tls_is_checked_by_default(shared_redis: RedisServer) -> None:
    """Against the configured authority alone, not those of the system beside it."""
    context = tls_context(shared_redis.settings())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is True
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
