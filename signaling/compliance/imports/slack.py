"""Slack's export (a ZIP: users.json, channels.json, <channel>/<date>.json) as a `Source`.

Slack's own export has no files, only links that open with a token: they are never fetched, and stay
as names, unless a tool put the bytes into `__uploads/<id>/`. What Slack wrote itself (who joined,
who renamed) is left out and counted. A day that is no list, or cut, refuses the whole.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from signaling.chat.bodies import Plain
from signaling.chat.ops import Kind, Part
from signaling.compliance.imports.markup import markdown, mentioned
from signaling.compliance.imports.port import (
    MOST_PEOPLE,
    NAME,
    Attached,
    Bad,
    Kept,
    Message,
    Person,
    Place,
    Told,
)
from signaling.compliance.imports.zipped import Zipped
from signaling.errors import Code

T = TypeVar("T")
USERS = "users.json"
# Which list holds which kind of room, and whether folders have the room's name or its id.
LISTS = (
    ("channels.json", Kind.PUBLIC), ("groups.json", Kind.PRIVATE), ("mpims.json", Kind.GROUP),
    ("dms.json", Kind.DIRECT),
)  # fmt: skip
# What people said; all other kinds are notices of Slack's.
SAID = frozenset(
    {
        "", "bot_message", "me_message", "thread_broadcast", "reply_broadcast", "file_share",
        "file_comment", "file_mention", "slackbot_response", "tombstone",
    }
)  # fmt: skip
_TS = re.compile(r"\d{1,12}(\.\d{1,9})?")
_DAY = re.compile(r".+\.json")


class _Profile(Struct, frozen=True):
    real_name: str | None = None
    display_name: str | None = None
    name: str | None = None


class _User(Struct, frozen=True):
    id: str
    name: str | None = None
    real_name: str | None = None
    profile: _Profile | None = None


class _Purpose(Struct, frozen=True):
    value: str | None = None


class _Channel(Struct, frozen=True):
    id: str
    name: str | None = None
    created: float | None = None
    members: list[str] | None = None
    topic: _Purpose | None = None
    purpose: _Purpose | None = None


class _Reaction(Struct, frozen=True):
    name: str
    users: list[str] | None = None


class _File(Struct, frozen=True):
    id: str
    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: int | None = None


class _Edited(Struct, frozen=True):
    ts: str | None = None


class _Unfurled(Struct, frozen=True):
    title: str | None = None
    text: str | None = None
    fallback: str | None = None


class _Said(Struct, frozen=True):
    ts: str
    type: str = "message"
    subtype: str | None = None
    user: str | None = None
    bot_id: str | None = None
    username: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    edited: _Edited | None = None
    reactions: list[_Reaction] | None = None
    files: list[_File] | None = None
    attachments: list[_Unfurled] | None = None
    pinned_to: list[Any] | None = None
    user_profile: _Profile | None = None
    bot_profile: _Profile | None = None


class SlackSource:
    """Implements `port.Source`."""

    def __init__(self, archive: Zipped) -> None:
        self._zip = archive
        self.skipped: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._uploads: dict[str, str] = {}
        for name in archive.names:
            folder, _, rest = name.partition("/")
            if folder == "__uploads" and "/" in rest:
                self._uploads.setdefault(rest.partition("/")[0], name)

    def check(self) -> Iterator[int]:
        if USERS not in self._zip or not any(name in self._zip for name, _ in LISTS):
            raise Bad(f"It has no {USERS} or no list of channels: is it an export of Slack?")
        for name in self._zip.names:
            for part in self._zip.parts(name):
                yield len(part)

    def people(self) -> Iterator[Person]:
        for count, user in enumerate(self._read(USERS, _User)):
            if count == MOST_PEOPLE:
                raise Bad(f"It may name {MOST_PEOPLE} people.", Code.ARCHIVE_TOO_LARGE)
            yield Person(user.id, _name(user))

    def _read(self, name: str, kind: type[T]) -> Iterator[T]:
        for data in self._zip.elements(name):
            yield _decoded(data, kind)

    def _channels(self) -> Iterator[tuple[_Channel, Kind]]:
        seen: set[str] = set()
        for name, kind in LISTS:
            for channel in self._read(name, _Channel) if name in self._zip else ():
                if channel.id in seen:
                    raise Bad("Two of its channels have the same id.")
                seen.add(channel.id)
                yield channel, kind

    def places(self) -> Iterator[Place]:
        for channel, kind in self._channels():
            topic = (channel.topic and channel.topic.value) or ""
            purpose = (channel.purpose and channel.purpose.value) or ""
            members = dict.fromkeys(channel.members or ())
            yield Place(
                id=channel.id, name=(channel.name or "")[:NAME], topic=(topic or purpose)[:2000],
                kind=kind, created=max(0.0, channel.created or 0.0),
                members=tuple((member, Part.MEMBER) for member in members),
            )  # fmt: skip

    def kept(self) -> Iterator[Kept]:
        """Such an archive has nothing of the kind."""
        return iter(())

    def messages(self) -> Iterator[Told]:
        self.skipped = {}
        self._names = {person.id: person.name for person in self.people()}
        days = self._days()
        for channel, kind in self._channels():
            folder = channel.id if kind is Kind.DIRECT else channel.name or channel.id
            for day in days.get(folder, ()):
                for data in self._zip.elements(day):
                    message = self._message(data)
                    if message is not None:
                        yield channel.id, message

    def _days(self) -> dict[str, list[str]]:
        """Files by folder, the oldest first: their names are dates."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._zip.names):
            folder, file = posixpath.split(name)
            if folder and "/" not in folder and _DAY.fullmatch(file):
                found.setdefault(folder, []).append(name)
        return found

    def data(self, path: str) -> Iterator[bytes]:
        return self._zip.parts(path)

    def _message(self, data: bytes) -> Message | None:
        try:
            said = msgspec.json.decode(data, type=_Said)
        except msgspec.ValidationError:
            self._skip("unreadable")
            return None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Bad("A day of a channel is not JSON.") from None
        subtype = said.subtype or ""
        if said.type != "message" or subtype not in SAID:
            self._skip("notices")
            return None
        author = said.user or said.bot_id or said.username or ""
        if not author or not _TS.fullmatch(said.ts):
            self._skip("unreadable")
            return None
        if subtype == "tombstone":
            return Message(
                id=said.ts, at=float(said.ts), author=author, bodies=(Plain(),), deleted=True
            )
        return self._said(said, author)

    def _said(self, said: _Said, author: str) -> Message:
        text = said.text or ""
        replies = said.thread_ts not in (None, said.ts)
        edited = said.edited.ts if said.edited else None
        shown = markdown("\n".join([text, *_unfurled(said)]).strip("\n"), self._names)
        return Message(
            id=said.ts, at=float(said.ts), author=author, name=self._called(said, author),
            bodies=(Plain(text=shown.replace("\0", "")),),
            parent=said.thread_ts or "" if replies else "", mentions=mentioned(text),
            files=tuple(self._attached(file) for file in said.files or ()),
            reactions=tuple(
                (f":{one.name}:", tuple(one.users or ())) for one in said.reactions or ()
            ),
            edited=float(edited) if edited and _TS.fullmatch(edited) else None,
            pinned=bool(said.pinned_to),
        )  # fmt: skip

    def _called(self, said: _Said, author: str) -> str:
        profile = said.user_profile or said.bot_profile
        own = (profile.display_name or profile.real_name or profile.name) if profile else ""
        name = said.username or self._names.get(author) or own or author
        return name[:NAME]

    def _attached(self, file: _File) -> Attached:
        path = self._uploads.get(file.id, "")
        return Attached(
            id=file.id, name=(file.name or file.title or file.id)[:NAME],
            media_type=(file.mimetype or "")[:127], path=path,
            size=self._zip.size(path) if path else max(0, file.size or 0),
        )  # fmt: skip

    def _skip(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1


def _name(user: _User) -> str:
    profile = user.profile or _Profile()
    found = profile.display_name or profile.real_name or user.real_name or user.name or user.id
    return found[:NAME]


def _unfurled(said: _Said) -> list[str]:
    """What a bot said in attachments only; previews of links repeat what is linked."""
    if said.text or not said.attachments:
        return []
    return [one.text or one.fallback or one.title or "" for one in said.attachments]


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Bad("A list in it is not what Slack writes.") from None
