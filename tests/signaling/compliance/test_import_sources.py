"""Archives of three kinds are read as they are meant, and refused when somebody spoiled them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from signaling.chat.bodies import MAX_TEXT, Plain
from signaling.chat.ops import Edit, Op, Part, Post, React
from signaling.compliance.imports import mattermost as mattermost_module
from signaling.compliance.imports.archives import source_of
from signaling.compliance.imports.bringing import Bringing, Cast, fits, opening, size
from signaling.compliance.imports.markup import markdown
from signaling.compliance.imports.naming import Naming
from signaling.compliance.imports.port import Bad, Format, Message, Place, Source
from signaling.compliance.imports.zipped import MOST_ITEM
from signaling.errors import Code
from tests.signaling.compliance import archives

MOST = 1 << 40


def opened(kind: Format, data: bytes) -> Source:
    return source_of(kind, io.BytesIO(data), len(data), MOST)


def read(kind: Format, data: bytes) -> tuple[list[Place], dict[str, list[Message]], Source]:
    """Everything, after it was looked at."""
    source = opened(kind, data)
    assert sum(source.check()) > 0
    found: dict[str, list[Message]] = {}
    for place, message in source.messages():
        found.setdefault(place, []).append(message)
    return list(source.places()), found, source


def text(message: Message) -> str:
    body = message.bodies[-1]
    assert isinstance(body, Plain)
    return body.text


def refused(kind: Format, data: bytes, code: Code = Code.ARCHIVE_INVALID) -> str:
    with pytest.raises(Bad) as caught:
        places, messages, source = read(kind, data)
        list(source.people())
        pytest.fail(f"taken: {places} {messages}")
    assert caught.value.code is code, caught.value.message
    return caught.value.message


# What they say


def test_slack_says_who_said_what_where_and_on_what() -> None:
    places, found, source = read(Format.SLACK, archives.slack())
    assert [(p.id, p.name, p.kind.value) for p in places] == [
        (archives.GENERAL, "general", "public"), (archives.SECRET, "plans", "private"),
        (archives.DM, "", "direct"),
    ]  # fmt: skip
    assert places[0].topic == "all of it"
    assert places[0].members == ((archives.ANN, Part.MEMBER), (archives.BOB, Part.MEMBER))
    assert {p.id: p.name for p in source.people()} == {
        archives.ANN: "Ann Example", archives.BOB: "bobby",
    }  # fmt: skip
    root, reply, edited, bot, files = found[archives.GENERAL]
    assert text(root) == "hello @bobby, see [this](https://example.org) & **that**"
    assert root.mentions == (archives.BOB,) and root.pinned
    assert root.reactions == ((":tada:", (archives.BOB, archives.ANN)),)
    assert (reply.parent, root.parent) == (root.id, "")
    assert edited.edited == 1_600_000_009.0
    assert (bot.author, bot.name, text(bot)) == (archives.BOT, "Deploy", "version 2 is out")
    assert [(f.name, bool(f.path), f.size) for f in files.files] == [
        ("kept.txt", True, 11), ("gone.pdf", False, 99),
    ]  # fmt: skip
    assert b"".join(source.data(files.files[0].path)) == b"kept bytes!"
    assert source.skipped == {"notices": 1}
    assert [text(m) for m in found[archives.DM]] == ["between us"]


def test_a_deleted_message_that_a_thread_hangs_on_keeps_its_place() -> None:
    gone = archives.slack_said(1.0, "USLACKBOT", "This message was deleted.", subtype="tombstone")
    data = archives.slack({"2020-01-01": [gone, archives.slack_said(2.0, archives.ANN, "still")]})
    _, found, _ = read(Format.SLACK, data)
    assert [m.deleted for m in found[archives.GENERAL]] == [True, False]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("*bold* and _it_ and ~gone~", "**bold** and _it_ and ~~gone~~"),
        ("2 * 3 * 4 and a*b*c", "2 * 3 * 4 and a*b*c"),
        ("`*code*` stays", "`*code*` stays"),
        ("<#C1|general> <!here> <!subteam^S1|@team>", "#general @here @team"),
        ("<mailto:a@example.org|a@example.org>", "a@example.org"),
        ("<https://example.org> &lt;b&gt; &amp;amp;", "https://example.org <b> &amp;"),
        ("<@U9|old> <@U1>", "@old @Ann"),
        ("<!date^1392734382^{date}|then>", "then"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_marks_of_slack_become_markdown(said: str, shown: str) -> None:
    assert markdown(said, {"U1": "Ann"}) == shown


def test_mattermost_says_it_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for window in (20_000, 1):
        # Also when only one post at a time fits into memory.
        monkeypatch.setattr(mattermost_module, "WINDOW", window)
        places, found, source = read(Format.MATTERMOST, archives.mattermost())
        assert [(p.id, p.name, p.kind.value) for p in places] == [
            ("eng/town-square", "Town Square", "public"), ("direct:ann,bob", "", "direct"),
        ]  # fmt: skip
        square = found["eng/town-square"]
        assert [text(m) for m in square] == [
            "first", "a reply", "another", "second", "third, with a file",
        ]  # fmt: skip
        assert [m.parent for m in square] == ["", square[0].id, square[0].id, "", ""]
        assert square[0].reactions == ((":+1:", ("bob",)),) and square[0].pinned
        (file,) = square[-1].files
        assert b"".join(source.data(file.path)) == b"notes of mattermost"
        assert {p.id: p.name for p in source.people()} == {"ann": "Ann Example", "bob": "bobby"}
        assert source.skipped == {"notices": 1}


def test_sotto_says_it_as_it_was() -> None:
    edits = [
        {"seq": 1, "at": "2023-06-29T10:00:00Z", "body": {"format": "m.plain.v1", "text": "frst"}}
    ]
    messages = [
        archives.sotto_message(1, "first", edits=edits, edited_at="2023-06-29T10:01:00Z",
                               reactions=[{"emoji": "+", "accounts": [archives.READER]}]),
        archives.sotto_message(2, "reply", parent=archives.sotto_id(1)),
        {**archives.sotto_message(3, ""), "body": None,
         "deleted": {"by": archives.AUTHOR, "at": "2023-06-29T10:02:00Z"}},
    ]  # fmt: skip
    places, found, source = read(Format.SOTTO, archives.sotto(messages))
    (place,) = places
    first, reply, deleted = found[place.id]
    assert [body.text for body in first.bodies if isinstance(body, Plain)] == ["frst", "first"]
    assert reply.parent == first.id and deleted.deleted
    assert {p.id: p.name for p in source.people()} == {
        archives.AUTHOR: "Ann of old", archives.READER: archives.READER,
    }  # fmt: skip


# What becomes of it

NAMING = Naming(lambda text: f"secret {text}", Format.SLACK, "")


def bringing(accounts: dict[str, str]) -> Bringing:
    return Bringing(NAMING, Cast(NAMING, {archives.ANN: "Ann"}, accounts), Format.SLACK)


def acted(message: Message, accounts: dict[str, str]) -> list[tuple[str | None, Op]]:
    place = Place(id=archives.GENERAL)
    return bringing(accounts).acts(place, message, None, None, (), ["gone.pdf"], 0.0)


def test_only_who_was_named_becomes_an_author() -> None:
    _, found, _ = read(Format.SLACK, archives.slack())
    message = found[archives.GENERAL][0]
    mine = acted(message, {archives.BOB: "account-of-bob"})
    assert [account for account, _ in mine][1] == "account-of-bob"
    assert isinstance(mine[1][1], React)
    others = {account for account, _ in mine} - {"account-of-bob"}
    assert all(str(account).startswith("imported:") for account in others)
    # Their own word for it, or an id of ours in it, changes nothing.
    forged = archives.slack_said(5.0, "account-of-bob", "I said so", username="Bob")
    _, found, _ = read(Format.SLACK, archives.slack({"2020-01-01": [forged]}))
    ((account, post),) = acted(found[archives.GENERAL][0], {archives.BOB: "account-of-bob"})
    assert account is not None and account.startswith("imported:")
    assert isinstance(post, Post)
    assert post.custom == {
        "imported.from": "slack", "imported.author": "Bob",
        "imported.at": "1970-01-01T00:00:05.000Z", "imported.files": "gone.pdf",
    }  # fmt: skip


def test_how_many_ops_there_are_does_not_depend_on_who_was_named() -> None:
    for kind, data in (
        (Format.SLACK, archives.slack()), (Format.MATTERMOST, archives.mattermost()),
    ):  # fmt: skip
        _, found, _ = read(kind, data)
        for message in (message for messages in found.values() for message in messages):
            for accounts in ({}, {archives.ANN: "a", archives.BOB: "b", "ann": "a"}):
                acts = acted(message, accounts)
                assert len(acts) == size(message) and all(fits(op) for _, op in acts)


def test_a_text_that_is_too_long_goes_on_in_further_messages() -> None:
    long = "x" * (2 * MAX_TEXT + 5)
    acts = acted(Message(id="1", at=1.0, author="u", bodies=(Plain(text=long),)), {})
    bodies = [op.body for _, op in acts if isinstance(op, Post)]
    assert "".join(body.text for body in bodies if isinstance(body, Plain)) == long
    assert len(bodies) == 3 and all(fits(op) for _, op in acts)


def test_edits_come_after_what_they_change() -> None:
    message = Message(id="1", at=1.0, author="u", bodies=(Plain(text="a"), Plain(text="b")))
    (_, post), (_, edit) = acted(message, {})
    assert isinstance(post, Post) and isinstance(edit, Edit) and post.id == edit.id


def test_a_direct_room_becomes_a_group_of_those_who_are_here() -> None:
    places = list(opened(Format.SLACK, archives.slack()).places())
    cast = Cast(NAMING, {archives.ANN: "Ann", archives.BOB: "Bob"}, {archives.BOB: "b"})
    create, *members = opening(places[2], cast, "owner", Format.SLACK)
    assert create is not None and create[0] == "b" and create[1].kind == "group"  # type: ignore[union-attr]
    assert create[1].name == "Ann, Bob"  # type: ignore[union-attr]
    assert members == [None, None]


def test_two_posts_of_one_millisecond_are_two() -> None:
    twice = [archives.mattermost_post(1_600_000_000_000, "bob", text) for text in ("one", "two")]
    reply = {"user": "bob", "message": "again", "create_at": 1_600_000_000_001}
    twice[0]["post"]["replies"] = [reply, reply]
    data = archives.mattermost([*archives.mattermost_lines()[:5], *twice])
    _, found, _ = read(Format.MATTERMOST, data)
    square = found["eng/town-square"]
    assert [text(m) for m in square] == ["one", "again", "again", "two"]
    assert len({m.id for m in square}) == 4


# What is refused


def spoil() -> list[Any]:
    good = archives.slack_files()
    entry = dict.fromkeys(("users.json", "channels.json"), b"[]")
    whole = archives.slack()
    cases = [
        ("no zip", b"these are no bytes of a zip" * 9, Code.ARCHIVE_INVALID),
        ("nothing", b"", Code.ARCHIVE_INVALID),
        ("cut short", whole[: len(whole) // 2], Code.ARCHIVE_INVALID),
        ("without its end", whole[:-30], Code.ARCHIVE_INVALID),
        ("a bomb", archives.bomb(), Code.ARCHIVE_TOO_LARGE),
        ("overlapping", archives.overlapping(), Code.ARCHIVE_TOO_LARGE),
        ("no lists", archives.packed({"general/2020-01-01.json": b"[]"}), Code.ARCHIVE_INVALID),
        ("bzip2", archives.packed(entry, zipfile.ZIP_BZIP2), Code.ARCHIVE_INVALID),
        ("a day that is cut", archives.packed({**good, "general/2020-09-13.json": b'[{"ts":"1"'}),
         Code.ARCHIVE_INVALID),
        ("a day that is no list", archives.packed({**good, "general/2020-09-13.json": b"{}"}),
         Code.ARCHIVE_INVALID),
        ("one endless object", archives.packed(
            {**good, "general/x.json": b'[{"text":"' + b"ab" * MOST_ITEM}, zipfile.ZIP_STORED),
         Code.ARCHIVE_TOO_LARGE),
        ("depth", archives.packed({**good, "general/2020-09-13.json": b"[" * 100_000}),
         Code.ARCHIVE_INVALID),
    ]  # fmt: skip
    cases += [
        (name, archives.packed({**entry, name: b"x"}), Code.ARCHIVE_INVALID)
        for name in ("../etc/passwd", "/etc/passwd", "a/../../b", "a\\..\\b", "C:x", "./a", "a//b")
    ]
    return [pytest.param(data, code, id=name) for name, data, code in cases]


@pytest.mark.parametrize(("data", "code"), spoil())
def test_spoilt_archives_are_refused(data: bytes, code: Code) -> None:
    refused(Format.SLACK, data, code)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        for name in ("users.json", "channels.json", "users.json"):
            made.writestr(name, b"[]")
    refused(Format.SLACK, sink.getvalue())


def test_symbolic_links_and_encrypted_entries_are_refused() -> None:
    link = zipfile.ZipInfo("users.json")
    link.external_attr = 0o120777 << 16
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr(link, b"/etc/passwd")
    refused(Format.SLACK, sink.getvalue())
    locked = bytearray(archives.packed({"users.json": b"[]", "channels.json": b"[]"}))
    at = locked.index(b"PK\x01\x02")
    locked[at + 8] |= 1
    assert "encrypted" in refused(Format.SLACK, bytes(locked))


def test_a_changed_byte_is_found() -> None:
    data = bytearray(archives.packed(archives.slack_files(), zipfile.ZIP_STORED))
    at = data.index(b"between us")
    data[at] ^= 1
    refused(Format.SLACK, bytes(data))


def test_an_archive_of_sotto_is_what_its_manifest_says() -> None:
    files = archives.sotto_files([archives.sotto_message(1, "first")])
    good = archives.listed(files)
    read(Format.SOTTO, archives.packed(good))
    name = f"rooms/{archives.ROOM}.ndjson"
    tampered = {**good, name: good[name].replace(b"first", b"worst")}
    refused(Format.SOTTO, archives.packed(tampered), Code.ARCHIVE_TAMPERED)
    less = {k: v for k, v in good.items() if k != name}
    refused(Format.SOTTO, archives.packed(less), Code.ARCHIVE_TAMPERED)
    more = {**good, "files/extra": b"x"}
    refused(Format.SOTTO, archives.packed(more), Code.ARCHIVE_TAMPERED)
    for wrong in ({"format": "other"}, {"version": 2}):
        refused(Format.SOTTO, archives.packed(archives.listed(files, **wrong)))
    refused(Format.SOTTO, archives.packed(files))
    lies = archives.sotto_files([{**archives.sotto_message(1, "x"), "id": 7}])
    refused(Format.SOTTO, archives.packed(archives.listed(lies)))


@pytest.mark.parametrize(
    "first",
    [{"type": "version", "version": 2}, {"type": "team"}, {"type": "version"}, {"version": 1}, []],
)
def test_mattermost_begins_with_its_version(first: Any) -> None:
    told = [first, *archives.mattermost_lines()[1:]]
    refused(Format.MATTERMOST, archives.mattermost(told))


def test_mattermost_lines_that_are_none_are_refused() -> None:
    files = archives.mattermost_files()
    for line in (b"{", b"7", b'{"type":"post","post":{"user":1}}', b"\xff\xfe"):
        spoilt = {**files, "import.jsonl": files["import.jsonl"] + line + b"\n"}
        refused(Format.MATTERMOST, archives.packed(spoilt))
    outside = archives.mattermost_post(1, "ann", "x", attachments=[{"path": "../../etc/passwd"}])
    told = [*archives.mattermost_lines(), outside]
    _, found, _ = read(Format.MATTERMOST, archives.mattermost(told))
    assert [f.path for f in found["eng/town-square"][0].files] == [""]
