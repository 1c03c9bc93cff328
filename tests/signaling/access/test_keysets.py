"""Promise B27: the secret key is shown once, and is nowhere in clear; rotation loses no request."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signaling.access import signature
from signaling.access.keysets import MOST_SECRETS, KeySet, SignatureRefused
from signaling.bus.local import LocalBus
from signaling.errors import ClientError
from signaling.keys.port import INSTALLATION
from tests.signaling.access.rig import APP, Client, Ground, Process, ground, serving
from tests.signaling.storage.places import EmbeddedPlace


def request(process: Process, keyset: KeySet, secret: str, nonce: str = "") -> signature.Signed:
    at = str(int(process.clock.unix())).encode()
    query: tuple[tuple[str, bytes], ...] = (("timestamp", at),)
    if nonce:
        query = (("nonce", nonce.encode()), *query)
    unsigned = signature.Signed("POST", "/v3/pam/x/grant", query, b"{}", "")
    return unsigned._replace(signature=signature.sign(unsigned, keyset.publish_key, secret))


async def test_b25_a_key_set_has_three_keys(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    made = await process.keysets.create(APP, "k")
    other = await process.keysets.create(APP, "k")
    keys = [made.subscribe_key, made.publish_key, made.secrets[0].text]
    assert [key[:4] for key in keys] == ["sub_", "pub_", "sec_"]
    assert not set(keys) & {other.subscribe_key, other.publish_key, other.secrets[0].text}
    app, found = await process.keysets.authorise(
        request(process, made, keys[2]), made.subscribe_key
    )
    assert (app, found.id) == (APP, made.id)


async def test_b27_rotation_with_overlap_under_load(base: Ground) -> None:
    """Two secrets, rotated again and again while servers sign with what they were last told: no
    request that was signed within the overlap is refused, none after it is taken.
    """
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    known = [keyset.secrets[0].text]
    outcomes: list[bool] = []

    async def sign(number: int) -> None:
        secret = known[-1]
        await asyncio.sleep(0)
        signed = request(process, keyset, secret, f"n{number}")
        try:
            await process.keysets.authorise(signed, keyset.subscribe_key)
        except SignatureRefused:
            outcomes.append(False)
        else:
            outcomes.append(True)

    number = 0
    for _ in range(12):
        tasks = [asyncio.create_task(sign(number + i)) for i in range(10)]
        number += 10
        _, fresh = await process.keysets.rotate(APP, keyset.id, overlap=30)
        known.append(fresh.text)
        await asyncio.gather(*tasks)
        base.clock.advance(20)
    assert outcomes == [True] * number
    for old in known[:-2]:
        with pytest.raises(SignatureRefused):
            await process.keysets.authorise(
                request(process, keyset, old, f"old{old}"[:40]), keyset.subscribe_key
            )


async def test_b27_rotations_at_once(base: Ground) -> None:
    """Each that says it made a secret made one that works; the bound holds."""
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    made: list[Any] = await asyncio.gather(
        *(process.keysets.rotate(APP, keyset.id, 60) for _ in range(6)), return_exceptions=True
    )
    fresh = [outcome[1].text for outcome in made if not isinstance(outcome, BaseException)]
    refused = [outcome for outcome in made if isinstance(outcome, BaseException)]
    assert all(isinstance(error, ClientError) and error.status == 409 for error in refused)
    assert fresh and len(fresh) + len(refused) == 6
    row = await process.keysets.get(APP, keyset.id)
    assert len(row.value.secrets) <= MOST_SECRETS + 1
    for i, secret in enumerate([keyset.secrets[0].text, *fresh]):
        await process.keysets.authorise(
            request(process, keyset, secret, f"c{i}"), keyset.subscribe_key
        )


async def test_b27_an_older_secret_is_retired_at_once(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    first = keyset.secrets[0]
    _, fresh = await process.keysets.rotate(APP, keyset.id, 3600)
    await process.keysets.retire(APP, keyset.id, first.id)
    with pytest.raises(SignatureRefused):
        await process.keysets.authorise(request(process, keyset, first.text), keyset.subscribe_key)
    await process.keysets.authorise(request(process, keyset, fresh.text), keyset.subscribe_key)
    for ident in (fresh.id, first.id, "unknown"):
        with pytest.raises(ClientError):
            await process.keysets.retire(APP, keyset.id, ident)


async def test_b27_a_disabled_or_deleted_key_set_signs_nothing(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    for end in ("disable", "delete"):
        keyset = await process.keysets.create(APP, "k")
        if end == "disable":
            row = await process.keysets.get(APP, keyset.id)
            await process.keysets.change(APP, row, enabled=False)
        else:
            await process.keysets.delete(APP, keyset.id)
        with pytest.raises(SignatureRefused):
            await process.keysets.authorise(
                request(process, keyset, keyset.secrets[0].text), keyset.subscribe_key
            )


async def test_apps_have_key_sets_of_their_own(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    ours = await process.keysets.create(APP, "ours")
    theirs = await process.keysets.create("theirs", "theirs")
    assert [k.id for k in await process.keysets.page("theirs", "", 10)] == [theirs.id]
    with pytest.raises(ClientError):
        await process.keysets.get("theirs", ours.id)
    app, _ = await process.keysets.authorise(
        request(process, theirs, theirs.secrets[0].text), theirs.subscribe_key
    )
    assert app == "theirs"
    with pytest.raises(SignatureRefused):
        await process.keysets.authorise(
            request(process, theirs, ours.secrets[0].text), theirs.subscribe_key
        )


async def test_b27_the_secret_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A canary in every place of its life: the store's files, the log, the audit, and answers."""
    caplog.set_level(logging.DEBUG)
    async with ground(EmbeddedPlace(tmp_path / "store"), tmp_path) as base:
        process = Process(base, LocalBus(base.clock))
        async with serving(process) as client:
            secret, token, answers = await _live(client)
            events = msgspec.json.encode(process.audit.events).decode()
    kept = everything_in(tmp_path)
    for canary in (secret, token, "canary-room", "canary-meta", "canary-uuid"):
        assert canary.encode() not in kept, canary
        assert canary not in events
        assert canary not in caplog.text
    assert all(secret not in text for text in answers)
    assert secret not in repr(client.keyset)


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def _live(client: Client) -> tuple[str, str, list[str]]:
    secret = client.keyset.secrets[0].text
    token = await client.granted(
        {
            "resources": {"channels": {"canary-room": 3}},
            "patterns": {"channels": {"canary-room.*": 3}},
            "meta": {"k": "canary-meta"},
            "uuid": "canary-uuid",
        }
    )
    answers = [
        await client.check(token, "publish", channels=["canary-room"], uuid="canary-uuid"),
        await client.check(token, "publish", channels=["canary-room-2"]),
        await client.check(token + "x", "publish", channels=["canary-room-2"]),
        await client.signed("GET", "/grants"),
        await client.signed("DELETE", f"/grant/{token}"),
        await client.signed("DELETE", f"/grant/{token}x", nonce="x"),
        await client.signed("POST", "/grant", b"{", secret="sec_wrong"),
        await client.signed("POST", "/grant", b"{", headers={"Origin": client.base}),
    ]
    return secret, token, [answer.text for answer in answers]


async def test_b27_where_key_sets_are_found_tells_nothing(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    (place,) = await base.store.meta.scan(INSTALLATION, "access.subscribe_key")
    assert keyset.secrets[0].text.encode() not in place.value
    assert keyset.publish_key.encode() not in place.value
