"""Search in rooms whose messages the server can read: open them newest first and look.

No index, so nothing leaks and every language is found: words, "phrases", sender, dates, files. Each
stretch is opened and matched in a thread; what matches is looked up as it stands now, so deleted
messages and what was edited away are not found. Stops after a time with a place to go on from.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from msgspec import Struct

from signaling.chat.bodies import Plain
from signaling.chat.ending import is_over
from signaling.chat.ops import Edit, Entry, Mode, Post
from signaling.chat.reduce import MessageView
from signaling.chat.room import Room
from signaling.chat.sealing import KEPT, Sealing
from signaling.chat.service import Chat, hidden_before
from signaling.storage.port import Op as Stored

STRETCH = 1000
Hides = Callable[[str, str, int], bool]
_TERM = re.compile(r'"([^"]+)"|(\S+)')


class Question(Struct, frozen=True, kw_only=True):
    """`terms` are folded; a phrase is one term with spaces."""

    terms: tuple[str, ...] = ()
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    has_file: bool | None = None

    def matches(self, entry: Entry) -> bool:
        """Of an edit only who says what: its date and its files are the message's."""
        op = entry.op
        if not isinstance(op, Post | Edit) or not isinstance(op.body, Plain):
            return False
        if self.sender is not None and entry.account != self.sender:
            return False
        if isinstance(op, Post) and not self.fits(entry.at, bool(op.body.files)):
            return False
        return self.is_said(op.body)

    def fits(self, at: datetime, has_file: bool) -> bool:
        """By when a message was posted, and whether it has a file."""
        if self.until is not None and at > self.until:
            return False
        if self.since is not None and at < self.since:
            return False
        return self.has_file is None or has_file is self.has_file

    def is_said(self, body: object) -> bool:
        """Whether a body has all the words; one that cannot be read has none."""
        if not self.terms:
            return True
        text = folded(_text(body)) if isinstance(body, Plain) else ""
        return all(term in text for term in self.terms)


class Found(Struct, frozen=True, kw_only=True):
    """A message, and where the search stands."""

    room: str
    message: MessageView


class Paused(Struct, frozen=True, kw_only=True):
    """`next` where to go on; None: all was looked through."""

    next: str | None


def terms_of(text: str) -> tuple[str, ...]:
    return tuple(folded(phrase or word) for phrase, word in _TERM.findall(text))


def folded(text: str) -> str:
    """Letters that differ in case or in form only are the same (Unicode NFKC, casefold)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold()


def _text(body: Plain) -> str:
    names = [part for file in body.files for part in (file.name, file.caption) if part]
    return "\n".join((body.text, *body.options, *names))


async def search(
    chat: Chat, rooms: Sequence[Room], account: str, hides: Hides, question: Question,
    start: str | None, seconds: float, limit: int,
) -> AsyncIterator[Found | Paused]:  # fmt: skip
    """Room by room, by their ids; in each the newest first. `start` is what `Paused.next` said: a
    room that was left since is passed over. `hides` says what the account deleted for itself.
    """
    end = chat.clock.monotonic() + seconds
    begun, _, place = (start or "").partition(":")
    skipping, count = bool(begun), 0
    for room in rooms:
        if skipping and room.id < begun:
            continue
        there = skipping and room.id == begun and place.isdecimal()
        before = int(place) if there else room.state.seq + 1
        skipping = False
        if room.state.mode is Mode.TRANSIENT:
            continue
        floor = hidden_before(room.state, account)
        while before > floor + 1:
            if chat.clock.monotonic() > end or count >= limit:
                yield Paused(next=f"{room.id}:{before}")
                return
            stored = await room.log.read(room.app, room.id, before=before, limit=STRETCH)
            stored = [op for op in stored if op.seq > floor]
            if not stored:
                break
            for entry in await _matching(chat.sealing, room, stored, question):
                if entry.account != account and chat.rooms.withheld(room.app, entry.account or ""):
                    continue
                view = await _as_it_stands(chat, room, entry, question)
                if view is not None and not hides(room.id, view.id, view.seq):
                    count += 1
                    yield Found(room=room.id, message=view)
                if count >= limit:
                    yield Paused(next=f"{room.id}:{entry.seq}")
                    return
            before = stored[0].seq
    yield Paused(next=None)


async def _matching(
    sealing: Sealing, room: Room, stored: Sequence[Stored], question: Question
) -> list[Entry]:
    """Newest first."""
    kept = [None if op.erased else KEPT.decode(op.body) for op in stored]
    await sealing.prefetch(room.app, room.id, kept)

    def look() -> list[Entry]:
        found = []
        for op, one in zip(reversed(stored), reversed(kept), strict=True):
            # Only posts and edits have a body of their own.
            if one is None or not one.body_key:
                continue
            # The body alone first: what says nothing of the kind needs no envelope.
            if question.terms:
                said = sealing.said_now(room.app, room.id, op, one)
                if not question.is_said(said):
                    continue
            entry = sealing.open_now(room.app, room.id, op, one)
            if question.matches(entry):
                found.append(entry)
        return found

    return await asyncio.to_thread(look)


async def _as_it_stands(
    chat: Chat, room: Room, entry: Entry, question: Question
) -> MessageView | None:
    """The message, if what matched is what it says now, and there is time left to read it."""
    op, posts = entry.op, [entry]
    assert isinstance(op, Post | Edit)
    if isinstance(op, Edit):
        known = await chat.rooms.known(room, op.id)
        if known is None or known.account != entry.account:
            return None
        posts = await chat.rooms.entries(room, [known.seq])
    for view in await chat.rooms.views(room, posts):
        # Of two edits that say the same, the newer is found.
        newest = view.edited_at == (entry.at if isinstance(op, Edit) else None)
        over = is_over(view.expires_at, chat.clock.unix())
        fits = question.fits(view.at, bool(view.attachments))
        return view if newest and view.body == op.body and fits and not over else None
    return None
