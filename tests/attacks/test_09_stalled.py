"""Class 9: the session of somebody who never begins DTLS is freed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Place, Server, serving

# How much later than a handshake may last the participant may go.
LATER = 15
DEFAULT = 30


@pytest.fixture(
    scope="module",
    params=[8, pytest.param(DEFAULT, marks=[pytest.mark.long, pytest.mark.part("attacks")])],
)
def seconds(request: pytest.FixtureRequest) -> int:
    """How long a handshake may last; without a setting it is the long one."""
    return int(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, seconds: int) -> Iterator[Server]:
    setting = f"--set=media_limits.handshake_seconds={seconds}"
    place = Place(extra=() if seconds == DEFAULT else (setting,))
    with serving(tmp_path_factory.mktemp("server"), place) as running_server:
        yield running_server


async def test_stalled_handshake_is_freed(
    server: Server, room: str, bystanders: Bystanders, seconds: int
) -> None:
    async with bystanders.unharmed(), Attacker(server, room, "idler") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False)
        await attacker.checked()
        async with asyncio.timeout(seconds + LATER):
            while await _there(attacker):
                await asyncio.sleep(0.2)


async def _there(attacker: Attacker) -> bool:
    async with attacker.session.http.get(attacker.server.operator + "/calls") as answer:
        calls = (await answer.json())["calls"]
    return any(c["room"] == attacker.session.room and c["participant_count"] for c in calls)
