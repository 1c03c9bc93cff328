"""Rows A4, A5, A6, C24: what lies in the stores is sealed, bound to its place, and checked."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pyotp

from signaling.keys.header import parse
from tests.command import sotto
from tests.rows.house import ROOT, House, Visit
from tests.rows.kept import Kept, flipped


async def canaries(there: Visit) -> tuple[str, list[str]]:
    """An account with a canary in each of its sensitive fields: its id, and the canaries."""
    login, name = f"canary.{secrets.token_hex(8)}", f"Canary {secrets.token_hex(8)}"
    token, _ = await there.joined(login=login)
    answer = await there.ask("PATCH", "/account", {"name": name}, token, headers={"If-Match": "*"})
    assert answer.status == 200, answer.text
    offer = (await there.ask("POST", "/account/totp", token=token)).body
    code = {"code": pyotp.TOTP(offer["secret"]).now()}
    done = await there.ask("POST", "/account/totp/confirmation", code, token)
    assert done.status == 200, done.text
    account = (await there.ask("GET", "/account", token=token)).body["id"]
    return account, [login, name, offer["secret"], token, *done.body["recovery_codes"]]


async def test_a04_a05_c24_a_dump_of_each_store_shows_no_canary(there: Visit) -> None:
    """SQLite's files or MongoDB's documents, the log, and whatever else lies in the state."""
    _, found = await canaries(there)
    house = there.house
    dumped = Kept(house).dump(house.state)
    assert len(dumped) > 10_000
    written = [path for path in house.folder.rglob("*") if path.is_file()]
    for canary in found:
        assert canary.encode() not in dumped, canary
        assert not [path for path in written if canary.encode() in path.read_bytes()], canary


async def test_a04_a_backup_shows_no_canary(there: Visit, tmp_path: Path) -> None:
    _, found = await canaries(there)
    key = tmp_path / "backup.key"
    await asyncio.to_thread(command, *sotto("backup", f"--new-key={key}"))
    given = {**there.house.settings, "process.state_dir": str(there.house.state)}
    words = sotto(
        "backup", f"--out={tmp_path / 'archive'}", f"--key={key}",
        f"--config={there.house.folder / 'sotto.toml'}",
        *(f"--set={name}={value}" for name, value in given.items()),
    )  # fmt: skip
    await asyncio.to_thread(command, *words)
    archive = (tmp_path / "archive").read_bytes()
    assert len(archive) > 5_000
    assert not [canary for canary in found if canary.encode() in archive]


def command(*words: str) -> None:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_a05_equal_texts_are_sealed_differently(there: Visit) -> None:
    owner = await there.owner()
    kept = Kept(there.house)
    before = set(kept.rows("account"))
    for _ in range(2):
        token, _ = await there.joined(owner=owner)
        body = {"name": "the same name"}
        await there.ask("PATCH", "/account", body, token, headers={"If-Match": "*"})
    made = [value for key, value in kept.rows("account").items() if key not in before]
    assert len(made) == 2
    chunks = [{value[at : at + 12] for at in range(24, len(value) - 12)} for value in made]
    assert not chunks[0] & chunks[1]


async def failed(there: Visit, path: str) -> Any:
    answer = await there.ask("GET", path, token=await there.owner())
    assert (answer.status, answer.code) == (500, "integrity_error"), answer.text
    assert "Traceback" not in answer.text and "Canary" not in answer.text
    return answer


async def test_a05_c24_a_flipped_byte_is_an_error_and_an_event(there: Visit) -> None:
    auditor, _ = await there.joined("auditor")
    account, _ = await canaries(there)
    kept = Kept(there.house)
    value = kept.rows("account")[account]
    before = len(await there.records(auditor, action="keys.integrity"))
    kept.write("account", account, flipped(value))
    try:
        await failed(there, f"/accounts/{account}")
        found = await there.recorded(auditor, "keys.integrity", "failed", before + 1)
        assert found[0]["code"] == "integrity_error"
    finally:
        kept.write("account", account, value)
    answer = await there.ask("GET", f"/accounts/{account}", token=await there.owner())
    assert answer.status == 200


async def test_a06_c24_a_ciphertext_moved_to_another_row_does_not_open(there: Visit) -> None:
    """The additional data of AES-GCM name application, kind, row and key version."""
    (one, _), (other, _) = await canaries(there), await canaries(there)
    kept = Kept(there.house)
    rows = kept.rows("account")
    kept.write("account", one, rows[other])
    try:
        await failed(there, f"/accounts/{one}")
    finally:
        kept.write("account", one, rows[one])


async def test_a06_no_nonce_comes_twice(house: House, there: Visit) -> None:
    """96 random bits in front of each ciphertext, over all that the store holds."""
    for _ in range(5):
        await canaries(there)
    kept = Kept(house)
    values = [
        value for kind in ("account", "session", "account_claim", "account_device", "access.keyset")
        for value in kept.rows(kind).values()
    ]  # fmt: skip
    assert len(values) > 15
    nonces = [nonce_of(value) for value in values]
    assert len(set(nonces)) == len(nonces)


def nonce_of(value: bytes) -> bytes:
    return parse(value).nonce
