"""The operator's listener: health, metrics, live calls; and that none of it is public."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import aiohttp
import pytest

from signaling.errors import Unavailable
from signaling.http.looplag import INTERVAL, LoopLag
from signaling.http.metrics import counter, gauge, render
from tests.signaling.house import Running, serving

METRIC = re.compile(r'^[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? -?[0-9.e+-]+$')


async def test_ready_while_serving_and_not_while_draining(house: Running) -> None:
    async with house.client.get(house.operator + "/healthz") as answer:
        assert answer.status == 200
    async with house.client.get(house.operator + "/readyz") as answer:
        assert answer.status == 200
    await house.app.drain()
    async with house.client.get(house.operator + "/readyz") as answer:
        assert answer.status == 503
        assert "draining" in await answer.text()
    async with house.client.get(house.operator + "/healthz") as answer:
        assert answer.status == 200


async def test_metrics_are_prometheus_text_without_names(house: Running) -> None:
    async with house.client.get(house.http + "/rtc/validate?access_token=tell-nobody") as answer:
        assert answer.status == 401
    async with house.client.get(house.operator + "/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    for line in text.splitlines():
        assert line.startswith("#") or METRIC.match(line), line
    for name in (
        "sotto_calls",
        "sotto_participants",
        "sotto_media_packets_total",
        "sotto_media_drops_total",
        "sotto_loop_lag_seconds",
        "sotto_http_requests_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_threads",
        "sotto_tasks",
    ):
        assert f"# TYPE {name} " in text
    assert int(text.partition("\nsotto_tasks ")[2].partition("\n")[0]) >= 2
    assert 'route="/rtc/validate",status="401"' in text
    assert "tell-nobody" not in text


async def test_operators_see_live_calls(house: Running) -> None:
    url = f"{house.http}/rtc?access_token={house.token('plan', 'ann')}&protocol=15"
    async with house.client.ws_connect(url) as socket:
        first = await socket.receive(timeout=30)
        assert first.type is aiohttp.WSMsgType.BINARY
        async with house.client.get(house.operator + "/calls") as answer:
            (call,) = (await answer.json())["calls"]
        assert call["room"] == "plan"
        assert call["participant_count"] == 1
        async with house.client.get(f"{house.operator}/calls/{call['id']}") as answer:
            (participant,) = (await answer.json())["participants"]
        assert participant["identity"] == "ann"
        assert participant["id"].startswith("PA_")
        assert "published" in participant["media"]
    async with house.client.get(house.operator + "/calls/RM_none") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/calls"])
async def test_none_of_it_is_public(house: Running, path: str) -> None:
    for base in (house.http, house.https):
        async with house.client.get(base + path) as answer:
            assert answer.status == 404


async def test_the_listener_can_be_off(tmp_path: Path) -> None:
    async with serving(tmp_path, {"operator.listen": ""}) as house:
        assert house.app.facts()["operator"] is None


def test_rendering_escapes_labels_and_keeps_whole_numbers_whole() -> None:
    text = render([gauge("a", "A.").add(1.5, x='q"\\\n'), counter("b", "B.", 3)])
    assert text == (
        '# HELP a A.\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 1.5\n# HELP b B.\n# TYPE b counter\nb 3\n'
    )


def test_loop_lag_has_quantiles() -> None:
    lag = LoopLag()
    assert (lag.quantile(0.99), lag.worst) == (0.0, 0.0)
    for late in (0.0, 0.0, 0.5):
        lag.record(late)
    assert (lag.quantile(0.5), lag.worst) == (0.0, 0.5)


async def test_loop_lag_sees_what_holds_the_loop_up() -> None:
    lag = LoopLag()
    watch = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(INTERVAL + 0.2)  # noqa: ASYNC251 - as whatever computes for so long
    await asyncio.sleep(0.01)
    watch.cancel()
    assert lag.worst >= 0.2


async def test_a_lost_store_makes_it_unready_and_alive(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise Unavailable("the store is away")

    monkeypatch.setattr(house.app.core.store, "ready", away)
    async with house.client.get(house.operator + "/readyz") as answer:
        assert answer.status == 503
        assert await answer.text() == "store: does not answer\n"
    async with house.client.get(house.operator + "/healthz") as answer:
        assert answer.status == 200
