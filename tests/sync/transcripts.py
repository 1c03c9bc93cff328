"""Writes tests/golden/sync: `python -m tests.sync.transcripts`. Read what it writes.

A transcript is what every client sends, keeps and shows for what it hears, and a change of one is a
change of the protocol. The server's frames in them come out of its real sessions (`recording`).
Long because every scene is here, each as short as it can be.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from signaling.errors import ClientError, Code, Unavailable
from tests.sync.recording import ANA, BEN, Recording, message_id, pages_of, view_in_the_end
from tests.sync.wire import APP, PATH, ROOM

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "sync"
Scene = Callable[[Recording], Awaitable[None]]


async def begins(it: Recording) -> None:
    """A new file: its name is kept first, then the log comes at once, and what follows later."""
    await it.say({"type": "create", "kind": "group", "mode": "searchable", "name": "Tea"})
    await it.ben_posts("one", "two")
    await it.connect()
    await it.hear()
    await it.ben_posts("three")
    await it.hear()


async def batches(it: Recording) -> None:
    """A bootstrap in batches is seen when it is complete; one that was cut begins again."""
    await it.ben_posts("one", "two", "three", "four", "five")
    with pages_of(2):
        await it.connect()
        await it.hear(3)
        await it.restart()
        await it.connect()
        await it.hear()


async def upload(it: Recording) -> None:
    """What was made before anything was known is sent after the bootstrap, in rising version."""
    first = await it.post("one")
    await it.post("two")
    await it.connect()
    await it.hear()
    body = {"format": "m.plain.v1", "text": "one, better"}
    await it.make({"type": "edit", "id": first, "body": body})
    await it.hear()
    await it.ben_posts("three")
    await it.post("four")
    await it.hear()


async def lost_acknowledgement(it: Recording) -> None:
    """Integrated, but the socket was cut before it was told: nothing is there twice."""
    await it.ben_posts("zero")
    await it.connect()
    await it.hear()
    await it.post("one")
    await it.post("two")
    await it.gone()
    await it.post("three")
    await it.connect()
    await it.hear()


async def crash_before_sending(it: Recording) -> None:
    """Kept, never sent, and the process died: it is sent by the next one."""
    await it.ben_posts("zero")
    await it.connect()
    await it.hear()
    await it.post("one", lost=True)
    await it.restart()
    await it.connect()
    await it.hear()


async def mark(it: Recording) -> None:
    """A mark is answered after everything that was there when it was asked."""
    await it.connect()
    await it.hear()
    await it.ben_posts("one")
    await it.mark()
    await it.hear()
    await it.post("two")
    await it.mark()
    await it.hear()


async def void(it: Recording) -> None:
    """A change that may not be keeps its place without effect, and its author is told (231)."""
    await it.connect()
    await it.hear()
    first = await it.post("one")
    await it.hear()
    it.rooms.forbidden = "react"
    await it.make({"type": "react", "id": first, "emoji": "+1"})
    await it.post("two")
    await it.hear()


async def version_gap(it: Recording) -> None:
    """A version that does not follow (210) ends the session; the next one sends all of them."""
    await it.connect()
    await it.hear()
    await it.post("one", lost=True)
    await it.post("two")
    await it.hear()
    await it.post("three")
    await it.gone()
    await it.connect()
    await it.hear()


async def restored(it: Recording) -> None:
    """The server lost what it had acknowledged (210): another name, and what is pending again."""
    await it.connect()
    await it.hear()
    await it.post("one")
    await it.hear()
    saved = it.back_up()
    await it.post("lost with the disk")
    await it.hear()
    await it.restore(saved)
    await it.post("three")
    await it.connect()
    await it.hear()


async def epoch(it: Recording) -> None:
    """A restored server where others went on since: the copy is another history's, and so is the
    name under which it was written."""
    await it.connect()
    await it.hear()
    await it.ben_posts("one")
    saved = it.back_up()
    await it.post("lost")
    await it.ben_posts("lost too")
    await it.hear()
    await it.restore(saved)
    await it.say({"type": "post", "id": it.message(), "body": _body("regrown")})
    await it.say({"type": "post", "id": it.message(), "body": _body("regrown more")})
    await it.connect()
    await it.hear()
    await it.post("after")
    await it.hear()


async def another_history(it: Recording) -> None:
    """The chain at the cursor differs (211): the copy is begun anew under the same name."""
    await it.connect()
    await it.hear()
    await it.post("one")
    await it.hear()
    saved = it.back_up()
    await it.say({"type": "post", "id": it.message(), "body": _body("lost")})
    await it.hear()
    await it.restore(saved)
    await it.say({"type": "post", "id": it.message(), "body": _body("regrown")})
    await it.connect()
    await it.hear()


async def ahead(it: Recording) -> None:
    """A cursor beyond the server's head (209) begins anew under the same name."""
    await it.connect()
    await it.hear()
    await it.post("one")
    await it.hear()
    saved = it.back_up()
    await it.say({"type": "post", "id": it.message(), "body": _body("lost")})
    await it.hear()
    await it.restore(saved)
    await it.connect()
    await it.hear()


async def expired(it: Recording) -> None:
    """A file that was away too long (222) begins anew, with the state of what is gone; what it
    made meanwhile is sent."""
    await it.say({"type": "create", "kind": "group", "mode": "searchable", "name": "Tea"})
    await it.connect()
    await it.hear()
    await it.gone()
    await it.say({"type": "set", "name": "Coffee"})
    await it.ben_posts("gone", "kept")
    await it.rooms.purge(APP, ROOM, 3)
    await it.post("mine")
    await it.connect()
    await it.hear()


async def floor(it: Recording) -> None:
    """The floor rises under a copy that is there: messages leave, what ops did to it stays."""
    await it.say({"type": "create", "kind": "private", "mode": "searchable", "name": "Tea"})
    await it.say({"type": "member", "account": "ana", "part": "member"})
    await it.ben_posts("one", "two")
    await it.connect()
    await it.hear()
    await it.make({"type": "set", "topic": "Leaves"})
    await it.hear()
    await it.rooms.purge(APP, ROOM, 3)
    await it.server.hub.poll()
    await it.hear()
    await it.ben_posts("three")
    await it.hear()


async def resume(it: Recording) -> None:
    """Cut in the middle of catching up: it goes on at its cursor."""
    await it.ben_posts("zero")
    await it.connect()
    await it.hear()
    await it.gone()
    await it.ben_posts("one", "two", "three", "four", "five")
    with pages_of(2):
        await it.connect()
        await it.hear(1)
        await it.gone()
        await it.restart()
        await it.connect()
        await it.hear()


async def slow_reader(it: Recording) -> None:
    """A socket that is full is given nothing more, then the rest out of the store; one that takes
    nothing at all is cut, and resumes."""
    await it.connect()
    await it.hear()
    assert it.pipe is not None
    it.pipe.backlog = 10_000_000
    await it.ben_posts("one", "two")
    await it.ben_posts("three")
    it.pipe.backlog = 0
    await asyncio.sleep(0.2)
    await it.hear()
    it.server.hub.slow_seconds = 0.0
    it.pipe.backlog = 10_000_000
    await it.ben_posts("four")
    await asyncio.sleep(0.2)
    assert it.pipe.over and not it.pipe.out
    await it.gone()
    await it.connect()
    await it.hear()


async def erased(it: Recording) -> None:
    """A message that is erased for good leaves its place, and nothing to see."""
    await it.ben_posts("one", "secret", "three", "secret too")
    await it.rooms.store.log.erase(APP, ROOM, [2])
    await it.say({"type": "erase", "seqs": [2], "ids": [message_id(2)]})
    await it.connect()
    await it.hear()
    await it.rooms.store.log.erase(APP, ROOM, [4])
    await it.say({"type": "erase", "seqs": [4], "ids": [message_id(4)]})
    await it.hear()


async def erased_while_away(it: Recording) -> None:
    """What is erased while a device is away leaves its copy and its outbox when it comes back; so
    does what comes late about it."""
    await it.connect()
    await it.hear()
    mine = await it.post("my secret")
    await it.ben_posts("secret", "kept")
    await it.hear()
    await it.make({"type": "react", "id": message_id(2), "emoji": "+1"})
    await it.hear()
    await it.gone()
    await it.make({"type": "edit", "id": mine, "body": _body("my secret, better")})
    await it.make({"type": "edit", "id": message_id(3), "body": _body("not mine")})
    await it.rooms.store.log.erase(APP, ROOM, [1, 2, 4])
    await it.say({"type": "erase", "seqs": [1, 2, 4], "ids": [mine, message_id(2)]})
    await it.connect()
    await it.hear()
    late = {"type": "edit", "id": message_id(2), "body": _body("secret, too late")}
    await it.other_makes(BEN, late)
    await it.hear()
    await it.restart()
    await it.make({"type": "edit", "id": mine, "body": _body("my secret, again")})


async def deleted(it: Recording) -> None:
    """What was deleted for everybody says nothing more on any device, nor do its edits, reactions
    and votes; its place stays. So in what comes late, and in a bootstrap that still has it."""
    await it.ben_posts("old secret", "secret", "kept")
    better = {"type": "edit", "id": message_id(2), "body": _body("secret, better")}
    await it.other_makes(BEN, better, {"type": "delete", "id": message_id(1)})
    with pages_of(2):
        await it.connect()
        await it.hear()
    mine = await it.post("my secret")
    await it.make({"type": "react", "id": message_id(2), "emoji": "+1"})
    await it.hear()
    not_theirs = {"type": "delete", "id": mine}
    await it.other_makes(BEN, {"type": "delete", "id": message_id(2)}, not_theirs)
    await it.hear()
    await it.gone()
    await it.make({"type": "edit", "id": mine, "body": _body("my secret, better")})
    await it.other_makes(ANA, {"type": "delete", "id": mine, "reason": "a slip"})
    late = {"type": "edit", "id": message_id(2), "body": _body("secret, too late")}
    await it.other_makes(BEN, late)
    await it.connect()
    await it.hear()


async def room_erased(it: Recording) -> None:
    """A room that is erased as a whole leaves nothing but what was not sent."""
    await it.say({"type": "create", "kind": "group", "mode": "searchable", "name": "Tea"})
    await it.ben_posts("secret")
    await it.connect()
    await it.hear()
    await it.make({"type": "set", "topic": "Not sent"}, lost=True)
    await it.say({"type": "erase", "seqs": [], "reason": "room"})
    await it.hear()


async def room_gone(it: Recording) -> None:
    """The same for a device that was away: it hears that there is no such room (205)."""
    await it.ben_posts("secret")
    await it.connect()
    await it.hear()
    await it.gone()
    it.rooms.fails = ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
    await it.make({"type": "set", "topic": "Not sent"})
    await it.connect()
    await it.hear()


async def stranger(it: Recording) -> None:
    """A name that the server did not give (208): another one, and what is pending under it."""
    await it.connect()
    await it.hear()
    await it.post("one")
    await it.hear()
    await it.other_keys()
    await it.post("two")
    await it.connect()
    await it.hear()


async def packed(it: Recording) -> None:
    """Large downloads are deflated."""
    await it.ben_posts(*(f"{number} " + "tea " * 400 for number in range(4)))
    await it.connect()
    await it.hear()


async def forbidden(it: Recording) -> None:
    """Rights changed (228): the session is over, what was read stays."""
    await it.ben_posts("one")
    await it.connect()
    await it.hear()
    await it.bar()
    await it.hear()


async def let_in_again(it: Recording) -> None:
    """Who may read again goes on from its cursor, as after any other absence."""
    await it.ben_posts("one")
    await it.connect()
    await it.hear()
    await it.bar()
    await it.hear()
    await it.post("kept")
    it.rooms.barred.clear()
    await it.ben_posts("two")
    await it.connect()
    await it.hear()


async def store_away(it: Recording) -> None:
    """The server's store is away (201): the session is over, and a later one, on the same socket if
    it is still there, sends what is pending."""
    await it.connect()
    await it.hear()
    it.rooms.fails = Unavailable("The store is away.", 1)
    await it.post("one")
    await it.hear()
    await it.post("two")
    it.rooms.fails = None
    await it.connect()
    await it.hear()


async def own_data(it: Recording) -> None:
    """The account's own data are a partition like a room, with a fold of their own: registers by
    stamp, what is hidden sticky, and what sinks below the floor goes into its state."""
    await it.connect()
    await it.hear()
    await it.make({"type": "draft", "room": ROOM, "body": _body("still wri")})
    await it.make({"type": "save", "room": ROOM, "id": message_id(1), "note": "for later"})
    await it.make({"type": "block", "account": "ben"})
    await it.make({"type": "notify", "room": ROOM, "level": "mentions"})
    await it.make({"type": "hide", "room": ROOM, "id": message_id(2)})
    await it.make({"type": "hide_upto", "room": ROOM, "seq": 7})
    await it.make({"type": "prefer", "typing": False})
    await it.hear()
    await it.rooms.purge(APP, ANA, 5)
    await it.server.hub.poll()
    await it.hear()
    await it.make({"type": "draft", "room": ROOM})
    await it.make({"type": "save", "room": ROOM, "id": message_id(1), "on": False})
    await it.make({"type": "hide", "room": ROOM, "id": message_id(1)})
    await it.make({"type": "hide_upto", "room": ROOM, "seq": 3})
    await it.hear()
    await it.make({"type": "draft", "room": ROOM, "body": _body("once")})
    await it.hear()
    await it.make({"type": "draft", "room": ROOM, "body": _body("twice")})
    await it.make({"type": "save", "room": ROOM, "id": message_id(3), "note": "a note"})
    await it.hear()
    await it.gone()
    await it.make({"type": "draft", "room": ROOM, "body": _body("thrice, too early")})
    await it.other_makes(
        ANA,
        {"type": "draft", "room": ROOM},
        {"type": "save", "room": ROOM, "id": message_id(3), "on": False},
    )
    await it.connect()
    await it.hear()


SCENES: tuple[Scene, ...] = (
    begins, batches, upload, lost_acknowledgement, crash_before_sending, mark, void, version_gap,
    restored, epoch, another_history, ahead, expired, floor, resume, slow_reader, erased,
    erased_while_away, deleted, room_erased, room_gone, stranger, packed, forbidden, let_in_again,
    store_away, own_data,
)  # fmt: skip


def _body(text: str) -> dict[str, str]:
    return {"format": "m.plain.v1", "text": text}


def name_of(scene: Scene) -> str:
    return str(getattr(scene, "__name__", ""))


async def record(scene: Scene) -> dict[str, Any]:
    it = Recording("account" if scene is own_data else PATH)
    try:
        await scene(it)
        about = " ".join((scene.__doc__ or "").split())
        head = {"about": about, "account": ANA, "path": it.path}
        return {**head, "steps": it.steps, "view": view_in_the_end(it.replica)}
    finally:
        await it.close()


def spelled(transcript: dict[str, Any]) -> str:
    """One line for each step, so that a difference is read as what changed."""
    lines = [f' "{key}": {_line(transcript[key])},' for key in ("about", "account", "path")]
    steps = ",\n  ".join(_line(step) for step in transcript["steps"])
    lines.append(f' "steps": [\n  {steps}\n ],')
    lines.append(f' "view": {_line(transcript["view"])}')
    return "{\n" + "\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        made = asyncio.run(record(scene))
        (GOLDEN / f"{name_of(scene)}.json").write_text(spelled(made))


if __name__ == "__main__":
    main()
