"""Writes tests/golden/chat: `python -m tests.signaling.chat.golden_cases`. Read what it writes: the
files are what every client must come to, and a change of one is a change of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec

from signaling.chat.bodies import FileRef, Plain, Sealed
from signaling.chat.ops import (
    Attachment,
    CallOp,
    CallState,
    Close,
    Create,
    Delete,
    Edit,
    Entry,
    Erase,
    Erased,
    Kind,
    Member,
    Mentions,
    Mode,
    Part,
    Pin,
    Poll,
    Post,
    React,
    Set,
    ToE2ee,
    Void,
    Vote,
    Who,
)
from signaling.chat.reduce import fold
from tests.signaling.chat.entries import CLOCK, GOLDEN, START, entry, ident_of, plain

A, B, C = "ann", "bob", "cy"
M1, M2, M3 = ident_of(1), ident_of(2), ident_of(3)


def post(seq: int, account: str, number: int, text: str, **more: object) -> Entry:
    op = Post(id=ident_of(number), body=plain(text), **more)  # type: ignore[arg-type]
    return entry(seq, account, op)


def room(kind: Kind = Kind.GROUP, mode: Mode = Mode.SEARCHABLE) -> list[Entry]:
    """Ann's room, with Bob in it."""
    return [
        entry(1, A, Create(kind=kind, mode=mode, name="Tea"), part=Part.OWNER),
        entry(2, A, Member(account=B, part=Part.MEMBER), part=Part.OWNER),
    ]


def members() -> tuple[str, list[Entry]]:
    return (
        "Members follow the seq, not the clock: the ban has the older clock and stands.",
        [
            *room(),
            entry(3, A, Member(account=C, part=Part.MODERATOR), part=Part.OWNER),
            entry(4, C, Member(account=B, part=Part.BANNED), part=Part.MODERATOR, clock=5),
            entry(5, C, Member(account=C, part=Part.NONE)),
            entry(6, A, Member(account=C, part=Part.MEMBER), part=Part.OWNER),
        ],
    )


def names() -> tuple[str, list[Entry]]:
    return (
        "Each field is a register: the later seq with the older clock loses, field by field.",
        [
            *room(),
            entry(3, A, Set(name="Coffee", topic="Beans"), clock=CLOCK + 50),
            entry(4, B, Set(name="Milk"), clock=CLOCK + 10),
            entry(5, B, Set(post=Who.MODERATORS, ttl=3600)),
            entry(6, A, Set(ttl=None), clock=CLOCK + 60),
        ],
    )


def edits() -> tuple[str, list[Entry]]:
    return (
        "The highest stamp is what it says; a stranger's edit has no effect; history is kept.",
        [
            *room(),
            post(3, A, 1, "one", mentions=Mentions(accounts=(B,))),
            entry(4, A, Edit(id=M1, body=plain("three")), clock=CLOCK + 90),
            entry(5, A, Edit(id=M1, body=plain("two")), clock=CLOCK + 80, ident="ann-2"),
            entry(6, B, Edit(id=M1, body=plain("mine now")), clock=CLOCK + 99),
        ],
    )


def equal_clocks() -> tuple[str, list[Entry]]:
    return (
        "Of equal clocks the ident decides, then the version.",
        [
            *room(),
            post(3, A, 1, "one"),
            entry(4, A, Edit(id=M1, body=plain("b")), clock=CLOCK + 9, ident="b", version=1),
            entry(5, A, Edit(id=M1, body=plain("a")), clock=CLOCK + 9, ident="a", version=9),
            entry(6, A, Edit(id=M1, body=plain("b2")), clock=CLOCK + 9, ident="b", version=2),
        ],
    )


def deletes() -> tuple[str, list[Entry]]:
    return (
        "Sticky, whatever comes after; a member cannot delete another's, a moderator can.",
        [
            *room(),
            post(3, A, 1, "one"),
            post(4, A, 2, "two"),
            post(5, B, 3, "three"),
            entry(6, B, Delete(id=M1)),
            entry(7, B, Delete(id=M3)),
            entry(8, B, Edit(id=M3, body=plain("again"))),
            entry(9, C, Delete(id=M2, reason="spam"), part=Part.MODERATOR),
            entry(10, C, React(id=M2, emoji="+1")),
        ],
    )


def reactions() -> tuple[str, list[Entry]]:
    return (
        "One register for each account and emoji: the newest stamp says whether it is on.",
        [
            *room(),
            post(3, A, 1, "one"),
            entry(4, A, React(id=M1, emoji="\N{TEACUP WITHOUT HANDLE}")),
            entry(5, B, React(id=M1, emoji="\N{TEACUP WITHOUT HANDLE}")),
            entry(6, B, React(id=M1, emoji="+1"), clock=CLOCK + 100),
            entry(7, B, React(id=M1, emoji="+1", on=False), clock=CLOCK + 90),
            entry(8, A, React(id=M1, emoji="-1")),
            entry(9, A, React(id=M1, emoji="-1", on=False)),
        ],
    )


def pins() -> tuple[str, list[Entry]]:
    return (
        "A pin is one register of the message, for whoever sets it.",
        [
            *room(),
            post(3, A, 1, "one"),
            post(4, A, 2, "two"),
            entry(5, A, Pin(id=M1)),
            entry(6, B, Pin(id=M1, on=False)),
            entry(7, A, Pin(id=M2), clock=CLOCK + 100),
            entry(8, B, Pin(id=M2, on=False), clock=CLOCK + 90),
        ],
    )


def threads() -> tuple[str, list[Entry]]:
    return (
        "Replies count until they are deleted; they stand in the log's order.",
        [
            *room(),
            post(3, A, 1, "root"),
            post(4, B, 2, "yes", parent=M1),
            post(5, A, 3, "no", parent=M1),
            post(6, B, 4, "quoting", reply_to=M1),
            entry(7, A, Delete(id=M3)),
        ],
    )


def polls() -> tuple[str, list[Entry]]:
    def ask(seq: int, number: int, multiple: bool, closes: int | None) -> Entry:
        at = None if closes is None else START + timedelta(seconds=closes)
        body = Plain(text="When?", options=("Mon", "Tue", "Wed"))
        poll = Poll(options=3, multiple=multiple, closes_at=at)
        return entry(seq, A, Post(id=ident_of(number), kind="poll", body=body, poll=poll))

    return (
        "The newest vote counts; wrong, late and closed-out ones do not.",
        [
            *room(),
            ask(3, 1, False, None),
            ask(4, 2, True, 9),
            entry(5, B, Vote(id=M1, choices=(0,))),
            entry(6, B, Vote(id=M1, choices=(2,))),
            entry(7, A, Vote(id=M1, choices=(0, 1))),
            entry(8, B, Vote(id=M2, choices=(2, 0, 2))),
            entry(9, A, Vote(id=M2, choices=(1,))),
            entry(10, A, Vote(id=M2, choices=(0,))),
            entry(11, B, Close(id=M1)),
            entry(12, A, Close(id=M1)),
            entry(13, A, Vote(id=M1, choices=(1,))),
        ],
    )


def same_id() -> tuple[str, list[Entry]]:
    return (
        "Two posts of one id: the first in the log is the message, and its author's.",
        [*room(), post(3, A, 1, "mine"), post(4, B, 1, "not yours"), entry(5, B, Delete(id=M1))],
    )


def early() -> tuple[str, list[Entry]]:
    return (
        "What is about a message may come before it; what is about none leaves nothing.",
        [
            *room(),
            entry(3, B, React(id=M1, emoji="+1")),
            entry(4, B, Delete(id=M2)),
            post(5, A, 1, "late"),
            entry(6, A, Edit(id=M3, body=plain("nothing"))),
        ],
    )


def erased() -> tuple[str, list[Entry]]:
    return (
        "Erased places and messages leave nothing, wherever the erase op stands in the log.",
        [
            *room(),
            entry(3, A, Erased()),
            post(4, B, 2, "kept"),
            entry(5, A, React(id=M2, emoji="+1")),
            post(6, A, 3, "gone", parent=M2),
            entry(7, None, Erase(seqs=(3, 5, 6), ids=(M1, M3)), part=Part.SERVICE),
            entry(8, B, Edit(id=M3, body=plain("too late"))),
        ],
    )


def voids() -> tuple[str, list[Entry]]:
    return (
        "An op that was not allowed keeps its place and does nothing.",
        [*room(), entry(3, B, Void(code="not_permitted", was="pin")), post(4, B, 1, "hello")],
    )


def calls() -> tuple[str, list[Entry]]:
    def call(seq: int, number: int, state: CallState, **more: object) -> Entry:
        op = CallOp(id=ident_of(number), state=state, accounts=(A, B), **more)  # type: ignore[arg-type]
        return entry(seq, None, op, part=Part.SERVICE, ident="server")

    return (
        "A call stands where it started and says how it ended; an end outranks a start.",
        [
            *room(),
            call(3, 1, CallState.STARTED),
            call(4, 2, CallState.MISSED),
            call(5, 1, CallState.ENDED, seconds=61),
            call(6, 2, CallState.STARTED),
        ],
    )


def to_e2ee() -> tuple[str, list[Entry]]:
    sealed = Sealed(
        account=B, device="b1", group_id="Z3JvdXA=", epoch=3, leaf=1, sent_at=CLOCK,
        salt="A" * 22 + "==", ct="A" * 64, sig="A" * 86 + "==",
    )  # fmt: skip
    return (
        "Searchable turns e2ee once: what was said stays, what follows is sealed.",
        [
            *room(),
            post(3, A, 1, "open"),
            entry(4, A, ToE2ee(), part=Part.OWNER),
            entry(5, B, Post(id=M2, body=sealed)),
            entry(6, B, React(id=M1, emoji="B" * 43, body=sealed)),
            entry(7, A, ToE2ee(), part=Part.OWNER),
        ],
    )


def extras() -> tuple[str, list[Entry]]:
    voice = FileRef(id="f1", key="a2V5", media_type="audio/ogg", size=9, voice=True, duration=1.5)
    op = Post(
        id=M1, body=Plain(files=(voice,)), custom={"ticket": 7, "urgent": True}, silent=True,
        ttl=60, attachments=(Attachment(id="f1", size=9, voice=True),),
    )  # fmt: skip
    return (
        "A voice message with custom fields that lives a minute and rings nobody.",
        [*room(), entry(3, A, op, expires_at=START + timedelta(seconds=63))],
    )


def files() -> tuple[str, list[Entry]]:
    one, two = FileRef(id="f1", size=9), FileRef(id="f2", size=4, voice=True)
    held = (Attachment(id="f1", size=9),)
    first = Post(id=M1, body=Plain(text="one", files=(one,)), attachments=held)
    return (
        "A plain edit holds the files of its body, none when it has none.",
        [
            *room(),
            entry(3, A, first),
            entry(4, A, Edit(id=M1, body=Plain(text="two", files=(one, two)))),
            entry(5, A, Post(id=M2, body=Plain(text="one", files=(one,)), attachments=held)),
            entry(6, A, Edit(id=M2, body=plain("no file"))),
        ],
    )


def sealed_files() -> tuple[str, list[Entry]]:
    sealed = Sealed(
        account=A, device="a1", group_id="Z3JvdXA=", epoch=3, leaf=1, sent_at=CLOCK,
        salt="A" * 22 + "==", ct="A" * 64, sig="A" * 86 + "==",
    )  # fmt: skip
    one, two = Attachment(id="f1", size=9), Attachment(id="f2", size=4)
    return (
        "A sealed edit names its files, or leaves them as they were.",
        [
            *room(mode=Mode.E2EE),
            entry(3, A, Post(id=M1, body=sealed, attachments=(one,))),
            entry(4, A, Edit(id=M1, body=sealed)),
            entry(5, A, Post(id=M2, body=sealed, attachments=(one,))),
            entry(6, A, Edit(id=M2, body=sealed, attachments=(one, two))),
            entry(7, A, Edit(id=M2, body=sealed)),
            entry(8, A, Post(id=M3, body=sealed, attachments=(one,))),
            entry(9, A, Edit(id=M3, body=sealed, attachments=())),
        ],
    )


CASES: dict[str, Callable[[], tuple[str, list[Entry]]]] = {
    "members": members, "names": names, "edits": edits, "equal_clocks": equal_clocks,
    "deletes": deletes, "reactions": reactions, "pins": pins, "threads": threads, "polls": polls,
    "same_id": same_id, "early": early, "erased": erased, "voids": voids, "calls": calls,
    "to_e2ee": to_e2ee, "extras": extras, "files": files, "sealed_files": sealed_files,
}  # fmt: skip


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        about, entries = make()
        said = {"about": about, "entries": entries, "view": fold(entries)}
        text = msgspec.json.format(msgspec.json.encode(said), indent=1)
        (GOLDEN / f"{name}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
