"""What a copy says no longer once its log took it back, in entries, state, and what waits to leave.

    deleted     of the message its place stays; what it said, its edits, reactions and votes go
    erased      its places are empty, as the server tells of them to who had nothing before
    overwritten of a draft, or a note on a saved message, the newest says something and no other

What is shown comes to the same before and after, since the reducers pass over all of this anyway.
Works in its replica's transactions. `web/src/client/sync/erasing.ts` is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from sotto_client.local import File, Local, Pending

Frame = dict[str, Any]
Stamp = tuple[int, str, int]

ENDS = "!"
"""How the key of what takes back begins; no message's id and no register does."""
_BLANK = {"format": "m.plain.v1"}
_EPOCH = "1970-01-01T00:00:00Z"
_ROOM = "room"
_OF_MESSAGES = frozenset({"post", "edit", "delete", "react", "pin", "vote", "close", "call"})
_SAYS = frozenset({"post", "edit", "react", "vote"})
_STAYS = frozenset({"erased", "create", "member", "set", "mode"})
"""What a room is made of; the server erases none of it."""
_PLACE = frozenset({"type", "id", "kind", "parent"})
"""Of a post, what shows where it stood."""
_MODERATES = frozenset({"owner", "moderator"})
_REGISTERS = {"draft": "drafts", "save": "saved"}
_SAID = _SAYS | set(_REGISTERS)


def subject_of(op: Frame) -> str:
    """What it is about: a message, or a register of one's own. Empty: nothing takes it back."""
    kind = op["type"]
    if kind in _OF_MESSAGES:
        return str(op.get("id", ""))
    if kind == "draft":
        return f"draft {op.get('room')}/{op.get('parent') or ''}"
    return f"save {op.get('room')}/{op.get('id')}" if kind == "save" else ""


def key_of(op: Frame) -> str:
    """By which a copy finds its place again."""
    if op["type"] in ("delete", "erase"):
        return ENDS + subject_of(op)
    return subject_of(op)


def ends_the_room(change: Frame) -> bool:
    op = change["op"]
    return bool(op["type"] == "erase" and op.get("reason") == _ROOM)


def hushed(op: Frame) -> Frame:
    """The same op, saying nothing."""
    kind = op["type"]
    if kind in ("post", "edit"):
        return {**{name: op[name] for name in op if name in _PLACE}, "body": _BLANK}
    if kind == "draft" and op.get("body") is not None:
        return {**op, "body": _BLANK}
    silent = {"react": "body", "save": "note"}.get(kind, "")
    return {name: value for name, value in op.items() if name != silent}


def emptied(place: Frame) -> Frame:
    """As the server tells of an erased place; its clock stays, since a clock never sinks, and so
    does that something was pinned, as it does when it sinks below the floor.
    """
    op = place["op"]
    if op["type"] in _STAYS:
        return place
    kept = {name: place[name] for name in ("seq", "ident", "version", "clock")}
    left = op if op["type"] == "pin" else {"type": "erased"}
    return {**kept, "at": _EPOCH, "account": None, "part": "none", "op": left}


def _may_end(first: Frame, place: Frame) -> bool:
    """Who wrote it, who moderates, and the server."""
    account = place.get("account")
    return account is None or account == first["account"] or place.get("part") in _MODERATES


def _is_deleted(places: Iterable[Frame]) -> bool:
    """Of the places about one message, in their order."""
    first = None
    ends = []
    for place in places:
        kind = place["op"]["type"]
        if kind == "post" and first is None:
            first = place
        elif kind == "delete":
            ends.append(place)
    return first is not None and any(_may_end(first, place) for place in ends)


def _stamp(place: Frame) -> Stamp:
    return (place["clock"], place["ident"], place["version"])


class Erasing:
    """Owned by a replica. What it knows of the copy is read once, and again after `forgot`."""

    def __init__(self, local: Local, file: File) -> None:
        self._local, self._file = local, file
        self._known: tuple[set[str], set[str]] | None = None

    def _ended(self) -> tuple[set[str], set[str]]:
        """Messages that were erased, and those that somebody deleted, rightly or not."""
        if self._known is None:
            self._known = (set(), set())
            for data in self._local.entries_by(self._file.path, ENDS, ENDS + "~"):
                self._note(json.loads(data)["op"])
        return self._known

    def _note(self, op: Frame) -> None:
        assert self._known is not None
        erased, deleted = self._known
        if op["type"] == "erase":
            erased.update(op.get("ids", ()))
        elif op["type"] == "delete":
            deleted.add(subject_of(op))

    def forgot(self) -> None:
        """Entries left the copy, or another one took its place."""
        self._known = None

    def anew(self) -> None:
        """As `forgot`; the whole copy is looked at."""
        self.forgot()
        local, path = self._local, self._file.path
        spans = [ENDS, *(f"{register} " for register in _REGISTERS)]
        found = [data for span in spans for data in local.entries_by(path, span, span + "~")]
        self.heard([json.loads(data) for data in found])

    def heard(self, changes: Iterable[Frame]) -> None:
        """These came, and are in the copy."""
        erased, deleted = self._ended()
        subjects: dict[str, None] = {}
        for change in changes:
            op = change["op"]
            self._note(op)
            if op["type"] == "erase":
                for seq in op.get("seqs", ()):
                    self._empty(seq)
                subjects.update(dict.fromkeys(op.get("ids", ())))
            elif subject := subject_of(op):
                subjects[subject] = None
        for subject in subjects:
            if subject in erased or subject in deleted:
                self._settle(subject, subject in erased)
            elif subject.partition(" ")[0] in _REGISTERS:
                self._overwrite(subject)

    def quiet(self, op: Frame) -> Frame:
        """A change that is about to be made: of what is gone already it says nothing."""
        subject, (erased, deleted) = subject_of(op), self._ended()
        gone = subject in erased or (subject in deleted and _is_deleted(self._about(subject)))
        return hushed(op) if gone and op["type"] in _SAYS else op

    def _about(self, subject: str) -> list[Frame]:
        """By seq."""
        local, path = self._local, self._file.path
        found = [
            *local.entries_by(path, subject, subject),
            *local.entries_by(path, ENDS + subject, ENDS + subject),
        ]
        return sorted(map(json.loads, found), key=lambda place: place["seq"])

    def _empty(self, seq: int) -> None:
        data = self._local.entry(self._file.path, seq)
        if data is not None:
            place = json.loads(data)
            self._replace(place, emptied(place))

    def _settle(self, subject: str, erased: bool) -> None:
        places = self._about(subject)
        if not erased and not _is_deleted(places):
            return
        first = next((place for place in places if place["op"]["type"] == "post"), None)
        for place in places:
            if not erased and place is first:
                self._replace(place, {**place, "op": hushed(place["op"])})
            elif erased or place["op"]["type"] in _SAYS:
                self._replace(place, emptied(place))
        self._hush_pending(subject, lambda change: True)

    def _overwrite(self, subject: str) -> None:
        """A device's own that is not in the log yet overwrites nothing: it may be refused."""
        places = self._about(subject)
        state = json.loads(self._file.state) if self._file.state else {}
        register, _, key = subject.partition(" ")
        held = state.get(_REGISTERS[register], {}).get(key)
        stamps = [_stamp(place) for place in places]
        newest: Stamp = max([*stamps, tuple(held["stamp"])] if held else stamps)
        for place in places:
            if _stamp(place) < newest:
                self._replace(place, {**place, "op": hushed(place["op"])})
        if held and tuple(held["stamp"]) < newest:
            held[register] = hushed({"type": register, **held[register]})
            self._file.state = _dump(state)
            self._local.taint()
        ident = self._file.ident
        self._hush_pending(subject, lambda change: (change.clock, ident, change.version) < newest)

    def _replace(self, place: Frame, other: Frame) -> None:
        if place != other:
            data, key = _dump(other), key_of(other["op"])
            self._local.replace(self._file.path, place["seq"], data, key)

    def _hush_pending(self, subject: str, which: Callable[[Pending], bool]) -> None:
        for change in self._local.pending(self._file.path):
            op = json.loads(change.op)
            if subject_of(op) == subject and which(change) and op["type"] in _SAID:
                other = Pending(change.version, change.clock, _dump(hushed(op)))
                if other != change:
                    self._local.replace_pending(self._file.path, other)


def _dump(value: Frame) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
