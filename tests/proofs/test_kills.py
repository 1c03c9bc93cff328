"""SIGKILL of the whole server under load on the embedded store, at times from a printed seed.

Nothing that was acknowledged is lost, nothing is there twice, the audit's chain holds and has every
acknowledged act exactly once. Killed connections to MongoDB at every byte of every write are in
`tests/signaling/storage/test_mongo_faults.py`.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.load import Client, Told
from tests.proofs.server import Api, Installation, client
from tests.seeds import run_seed
from tests.signaling.accounts.rig import PASSWORD

CLIENTS = 6
# A kill comes after so many more acknowledged acts, and then at any moment of those under way: a
# write, its fsync and its answer take some milliseconds.
ACTS, MOMENT = (20, 80), 0.05


async def test_three_kills_under_load(tmp_path: Path) -> None:
    await killed(tmp_path, 3, run_seed())


@pytest.mark.long
async def test_twenty_five_kills_under_load(tmp_path: Path) -> None:
    await killed(tmp_path, 25, run_seed())


async def killed(home: Path, kills: int, seed: int) -> None:
    source = random.Random(seed)
    installation = Installation(home)
    up, over = asyncio.Event(), asyncio.Event()
    async with client() as session:
        api = Api(installation, session)
        installation.start()
        try:
            await installation.ready()
            clients = await prepared(api, up, over, source)
            tasks = [asyncio.create_task(one.run()) for one in clients]
            for number in range(kills):
                up.set()
                await loaded(clients, source)
                up.clear()
                await installation.kill()
                assert not [task for task in tasks if task.done()], await ended(tasks)
                installation.start()
                await installation.ready()
                print(
                    f"kill {number + 1}: {sum(len(c.told.requests) for c in clients)} acknowledged"
                )
            up.set()
            await asyncio.sleep(0.5)
            over.set()
            await asyncio.gather(*tasks)
            assert sum(one.again.total() for one in clients) >= kills, "the kills met requests"
            assert sum(len(one.told.ended) for one in clients) >= kills, "sessions were ended"
            await check(api, clients)
        finally:
            await installation.stop()
    done = installation.command("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(installation.store / "sotto.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def acknowledged(clients: list[Client]) -> int:
    return sum(len(one.told.requests) for one in clients)


async def loaded(clients: list[Client], source: random.Random) -> None:
    wanted = acknowledged(clients) + source.randint(*ACTS)
    async with asyncio.timeout(240):
        while acknowledged(clients) < wanted:
            await asyncio.sleep(0.005)
    await asyncio.sleep(source.uniform(0, MOMENT))


async def ended(tasks: list[asyncio.Task[None]]) -> list[Any]:
    return [task.exception() for task in tasks if task.done()]


async def prepared(
    api: Api, up: asyncio.Event, over: asyncio.Event, source: random.Random
) -> list[Client]:
    owner = await api.owner()
    made = await api.must("POST", "/access/key-sets", {"name": "load"}, owner)
    groups = {f"load-{n}": 5 for n in range(CLIENTS)}
    wish = {"ttl": 600, "permissions": {"resources": {"groups": groups}}}
    path = f"/access/key-sets/{made['key_set']['id']}/tokens"
    access = (await api.must("POST", path, wish, owner))["token"]
    clients = []
    for number in range(CLIENTS):
        person = await api.invited(owner, f"person.{number}")
        clients.append(
            Client(
                number, api, up, over, owner, person["access_token"],
                person["device_token"], access,
                random.Random(source.random()),
            )
        )  # fmt: skip
    return clients


async def check(api: Api, clients: list[Client]) -> None:
    """After the last start: what everybody was told, against what is there."""
    owner = clients[0].owner
    logins = Counter(one["login"] for one in await everything(api, "/accounts", owner))
    links = Counter(one["id"] for one in await everything(api, "/invitations", owner))
    assert set(links.values()) <= {1}
    assert set(logins.values()) <= {1}
    for one in clients:
        told = one.told
        assert told.joined <= set(logins), told.joined - set(logins)
        assert set(told.invitations) <= set(links)
        assert not told.withdrawn & set(links)
        me = await api.must("GET", "/account", token=one.token)
        assert me["name"] in told.names[max(0, told.sure_of) :] or not told.names, me["name"]
        await check_group(api, one)
        for token in told.ended:
            assert (await api.ask("GET", "/session", token=token)).status == 401
        for login in sorted(told.joined)[:3]:
            body = {"login": login, "password": PASSWORD}
            assert (await api.ask("POST", "/sign-in/password", body)).status == 200
    ours = {login for login in logins if login.startswith("load.")}
    assert ours <= {login for one in clients for login in one.told.unsure}
    await check_audit(api, [one.told for one in clients], owner)


async def check_group(api: Api, one: Client) -> None:
    if not one.told.rooms:
        return
    path = f"/access/groups/load-{one.number}"
    group = await api.must("GET", path, token=one.access)
    rooms = Counter(group["rooms"])
    assert set(one.told.rooms) <= set(rooms)
    assert set(rooms.values()) == {1}
    for room, (key, said) in one.told.rooms.items():
        answer = await api.send(
            "POST", f"/api/v1{path}", {"add": [room]}, one.access,
            headers={"Idempotency-Key": key},
        )  # fmt: skip
        assert answer.headers.get("Idempotency-Replayed") == "true"
        assert answer.raw == said


async def check_audit(api: Api, told: list[Told], owner: str) -> None:
    auditor = (await api.invited(owner, "the.auditor", "auditor"))["access_token"]
    records = await everything(api, "/audit", auditor)
    written = Counter(one["request_id"] for one in records if one["request_id"])
    requests = [request for one in told for request in one.requests]
    lost = [request for request in requests if written[request] != 1]
    assert not lost, f"{len(lost)} of {len(requests)} are not there once"
    assert len(requests) >= 60
    verified = await api.must("GET", "/audit/verification", token=auditor)
    assert verified["good"], verified["findings"]


async def everything(api: Api, path: str, token: str) -> list[Any]:
    """All items of a list, by cursor where there is one."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = await api.must("GET", f"{path}{cursor}", token=token)
        found += page["items"]
        if page.get("next_cursor") is None:
            return found
        cursor = f"?cursor={page['next_cursor']}"
