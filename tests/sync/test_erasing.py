"""A copy says nothing more of what its log took back, and shows as if it had kept it all."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signaling.chat.ops import Entry
from signaling.chat.reduce import fold
from sotto_client import account as own
from sotto_client import local as keeping
from sotto_client.local import EVERYTHING, Local, Pending
from sotto_client.replica import Frame, Replica
from sotto_client.room import advanced, view_of
from tests.sync.wire import PATH

ACCOUNTS = ("ana", "ben", "mod")
KINDS = (
    "post", "post", "edit", "edit", "react", "vote", "pin", "close", "delete", "erase", "other",
)  # fmt: skip
HISTORIES = 150
CANARY = b"canary-0c41"


class History:
    """A room's log with whatever may happen to a message, in any order; `raw` is as if nothing were
    ever emptied.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.raw: list[Frame] = []
        self.ids: list[str] = []
        for number in range(self.random.randint(5, 40)):
            self._one(number)

    def _one(self, number: int) -> None:
        kind, seq = self.random.choice(KINDS), len(self.raw) + 1
        ident = self.random.choice(self.ids) if self.ids else ""
        text = f"t{number}"
        body = {"format": "m.plain.v1", "text": text}
        if kind == "post" or not ident:
            ident = f"0192aaaa-0000-7000-8000-{number:012x}"
            op: Frame = {"type": "post", "id": ident, "body": body, "kind": "poll"}
            op |= {"poll": {"options": 3}, "custom": {"text": text}}
            if self.ids and self.random.random() < 0.3:
                op["parent"] = self.random.choice(self.ids)
            self.ids.append(ident)
            if self.random.random() < 0.2:  # some of what is about it was heard before
                self.ids.append(f"0192aaaa-0000-7000-8000-{number + 1:012x}")
        elif kind in ("erase", "other"):
            op = self._erase(ident, whole=kind == "erase")
        else:
            more: dict[str, Frame] = {
                "edit": {"body": body}, "react": {"emoji": "+1"}, "vote": {"choices": [1]},
                "pin": {"on": number % 2 == 0}, "delete": {"reason": "why"},
            }  # fmt: skip
            op = {"type": kind, "id": ident, **more.get(kind, {})}
        account = None if op["type"] == "erase" else self.random.choice(ACCOUNTS)
        part = "moderator" if account == "mod" else "member"
        clock = 1000 + number * self.random.choice((-1, 1))
        self.raw.append(
            {"seq": seq, "ident": f"{account}-1", "version": seq, "clock": clock, "op": op,
             "at": "2027-01-15T08:00:00Z", "account": account, "part": part}
        )  # fmt: skip

    def _erase(self, ident: str, *, whole: bool) -> Frame:
        about = [e for e in self.raw if e["op"].get("id") == ident]
        if whole:
            return {"type": "erase", "seqs": [e["seq"] for e in about], "ids": [ident]}
        loose = [e["seq"] for e in about if e["op"]["type"] in ("react", "vote", "pin", "edit")]
        return {"type": "erase", "seqs": loose[:1], "reason": "erasure"}

    def gone(self) -> set[str]:
        """What nobody may find any more."""
        entries = msgspec.convert(self.raw, list[Entry])
        shown = {message.id: message for message in fold(entries).messages}
        erased = {i for e in self.raw for i in e["op"].get("ids", ())}
        emptied = {seq for e in self.raw for seq in e["op"].get("seqs", ())}
        found = set()
        for entry in self.raw:
            ident, said = entry["op"].get("id"), entry["op"].get("body", {}).get("text")
            deleted = ident in shown and shown[ident].deleted is not None
            if said and (deleted or ident in erased or entry["seq"] in emptied):
                found.add(said)
        return found


class Copy:
    """A replica that is told a log in pieces."""

    def __init__(self, path: str = PATH, place: Path | str = ":memory:") -> None:
        self.local = Local(place)
        folds = own.advanced if path == own.PATH else advanced
        self.replica = Replica(self.local, path, lambda: 0, lambda _: 1, folds)
        self.hear({"type": "ident", "client_file_ident": "ana-1", "client_file_ident_salt": "s"})

    def hear(self, frame: Frame) -> list[Frame]:
        if self.replica.phase == "away":
            self.replica.begin()
        return self.replica.hear({**frame, "session": 1})

    def download(self, places: list[Frame], **more: Any) -> list[Frame]:
        file = self.replica.file
        to = places[-1]["seq"] if places else file.cursor
        return self.hear(
            {"type": "download", "from": file.cursor, "to": to, "floor": file.floor, "chain": "c",
             "upload_client_version": 0, "changes": places, **more}
        )  # fmt: skip

    def words(self) -> set[str]:
        on = self.local._on
        rows = [*on.execute("SELECT data FROM entry"), *on.execute("SELECT op FROM pending")]
        found: set[str | None] = set()
        for (data,) in rows:
            op = json.loads(data)
            op = op.get("op", op)
            found |= {(op.get("body") or {}).get("text"), op.get("custom", {}).get("text")}
        return {word for word in found if word}


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_whatever_comes_when_it_shows_the_same_and_keeps_less(seed: int) -> None:
    history, copy = History(seed), Copy()
    begun, places = False, list(history.raw)
    while places or not begun:
        count = history.random.randint(1, 9)
        some, places = places[:count], places[count:]
        copy.download(some, **({} if begun else {"bootstrap": "last"}))
        begun = True
    shown = view_of(copy.replica, "ana")
    assert shown == fold(msgspec.convert(history.raw, list[Entry]))
    assert not copy.words() & history.gone()
    assert copy.words() <= {f"t{number}" for number in range(50)}


def test_some_of_these_histories_take_back_and_some_keep() -> None:
    gone = [len(History(seed).gone()) for seed in range(HISTORIES)]
    assert sum(gone) > HISTORIES and 0 in gone


def draft(seq: int, clock: int, text: str | None, ident: str = "ben-1") -> Frame:
    body = {} if text is None else {"body": {"format": "m.plain.v1", "text": text}}
    op = {"type": "draft", "room": "0192aaaa-0000-7000-8000-00000000aaaa", **body}
    at = "2027-01-15T08:00:00Z"
    return {"seq": seq, "ident": ident, "version": seq, "clock": clock, "at": at, "op": op}


def test_of_a_draft_the_newest_alone_says_something() -> None:
    copy = Copy(own.PATH)
    copy.download([draft(1, 10, "one"), draft(2, 20, "two")], bootstrap="last")
    assert copy.words() == {"two"}
    copy.download([draft(3, 15, "of a slow clock")])
    assert copy.words() == {"two"}
    mine = json.dumps(draft(9, 0, "mine")["op"]).encode()
    copy.local.put_pending(own.PATH, Pending(1, 25, mine))
    copy.download([draft(4, 22, "three")])
    assert copy.words() == {"three", "mine"}
    copy.download([draft(5, 30, None)])
    assert copy.words() == set()
    (held,) = own.state_of(copy.replica).drafts.values()
    assert held.is_empty


def test_what_sank_into_the_state_is_overwritten_there() -> None:
    copy = Copy(own.PATH)
    copy.download([draft(1, 10, "one")], bootstrap="last")
    copy.download([], floor=1)
    assert copy.words() == set() and b"one" in copy.replica.file.state
    copy.download([draft(2, 20, None)])
    assert b"one" not in copy.replica.file.state
    copy.local.close()


# The file


def bytes_of(place: Path) -> bytes:
    return b"".join(path.read_bytes() for path in place.parent.glob(f"{place.name}*"))


def entry(seq: int, text: str) -> bytes:
    return json.dumps({"seq": seq, "text": text}).encode()


def fill(local: Local, source: random.Random) -> list[tuple[str, int]]:
    """Several partitions grow beside each other, so that pages split and cells move."""
    places = []
    for number in range(1500):
        path = f"room:{source.randint(0, 9)}"
        text = f"{CANARY.decode()}-{path}-{number}-" + "x" * source.randint(0, 400)
        local.add(path, number, entry(number, text), f"{number:032x}")
        places.append((path, number))
    return places


@pytest.mark.parametrize("pages", [keeping.SMALL_PAGES, 0], ids=["small", "large"])
def test_what_was_taken_back_is_nowhere_in_the_file(
    pages: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one is written anew when it is closed."""
    monkeypatch.setattr(keeping, "SMALL_PAGES", pages)
    place, source = tmp_path / "kept.db", random.Random(pages)
    local = Local(place)
    with local.transaction():
        places = fill(local, source)
    source.shuffle(places)
    gone, kept = places[:1000], places[1000:]
    with local.transaction():
        for path, seq in gone:
            local.replace(path, seq, b"{}", "")
    if not pages:
        local.close()
    left = bytes_of(place)
    for path, seq in gone:
        assert f"{CANARY.decode()}-{path}-{seq}-".encode() not in left
    for path, seq in kept:
        assert f"{CANARY.decode()}-{path}-{seq}-".encode() in left


def test_what_was_not_written_anew_before_a_crash_is_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SMALL_PAGES", 0)
    local = Local(tmp_path / "kept.db")
    with local.transaction():
        local.add("room:a", 1, CANARY)
    with local.transaction():
        local.replace("room:a", 1, b"{}", "")
    assert local.setting("rewrite")
    again = Local(tmp_path / "kept.db")
    assert not again.setting("rewrite")
    again.close()
    local.close()


def test_an_old_frame_that_somebody_reads_goes_when_they_are_done(tmp_path: Path) -> None:
    place = tmp_path / "kept.db"
    local = Local(place)
    local._on.execute("PRAGMA busy_timeout = 0")
    local.add("room:a", 1, CANARY)
    reader = sqlite3.connect(place, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT data FROM entry").fetchall()
    with local.transaction():
        local.forget_upto("room:a", EVERYTHING)
    assert CANARY in bytes_of(place)
    reader.execute("COMMIT")
    with local.transaction():
        pass
    assert CANARY not in bytes_of(place)
    reader.close()
    local.close()


OLD = """
CREATE TABLE file (
  path TEXT PRIMARY KEY, ident TEXT NOT NULL, salt TEXT NOT NULL, cursor INTEGER NOT NULL,
  chain TEXT NOT NULL, floor INTEGER NOT NULL, acked INTEGER NOT NULL, next INTEGER NOT NULL,
  clock INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE entry (
  path TEXT, seq INTEGER, data BLOB NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE staged (
  path TEXT, seq INTEGER, data BLOB NOT NULL, PRIMARY KEY (path, seq)) WITHOUT ROWID;
CREATE TABLE pending (
  path TEXT, version INTEGER, clock INTEGER NOT NULL, op BLOB NOT NULL,
  PRIMARY KEY (path, version)) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def test_a_copy_of_before_is_begun_anew_and_seen_until_then(tmp_path: Path) -> None:
    """It kept what was deleted, and nothing says which that was."""
    place = tmp_path / "kept.db"
    before = sqlite3.connect(place)
    before.executescript("PRAGMA journal_mode=WAL;" + OLD)
    row = (PATH, "ana-1", "salt", 5, "chain", 0, 2, 3, 7, b"")
    before.execute(f"INSERT INTO file VALUES ({','.join('?' * len(row))})", row)
    before.execute("INSERT INTO entry VALUES (?, 1, ?)", (PATH, entry(1, CANARY.decode())))
    before.execute("INSERT INTO pending VALUES (?, 3, 7, ?)", (PATH, b'{"type":"void"}'))
    before.commit()
    before.close()
    copy = Copy(place=place)
    file = copy.replica.file
    assert (file.ident, file.cursor, file.acked, file.next) == ("ana-1", 0, 2, 3)
    assert copy.local.entries(PATH) and CANARY in bytes_of(place)
    bound = copy.replica.begin()
    assert [frame["type"] for frame in bound] == ["bind", "ident"]
    assert bound[1]["download_server_version"] == 0
    copy.download([], bootstrap="last", upload_client_version=2)
    assert not copy.local.entries(PATH) and CANARY not in bytes_of(place)
    assert [change.version for change in copy.replica.pending()] == [3]
    copy.local.close()
