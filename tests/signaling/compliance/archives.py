"""Archives as Slack, Mattermost and another Sotto write them, small, and hands that spoil them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

Files = Mapping[str, bytes]


def packed(files: Files, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return sink.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        return {name: made.read(name) for name in made.namelist()}


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


# Slack: https://slack.com/help/articles/220556107 says what is in it.

ANN, BOB, BOT = "U0ANN0001", "U0BOB0002", "B0BOT0003"
GENERAL, SECRET, DM = "C0GENERAL", "G0SECRET0", "D0DIRECT0"


def slack_said(at: float, user: str, text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "user": user, "text": text, "ts": f"{at:.6f}", **more}


def slack_files(days: Mapping[str, Sequence[Any]] | None = None) -> dict[str, bytes]:
    """Three rooms of two people and a bot."""
    first = 1_600_000_000.0
    general = days or {
        "2020-09-13": [
            slack_said(first, ANN,
                       "hello <@U0BOB0002>, see <https://example.org|this> &amp; *that*",
                       reactions=[{"name": "tada", "users": [BOB, ANN], "count": 2}],
                       reply_count=1, thread_ts=f"{first:.6f}", pinned_to=[GENERAL]),
            slack_said(first + 1, BOB, "a reply", thread_ts=f"{first:.6f}"),
            slack_said(first + 2, BOB, f"<@{BOB}> has joined", subtype="channel_join"),
            slack_said(first + 3, ANN, "now right", edited={"user": ANN, "ts": f"{first + 9:.6f}"}),
        ],
        "2020-09-14": [
            {"type": "message", "subtype": "bot_message", "bot_id": BOT, "username": "Deploy",
             "text": "", "ts": f"{first + 90000:.6f}",
             "attachments": [{"fallback": "it is out", "text": "version 2 is out"}]},
            slack_said(first + 90001, ANN, "two files", files=[
                {"id": "F0KEPT", "name": "kept.txt", "mimetype": "text/plain", "size": 11},
                {"id": "F0GONE", "name": "gone.pdf", "mimetype": "application/pdf", "size": 99,
                 "url_private": "https://files.slack.example/gone.pdf"},
            ]),
        ],
    }  # fmt: skip
    found = {
        "users.json": dumped([
            {"id": ANN, "name": "ann", "profile": {"real_name": "Ann Example", "display_name": ""}},
            {"id": BOB, "name": "bob", "profile": {"real_name": "Bob", "display_name": "bobby"}},
        ]),
        "channels.json": dumped([
            {"id": GENERAL, "name": "general", "created": 1_500_000_000, "members": [ANN, BOB],
             "topic": {"value": "all of it"}, "purpose": {"value": ""}},
        ]),
        "groups.json": dumped([{"id": SECRET, "name": "plans", "members": [ANN]}]),
        "dms.json": dumped([{"id": DM, "created": 1_500_000_000, "members": [ANN, BOB]}]),
        "plans/2020-09-13.json": dumped([slack_said(first, ANN, "a plan")]),
        f"{DM}/2020-09-13.json": dumped([slack_said(first, BOB, "between us")]),
        "__uploads/F0KEPT/kept.txt": b"kept bytes!",
    }  # fmt: skip
    return found | {f"general/{day}.json": dumped(list(said)) for day, said in general.items()}


def slack(days: Mapping[str, Sequence[Any]] | None = None) -> bytes:
    return packed(slack_files(days))


# Mattermost: https://docs.mattermost.com/onboard/bulk-loading-data.html


def mattermost_post(at: int, user: str, text: str, **more: Any) -> dict[str, Any]:
    post = {"team": "eng", "channel": "town-square", "user": user, "message": text,
            "create_at": at, "reactions": None, "replies": None, "attachments": None,
            **more}  # fmt: skip
    return {"type": "post", "post": post}


def mattermost_lines() -> list[Any]:
    """Posts stand in the order of their ids, which is none of time."""
    first = 1_600_000_000_000
    member = [{"name": "town-square", "roles": "channel_user"}]
    return [
        {"type": "version", "version": 1, "info": {"generator": "mattermost-server"}},
        {"type": "team", "team": {"name": "eng", "display_name": "Engineering", "type": "O"}},
        {"type": "channel", "channel": {
            "team": "eng", "name": "town-square", "display_name": "Town Square", "type": "O",
            "header": "welcome", "purpose": None}},
        {"type": "user", "user": {
            "username": "ann", "nickname": "", "first_name": "Ann", "last_name": "Example",
            "teams": [{"name": "eng", "channels": member}]}},
        {"type": "user", "user": {
            "username": "bob", "nickname": "bobby", "first_name": None, "last_name": None,
            "teams": [{"name": "eng", "channels": member}]}},
        mattermost_post(first + 2000, "ann", "third, with a file", edit_at=first + 5000,
                        attachments=[{"path": "2020/notes.txt"}]),
        mattermost_post(first, "ann", "first", is_pinned=True, reactions=[
            {"user": "bob", "emoji_name": "+1", "create_at": first + 1},
        ], replies=[
            {"user": "bob", "message": "a reply", "create_at": first + 10},
            {"user": "ann", "message": "another", "create_at": first + 20},
        ]),
        mattermost_post(first + 1000, "bob", "second"),
        mattermost_post(first + 1500, "bob", "bob joined", type="system_join_channel"),
        {"type": "direct_channel", "direct_channel": {"members": ["ann", "bob"], "header": ""}},
        {"type": "direct_post", "direct_post": {
            "channel_members": ["bob", "ann"], "user": "bob", "message": "between us",
            "create_at": first}},
    ]  # fmt: skip


def mattermost_files(lines: Sequence[Any] | None = None) -> dict[str, bytes]:
    told = mattermost_lines() if lines is None else lines
    return {
        "import.jsonl": b"\n".join(map(dumped, told)) + b"\n",
        "data/2020/notes.txt": b"notes of mattermost",
    }


def mattermost(lines: Sequence[Any] | None = None) -> bytes:
    return packed(mattermost_files(lines))


# Another Sotto

ROOM = "01890000-0000-7000-8000-000000000001"
AUTHOR, READER = "01890000-0000-7000-8000-0000000000aa", "01890000-0000-7000-8000-0000000000bb"


def sotto_id(number: int) -> str:
    return f"01890000-0000-7000-8000-{number:012x}"


def sotto_message(number: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": sotto_id(number), "seq": number, "account": AUTHOR, "at": "2023-06-29T10:00:00Z",
        "body": {"format": "m.plain.v1", "text": text}, **more,
    }  # fmt: skip


def sotto_files(messages: Sequence[Any]) -> dict[str, bytes]:
    room = {
        "id": ROOM, "kind": "group", "mode": "searchable", "name": "Tea", "topic": "",
        "settings": {}, "creator": AUTHOR, "created_at": "2023-06-29T09:00:00Z",
        "members": [{"account": AUTHOR, "part": "owner", "since": None},
                    {"account": READER, "part": "member", "since": None}],
    }  # fmt: skip
    people = [{"id": AUTHOR, "name": "Ann of old"}, {"id": READER, "name": ""}]
    return {
        f"rooms/{ROOM}.json": dumped(room),
        f"rooms/{ROOM}.ndjson": b"".join(dumped(message) + b"\n" for message in messages),
        "people.ndjson": b"".join(dumped(person) + b"\n" for person in people),
    }


def listed(files: Files, **more: Any) -> dict[str, bytes]:
    """With their manifest."""
    manifest = {
        "format": "sotto-export", "version": 1, "about": f"room:{ROOM}",
        "made_at": "2023-07-01T00:00:00Z",
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
        **more,
    }  # fmt: skip
    return {**files, "manifest.json": dumped(manifest)}


def sotto(messages: Sequence[Any]) -> bytes:
    return packed(listed(sotto_files(messages)))


# What strangers make


def bomb(size: int = 1 << 27) -> bytes:
    """Zeros that come to `size`."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("users.json", "channels.json"):
            made.writestr(name, b"[]")
        with made.open("general/2020-09-13.json", "w", force_zip64=True) as entry:
            for _ in range(size >> 20):
                entry.write(bytes(1 << 20))
    return sink.getvalue()


def overlapping(copies: int = 50) -> bytes:
    """One body that many entries of the directory stand for."""
    body = dumped(["x" * 10_000])
    files = {"users.json": b"[]", "channels.json": b"[]", "general/a00.json": body}
    whole = packed(files, zipfile.ZIP_STORED)
    end = whole.rindex(b"PK\x05\x06")
    start = int.from_bytes(whole[end + 16 : end + 20], "little")
    directory = whole[start:end]
    at = directory.index(b"general/a00.json") - 46
    entries = [directory[at:].replace(b"a00", f"a{number:02}".encode()) for number in range(copies)]
    made = directory[:at] + b"".join(entries)
    count = (2 + copies).to_bytes(2, "little")
    tail = bytearray(whole[end:])
    tail[8:10] = tail[10:12] = count
    tail[12:16] = len(made).to_bytes(4, "little")
    return whole[:start] + made + bytes(tail)
