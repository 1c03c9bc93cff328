"""Any interleaving of verbs of several devices: one outcome for each callee, told to all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.calls.call import Call, End, Event, Outcome, Phase, Told, without
from signaling.calls.machine import due, step
from signaling.calls.verbs import (
    Accept,
    Admit,
    Cancel,
    Deny,
    Gone,
    Hangup,
    Knock,
    Late,
    Present,
    Reject,
    Ring,
    Rules,
    Tick,
    Verb,
    Why,
    Written,
)

RULES = Rules(ring=45, setup=60, empty=10, lobby=600, lease=20)
NOW = 1_000_000.0
CLOSING = {Event(outcome.value) for outcome in Outcome if outcome is not Outcome.RINGING}


def fresh(*rung: str, **more: object) -> Call:
    """Ann's call, which rings these."""
    more = {"began_ringing": bool(rung), **more}
    call = Call(
        id="c", room="r", caller="ann", device="ann-1", made=NOW, idle_until=NOW + RULES.setup,
        **more,  # type: ignore[arg-type]  # fields of a call
    )  # fmt: skip
    return step(call, Ring(by="ann", accounts=rung), NOW, RULES)[0] if rung else call


def after(call: Call, *verbs: Verb, now: float = NOW + 1) -> Call:
    for verb in verbs:
        call, _ = step(call, verb, now, RULES)
    return call


def here(*names: str, clean: bool = False) -> Present:
    """Participants by the name of their account."""
    return Present(who={f"PA_{name}": name for name in names}, clean=clean)


# One by one


def test_accepted_on_one_device_is_told_to_all_and_refused_to_the_others() -> None:
    call, told = step(fresh("bob"), Accept(account="bob", device="bob-1"), NOW + 5, RULES)
    assert call.phase is Phase.UP and call.callees["bob"].device == "bob-1"
    assert Told("bob", Event.ACCEPTED, "bob", "bob-1") in told
    assert Told("ann", Event.ACCEPTED, "bob") in told
    assert step(call, Accept(account="bob", device="bob-1"), NOW + 6, RULES) == (call, [])
    for verb in (Accept(account="bob", device="bob-2"), Reject(account="bob", device="bob-2")):
        with pytest.raises(Late) as late:
            step(call, verb, NOW + 6, RULES)
        assert (late.value.why, late.value.outcome) == (Why.ELSEWHERE, Outcome.ACCEPTED)


def test_a_ring_that_nobody_answers_is_missed() -> None:
    call = after(fresh("bob", "cy"), here("ann"))
    assert call.phase is Phase.RINGING
    assert due(call, RULES) == NOW + 1 + RULES.lease
    call = after(call, Tick(), here("ann"), now=NOW + 44)
    assert call.phase is Phase.RINGING
    call, told = step(call, Tick(), NOW + 45, RULES)
    assert call.end is End.MISSED and not call.present
    assert {c.outcome for c in call.callees.values()} == {Outcome.TIMED_OUT}
    assert {t.to for t in told if t.event is Event.TIMED_OUT} == {"bob", "cy", "ann"}
    assert [say.state for say in call.says] == ["started", "missed"]
    assert call.says[-1].accounts == ("ann", "bob", "cy")


def test_rejected_by_all_ends_and_by_one_of_two_does_not() -> None:
    call = after(fresh("bob", "cy"), Reject(account="bob", device="bob-1"))
    assert call.phase is Phase.RINGING
    ended = after(call, Reject(account="cy"))
    assert (ended.end, ended.says[-1].state) == (End.REJECTED, "rejected")
    assert step(ended, Reject(account="cy"), NOW + 9, RULES) == (ended, [])
    with pytest.raises(Late):
        step(ended, Accept(account="bob", device="bob-2"), NOW + 9, RULES)


def test_busy_is_an_answer_and_not_supported_of_one_device_leaves_the_others_ringing() -> None:
    ring = Ring(by="ann", accounts=("bob",), busy=frozenset({"bob"}))
    call, told = step(fresh(began_ringing=True), ring, NOW, RULES)
    assert call.end is End.MISSED
    assert call.callees["bob"].outcome is Outcome.BUSY
    assert Told("bob", Event.RING, "bob") not in told
    unable = Reject(account="bob", device="bob-tv", why=Outcome.NOT_SUPPORTED)
    call, told = step(fresh("bob"), unable, NOW + 1, RULES)
    assert (call.phase, told) == (Phase.RINGING, [])
    assert after(call, Accept(account="bob", device="bob-1")).phase is Phase.UP
    late = after(call, Tick(), now=NOW + 45)
    assert late.callees["bob"].outcome is Outcome.NOT_SUPPORTED and late.end is End.MISSED


def test_only_who_rang_or_a_moderator_cancels() -> None:
    call = fresh("bob", "cy")
    with pytest.raises(Late) as late:
        step(call, Cancel(by="cy"), NOW + 1, RULES)
    assert late.value.why is Why.NOT_YOURS
    part = after(call, Cancel(by="ann", accounts=("bob",)))
    assert part.callees["bob"].outcome is Outcome.CANCELLED and part.phase is Phase.RINGING
    for verb in (Cancel(by="ann"), Cancel(by="dora", manages=True)):
        assert after(part, verb).end is End.CANCELLED


def test_the_last_who_hangs_up_ends_it_and_who_is_cut_off_may_come_back() -> None:
    call = after(fresh("bob"), here("ann"), Accept(account="bob", device="bob-1"))
    call = after(call, here("ann", "bob"), now=NOW + 3)
    assert call.inside == ["ann", "bob"]
    cut = after(call, here(), now=NOW + 60)
    assert cut.phase is Phase.UP and due(cut, RULES) == NOW + 70
    assert after(cut, here("bob"), Tick(), now=NOW + 65).end is None
    ended = after(cut, Tick(), now=NOW + 70)
    assert ended.end is End.ENDED and ended.seconds == 59
    hung_up = after(call, here("bob"), here(clean=True), now=NOW + 60)
    assert hung_up.end is End.ENDED and hung_up.says[-1].accounts == ("ann", "bob")


def test_who_had_the_media_and_says_nothing_is_gone_and_the_call_ends_when_last_seen() -> None:
    call = after(fresh("bob"), here("ann", "bob"), now=NOW + 5)
    call = after(call, here("ann", "bob"), now=NOW + 100)
    lost = after(call, Tick(), now=NOW + 120)
    assert lost.end is None and not lost.present
    assert after(lost, Tick(), now=NOW + 130).seconds == 95
    assert after(lost, here("ann"), Tick(), now=NOW + 125).phase is Phase.UP


def test_a_call_that_nobody_joins_leaves_no_trace() -> None:
    assert due(fresh(), RULES) == NOW + 60
    call = after(fresh(), Tick(), now=NOW + 60)
    assert (call.end, call.says) == (End.NOTHING, ())


def test_who_blocks_the_caller_is_not_told_and_the_caller_cannot_tell() -> None:
    ring = Ring(by="ann", accounts=("bob",), silent=frozenset({"bob"}))
    call, told = step(fresh(began_ringing=True), ring, NOW, RULES)
    assert (call.phase, told) == (Phase.RINGING, [])
    call, told = step(call, Tick(), NOW + 45, RULES)
    assert [t.to for t in told if t.event is Event.TIMED_OUT] == ["ann"]
    assert call.involved == {"ann"} and call.says[-1].accounts == ("ann",)


def test_lobby_admits_and_denies_for_the_length_of_a_call() -> None:
    call, told = step(fresh(), Knock(account="guest", moderators=("ann",)), NOW, RULES)
    assert told == [Told("ann", Event.KNOCK, "guest")]
    assert step(call, Knock(account="guest"), NOW + 1, RULES) == (call, [])
    assert after(call, Tick(), now=NOW + 61).end is None
    gone, told = step(call, Tick(), NOW + 600, RULES)
    assert told[0] == Told("guest", Event.TIMED_OUT, "guest") and gone.end is End.NOTHING
    denied, told = step(call, Deny(account="guest"), NOW + 1, RULES)
    assert told == [Told("guest", Event.DENIED, "guest")]
    with pytest.raises(Late):
        step(denied, Knock(account="guest"), NOW + 2, RULES)
    admitted = after(denied, Admit(accounts=("guest",)))
    assert (admitted.admitted, admitted.denied, admitted.waiting) == (("guest",), (), {})
    with pytest.raises(Late):
        step(call, Admit(accounts=("nobody",)), NOW + 2, RULES)


def test_hidden_call_does_not_say_who_began_it() -> None:
    assert after(fresh(hides=True), here("ann")).says[0].accounts == ()


def test_who_leaves_the_room_is_rung_no_longer() -> None:
    call = after(fresh("bob"), Gone(account="bob"))
    assert call.callees["bob"].outcome is Outcome.CANCELLED and call.end is End.CANCELLED


def test_erased_person_took_part_as_nobody() -> None:
    call = after(fresh("bob"), here("ann", "bob"), Knock(account="bob"), Admit())
    for name in ("ann", "bob"):
        assert name not in repr(without(call, name)).replace(f"PA_{name}", "")


# Any interleaving

PEOPLE = ("bob", "cy")
DEVICES = tuple(f"{name}-{number}" for name in PEOPLE for number in (1, 2))
devices = st.sampled_from(DEVICES)
anybody = st.sampled_from(("ann", *PEOPLE))
OTHERS = st.sampled_from((Outcome.REJECTED, Outcome.BUSY, Outcome.NOT_SUPPORTED))
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), devices),
        st.tuples(st.just("reject"), devices, OTHERS),
        st.tuples(st.just("ring"), anybody, st.lists(anybody, max_size=3)),
        st.tuples(st.just("cancel"), anybody, st.lists(anybody, max_size=2), st.booleans()),
        st.tuples(st.just("come"), st.sampled_from(("ann-1", "ann-2", *DEVICES))),
        st.tuples(st.just("go"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("gone"), anybody),
        st.tuples(st.just("hangup"), anybody),
        st.tuples(st.just("tick"), st.sampled_from((0.5, 5.0, 12.0, 46.0))),
        st.tuples(st.just("written")),
    ),
    max_size=25,
)


@dataclass
class Model:
    """What was seen from outside: rings and their ends by account, and who is in."""

    call: Call
    now: float = NOW
    rings: Counter[str] = field(default_factory=Counter)
    closings: Counter[str] = field(default_factory=Counter)
    accepts: Counter[str] = field(default_factory=Counter)
    inside: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def do(self, verb: Verb) -> None:
        before = self.call
        try:
            self.call, told = step(before, verb, self.now, RULES)
        except Late:
            return
        rung = Counter(t.to for t in told if t.event is Event.RING)
        closed = Counter(t.to for t in told if t.event in CLOSING and t.to == t.account)
        self.rings += rung
        self.closings += closed
        self._unchanged(before, rung)
        again, more = step(self.call, verb, self.now, RULES) if _repeats(verb) else (self.call, [])
        assert (again, more) == (self.call, []), verb
        if self.call.end is not None:
            self.inside.clear()

    def _unchanged(self, before: Call, rung: Counter[str]) -> None:
        """An outcome stays, unless the callee was rung again."""
        if before.end is not None:
            assert self.call.callees == before.callees and self.call.end is before.end
        for account, callee in before.callees.items():
            now = self.call.callees[account]
            if callee.outcome is not Outcome.RINGING and now != callee:
                assert rung[account] == 1
            ringing = self.call.callees[account].outcome is Outcome.RINGING
            assert self.rings[account] == self.closings[account] + ringing

    def act(self, name: str, *given: object) -> None:
        MOVES[name](self, *given)


def _repeats(verb: Verb) -> bool:
    return isinstance(verb, Accept | Reject | Gone | Tick)


def _come(model: Model, device: str) -> None:
    if model.call.end is None:
        model.inside[f"PA_{device}"] = device.partition("-")[0]
        came = {device.partition("-")[0]: device}
        model.do(Present(who=dict(model.inside), came=came))


def _go(model: Model, place: int, clean: bool) -> None:
    if model.inside:
        del model.inside[sorted(model.inside)[place % len(model.inside)]]
        model.do(Present(who=dict(model.inside), clean=clean))


def _tick(model: Model, seconds: float) -> None:
    """While somebody is in, the media server says so."""
    end = model.now + seconds
    while model.now < end:
        model.now = min(end, model.now + 5)
        if model.inside:
            model.do(Present(who=dict(model.inside)))
        model.do(Tick())


def _written(model: Model) -> None:
    model.written += [say.state for say in model.call.says]
    model.do(Written(count=len(model.call.says)))


def _answer(device: str) -> dict[str, str]:
    return {"account": device.partition("-")[0], "device": device}


MOVES: dict[str, Callable[..., None]] = {
    "accept": lambda m, d: m.do(Accept(**_answer(d))),
    "reject": lambda m, d, why: m.do(Reject(**_answer(d), why=why)),
    "ring": lambda m, by, whom: m.do(Ring(by=by, accounts=tuple(whom))),
    "cancel": lambda m, by, whom, manages: m.do(
        Cancel(by=by, accounts=tuple(whom), manages=manages)
    ),
    "come": _come,
    "go": _go,
    "gone": lambda m, who: m.do(Gone(account=who)),
    "hangup": lambda m, by: m.do(Hangup(by=by)),
    "tick": _tick,
    "written": _written,
}


@settings(max_examples=400, deadline=None)
@given(ACTS, st.booleans())
def test_every_callee_has_one_outcome_whatever_devices_do(
    acts: list[tuple[object, ...]], rings: bool
) -> None:
    model = Model(fresh())
    if rings:
        model.call = fresh("bob", "cy")
        model.rings.update(PEOPLE)
    for name, *more in acts:
        model.act(str(name), *more)
    while model.inside:
        model.act("go", 0, True)
    model.act("tick", 700.0)
    model.act("written")
    call = model.call
    assert call.phase is Phase.ENDED and due(call, RULES) is None
    assert not call.rings and not call.present
    for account, callee in call.callees.items():
        assert callee.outcome is not Outcome.RINGING
        assert model.rings[account] == model.closings[account] >= 1
        assert bool(callee.device) or callee.outcome is not Outcome.ACCEPTED
    starts = [state for state in model.written if state == "started"]
    ends = [state for state in model.written if state != "started"]
    assert len(starts) == bool(call.up) and len(ends) == (call.end is not End.NOTHING)
    assert model.written == [*starts, *ends]
    assert (call.end is End.ENDED) >= call.answered
    assert without(call, "bob").callees.keys() == call.callees.keys() - {"bob"}
