"""An installation whose keys move into a store of their own, as an operator does it: then a copy of
the data holds no key, and what was erased since stays erased when that copy comes back.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.command import sotto
from tests.rows.house import PASSWORD, ROOT, House, apart, standing, visiting
from tests.rows.rightful import Person, ended, people
from tests.signaling.storage.conftest import stand_in
from tests.signaling.storage.places import fresh_database

__all__ = ["stand_in"]

CANARY = "canary-41c0de"
KINDS = ("key", "key_app", "key_pair")


def run(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {"process.state_dir": str(house.state), **house.settings}
    return subprocess.run(
        sotto(*words, f"--config={house.folder / 'sotto.toml'}",
              *(f"--set={name}={value}" for name, value in settings.items())),
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def must(house: House, *words: str) -> str:
    done = run(house, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def name_key_store(house: House, table: str) -> None:
    with (house.folder / "sotto.toml").open("a") as file:
        file.write(f"\n[key_store]\n{table}")


def refuses_to_start(house: House, words: str) -> None:
    process = house.launch()
    assert process.wait(60) == 2
    assert words in house.written()


async def said(house: House, facts: dict[str, Any]) -> None:
    async with visiting(house) as there:
        ann, bob = await people(there, 2)
        room = await bob.room(ann)
        await ann.post(room, CANARY)
        await bob.post(room, "bob's own")
        facts.update(room=room, ann=ann.login, bob=bob.login)


async def read(house: House, facts: dict[str, Any]) -> None:
    async with visiting(house) as there:
        for name in ("ann", "bob"):
            who = Person(there, await there.sign_in(facts[name]), facts[name], "")
            assert await who.texts(facts["room"]) == [CANARY, "bob's own"]
        auditor, _ = await there.joined("auditor")
        (record,) = await there.recorded(auditor, "keys.move", "allowed")
        assert record["details"] == {"from": "store", "to": "key_store"}


async def ann_leaves(house: House, facts: dict[str, Any]) -> None:
    async with visiting(house) as there:
        token = await there.sign_in(facts["ann"])
        ident = (await there.ask("GET", "/account", token=token)).body["id"]
        answer = await there.ask("POST", "/account/erasure", {"confirm": ident}, token)
        await ended(there, answer.body["id"])


async def ann_is_gone(house: House, facts: dict[str, Any]) -> None:
    async with visiting(house) as there:
        bob = Person(there, await there.sign_in(facts["bob"]), facts["bob"], "")
        assert await bob.texts(facts["room"]) == ["bob's own"]
        assert CANARY not in json.dumps(await bob.log(facts["room"]))
        wish = {"login": facts["ann"], "password": PASSWORD}
        assert (await there.ask("POST", "/sign-in/password", wish)).status >= 400


def kinds_in(file: Path) -> set[str]:
    with sqlite3.connect(file, timeout=60) as store:
        return {row[0] for row in store.execute("SELECT DISTINCT kind FROM meta")}


def test_keys_move_apart_and_a_copy_of_the_data_brings_nobody_back(tmp_path: Path) -> None:
    house, facts = House(tmp_path), dict[str, Any]()
    keys, key, data = tmp_path / "keys apart", tmp_path / "backup.key", tmp_path / "data.sotto"
    with standing(house):
        apart(said(house, facts))
        name_key_store(house, f'directory = "{keys}"\n')
        busy = run(house, "keys", "move")
        assert (busy.returncode, "stop it first" in busy.stderr) == (2, True), busy.stderr
    refuses_to_start(house, "`sotto keys move` brings them over")
    assert "rows moved into the store of keys" in must(house, "keys", "move")
    assert must(house, "keys", "move").startswith("0 rows")
    assert not kinds_in(house.state / "store" / "sotto.db") & {*KINDS}
    assert kinds_in(keys / "sotto.db") == {*KINDS}
    must(house, "backup", f"--new-key={key}")
    try:
        house.start()
        apart(read(house, facts))
        assert "active" in must(house, "keys", "status")
        whole = run(house, "backup", f"--key={key}", f"--out={tmp_path / 'whole'}")
        assert (whole.returncode, "two archives" in whole.stderr) == (2, True), whole.stderr
        must(house, "backup", f"--key={key}", f"--out={data}", "--part=data")
        must(house, "backup", f"--key={key}", f"--out={tmp_path / 'keys.sotto'}", "--part=keys")
        apart(ann_leaves(house, facts))
    finally:
        house.stop()
    must(house, "audit", "verify")
    shutil.rmtree(house.state / "store")
    must(house, "restore", f"--key={key}", str(data))
    try:
        house.start()
        apart(ann_is_gone(house, facts))
    finally:
        house.stop()


def test_keys_move_between_databases_and_back(tmp_path: Path, stand_in: Callable[[], int]) -> None:
    """Of the MongoDB stand-in."""
    url, database = f"mongodb://127.0.0.1:{stand_in()}/", fresh_database()
    house = House(tmp_path, {
        "store.url": url, "store.database": database, "store.insecure_without_auth": "true",
    })  # fmt: skip
    facts: dict[str, Any] = {}
    with standing(house):
        apart(said(house, facts))
    joined = (house.folder / "sotto.toml").read_text()
    name_key_store(
        house, f'url = "{url}"\ndatabase = "{database}_keys"\ninsecure_without_auth = true\n'
    )
    must(house, "keys", "move")
    try:
        house.start()
        apart(signed_in(house, facts, two=True))
        house.stop()
        assert must(house, "keys", "move", "--back").endswith("into the store\n")
        (house.folder / "sotto.toml").write_text(joined)
        house.start()
        apart(signed_in(house, facts, two=False))
    finally:
        house.stop()


async def signed_in(house: House, facts: dict[str, Any], *, two: bool) -> None:
    async with visiting(house) as there:
        bob = Person(there, await there.sign_in(facts["bob"]), facts["bob"], "")
        assert await bob.texts(facts["room"]) == [CANARY, "bob's own"]
        shown = await there.send("GET", f"{house.operator}/readyz")
        assert ("insecure_key_store_without_auth" in shown.text) == two
