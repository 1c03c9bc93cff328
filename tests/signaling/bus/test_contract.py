"""What both buses promise: topics, presence, limits, cache."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from signaling.bus.port import Bus, Limit, Reach
from tests.signaling.bus.conftest import until

Pair = tuple[Bus, Bus]


def name() -> str:
    return f"app:{secrets.token_hex(6)}"


async def test_a_message_reaches_every_server_once(pair: Pair) -> None:
    one, other = pair
    topic = name()
    heard: dict[str, list[bytes]] = {"one": [], "other": []}
    subscriptions = [
        one.subscribe(topic, heard["one"].append),
        other.subscribe(topic, heard["other"].append),
    ]
    for subscription in subscriptions:
        await subscription.established()
    sent = [bytes([n]) * 3 for n in range(50)]
    for payload in sent:
        await one.publish(topic, payload)
    await until(lambda: len(heard["other"]) == 50 and len(heard["one"]) == 50)
    assert heard == {"one": sent, "other": sent}
    for subscription in subscriptions:
        subscription.close()
        subscription.close()


async def test_who_has_closed_hears_nothing_more(pair: Pair) -> None:
    one, other = pair
    topic = name()
    gone: list[bytes] = []
    stays: list[bytes] = []
    leaving = other.subscribe(topic, gone.append)
    staying = other.subscribe(topic, stays.append)
    await staying.established()
    leaving.close()
    await one.publish(topic, b"x")
    await until(lambda: stays == [b"x"])
    assert gone == []
    staying.close()


async def test_topics_do_not_mix(pair: Pair) -> None:
    one, other = pair
    first, second = name(), name()
    heard: list[bytes] = []
    subscription = other.subscribe(first, heard.append)
    await subscription.established()
    await one.publish(second, b"not mine")
    await one.publish(first, b"mine")
    await until(lambda: bool(heard))
    assert heard == [b"mine"]


async def test_a_failing_subscriber_harms_no_other(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    topic = name()
    heard: list[bytes] = []

    def fail(payload: bytes) -> None:
        raise RuntimeError("on purpose")

    other.subscribe(topic, fail)
    subscription = other.subscribe(topic, heard.append)
    await subscription.established()
    await one.publish(topic, b"1")
    await until(lambda: heard == [b"1"])
    assert "a subscriber failed" in caplog.text


async def test_presence_is_seen_by_all_and_ends(pair: Pair) -> None:
    one, other = pair
    key = name()
    await one.presence_set(key, "ann", 30)
    await other.presence_set(key, "bob", 30)
    await one.presence_set(key, "eve", 0.2)
    for bus in pair:
        assert (await bus.presence_list(key))[:2] == ["ann", "bob"]
    await asyncio.sleep(0.25)
    await one.presence_set(key, "ann", 0)
    for bus in pair:
        assert await bus.presence_list(key) == ["bob"]
    assert await one.presence_list(name()) == []


async def test_a_limit_is_shared(pair: Pair) -> None:
    one, other = pair
    key = name()
    answers = [await bus.limit(key, 0.1, 4) for bus in (one, other, one, other, one, other)]
    assert [answer.allowed for answer in answers] == [True] * 4 + [False] * 2
    assert [answer.remaining for answer in answers] == [3, 2, 1, 0, 0, 0]
    assert 5 < answers[4].retry_after <= 10
    assert 35 < answers[4].reset_after <= 40
    assert (await one.limit(name(), 0.1, 4)).allowed


async def test_a_limit_takes_costs(pair: Pair) -> None:
    one, _ = pair
    key = name()
    assert (await one.limit(key, 0.1, 10, cost=7)).remaining == 3
    refused = await one.limit(key, 0.1, 10, cost=7)
    assert not refused.allowed
    assert refused.remaining == 3
    assert 30 < refused.retry_after <= 40
    assert (await one.limit(key, 0.1, 10, cost=3)).allowed
    assert not (await one.limit(name(), 1, 10, cost=11)).allowed
    for rate, burst, cost in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="positive"):
            await one.limit(key, rate, burst, cost=cost)


async def test_a_limit_recovers(pair: Pair) -> None:
    one, _ = pair
    key = name()
    assert (await one.limit(key, 0.4, 1)).allowed
    refused: Limit = await one.limit(key, 0.4, 1)
    assert not refused.allowed
    await asyncio.sleep(refused.retry_after + 0.05)
    assert (await one.limit(key, 0.4, 1)).allowed


async def test_the_cache_forgets(pair: Pair) -> None:
    one, other = pair
    key = name()
    assert await one.cache_get(key) is None
    await one.cache_set(key, b"\0\xff", 30)
    assert await other.cache_get(key) == b"\0\xff"
    await other.cache_delete(key)
    assert await one.cache_get(key) is None
    await one.cache_set(key, b"short", 0.1)
    await asyncio.sleep(0.15)
    assert await other.cache_get(key) is None
    await one.cache_set(key, b"never", 0)
    assert await one.cache_get(key) is None


async def test_the_state_is_told(pair: Pair) -> None:
    assert pair[0].state().reach in (Reach.LOCAL, Reach.SHARED)
    assert pair[0].state().losses == 0
