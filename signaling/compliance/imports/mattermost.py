"""A Mattermost bulk export (a ZIP: one JSON object a line, files below data/) as a `Source`.

The posts of all channels stand in one file in no order of time, so they are read more than once:
first their times, then as many at a time as fit into memory (`WINDOW`), sorted. A line that is no
JSON, or no known version before everything else, refuses the whole.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from signaling.chat.bodies import Plain
from signaling.chat.ops import Kind, Part
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
WINDOW = 20_000
WINDOW_BYTES = 64 * 1024 * 1024
MOST_POSTS = 3_000_000
POSTS = ("post", "direct_post")
# Milliseconds of Unix time.
Stamp = Annotated[int, Meta(ge=0, le=2**52)]


class _Line(Struct, frozen=True):
    """`type` names the field that holds the rest."""

    type: str
    version: int | None = None
    channel: msgspec.Raw = msgspec.Raw()
    user: msgspec.Raw = msgspec.Raw()
    bot: msgspec.Raw = msgspec.Raw()
    post: msgspec.Raw = msgspec.Raw()
    direct_channel: msgspec.Raw = msgspec.Raw()
    direct_post: msgspec.Raw = msgspec.Raw()


class _Time(Struct, frozen=True):
    create_at: Stamp


class _Dated(Struct, frozen=True):
    """As much of a line as tells where it belongs in time."""

    type: str
    post: _Time | None = None
    direct_post: _Time | None = None


class _Channel(Struct, frozen=True):
    team: str
    name: str
    display_name: str | None = None
    type: str | None = None
    header: str | None = None
    purpose: str | None = None


class _InChannel(Struct, frozen=True):
    name: str
    roles: str | None = None


class _InTeam(Struct, frozen=True):
    name: str
    channels: list[_InChannel] | None = None


class _User(Struct, frozen=True):
    username: str
    nickname: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    teams: list[_InTeam] | None = None


class _Bot(Struct, frozen=True):
    username: str
    display_name: str | None = None


class _Taking(Struct, frozen=True):
    username: str


class _Direct(Struct, frozen=True):
    members: list[str] | None = None
    participants: list[_Taking] | None = None
    header: str | None = None


class _Reaction(Struct, frozen=True):
    user: str
    emoji_name: str


class _File(Struct, frozen=True):
    path: str


class _Reply(Struct, frozen=True, kw_only=True):
    user: str
    create_at: Stamp
    message: str | None = None
    type: str | None = None
    edit_at: Stamp | None = None
    delete_at: Stamp | None = None
    props: dict[str, Any] | None = None
    reactions: list[_Reaction] | None = None
    attachments: list[_File] | None = None
    is_pinned: bool | None = None


class _Post(_Reply, frozen=True, kw_only=True):
    """Of a channel, or with `channel_members` of a direct one."""

    team: str = ""
    channel: str = ""
    channel_members: list[str] | None = None
    replies: list[_Reply] | None = None


class MattermostSource:
    """Implements `port.Source`."""

    def __init__(self, archive: Zipped) -> None:
        self._zip = archive
        self.skipped: dict[str, int] = {}
        self._at, self._met = -1, Counter[str]()
        found = [name for name in archive.names if "/" not in name and name.endswith(".jsonl")]
        if len(found) != 1:
            raise Bad("It has no single file of lines (*.jsonl): is it a bulk export?")
        self._file = found[0]

    def check(self) -> Iterator[int]:
        first = next(self._lines(), None)
        if first is None or first.type != "version" or first.version != 1:
            raise Bad("Its first line is not version 1.")
        for name in self._zip.names:
            for part in self._zip.parts(name):
                yield len(part)

    def _lines(self) -> Iterator[_Line]:
        for data in self._zip.lines(self._file):
            yield _decoded(data, _Line)

    def _users(self) -> Iterator[_User]:
        for line in self._lines():
            if line.type == "user":
                yield _decoded(line.user, _User)
            elif line.type == "bot":
                bot = _decoded(line.bot, _Bot)
                yield _User(bot.username, nickname=bot.display_name)

    def people(self) -> Iterator[Person]:
        for count, user in enumerate(self._users()):
            if count == MOST_PEOPLE:
                raise Bad(f"It may name {MOST_PEOPLE} people.", Code.ARCHIVE_TOO_LARGE)
            name = user.nickname or " ".join(filter(None, (user.first_name, user.last_name)))
            yield Person(user.username, (name or user.username)[:NAME])

    def places(self) -> Iterator[Place]:
        members: dict[str, list[tuple[str, Part]]] = {}
        for user in self._users():
            for team in user.teams or ():
                for channel in team.channels or ():
                    part = (
                        Part.MODERATOR if "channel_admin" in (channel.roles or "") else Part.MEMBER
                    )
                    where = f"{team.name}/{channel.name}"
                    members.setdefault(where, []).append((user.username, part))
        seen: set[str] = set()
        for place in self._channels(members):
            # The same two people may be listed twice.
            if place.id not in seen:
                seen.add(place.id)
                yield place

    def _channels(self, members: dict[str, list[tuple[str, Part]]]) -> Iterator[Place]:
        for line in self._lines():
            if line.type == "channel":
                channel = _decoded(line.channel, _Channel)
                ident = f"{channel.team}/{channel.name}"
                kind = Kind.PRIVATE if channel.type == "P" else Kind.PUBLIC
                yield Place(
                    id=ident, name=(channel.display_name or channel.name)[:NAME], kind=kind,
                    topic=(channel.header or channel.purpose or "")[:2000],
                    members=tuple(members.get(ident, ())),
                )  # fmt: skip
            elif line.type == "direct_channel":
                direct = _decoded(line.direct_channel, _Direct)
                names = direct.members or [one.username for one in direct.participants or ()]
                yield Place(
                    id=_direct(names), kind=Kind.DIRECT, topic=(direct.header or "")[:2000],
                    members=tuple((name, Part.MEMBER) for name in sorted(set(names))),
                )  # fmt: skip

    # Posts

    def kept(self) -> Iterator[Kept]:
        """Such an archive has nothing of the kind."""
        return iter(())

    def messages(self) -> Iterator[Told]:
        self.skipped = {}
        for first, last in _windows(*self._times()):
            found: list[tuple[int, bytes]] = []
            for number, (at, data) in enumerate(self._dated()):
                if first <= (at, number) <= last:
                    found.append((at, data))
            for _, data in sorted(found, key=lambda one: one[0]):
                yield from self._told(data)
        self._at = -1

    def _dated(self) -> Iterator[tuple[int, bytes]]:
        for data in self._zip.lines(self._file):
            line = _decoded(data, _Dated)
            one = line.post or line.direct_post
            if line.type in POSTS and one is not None:
                yield one.create_at, data

    def _times(self) -> tuple[array[int], array[int]]:
        times, sizes = array("q"), array("q")
        for at, data in self._dated():
            if len(times) == MOST_POSTS:
                raise Bad(f"It may have {MOST_POSTS} posts.", Code.ARCHIVE_TOO_LARGE)
            times.append(at)
            sizes.append(len(data))
        return times, sizes

    def _told(self, data: bytes) -> Iterator[Told]:
        line = _decoded(data, _Line)
        post = _decoded(line.post if line.type == "post" else line.direct_post, _Post)
        place = f"{post.team}/{post.channel}"
        if line.type == "direct_post":
            place = _direct(post.channel_members or ())
        if post.create_at != self._at:
            self._at = post.create_at
            self._met.clear()
        root = _apart(self._met, f"{place}/{post.create_at}:{post.user}")
        if not self._left_out(post):
            yield place, self._message(post, root, "")
        met = Counter[str]()
        for reply in post.replies or ():
            if not self._left_out(reply):
                ident = _apart(met, f"{root}/{reply.create_at}:{reply.user}")
                yield place, self._message(reply, ident, root)

    def _left_out(self, post: _Reply) -> bool:
        """What the server wrote (`system_join_channel`), and what was deleted."""
        why = "notices" if (post.type or "").startswith("system_") else ""
        why = "deleted" if post.delete_at else why
        if why:
            self.skipped[why] = self.skipped.get(why, 0) + 1
        return bool(why)

    def _message(self, post: _Reply, ident: str, parent: str) -> Message:
        who: dict[str, list[str]] = {}
        for reaction in post.reactions or ():
            who.setdefault(f":{reaction.emoji_name}:", []).append(reaction.user)
        name = (post.props or {}).get("override_username")
        return Message(
            id=ident, at=post.create_at / 1000, author=post.user,
            name=name[:NAME] if isinstance(name, str) else "",
            bodies=(Plain(text=(post.message or "").replace("\0", "")),), parent=parent,
            files=tuple(self._attached(file) for file in post.attachments or ()),
            reactions=tuple((emoji, tuple(users)) for emoji, users in who.items()),
            edited=post.edit_at / 1000 if post.edit_at else None, pinned=bool(post.is_pinned),
        )  # fmt: skip

    def _attached(self, file: _File) -> Attached:
        """`path` is looked for among the entries and nowhere else."""
        path = f"data/{file.path}"
        if path not in self._zip:
            path = file.path if file.path in self._zip else ""
        name = file.path.rpartition("/")[2][:NAME] or "file"
        size = self._zip.size(path) if path else 0
        return Attached(id=file.path, name=name, size=size, path=path)

    def data(self, path: str) -> Iterator[bytes]:
        return self._zip.parts(path)


def _apart(met: Counter[str], ident: str) -> str:
    """An export has no ids of posts: who said two things in one millisecond is told apart."""
    met[ident] += 1
    return ident if met[ident] == 1 else f"{ident}#{met[ident]}"


Point = tuple[int, int]


def _windows(times: array[int], sizes: array[int]) -> Iterator[tuple[Point, Point]]:
    """From and to, by time and line, so that what lies between fits into memory."""
    order = sorted(range(len(times)), key=times.__getitem__)
    start = size = 0
    for place, line in enumerate(order):
        size += sizes[line]
        full = place - start + 1 == WINDOW or size >= WINDOW_BYTES
        if full or place + 1 == len(order):
            first = order[start]
            yield (times[first], first), (times[line], line)
            start, size = place + 1, 0


def _direct(members: Any) -> str:
    return "direct:" + ",".join(sorted(set(members)))


def _decoded(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Bad("A line in it is not what Mattermost writes.") from None
