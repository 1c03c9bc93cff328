"""From what an archive says to ops of a room: how many there are follows from the archive alone.

Nobody becomes an author who was not named by an administrator: everybody else is a placeholder,
whose id no account has. Every message says in `custom` that it was imported, from where, whose it
was there and when; clients cannot write these fields (`checks`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from signaling.chat.bodies import MAX_TEXT, Body, FileRef, Plain, Sealed
from signaling.chat.checks import IMPORTED
from signaling.chat.ops import (
    MAX_CUSTOM,
    MAX_MENTIONS,
    YEAR,
    CallState,
    Close,
    Create,
    Delete,
    Edit,
    Member,
    Mentions,
    Op,
    Pin,
    Poll,
    Post,
    React,
    Settings,
    Vote,
    files_of,
)
from signaling.chat.ops import Kind as RoomKind
from signaling.compliance.imports.naming import Naming
from signaling.compliance.imports.port import Called, Format, Message, Place

MOST_FILES = 20
CALL = "imported_call"
"""The kind of a message that tells of a call elsewhere: it is none of ours, nobody can join it."""
# Of what a message said somewhere else so many fields stay beside ours.
OWN = MAX_CUSTOM - 8
_BODY = msgspec.msgpack.Decoder(Op)

Act = tuple[str | None, Op]
"""Whose op it is; None: the server's."""


class Cast:
    """Who is who. `accounts` maps foreign ids to the accounts that were named for them."""

    def __init__(self, naming: Naming, names: Mapping[str, str], accounts: Mapping[str, str]):
        self._naming, self._names, self._accounts = naming, names, accounts
        self.seen: dict[str, str] = {}

    def account(self, person: str) -> str | None:
        return self._accounts.get(person)

    def author(self, person: str, name: str = "") -> str:
        """An account, or a placeholder; then its name is remembered in `seen`."""
        if found := self._accounts.get(person):
            return found
        ident = self._naming.person(person)
        self.seen[ident] = self.name(person, name)
        return ident

    def name(self, person: str, name: str = "") -> str:
        return name or self._names.get(person) or person


def opening(place: Place, cast: Cast, owner: str, source: Format) -> list[Act | None]:
    """The room and its members, one for each in the archive; None for who has no account here.
    Direct rooms become groups: those of two accounts of ours are made by these two alone.
    """
    direct = place.kind is RoomKind.DIRECT
    mapped = [found for person, _ in place.members if (found := cast.account(person))]
    first = mapped[0] if direct and mapped else owner
    name = place.name
    if direct and not name:
        name = ", ".join(cast.name(person) for person, _ in place.members)[:200]
    create = Create(
        kind=RoomKind.GROUP if direct else place.kind, mode=place.mode, name=name,
        topic=place.topic, settings=Settings(phi=place.phi),
        custom={f"{IMPORTED}from": source.value},
    )  # fmt: skip
    acts: list[Act | None] = [(first, create)]
    for person, part in place.members:
        account = cast.account(person)
        wanted = account is not None and account != first
        acts.append((None, Member(account=account or "", part=part)) if wanted else None)
    return acts


def size(message: Message) -> int:
    """How many ops a message takes."""
    reactions = sum(len(users) for _, users in message.reactions)
    pieces = len(_pieces(message.bodies[-1]))
    votes = len(_voters(message.votes))
    flags = message.pinned + message.deleted + message.closed
    return len(message.bodies) + pieces - 1 + reactions + votes + flags


class Bringing:
    """Of one import. Holds nothing of a message."""

    def __init__(self, naming: Naming, cast: Cast, source: Format) -> None:
        self._naming, self.cast, self._source = naming, cast, source

    def ident(self, place: str, message: str) -> str:
        return self._naming.message(place, message)

    def acts(
        self,
        place: Place,
        message: Message,
        parent: str | None,
        reply_to: str | None,
        files: Sequence[FileRef],
        missing: Sequence[str],
        now: float,
    ) -> list[Act]:
        """`size(message)` of them. `files` lie here already; `missing` are names of those that
        were not in the archive. `now` is what lives are counted from.
        """
        author = self.cast.author(message.author, message.name)
        ident = self.ident(place.id, message.id)
        *earlier, last = message.bodies
        pieces = _pieces(last)
        bodies = [_without_files(body) for body in (*earlier, pieces[0])]
        bodies[-1] = _with_files(bodies[-1], files[:MOST_FILES])
        custom = self._custom(message, [*missing, *(file.name for file in files[MOST_FILES:])])
        kind, said = message.kind, bodies[0]
        if message.call is not None:
            kind, said = CALL, Plain(text=_spoken(message.call))
        post = Post(
            id=ident, body=said, kind=kind, parent=parent, reply_to=reply_to,
            mentions=self._mentions(message), custom=custom, silent=True,
            attachments=_attached(bodies[0]), poll=_poll(message, bodies[0]),
            ttl=None if message.until is None else min(max(1, int(message.until - now)), YEAR),
        )  # fmt: skip
        acts: list[Act] = [(author, post)]
        for body in bodies[1:]:
            attached = None if isinstance(body, Plain) else ()
            acts.append((author, Edit(id=ident, body=body, attachments=attached)))
        for number, piece in enumerate(pieces[1:], 1):
            following = self.ident(place.id, f"{message.id}\0{number}")
            more = replace(
                post, id=following, body=piece, attachments=(), poll=None, reply_to=None,
                mentions=None,
            )  # fmt: skip
            acts.append((author, more))
        acts += self._around(message, ident, author)
        return acts

    def _around(self, message: Message, ident: str, author: str) -> Iterator[Act]:
        for emoji, users in message.reactions:
            for user in users:
                yield self.cast.author(user), React(id=ident, emoji=emoji[:64] or "?")
        for voter, choices in _voters(message.votes).items():
            yield self.cast.author(voter), Vote(id=ident, choices=tuple(choices))
        if message.closed:
            yield author, Close(id=ident)
        if message.pinned:
            yield author, Pin(id=ident)
        if message.deleted:
            yield author, Delete(id=ident)

    def called(self, call: Called) -> list[str]:
        return [self.cast.author(person) for person in call.accounts]

    def _mentions(self, message: Message) -> Mentions | None:
        found = [self.cast.account(person) for person in message.mentions]
        accounts = tuple(dict.fromkeys(one for one in found if one))[:MAX_MENTIONS]
        return Mentions(accounts=accounts) if accounts else None

    def _custom(self, message: Message, missing: Sequence[str]) -> dict[str, Any]:
        own = {k: v for k, v in message.custom.items() if not k.startswith(IMPORTED)}
        kept = dict(list(own.items())[:OWN])
        kept[f"{IMPORTED}from"] = self._source.value
        kept[f"{IMPORTED}author"] = self.cast.name(message.author, message.name)
        kept[f"{IMPORTED}at"] = _time(message.at)
        if message.edited is not None:
            kept[f"{IMPORTED}edited_at"] = _time(message.edited)
        if message.call is not None:
            kept[f"{IMPORTED}call"] = message.call.state.value
            kept[f"{IMPORTED}seconds"] = message.call.seconds
            # Ids, which lead nowhere once somebody was erased.
            kept[f"{IMPORTED}accounts"] = " ".join(self.called(message.call))[:1024]
        if missing:
            kept[f"{IMPORTED}files"] = "\n".join(missing)[:1024]
        return kept


def fits(op: Op) -> bool:
    """Whether every reader of the log will be able to read it: an archive may say anything."""
    try:
        _BODY.decode(msgspec.msgpack.encode(op))
    except msgspec.ValidationError:
        return False
    return True


def _pieces(body: Body) -> list[Body]:
    """A text that is longer than ours may be goes on in further messages."""
    if isinstance(body, Sealed) or len(body.text) <= MAX_TEXT:
        return [body]
    text = body.text
    cut = [text[at : at + MAX_TEXT] for at in range(0, len(text), MAX_TEXT)]
    return [replace(body, text=cut[0]), *(Plain(text=piece) for piece in cut[1:])]


def _without_files(body: Body) -> Body:
    return replace(body, files=()) if isinstance(body, Plain) else body


def _with_files(body: Body, files: Sequence[FileRef]) -> Body:
    return replace(body, files=tuple(files)) if isinstance(body, Plain) else body


def _attached(body: Body) -> Any:
    return files_of(body) if isinstance(body, Plain) else ()


def _poll(message: Message, body: Body) -> Poll | None:
    if not isinstance(body, Plain) or not body.options:
        return None
    return Poll(options=len(body.options), multiple=message.multiple)


def _voters(votes: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for option, voters in enumerate(votes):
        for voter in voters:
            found.setdefault(voter, []).append(option)
    return found


def _spoken(call: Called) -> str:
    """In no language: how long it was, or that nobody spoke."""
    minutes, seconds = divmod(max(0, call.seconds), 60)
    return f"\u260e {minutes}:{seconds:02}" if call.state is CallState.ENDED else "\u260e -"


def _time(at: float) -> str:
    moment = datetime.fromtimestamp(min(max(at, 0.0), 253402300799.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
