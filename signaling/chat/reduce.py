"""Messages out of a room's log: the view is a function of the set of entries, never of their order.

An entry is kept with the message that it is about; `message` reads them whenever it is asked. So
entries may come in any order, twice, or be erased afterwards, and every device and the server come
to the same. tests/golden/chat holds cases that all clients must pass. Pure; knows no rights: what
was not allowed is `void` in the log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from signaling.chat.bodies import Body, Sealed
from signaling.chat.ops import (
    Attachment,
    CallOp,
    CallPolicy,
    CallState,
    Close,
    Delete,
    Edit,
    Entry,
    Erase,
    Forwarded,
    Mentions,
    Part,
    Pin,
    Post,
    React,
    Vote,
    attachments_of,
)
from signaling.chat.state import RoomState

MODERATES = frozenset({Part.OWNER, Part.MODERATOR})


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message said before it was edited."""

    seq: int
    at: datetime
    body: Body


class Deleted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    by: str | None
    at: datetime
    reason: str = ""


class Reaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`body` of the newest, in encrypted rooms."""

    emoji: str
    accounts: tuple[str, ...]
    body: Sealed | None = None


class PollView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`votes` by option: the accounts that chose it, sorted."""

    multiple: bool
    closed: bool
    votes: tuple[tuple[str, ...], ...]
    closes_at: datetime | None = None


class ThreadView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the message that a thread hangs on."""

    replies: int
    last_seq: int
    accounts: tuple[str, ...]


class CallView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    state: CallState
    accounts: tuple[str, ...]
    seconds: int
    encryption: CallPolicy


class MessageView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message as it stands. Deleted ones keep their place and lose what they said."""

    id: str
    seq: int
    account: str | None
    at: datetime
    kind: str = "text"
    body: Body | None = None
    parent: str | None = None
    reply_to: str | None = None
    mentions: Mentions | None = None
    attachments: tuple[Attachment, ...] = ()
    custom: dict[str, bool | int | float | str | None] = {}
    silent: bool = False
    forwarded: Forwarded | None = None
    expires_at: datetime | None = None
    edited_at: datetime | None = None
    edits: tuple[Said, ...] = ()
    deleted: Deleted | None = None
    reactions: tuple[Reaction, ...] = ()
    pinned: bool = False
    poll: PollView | None = None
    thread: ThreadView | None = None
    call: CallView | None = None


class RoomView(Struct, frozen=True, kw_only=True):
    """All that a log says: what golden cases compare."""

    state: RoomState
    messages: tuple[MessageView, ...]


def subject_of(entry: Entry) -> str | None:
    """The message that an entry is about."""
    op = entry.op
    if isinstance(op, Post | Edit | Delete | React | Pin | Vote | Close | CallOp):
        return op.id
    return None


class Messages:
    """Entries by message. Owned by one reader."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._about: defaultdict[str, dict[int, Entry]] = defaultdict(dict)
        self._threads: defaultdict[str, set[str]] = defaultdict(set)
        self._gone_seqs: set[int] = set()
        self._gone_ids: set[str] = set()
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        if isinstance(entry.op, Erase):
            self._gone_seqs.update(entry.op.seqs)
            self._gone_ids.update(entry.op.ids)
            return
        subject = subject_of(entry)
        if subject is None:
            return
        self._about[subject][entry.seq] = entry
        if isinstance(entry.op, Post) and entry.op.parent is not None:
            self._threads[entry.op.parent].add(subject)

    def __iter__(self) -> Iterator[MessageView]:
        """In the order of the log."""
        found = (self.message(ident) for ident in self._about)
        yield from sorted((view for view in found if view is not None), key=lambda m: m.seq)

    def message(self, ident: str) -> MessageView | None:
        if ident in self._gone_ids:
            return None
        entries = self._about.get(ident, {})
        about = [entries[seq] for seq in sorted(entries) if seq not in self._gone_seqs]
        for entry in about:
            if isinstance(entry.op, CallOp):
                return _call(entry, about)
            if isinstance(entry.op, Post):
                return self._post(entry, entry.op, about)
        return None

    def _post(self, first: Entry, post: Post, about: list[Entry]) -> MessageView:
        base = MessageView(
            id=post.id, seq=first.seq, account=first.account, at=first.at, kind=post.kind,
            parent=post.parent, thread=self._thread(post.id),
        )  # fmt: skip
        deleted = _deleted(first, about)
        if deleted is not None:
            return msgspec.structs.replace(base, deleted=deleted)
        edits = sorted(
            (e for e in about if isinstance(e.op, Edit) and e.account == first.account),
            key=lambda e: e.stamp,
        )
        versions = [first, *edits]
        newest = versions[-1]
        assert isinstance(newest.op, Post | Edit)
        mentions = newest.op.mentions if newest is first or newest.op.mentions else post.mentions
        return msgspec.structs.replace(
            base,
            body=newest.op.body,
            reply_to=post.reply_to,
            mentions=mentions,
            attachments=_attachments(versions),
            custom=post.custom,
            silent=post.silent,
            forwarded=post.forwarded,
            expires_at=first.expires_at,
            edited_at=newest.at if edits else None,
            edits=tuple(_said(entry) for entry in versions[:-1]),
            reactions=_reactions(about),
            pinned=_pinned(about),
            poll=_poll(first, post, about),
        )

    def _thread(self, root: str) -> ThreadView | None:
        posts = [
            view for ident in self._threads.get(root, ()) if (view := self._reply(ident, root))
        ]
        if not posts:
            return None
        accounts = {entry.account for entry in posts if entry.account is not None}
        return ThreadView(
            replies=len(posts),
            last_seq=max(entry.seq for entry in posts),
            accounts=tuple(sorted(accounts)),
        )

    def _reply(self, ident: str, root: str) -> Entry | None:
        """The post of a reply that still says something; of two with one id the first decides."""
        if ident in self._gone_ids:
            return None
        about = [e for s, e in sorted(self._about[ident].items()) if s not in self._gone_seqs]
        first = next((entry for entry in about if isinstance(entry.op, Post)), None)
        if first is None or not isinstance(first.op, Post) or first.op.parent != root:
            return None
        return first if _deleted(first, about) is None else None


def fold(entries: Iterable[Entry]) -> RoomView:
    """Everything at once."""
    entries = list(entries)
    state = RoomState()
    for entry in sorted(entries, key=lambda entry: entry.seq):
        state.apply(entry)
    return RoomView(state=state, messages=tuple(Messages(entries)))


def _attachments(versions: Sequence[Entry]) -> tuple[Attachment, ...]:
    """Those of the newest version that says."""
    for entry in reversed(versions):
        assert isinstance(entry.op, Post | Edit)
        found = attachments_of(entry.op)
        if found is not None:
            return found
    return ()


def _said(entry: Entry) -> Said:
    assert isinstance(entry.op, Post | Edit)
    return Said(seq=entry.seq, at=entry.at, body=entry.op.body)


def _deleted(first: Entry, about: list[Entry]) -> Deleted | None:
    for entry in about:
        if isinstance(entry.op, Delete) and may_end(entry, first.account):
            return Deleted(by=entry.account, at=entry.at, reason=entry.op.reason)
    return None


def may_end(entry: Entry, author: str | None) -> bool:
    """Who deletes a message, or closes its poll: its author, a moderator, the server itself."""
    return entry.account in (author, None) or entry.part in MODERATES


def _reactions(about: list[Entry]) -> tuple[Reaction, ...]:
    newest: dict[tuple[str, str], Entry] = {}
    for entry in about:
        if isinstance(entry.op, React) and entry.account is not None:
            place = (entry.op.emoji, entry.account)
            if place not in newest or newest[place].stamp < entry.stamp:
                newest[place] = entry
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for (emoji, _), entry in newest.items():
        if isinstance(entry.op, React) and entry.op.on:
            found[emoji].append(entry)
    return tuple(_reaction(emoji, found[emoji]) for emoji in sorted(found))


def _reaction(emoji: str, entries: list[Entry]) -> Reaction:
    newest = max(entries, key=lambda entry: entry.stamp)
    assert isinstance(newest.op, React)
    accounts = sorted(entry.account or "" for entry in entries)
    return Reaction(emoji=emoji, accounts=tuple(accounts), body=newest.op.body)


def _pinned(about: list[Entry]) -> bool:
    pins = [entry for entry in about if isinstance(entry.op, Pin)]
    if not pins:
        return False
    newest = max(pins, key=lambda entry: entry.stamp).op
    return isinstance(newest, Pin) and newest.on


def _poll(first: Entry, post: Post, about: list[Entry]) -> PollView | None:
    poll = post.poll
    if poll is None:
        return None
    closes = [e.seq for e in about if isinstance(e.op, Close) and may_end(e, first.account)]
    newest: dict[str, Entry] = {}
    for entry in about:
        late = poll.closes_at is not None and entry.at > poll.closes_at
        if late or (closes and entry.seq > closes[0]) or entry.account is None:
            continue
        if isinstance(entry.op, Vote) and _counts(entry.op, poll.options, poll.multiple):
            before = newest.get(entry.account)
            if before is None or before.stamp < entry.stamp:
                newest[entry.account] = entry
    votes: list[list[str]] = [[] for _ in range(poll.options)]
    for account in sorted(newest):
        vote = newest[account].op
        for choice in sorted(set(vote.choices)) if isinstance(vote, Vote) else ():
            votes[choice].append(account)
    return PollView(
        multiple=poll.multiple,
        closed=bool(closes),
        votes=tuple(tuple(accounts) for accounts in votes),
        closes_at=poll.closes_at,
    )


def _counts(vote: Vote, options: int, multiple: bool) -> bool:
    chosen = set(vote.choices)
    return all(choice < options for choice in chosen) and (multiple or len(chosen) <= 1)


def _call(first: Entry, about: list[Entry]) -> MessageView:
    """An end outranks the start; of two ends the earlier."""
    calls = [entry for entry in about if isinstance(entry.op, CallOp)]
    ends = [e for e in calls if isinstance(e.op, CallOp) and e.op.state is not CallState.STARTED]
    said = (ends or calls)[0].op
    assert isinstance(said, CallOp)
    view = CallView(
        state=said.state,
        accounts=said.accounts,
        seconds=said.seconds,
        encryption=said.encryption,
    )
    return MessageView(
        id=said.id, seq=first.seq, account=first.account, at=first.at, kind="call", call=view
    )
