"""Rows C30 and 5.D (GDPR 18, 21): data that is kept and not processed; what one objects to."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import owner, people, person, until
from tests.signaling.delivery.house import receiving

CANARY = "canary-30cc18"


async def test_c30_restricted_is_kept_and_not_processed(there: Visit) -> None:
    ann, bob, auditor = [*await people(there, 2), await person(there, "auditor")]
    room = await ann.room(bob)
    await ann.post(room, f"{CANARY} from ann")
    await bob.post(room, f"{CANARY} from bob")
    assert sorted(await bob.found(CANARY)) == [f"{CANARY} from ann", f"{CANARY} from bob"]
    shown = await ann.must("PUT", "/account/restriction")
    assert shown["restricted_at"] and shown["by"] == ann.id
    # Nobody finds it but its author; nothing else happened to it.
    assert await bob.found(CANARY) == [f"{CANARY} from bob"]
    assert len(await ann.found(CANARY)) == 2
    for reader in (ann, bob):
        assert len(await reader.texts(room)) == 2
    assert (await ann.must("GET", "/account"))["id"] == ann.id
    assert (await ann.must("GET", "/account/processing")) == shown
    archive = await exported(there, room)
    told = archive.read(f"rooms/{room}.ndjson").decode()
    assert f"{CANARY} from bob" in told and f"{CANARY} from ann" not in told
    omitted = json.loads(archive.read("manifest.json"))["omitted"]
    assert omitted == {f"account:{ann.id}": "processing is restricted"}
    # One's own is one's own: it can be fetched and taken along.
    assert (await ann.ask("GET", "/account/export")).status == 200
    # Saying so twice is once; and it can be taken back.
    assert await ann.must("PUT", "/account/restriction") == shown
    assert (await ann.must("DELETE", "/account/restriction"))["restricted_at"] is None
    assert len(await bob.found(CANARY)) == 2
    assert (
        f"{CANARY} from ann" in (await exported(there, room)).read(f"rooms/{room}.ndjson").decode()
    )
    for action in ("restrictProcessing", "liftRestriction"):
        records = await there.recorded(auditor.token, action, "allowed")
        assert any(one["target"] == f"account:{ann.id}" for one in records), action


async def exported(there: Visit, room: str) -> zipfile.ZipFile:
    first, second = [await person(there, "compliance") for _ in range(2)]
    made = await first.must("POST", "/exports", {"reason": "case 30", "room": room})
    await second.must("POST", f"/exports/{made['id']}/approval")
    url = f"{there.house.url}/api/v1/exports/{made['id']}/archive"
    headers = {"Authorization": f"Bearer {first.token}"}
    async with there.client.get(url, headers=headers) as answer:
        assert answer.status == 200
        return zipfile.ZipFile(io.BytesIO(await answer.read()))


async def test_c30_nothing_restricted_leaves_by_a_webhook(housed: Callable[..., House]) -> None:
    async with receiving() as receiver:
        allow = f'[egress]\nallow = [{{ network = "127.0.0.1/32", port = {receiver.port} }}]\n'
        async with visiting(housed({"delivery.retry_most_seconds": "1"}, toml=allow)) as there:
            admin, ann, bob = [await owner(there), *await people(there, 2)]
            await admin.must("POST", "/webhooks", {"url": receiver.url})
            room = await ann.room(bob)
            await ann.must("PUT", "/account/restriction")
            await ann.post(room, f"{CANARY} kept in")
            await bob.post(room, "of bob")

            async def arrived() -> bool:
                return "of bob" in receiver.texts

            await until(arrived, 120)
            await ann.must("DELETE", "/account/restriction")
            await ann.post(room, "free again")

            async def free() -> bool:
                return "free again" in receiver.texts

            await until(free, 120)
            assert receiver.texts == ["of bob", "free again"]


async def test_c30_an_administrator_restricts_for_who_asks_on_paper(there: Visit) -> None:
    admin, ann, bob = [await owner(there), *await people(there, 2)]
    where = f"/accounts/{ann.id}/restriction"
    assert (await bob.ask("PUT", where)).status == 403
    assert (await admin.ask("PUT", "/accounts/nobody/restriction")).status == 404
    shown = await admin.must("PUT", where)
    assert shown["by"] == admin.id
    assert (await ann.must("GET", "/account/processing"))["restricted_at"] == shown["restricted_at"]
    assert (await admin.must("DELETE", where))["restricted_at"] is None
    assert (await bob.must("GET", "/account/processing"))["restricted_at"] is None
    answer = await there.ask("PUT", "/account/restriction")
    assert answer.status == 401


async def test_c30_objections_are_honoured_by_the_server(there: Visit) -> None:
    admin, ann, bob = [await owner(there), *await people(there, 2)]
    room = await ann.room(bob)
    sent = await ann.post(room, "seen?")
    where = "/account/objections/read_receipts"
    shown = await bob.must("PUT", where)
    assert [one["purpose"] for one in shown["objections"]] == ["read_receipts"]
    assert (await bob.must("PUT", where)) == shown
    await bob.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    receipts = await ann.must("GET", f"/rooms/{room}/receipts")
    assert not [one for one in receipts["items"] if one["account"] == bob.id]
    assert (await bob.must("GET", "/preferences"))["read_receipts"] is False
    assert (await bob.must("DELETE", where))["objections"] == []
    # Of purposes that the operator declared: what the law lets one object to, and nothing else.
    for name, basis, status in (
        ("improving", "legitimate_interests", 200), ("billing", "contract", 409),
        ("letters", "consent", 409), ("nothing", None, 422),
    ):  # fmt: skip
        ident = f"{name}.{bob.id[-8:]}"
        if basis is not None:
            wish = {"basis": basis, "title": name, "text": f"what {name} is"}
            await admin.must("PUT", f"/processing-register/{ident}", wish)
        answer = await bob.ask("PUT", f"/account/objections/{ident}")
        assert answer.status == status, answer.text
    shown = await bob.must("GET", "/account/processing")
    assert [one["purpose"][:9] for one in shown["objections"]] == ["improving"]
    assert (await ann.must("GET", "/account/processing"))["objections"] == []
