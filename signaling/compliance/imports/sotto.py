"""The archive of another Sotto (`compliance.export`) as a `Source`.

Every file in it must be in the manifest with its size and digest, and nothing else may be there.
The manifest is not signed: who can change it can change everything, so what an archive says about
who wrote what stays a claim, and `service` treats it as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from signaling.chat.account_state import AccountState
from signaling.chat.bodies import Body, FileRef, Plain
from signaling.chat.ops import CallState, Kind, Mode, Part
from signaling.chat.reduce import CallView, MessageView
from signaling.chat.state import RANK
from signaling.compliance.export.archive import FORMAT, MANIFEST, VERSION, Manifest
from signaling.compliance.export.documents import PersonOut
from signaling.compliance.imports.port import (
    MOST_PEOPLE,
    NAME,
    Attached,
    Bad,
    Called,
    Kept,
    Message,
    Person,
    Place,
    Told,
)
from signaling.compliance.imports.zipped import Zipped
from signaling.errors import Code

T = TypeVar("T")


class _Member(Struct, frozen=True, kw_only=True):
    account: str
    part: Part


class _Settings(Struct, frozen=True):
    phi: bool = False


class _Room(Struct, frozen=True, kw_only=True):
    """As much of `documents.RoomOut` as is used; what a newer server adds is not read."""

    id: str
    kind: Kind
    mode: Mode
    name: str = ""
    topic: str = ""
    settings: _Settings | None = None
    creator: str | None = None
    created_at: datetime | None = None
    members: tuple[_Member, ...] = ()


class _Account(Struct, frozen=True, kw_only=True):
    """As much of `documents.AccountOut` as is used."""

    id: str
    name: str = ""
    login: str = ""
    own: AccountState = msgspec.field(default_factory=AccountState)


class SottoSource:
    """Implements `port.Source`."""

    def __init__(self, archive: Zipped) -> None:
        self._zip = archive
        self.skipped: dict[str, int] = {}

    def _manifest(self) -> Manifest:
        made = _decoded(self._zip.whole(MANIFEST), Manifest)
        if made.format != FORMAT or made.version != VERSION:
            raise Bad(f"Its manifest is not that of {FORMAT}, version {VERSION}.")
        return made

    def check(self) -> Iterator[int]:
        listed = {file.name: file for file in self._manifest().files}
        if set(self._zip.names) != {*listed, MANIFEST}:
            raise Bad("Its files are not those of its manifest.", Code.ARCHIVE_TAMPERED)
        yield self._zip.size(MANIFEST)
        for name, file in listed.items():
            size, digest = 0, ""
            for count, made in self._zip.digest(name):
                size, digest = size + count, made
                yield count
            if (size, digest) != (file.size, file.sha256):
                message = f"{name[:100]} is not what its manifest says."
                raise Bad(message, Code.ARCHIVE_TAMPERED)

    # What it says

    def _rooms(self) -> Iterator[_Room]:
        for name in self._zip.names:
            if name.startswith("rooms/") and name.endswith(".json"):
                room = _decoded(self._zip.whole(name), _Room)
                if name != f"rooms/{room.id}.json":
                    raise Bad("A room in it has another id than its file.")
                yield room

    def people(self) -> Iterator[Person]:
        """Whoever is named, and whoever wrote something without being named any more."""
        seen: set[str] = set()
        for person in self._named():
            if person.id not in seen:
                seen.add(person.id)
                if len(seen) > MOST_PEOPLE:
                    raise Bad(f"It may name {MOST_PEOPLE} people.", Code.ARCHIVE_TOO_LARGE)
                yield person

    def _named(self) -> Iterator[Person]:
        if "people.ndjson" in self._zip:
            for line in self._zip.lines("people.ndjson"):
                person = _decoded(line, PersonOut)
                yield Person(person.id, (person.name or person.id)[:NAME])
        own = self._account()
        if own is not None:
            yield Person(own.id, (own.name or own.login)[:NAME])
        for room in self._rooms():
            for member in room.members:
                yield Person(member.account, member.account[:NAME])
        for _, view in self._views():
            for account in (view.account, *(view.call.accounts if view.call else ())):
                if account:
                    yield Person(account, account[:NAME])

    def places(self) -> Iterator[Place]:
        for room in self._rooms():
            members = [(m.account, m.part) for m in room.members if m.part in RANK]
            yield Place(
                id=room.id, name=room.name, topic=room.topic, kind=room.kind, mode=room.mode,
                created=_stamp(room.created_at) if room.created_at else 0.0,
                phi=room.settings is not None and room.settings.phi,
                members=tuple(members),
            )  # fmt: skip

    def _views(self) -> Iterator[tuple[str, MessageView]]:
        for room in self._rooms():
            name = f"rooms/{room.id}.ndjson"
            if name in self._zip:
                for line in self._zip.lines(name):
                    yield room.id, _decoded(line, MessageView)

    def messages(self) -> Iterator[Told]:
        self.skipped = {}
        for room, view in self._views():
            if view.call is not None and view.call.accounts:
                yield room, _call(view, view.call)
            elif view.call is None and view.account:
                yield room, self._message(view)
            else:
                self.skipped["calls"] = self.skipped.get("calls", 0) + 1

    def _account(self) -> _Account | None:
        there = "account.json" in self._zip
        return _decoded(self._zip.whole("account.json"), _Account) if there else None

    def kept(self) -> Iterator[Kept]:
        """Of a person's own archive."""
        account = self._account()
        if account is None:
            return
        for drafted in account.own.drafts.values():
            draft = drafted.draft
            if draft.body is not None:
                yield Kept(
                    person=account.id, room=draft.room, message=draft.parent or "", body=draft.body
                )
        for saved in account.own.saved.values():
            save = saved.save
            if save.on:
                remind = None if save.remind_at is None else _stamp(save.remind_at)
                yield Kept(
                    person=account.id, room=save.room, message=save.id, note=save.note,
                    remind=remind,
                )  # fmt: skip

    def data(self, path: str) -> Iterator[bytes]:
        return self._zip.parts(path)

    def _message(self, view: MessageView) -> Message:
        bodies = tuple(said.body for said in view.edits)
        if view.body is not None:
            bodies += (view.body,)
        poll = view.poll
        return Message(
            id=view.id, at=_stamp(view.at), author=view.account or "", bodies=bodies or (Plain(),),
            kind=view.kind, parent=view.parent or "", reply_to=view.reply_to or "",
            mentions=() if view.mentions is None else view.mentions.accounts,
            custom=view.custom, files=tuple(self._attached(ref) for ref in _refs(view.body)),
            reactions=tuple((one.emoji, one.accounts) for one in view.reactions if not one.body),
            edited=_stamp(view.edited_at) if view.edited_at else None,
            until=_stamp(view.expires_at) if view.expires_at else None,
            pinned=view.pinned, deleted=view.deleted is not None,
            closed=poll is not None and (poll.closed or poll.closes_at is not None),
            multiple=poll is not None and poll.multiple, votes=() if poll is None else poll.votes,
        )  # fmt: skip

    def _attached(self, ref: FileRef) -> Attached:
        path = f"files/{ref.id}"
        there = path in self._zip
        return Attached(
            id=ref.id, name=ref.name, media_type=ref.media_type,
            size=self._zip.size(path) if there else ref.size, path=path if there else "", ref=ref,
        )  # fmt: skip


def _call(view: MessageView, call: CallView) -> Message:
    """One that had not ended when the archive was made ended there."""
    state = CallState.ENDED if call.state is CallState.STARTED else call.state
    return Message(
        id=view.id, at=_stamp(view.at), author=call.accounts[0], bodies=(Plain(),),
        call=Called(state=state, accounts=call.accounts, seconds=call.seconds),
    )  # fmt: skip


def _stamp(moment: datetime) -> float:
    try:
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        raise Bad("A time in it is none.") from None


def _refs(body: Body | None) -> tuple[FileRef, ...]:
    return body.files if isinstance(body, Plain) else ()


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Bad("A document in it is not what its schema says.") from None
