"""Row B18 (GDPR 17): erasure of a message, a stretch, a room, a person; certified, held."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signaling.compliance.erasure.certificate import holds
from tests.command import sotto
from tests.rows.house import PASSWORD, ROOT, Answer, House, Visit, apart, standing, visiting
from tests.rows.rightful import Person, ended, owner, people, person, until

CANARY = "canary-9f3e71"


def blobs(house: House) -> int:
    return sum(path.is_file() for path in (house.state / "store" / "blobs").rglob("*"))


async def keys_of(auditor: Person) -> dict[str, bytes]:
    found = await auditor.must("GET", "/audit/head")
    return {key["name"]: bytes.fromhex(key["public_key"]) for key in found["keys"]}


async def certified(there: Visit, ident: str) -> dict[str, Any]:
    """Its certificate, once its signature was checked with the published key."""
    answer = await there.ask("GET", f"/erasures/{ident}/certificate")
    assert answer.status == 200, answer.text
    text = answer.body["certificate"].encode()
    signature = bytes.fromhex(answer.body["signature"])
    keys = await keys_of(await person(there, "auditor"))
    assert holds(text, signature, keys[answer.body["key"]])
    changed = text.replace(b'"counts"', b'"Counts"')
    assert not holds(changed, signature, keys[answer.body["key"]])
    found: dict[str, Any] = json.loads(text)
    return found


async def erase(who: Person, room: str, *messages: Any) -> Answer:
    ids = [message["id"] for message in messages]
    return await who.ask("POST", f"/rooms/{room}/erasures", {"messages": ids})


async def test_b18_a_message_goes_with_all_that_is_about_it(there: Visit) -> None:
    ann, bob, stranger = await people(there, 3)
    room = await ann.room(bob)
    kept = await bob.post(room, "kept")
    sent = await ann.post(room, f"{CANARY} first")
    edited = {"text": f"{CANARY} second"}
    await ann.must("PATCH", f"/rooms/{room}/messages/{sent['id']}", edited)
    await bob.must("PUT", f"/rooms/{room}/messages/{sent['id']}/reactions/x", {})
    await ann.must("PUT", f"/rooms/{room}/messages/{sent['id']}/pin")
    note = {"note": f"{CANARY} note"}
    await bob.must("PUT", f"/rooms/{room}/messages/{sent['id']}/saved", note)
    reply = {"body": {"format": "m.plain.v1", "text": CANARY}, "parent": sent["id"]}
    await bob.must("PUT", f"/rooms/{room}/draft", reply)
    await bob.must("POST", f"/rooms/{room}/messages/{sent['id']}/reports", {"text": CANARY})
    assert await bob.found(CANARY) == [f"{CANARY} second"]
    assert (await erase(bob, room, sent)).status == 403
    assert (await erase(stranger, room, sent)).status == 404
    assert (await erase(ann, room, {"id": stranger.id})).status == 404
    asked = await erase(ann, room, sent)
    assert asked.status == 202
    assert asked.headers["Location"] == f"/api/v1/erasures/{asked.body['id']}"
    done = await ann.erased(asked)
    assert done["counts"]["messages"] == 1
    again = await erase(ann, room, sent)
    assert (again.status, again.body["id"], again.body["state"]) == (200, done["id"], "done")
    for who in (ann, bob):
        gone = await who.ask("GET", f"/rooms/{room}/messages/{sent['id']}")
        assert (gone.status, gone.code) == (404, "message_not_found")
        assert await who.texts(room) == ["kept"]
        assert await who.found(CANARY) == []
        assert (await who.must("GET", f"/rooms/{room}/pins"))["items"] == []
    assert (await bob.must("GET", "/saved"))["items"] == []
    assert (await bob.must("GET", "/drafts"))["items"] == []
    assert (await ann.must("GET", f"/rooms/{room}/reports"))["items"] == []
    entries = await bob.log(room)
    assert CANARY not in json.dumps(entries)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    erased = [entry["seq"] for entry in entries if entry["op"]["type"] == "erased"]
    told = next(entry["op"] for entry in entries if entry["op"]["type"] == "erase")
    assert sent["seq"] in erased and kept["seq"] not in erased
    assert (told["ids"], told["seqs"]) == ([sent["id"]], erased)
    assert (await certified(there, done["id"]))["counts"]["messages"] == 1


async def test_b18_another_device_gets_the_tombstone_and_its_chain_holds(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = await ann.post(room, CANARY)
    before = await bob.must("GET", f"/rooms/{room}/log", params={"limit": "500"})
    await ann.erased(await erase(ann, room, sent))
    after = await bob.must("GET", f"/rooms/{room}/log", params={"after": str(before["head"])})
    assert [entry["op"]["type"] for entry in after["entries"]] == ["erase"]
    # The chain at the old head is what it was: the erased place still counts with its digest.
    at = str(before["head"])
    same = await bob.must("GET", f"/rooms/{room}/log", params={"after": "0", "limit": at})
    assert same["chain"] == before["chain"]


async def test_b18_a_stretch_is_for_moderators(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    sent = [await who.post(room, f"{number}") for number in range(6) for who in (ann, bob)]
    wish = {"first_seq": sent[2]["seq"], "last_seq": sent[9]["seq"]}
    assert (await bob.ask("POST", f"/rooms/{room}/erasures", wish)).status == 403
    for wrong in ({"first_seq": 5}, {"first_seq": 5, "last_seq": 4}, {}, {"messages": [], "x": 1}):
        refused = await ann.ask("POST", f"/rooms/{room}/erasures", wrong)
        assert (refused.status, refused.code) == (422, "fields_invalid")
    done = await ann.erased(await ann.ask("POST", f"/rooms/{room}/erasures", wish))
    assert done["counts"]["messages"] == 8
    assert await bob.texts(room) == ["0", "0", "5", "5"]
    # What the room is was not among it.
    assert (await bob.must("GET", f"/rooms/{room}"))["members"] == 2


async def test_b18_a_room_is_its_owners_to_end(there: Visit) -> None:
    ann, bob, moderator, stranger = await people(there, 4)
    room = await ann.room(bob, moderator)
    wish = {"part": "moderator"}
    await ann.must("PUT", f"/rooms/{room}/members/{moderator.id}", wish)
    for number in range(20):
        await bob.post(room, f"{CANARY} {number}")
    before = blobs(there.house)
    _, file = await ann.sent(room, secrets.token_bytes(200_000), CANARY)
    assert blobs(there.house) > before
    await bob.must("POST", f"/rooms/{room}/read", {"seq": 5})
    draft = {"body": {"format": "m.plain.v1", "text": CANARY}}
    await bob.must("PUT", f"/rooms/{room}/draft", draft)
    for who, status in ((bob, 403), (moderator, 403), (stranger, 404)):
        assert (await who.ask("DELETE", f"/rooms/{room}")).status == status
    asked = await ann.ask("DELETE", f"/rooms/{room}")
    assert asked.status == 202
    done = await ann.erased(asked)
    assert done["counts"]["messages"] == 21 and done["counts"]["files"] == 1
    assert done["counts"]["keys"] >= 3
    assert {"calls", "queues", "consents"} <= set(done["counts"])
    for who in (ann, bob):
        for path in ("", "/messages", "/log", "/members"):
            gone = await who.ask("GET", f"/rooms/{room}{path}")
            assert (gone.status, gone.code) == (404, "room_not_found"), path
        assert room not in [one["id"] for one in (await who.must("GET", "/rooms"))["items"]]
        assert (await who.ask("POST", f"/rooms/{room}/messages", {"text": "late"})).status == 404
    assert (await bob.must("GET", "/drafts"))["items"] == []
    assert blobs(there.house) == before
    assert (await ann.ask("GET", f"/files/{file['id']}")).status == 404
    again = await ann.ask("DELETE", f"/rooms/{room}")
    assert (again.status, again.body["id"]) == (200, done["id"])
    for who in (bob, stranger):
        assert (await who.ask("DELETE", f"/rooms/{room}")).status == 404
    said = await certified(there, done["id"])
    assert (said["kind"], said["subject"]) == ("room", room)
    assert said["counts"] == done["counts"]


async def farewell(who: Person) -> Answer:
    return await who.ask("POST", "/account/erasure", {"confirm": who.id})


async def test_b18_a_person_goes_and_nobody_elses_things_do(there: Visit) -> None:
    ann, bob, cy = await people(there, 3)
    shared, left, alone = await ann.room(bob, cy), await bob.room(ann, cy), await ann.room()
    await ann.post(alone, CANARY)
    mine = await ann.post(shared, CANARY)
    his = await bob.post(shared, "bob's own")
    await bob.post(shared, "an answer", parent=mine["id"])
    await ann.post(shared, f"{CANARY} in a thread", parent=his["id"])
    await ann.must("PUT", f"/rooms/{shared}/messages/{his['id']}/reactions/x", {})
    await ann.post(left, CANARY)
    await ann.must("DELETE", f"/rooms/{left}/members/{ann.id}")
    before = blobs(there.house)
    await ann.sent(shared, secrets.token_bytes(100_000), CANARY)
    refused = await ann.ask("POST", "/account/erasure", {"confirm": bob.id})
    assert (refused.status, refused.code) == (422, "fields_invalid")
    asked = await farewell(ann)
    assert asked.status == 202
    done = await ended(there, asked.body["id"])
    assert done["counts"]["messages"] == 5 and done["counts"]["reactions"] == 1
    assert done["counts"]["files"] == 1
    assert (await ann.ask("GET", "/account")).status == 401
    sign_in = {"login": ann.login, "password": PASSWORD}
    assert (await there.ask("POST", "/sign-in/password", sign_in)).status in (401, 403)
    assert await bob.texts(shared) == ["bob's own", "an answer"]
    shown = await bob.must("GET", f"/rooms/{shared}/messages/{his['id']}")
    assert "reactions" not in shown and "thread" not in shown
    for room in (shared, left):
        assert CANARY not in json.dumps(await bob.log(room))
    members = (await bob.must("GET", f"/rooms/{shared}/members"))["items"]
    assert {one["account"] for one in members} == {bob.id, cy.id}
    assert "owner" in {one["part"] for one in members}
    assert blobs(there.house) == before
    root = await owner(there)
    assert (await root.ask("DELETE", f"/rooms/{alone}")).status == 404
    again = await root.ask("POST", f"/accounts/{ann.id}/erasure", {"confirm": ann.id})
    assert (again.status, again.body["id"]) == (200, done["id"])
    said = await certified(there, done["id"])
    assert said["kind"] == "person" and ann.id not in json.dumps(said)


async def test_b18_what_a_moderator_deleted_stays_deleted(there: Visit) -> None:
    """Their `delete` is erased with them; the message that it hid must not be read again."""
    ann, bob, moderator = await people(there, 3)
    room = await ann.room(bob, moderator)
    await ann.must("PUT", f"/rooms/{room}/members/{moderator.id}", {"part": "moderator"})
    insult = await bob.post(room, f"{CANARY} an insult")
    await bob.post(room, "kept")
    await moderator.must("DELETE", f"/rooms/{room}/messages/{insult['id']}")
    assert await ann.texts(room) == ["kept"]
    done = await ended(there, (await farewell(moderator)).body["id"])
    assert done["state"] == "done"
    for who in (ann, bob):
        assert await who.texts(room) == ["kept"]
        assert await who.found(CANARY) == []
    log = await ann.log(room)
    assert moderator.id not in json.dumps([one for one in log if one["op"]["type"] == "delete"])


async def test_b18_deleting_an_account_erases_the_person_too(there: Visit) -> None:
    ann, bob = await people(there, 2)
    room = await bob.room(ann)
    await ann.post(room, CANARY)
    root = await owner(there)
    assert (await bob.ask("POST", f"/accounts/{ann.id}/erasure", {})).status == 403
    assert (await root.ask("DELETE", f"/accounts/{ann.id}")).status == 204

    async def gone() -> bool:
        types = [entry["op"]["type"] for entry in await bob.log(room)]
        return types.count("erased") == 1

    await until(gone)
    assert await bob.texts(room) == []


async def flood(there: Visit, who: Person, room: str, count: int) -> None:
    for start in range(0, count, 50):
        await asyncio.gather(*(who.post(room, f"{CANARY} {start + n}") for n in range(50)))


def killed(house: House) -> None:
    assert house.process is not None
    house.process.send_signal(signal.SIGKILL)
    house.process.wait()


def test_b18_what_a_kill_interrupted_goes_on_and_counts_once(
    housed: Callable[..., House],
) -> None:
    house, count = housed(), 1500
    asked: dict[str, str] = {}

    async def fill() -> None:
        async with visiting(house) as there:
            ann, bob = await people(there, 2)
            room = await ann.room(bob)
            await flood(there, bob, room, count)
            answer = await ann.ask("DELETE", f"/rooms/{room}")
            assert answer.status == 202
            asked.update(id=answer.body["id"], room=room, token=bob.token)
            # Somewhere in the middle, wherever that is.
            await asyncio.sleep(0.02 + secrets.randbelow(150) / 1000)
            killed(house)

    async def look() -> None:
        async with visiting(house) as there:
            done = await ended(there, asked["id"], seconds=240)
            assert done["counts"]["messages"] == count
            gone = await there.ask("GET", f"/rooms/{asked['room']}", token=asked["token"])
            assert gone.status == 404

    apart(fill())
    house.start()
    apart(look())


def command(house: House, *words: str) -> None:
    done = subprocess.run(
        sotto(*words, f"--config={house.folder / 'sotto.toml'}",
              f"--set=process.state_dir={house.state}"),
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def key_file(house: House, tmp_path: Path) -> Path:
    made = tmp_path / "backup.key"
    subprocess.run(sotto("backup", f"--new-key={made}"), cwd=ROOT, check=True, timeout=180)
    return made


def test_b18_the_backup_of_the_night_before_does_not_bring_an_erased_person_back(
    tmp_path: Path,
) -> None:
    """Data of the night before, keys of today: what the key table no longer has opens nowhere."""
    (tmp_path / "old").mkdir()
    key, data, keys = tmp_path / "backup.key", tmp_path / "data.sotto", tmp_path / "keys.sotto"
    said: dict[str, Any] = {}

    async def live(house: House) -> None:
        async with visiting(house) as there:
            ann, bob = await people(there, 2)
            room = await bob.room(ann)
            await ann.post(room, CANARY)
            await bob.post(room, "bob's own")
            command(house, "backup", f"--key={key}", f"--out={data}", "--part=data")
            await ended(there, (await farewell(ann)).body["id"])
            command(house, "backup", f"--key={key}", f"--out={keys}", "--part=keys")
            said.update(room=room, ann=ann.login, bob=bob.login)

    with standing(House(tmp_path / "old")) as old:
        key_file(old, tmp_path)
        apart(live(old))
        master = old.state / "keys"
    (tmp_path / "new").mkdir()
    new = House(tmp_path / "new")
    new.state.mkdir()
    subprocess.run(["cp", "-a", str(master), str(new.state / "keys")], check=True)
    command(new, "restore", f"--key={key}", str(data), str(keys))

    async def look() -> None:
        async with visiting(new) as there:
            bob = Person(there, await there.sign_in(said["bob"]), said["bob"], "")
            assert await bob.texts(said["room"]) == ["bob's own"]
            assert CANARY not in json.dumps(await bob.log(said["room"]))
            wish = {"login": said["ann"], "password": PASSWORD}
            assert (await there.ask("POST", "/sign-in/password", wish)).status >= 400

    try:
        new.start()
        apart(look())
    finally:
        new.stop()


async def test_c20_the_audit_shows_who_was_erased_by_a_pseudonym_alone(there: Visit) -> None:
    ann, bob = await people(there, 2)
    auditor, keeper = await person(there, "auditor"), await person(there, "compliance")
    await there.recorded(auditor.token, "getAccount", "allowed")
    before = await there.records(auditor.token, actor=f"account:{ann.id}")
    assert before and all(record["actor"] == f"account:{ann.id}" for record in before)
    done = await ended(there, (await farewell(ann)).body["id"])
    pseudonym = (await certified(there, done["id"]))["subject"]
    after = await there.records(auditor.token, actor=f"account:{ann.id}")
    assert {record["actor"] for record in after} == {f"account:{pseudonym}"}
    export = {"pseudonyms": "true", "actor": f"account:{bob.id}"}
    answer = await auditor.ask("GET", "/audit/export", params=export)
    assert answer.status == 200 and bob.id not in answer.text
    his = json.loads(answer.text.splitlines()[0])["actor"].removeprefix("account:")
    wish = {"pseudonym": his}
    assert (await bob.ask("POST", "/pseudonyms/lookup", wish)).status == 403
    assert (await auditor.ask("POST", "/pseudonyms/lookup", wish)).status == 403
    assert (await keeper.must("POST", "/pseudonyms/lookup", wish))["account"] == bob.id
    gone = await keeper.ask("POST", "/pseudonyms/lookup", {"pseudonym": pseudonym})
    assert gone.status == 404
    assert await there.recorded(auditor.token, "lookupPseudonym", "allowed")
    for who in (bob, auditor):
        actor = f"account:{who.id}"
        assert await there.recorded(auditor.token, "lookupPseudonym", "denied", actor=actor)
    assert (await keeper.must("POST", "/pseudonyms/rotation"))["number"] >= 2
    assert (await keeper.ask("POST", "/pseudonyms/lookup", wish)).status == 404
    # What is exported from then on is linked to nothing that was exported before.
    anew = await auditor.ask("GET", "/audit/export", params=export)
    other = json.loads(anew.text.splitlines()[0])["actor"].removeprefix("account:")
    assert anew.status == 200 and bob.id not in anew.text
    assert his in answer.text and his not in anew.text and other not in answer.text
    found = await keeper.must("POST", "/pseudonyms/lookup", {"pseudonym": other})
    assert found["account"] == bob.id
