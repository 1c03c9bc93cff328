"""What the media server says becomes who is in a call: by token, never by what an identity says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from livekit.protocol import models, webhook

from signaling.calls.ears import Ears
from signaling.calls.verbs import Present
from signaling.errors import Unavailable
from signaling.rtc import Binding, Claims, Participant, Rooms
from signaling.rtc.admission import Everybody

ROOM = "01a00000-0000-7000-8000-00000000aaaa"
Reason = models.DisconnectReason


@dataclass
class Room:
    name: str = ROOM


@dataclass
class Inside:
    """As much of a participant as is looked at."""

    sid: str
    claims: Claims
    room: Room = field(default_factory=Room)
    hidden: bool = False
    dependent: bool = False
    reason: int | None = None

    def leave(self, reason: int) -> None:
        self.reason = reason


def inside(sid: str, account: str = "", **more: Any) -> Inside:
    binding = Binding("t", "default", account, f"{account}-1", "s") if account else None
    return Inside(sid, Claims(key="k", identity="bob:x", binding=binding), **more)


class Listener:
    """Calls, as far as ears know them."""

    def __init__(self, away: int = 0) -> None:
        self.heard: list[tuple[str, Present]] = []
        self.away = away

    async def __call__(self, room: str, word: Present) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        self.heard.append((room, word))


def event(name: str, sid: str = "", room: str = ROOM, reason: Any = 0) -> webhook.WebhookEvent:
    told = webhook.WebhookEvent(event=name, room=models.Room(name=room))
    if sid:
        told.participant.sid, told.participant.disconnect_reason = sid, reason
    return told


def ears_of(*people: Inside, away: int = 0) -> tuple[Ears, Listener]:
    ears, listener = Ears(Everybody()), Listener(away)
    ears.listen(cast("Rooms", None), listener)
    for one in people:
        ears.joined(cast("Participant", one))
    return ears, listener


async def drained(ears: Ears) -> None:
    while not ears._changed.empty():
        await ears.pass_on(ears._changed.get_nowait())


async def test_who_is_in_is_told_by_what_their_token_was_issued_for() -> None:
    ears, listener = ears_of(inside("PA_1", "ann"), inside("PA_2"))
    ears.notify(event("room_started"))
    ears.notify(event("participant_joined", "PA_1"))
    ears.notify(event("participant_joined", "PA_2"))
    await drained(ears)
    room, word = listener.heard[0]
    assert (room, word.who, word.came) == (ROOM, {"PA_1": "ann", "PA_2": ""}, {"ann": "ann-1"})
    assert ears.here() == {ROOM: word.who}


async def test_hidden_and_recording_participants_keep_no_call_up() -> None:
    ears, listener = ears_of(
        inside("PA_1", "ann", hidden=True), inside("PA_2", "bob", dependent=True)
    )
    for sid in ("PA_1", "PA_2", "PA_3"):
        ears.notify(event("participant_joined", sid))
    await drained(ears)
    assert listener.heard == []


async def test_rooms_of_other_names_are_none_of_chat() -> None:
    ears, listener = ears_of(inside("PA_1", "ann", room=Room("standup")))
    ears.notify(event("participant_joined", "PA_1", "standup"))
    await drained(ears)
    assert listener.heard == [] == list(ears.here())


async def test_hanging_up_is_told_from_being_cut_off() -> None:
    reasons = {
        Reason.CLIENT_INITIATED: True, Reason.PARTICIPANT_REMOVED: True, Reason.ROOM_DELETED: True,
        Reason.DUPLICATE_IDENTITY: False, Reason.SIGNAL_CLOSE: False, Reason.SERVER_SHUTDOWN: False,
        Reason.CONNECTION_TIMEOUT: False, Reason.MIGRATION: False,
    }  # fmt: skip
    for reason, clean in reasons.items():
        ears, listener = ears_of(inside("PA_1", "ann"))
        ears.notify(event("participant_joined", "PA_1"))
        await drained(ears)
        ears.notify(event("participant_left", "PA_1", reason=reason))
        await drained(ears)
        assert listener.heard[-1][1] == Present(who={}, clean=clean), reason
        assert not ears.here()


async def test_who_came_and_went_at_once_is_one_word_and_none_is_lost() -> None:
    ears, listener = ears_of(inside("PA_1", "ann"), away=2)
    ears.notify(event("participant_joined", "PA_1"))
    ears.notify(event("participant_left", "PA_1", reason=Reason.CLIENT_INITIATED))
    ears.notify(event("room_finished"))
    await drained(ears)
    assert listener.heard[0][1] == Present(who={}, came={"ann": "ann-1"}, clean=True)


async def test_asked_again_it_says_who_is_in() -> None:
    ears, listener = ears_of(inside("PA_1", "ann"))
    ears.notify(event("participant_joined", "PA_1"))
    await drained(ears)
    ears.look()
    await drained(ears)
    assert [word.who for _, word in listener.heard] == [{"PA_1": "ann"}] * 2
    ears.notify(event("room_finished"))
    await drained(ears)
    ears.look()
    await drained(ears)
    assert len(listener.heard) == 3


async def test_hooks_and_admission_behind_hear_everything() -> None:
    class Hooks:
        def __init__(self) -> None:
            self.events: list[str] = []

        def notify(self, event: webhook.WebhookEvent) -> None:
            self.events.append(event.event)

    class Admitting(Everybody):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def joined(self, participant: Participant) -> None:
            self.seen.append(f"joined {participant.sid}")

        def left(self, participant: Participant) -> None:
            self.seen.append(f"left {participant.sid}")

    hooks, admission = Hooks(), Admitting()
    ears = Ears(admission).over(hooks)
    one = cast("Participant", inside("PA_1", "ann"))
    ears.joined(one)
    ears.notify(event("track_published", "PA_1"))
    ears.left(one)
    assert hooks.events == ["track_published"] and admission.seen == ["joined PA_1", "left PA_1"]


async def test_removing_and_closing_reach_the_participants_of_an_account() -> None:
    class Open:
        def __init__(self) -> None:
            self.people = [inside("PA_1", "ann"), inside("PA_2", "bob"), inside("PA_3")]
            self.closed: list[int] = []

        def participants(self) -> list[Inside]:
            return self.people

        def close(self, reason: int) -> None:
            self.closed.append(reason)

    room = Open()

    class Server:
        def get(self, name: str) -> Open | None:
            return room if name == ROOM else None

    ears = Ears(Everybody())
    ears.close(ROOM)
    ears.listen(cast("Rooms", Server()), Listener())
    ears.remove(ROOM, "ann")
    ears.close(ROOM)
    ears.close("other")
    assert [one.reason for one in room.people] == [Reason.PARTICIPANT_REMOVED, None, None]
    assert room.closed == [Reason.ROOM_DELETED]
