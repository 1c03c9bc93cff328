"""Transient rooms in sync: who is there hears, nothing is kept, and a restart begins anew."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from sotto_client import Client
from tests.signaling.files.rig import QUICK, Person
from tests.signaling.house import serving
from tests.sync.house import device, served
from tests.sync.relay import Relay


def texts(client: Client, room: str) -> list[str]:
    return [getattr(m.body, "text", "") for m in client.room(room).messages()]


async def transient(owner: Person, *members: str) -> str:
    wish = {"name": "Whispers", "mode": "transient", "members": members}
    made = await owner.ask("POST", "/rooms", wish)
    assert made.status == 201, made.body
    return str(made.json["id"])


async def test_after_a_restart_its_devices_begin_anew_and_go_on(tmp_path: Path) -> None:
    relay = Relay(0)
    await relay.start()
    url = f"http://127.0.0.1:{relay.port}"
    try:
        async with aiohttp.ClientSession() as http:
            async with served(tmp_path) as there:
                relay.target = there.house.app.facts()["http"]
                bobs = await there.account_of(there.bob)
                room = await transient(there.ana, bobs)
                ana, bob = device(http, url, there.ana), device(http, url, there.bob)
                await ana.start()
                await bob.start()
                await bob.room(room).synced()
                for number in range(3):
                    ana.room(room).post(f"before {number}")
                await ana.room(room).synced()
                await bob.wait(lambda: texts(bob, room)[-1:] == ["before 2"])
                relay.closed = True
                relay.cut()
            ana.room(room).post("while it was away")
            async with serving(tmp_path, QUICK) as house:
                relay.target = house.app.facts()["http"]
                relay.closed = False
                await ana.room(room).synced()
                await bob.room(room).synced()
                for client in (ana, bob):
                    assert client.room(room).replica.resets >= 1
                    assert bobs in client.room(room).view().state.accounts()
                bob.room(room).post("after")
                await bob.room(room).synced()
                await ana.wait(lambda: texts(ana, room)[-1:] == ["after"])
                assert not ana.room(room).replica.pending()
                await ana.stop()
                await bob.stop()
    finally:
        await relay.stop()
