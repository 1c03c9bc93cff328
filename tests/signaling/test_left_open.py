"""A server that has stopped in calm leaves nothing open: sockets, transports, clients, loops.

What a test leaves unclosed is collected in another one, at any time; so it is asked for here, where
nothing is cut short and nothing else runs.
"""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

from tests.signaling.files.rig import people
from tests.signaling.house import serving


def collected() -> list[str]:
    """What the collector finds unclosed."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
    return [str(one.message) for one in told if issubclass(one.category, ResourceWarning)]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_server_that_stops_leaves_nothing_open(tmp_path: Path, times: int) -> None:
    collected()
    for number in range(times):
        async with serving(tmp_path / str(number)) as house:
            async with house.client.get(house.http + "/.well-known/sotto") as answer:
                assert answer.status == 200
            async with house.client.get(house.operator + "/readyz") as answer:
                assert answer.status == 200
    assert collected() == []


async def test_nor_after_people_were_there(tmp_path: Path) -> None:
    collected()
    async with people(tmp_path) as there:
        assert (await there.ana.send(b"some bytes", "a.txt"))["state"] == "ready"
        async with there.house.client.ws_connect(
            there.house.http + "/sync",
            headers={"Authorization": f"Bearer {there.ana.token}"},
            protocols=("sotto.1",),
        ) as socket:
            assert (await socket.receive_json(timeout=30))["type"] == "hello"
    assert collected() == []
