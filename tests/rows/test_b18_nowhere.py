"""Row B18, raw: of an erased person nothing is in any byte that the server keeps.

Looked into are all files of an installation on the embedded store (its database with the `-wal`,
attachments, keys, the log), and all that Redis heard and wrote. What is sealed cannot be read there
in the first place, so what lay there sealed is looked for as well, as it lay: what was said is
overwritten. Of other rows SQLite may keep a copy in a page that it once split; nobody has a key to
it any more.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.redis_server import USER, WORD
from tests.proofs.redis_dump import Monitor, keeping_redis, redis_files
from tests.rows.house import House, Visit, visiting
from tests.rows.kept import Kept
from tests.rows.peer import seated
from tests.rows.rightful import Person, ended, people, until


@dataclass
class Traces:
    """What a person left: words in the clear, and sealed bytes as they lay in the store."""

    words: list[bytes] = field(default_factory=list)
    sealed: dict[bytes, str] = field(default_factory=dict)

    def word(self, what: str) -> str:
        made = f"canary-{what}-{secrets.token_hex(8)}"
        self.words.append(made.encode())
        return made

    def found_in(self, places: dict[str, bytes]) -> list[tuple[str, str]]:
        """Where, and what."""
        said = {**{word: word.decode() for word in self.words}, **self.sealed}
        return [
            (place, what)
            for place, data in places.items()
            for trace, what in said.items()
            if trace in data
        ]


async def lived(ann: Person, bob: Person, traces: Traces) -> str:
    """Ann says, sends, drafts, reports and shows something; the room is bob's."""
    room = await bob.room(ann)
    sent = await ann.post(room, traces.word("message"), custom={"note": traces.word("custom")})
    await ann.must(
        "PATCH", f"/rooms/{room}/messages/{sent['id']}",
        {"body": {"format": "m.plain.v1", "text": traces.word("edit")}}, headers={"If-Match": "*"},
    )  # fmt: skip
    content = traces.word("file").encode() * 5000
    await ann.sent(room, content, traces.word("caption"), f"{traces.word('name')}.bin")
    await ann.must("PATCH", "/account", {"name": traces.word("profile")})
    await ann.must("PUT", "/presence", {"state": "away", "text": traces.word("status")})
    draft = {"format": "m.plain.v1", "text": traces.word("draft")}
    await ann.must("PUT", f"/rooms/{room}/draft", {"body": draft})
    his = await bob.post(room, "bob's own")
    report = f"/rooms/{room}/messages/{his['id']}/reports"
    await ann.must("POST", report, {"text": traces.word("report")})
    about = f"/rooms/{room}/messages/{sent['id']}/reports"
    await bob.must("POST", about, {"text": traces.word("reported")})
    await ann.must("PATCH", "/preferences", {"custom": {"note": traces.word("preference")}})
    saved = f"/rooms/{room}/messages/{his['id']}/saved"
    await ann.must("PUT", saved, {"note": traces.word("saved")})
    assert await bob.found(traces.words[2].decode())
    traces.words.append(ann.login.encode())
    return room


def lying(house: House, room: str) -> dict[bytes, str]:
    """Sealed bytes of the room's log."""
    return {body: f"op {place}" for place, body in Kept(house).ops(room).items()}


def rows_of(house: House, who: Person) -> list[str]:
    """What is found by somebody's id, of whatever kind."""
    kept = Kept(house)
    return [f"{kind} {key}" for kind in kept.kinds() for key in kept.rows(kind) if who.id in key]


def files(house: House) -> dict[str, bytes]:
    """The house's own certificates and configuration hold nothing of anybody, and are looked into
    all the same.
    """
    found = [path for path in house.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(house.folder)): path.read_bytes() for path in found}


async def forgotten(there: Visit, ann: Person) -> None:
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert asked.status == 202, asked.text
    done = await ended(there, asked.body["id"])
    assert done["counts"]["messages"] >= 2 and done["counts"]["files"] == 1


async def test_b18_an_erased_person_is_in_no_byte_of_store_log_or_redis(
    housed: Callable[..., House], tmp_path: Path
) -> None:
    redis, traces = keeping_redis(tmp_path / "redis"), Traces()
    monitor = Monitor(redis)
    client = tmp_path / "redis" / "ca" / "client.pem"
    settings = {
        "log.level": "debug", "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
    }  # fmt: skip
    try:
        house = housed(settings, environment={"SOTTO_BUS__PASSWORD": WORD})
        async with visiting(house) as there:
            ann, bob = await people(there, 2)
            async with seated(bob) as (listener,):
                room = await lived(ann, bob, traces)
                await listener.bind(f"room:{room}")
                before = files(house)
                sealed = lying(house, room)
                assert rows_of(house, ann)
                assert not traces.found_in({**before}), "in the clear, before it was erased"
                theirs = set(Kept(house).ops(room).values())
                await forgotten(there, ann)
                left = set(Kept(house).ops(room).values())
                # Bob's own places are as they were; those of ann were written anew, or are gone.
                assert left & theirs
                traces.sealed = {one: what for one, what in sealed.items() if one not in left}
                # The message, its edit, and the one with the file.
                assert len(traces.sealed) >= 3
                assert not rows_of(house, ann)
                assert await bob.texts(room) == ["bob's own"]
                with contextlib.suppress(TimeoutError):
                    await until(lambda: clean(house, traces), 30)
                assert not traces.found_in(files(house))
        monitor.say("SAVE", "BGREWRITEAOF")
        house.stop()
        assert not traces.found_in(files(house)), "after it was stopped"
    finally:
        told = monitor.stop()
        redis.stop()
    kept = redis_files(tmp_path / "redis")
    assert "dump.rdb" in kept and told.count(b"sotto:") > 20
    assert not traces.found_in({**kept, "MONITOR": told})


async def clean(house: House, traces: Traces) -> bool:
    """The store overwrites what was freed when it next folds its log into the file."""
    return not traces.found_in(files(house))
