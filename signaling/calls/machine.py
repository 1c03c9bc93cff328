"""What changes a call: `step` takes one verb and the time, and answers the call and whom to tell.

Pure. A verb that was done before changes nothing; one that comes too late, or from who may not,
raises `Late`. However verbs of several devices are interleaved, a callee that was rung has exactly
one outcome, and all devices of its account are told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from signaling.calls.call import Call, Callee, End, Event, Outcome, Say, Told
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

# As many as a message of the timeline names.
MOST_NAMED = 200

Stepped = tuple[Call, list[Told]]


def step(call: Call, verb: Verb, now: float, rules: Rules) -> Stepped:
    """Raises Late; then nothing changed."""
    act: Callable[[Call, Any, float, Rules], Stepped] = _ACTS[type(verb)]
    if call.end is not None and not isinstance(verb, _AFTER):
        raise Late(Why.OVER)
    return act(call, verb, now, rules)


def due(call: Call, rules: Rules) -> float | None:
    """When the next `Tick` has something to do."""
    if call.end is not None:
        return None
    times = [callee.until for callee in call.callees.values() if callee.outcome is Outcome.RINGING]
    times += [at + rules.lobby for at in call.waiting.values()]
    if call.present:
        times.append(call.seen + rules.lease)
    elif not call.waiting and (call.up or not call.rings):
        times.append(call.idle_until)
    return min(times, default=None)


# Ringing


def _ring(call: Call, verb: Ring, now: float, rules: Rules) -> Stepped:
    told: list[Told] = []
    callees = dict(call.callees)
    for account in dict.fromkeys(verb.accounts):
        if not _reachable(call, account, verb.by):
            continue
        silent = account in verb.silent
        callees[account] = Callee(
            outcome=Outcome.RINGING, by=verb.by, until=now + rules.ring, silent=silent
        )
        if not silent and account not in verb.busy:
            told.append(Told(account, Event.RING, account))
    call = replace(call, callees=callees)
    if verb.admits:
        call = replace(call, admitted=_added(call.admitted, verb.accounts))
    for account in call.rings:
        if account in verb.busy and not callees[account].silent:
            call, more = _conclude(call, account, Outcome.BUSY, now)
            told += more
    return _settled(call, told, now)


def _reachable(call: Call, account: str, by: str) -> bool:
    """Not whoever is in, on the way in, or being rung."""
    if account == by or account in call.present.values():
        return False
    if account == call.caller and account not in call.took:
        return False
    callee = call.callees.get(account)
    if callee is None or callee.outcome not in (Outcome.RINGING, Outcome.ACCEPTED):
        return True
    return callee.outcome is Outcome.ACCEPTED and account in call.took


def _conclude(call: Call, account: str, outcome: Outcome, now: float, device: str = "") -> Stepped:
    """The one place where a ring ends."""
    callee = call.callees[account]
    assert callee.outcome is Outcome.RINGING
    done = replace(callee, outcome=outcome, at=now, device=device)
    event = Event(outcome.value)
    told = [] if callee.silent else [Told(account, event, account, device)]
    others = dict.fromkeys((call.caller, callee.by))
    told += [Told(other, event, account) for other in others if other not in ("", account)]
    return replace(call, callees={**call.callees, account: done}), told


def _callee(call: Call, account: str) -> Callee:
    callee = call.callees.get(account)
    if callee is None:
        raise Late(Why.NOT_RUNG)
    return callee


def _accept(call: Call, verb: Accept, now: float, rules: Rules) -> Stepped:
    callee = _callee(call, verb.account)
    if callee.outcome is Outcome.ACCEPTED and call.end is None:
        if callee.device == verb.device:
            return call, []
        raise Late(Why.ELSEWHERE, callee.outcome)
    if callee.outcome is not Outcome.RINGING:
        raise Late(Why.OVER, callee.outcome)
    call, told = _conclude(call, verb.account, Outcome.ACCEPTED, now, verb.device)
    return replace(call, idle_until=max(call.idle_until, now + rules.setup)), told


def _reject(call: Call, verb: Reject, now: float, rules: Rules) -> Stepped:
    callee = _callee(call, verb.account)
    if callee.outcome is not Outcome.RINGING:
        if callee.outcome is verb.why:
            return call, []
        elsewhere = callee.outcome is Outcome.ACCEPTED
        raise Late(Why.ELSEWHERE if elsewhere else Why.OVER, callee.outcome)
    if verb.why is Outcome.NOT_SUPPORTED:
        unable = _added(callee.unable, (verb.device,))
        callees = {**call.callees, verb.account: replace(callee, unable=unable)}
        return replace(call, callees=callees), []
    call, told = _conclude(call, verb.account, verb.why, now, verb.device)
    return _settled(call, told, now)


def _cancel(call: Call, verb: Cancel, now: float, rules: Rules) -> Stepped:
    rings = [a for a in call.rings if not verb.accounts or a in verb.accounts]
    if not verb.manages:
        rings = [a for a in rings if verb.by in (call.caller, call.callees[a].by)]
        rang = any(callee.by == verb.by for callee in call.callees.values())
        if verb.by != call.caller and not rang:
            raise Late(Why.NOT_YOURS)
    told: list[Told] = []
    for account in rings:
        call, more = _conclude(call, account, Outcome.CANCELLED, now)
        told += more
    others = set(call.present.values()) - {verb.by}
    if verb.accounts or call.answered or others or call.rings:
        return _settled(call, told, now)
    return _finished(call, told, now, End.CANCELLED if call.callees else None)


# Coming and going


def _present(call: Call, verb: Present, now: float, rules: Rules) -> Stepped:
    told: list[Told] = []
    before = call.present
    if not verb.who and not before and not verb.came:
        return call, told
    call = replace(call, present=dict(verb.who), seen=now)
    came = {account: device for account, device in verb.came.items() if account}
    for account in verb.who.values():
        if account:
            came.setdefault(account, "")
    for account, device in came.items():
        callee = call.callees.get(account)
        if callee is not None and callee.outcome is Outcome.RINGING:
            call, more = _conclude(call, account, Outcome.ACCEPTED, now, device)
            told += more
    if not call.up:
        first = () if call.hides else tuple(came)[:1] or ((call.caller,) if call.caller else ())
        say = Say(state="started", at=now, accounts=first)
        call = replace(call, up=now, says=(*call.says, say))
    waiting = {a: at for a, at in call.waiting.items() if a not in came}
    call = replace(call, took=_added(call.took, tuple(came)), waiting=waiting)
    if verb.who:
        return replace(call, emptied=0.0), told
    idle_until = now if verb.clean else max(now + rules.empty, _on_the_way(call, rules))
    call = replace(call, emptied=now, idle_until=idle_until)
    return _finished(call, told, now) if verb.clean else (call, told)


def _on_the_way(call: Call, rules: Rules) -> float:
    """Until when somebody who accepted may take to come in."""
    coming = [
        callee.at + rules.setup for account, callee in call.callees.items()
        if callee.outcome is Outcome.ACCEPTED and account not in call.took
    ]  # fmt: skip
    return max(coming, default=0.0)


def _hangup(call: Call, verb: Hangup, now: float, rules: Rules) -> Stepped:
    gives_up = call.callees and not call.up and not call.answered
    return _finished(call, [], now, End.CANCELLED if gives_up else None)


def _gone(call: Call, verb: Gone, now: float, rules: Rules) -> Stepped:
    told: list[Told] = []
    if verb.account in call.rings:
        call, told = _conclude(call, verb.account, Outcome.CANCELLED, now)
    admitted = tuple(account for account in call.admitted if account != verb.account)
    waiting = {a: at for a, at in call.waiting.items() if a != verb.account}
    return _settled(replace(call, admitted=admitted, waiting=waiting), told, now)


def _tick(call: Call, verb: Tick, now: float, rules: Rules) -> Stepped:
    told: list[Told] = []
    for account in call.rings:
        callee = call.callees[account]
        if callee.until <= now:
            outcome = Outcome.NOT_SUPPORTED if callee.unable else Outcome.TIMED_OUT
            call, more = _conclude(call, account, outcome, now)
            told += more
    for account, at in call.waiting.items():
        if at + rules.lobby <= now:
            told.append(Told(account, Event.TIMED_OUT, account))
    waiting = {a: at for a, at in call.waiting.items() if at + rules.lobby > now}
    call = replace(call, waiting=waiting)
    if call.present and call.seen + rules.lease <= now:
        # Whoever had its media is gone; those who were in may come back to who serves now.
        call = replace(call, present={}, emptied=call.seen, idle_until=now + rules.empty)
    call, told = _settled(call, told, now)
    forsaken = not call.present and not call.waiting and call.idle_until <= now
    if call.end is None and forsaken and (call.up or not call.rings):
        return _finished(call, told, now)
    return call, told


def _settled(call: Call, told: list[Told], now: float) -> Stepped:
    """A ring that nobody answered ends the call that began with it."""
    alone = not call.answered and not call.rings and not call.waiting
    if call.began_ringing and call.callees and alone and call.end is None:
        return _finished(call, told, now)
    return call, told


def _finished(call: Call, told: list[Told], now: float, end: End | None = None) -> Stepped:
    told = list(told)
    for account in call.rings:
        call, more = _conclude(call, account, Outcome.CANCELLED, now)
        told += more
    end = end or _verdict(call)
    at = call.emptied or now
    interested = dict.fromkeys((call.caller, *call.inside, *call.waiting, *_accepted(call)))
    told += [Told(account, Event.ENDED, account) for account in interested if account]
    call = replace(call, end=end, ended=at, present={}, waiting={})
    if end is not End.NOTHING:
        rung = tuple(a for a, callee in call.callees.items() if not callee.silent)
        named = call.took if end is End.ENDED else _added((call.caller,), rung)
        accounts = tuple(filter(None, named))[:MOST_NAMED]
        say = Say(state=end.value, at=at, accounts=accounts, seconds=call.seconds)
        call = replace(call, says=(*call.says, say))
    return call, told


def _accepted(call: Call) -> list[str]:
    return [a for a, c in call.callees.items() if c.outcome is Outcome.ACCEPTED]


def _verdict(call: Call) -> End:
    if call.answered or (call.up and not call.began_ringing):
        return End.ENDED
    outcomes = {callee.outcome for callee in call.callees.values()}
    if outcomes == {Outcome.REJECTED}:
        return End.REJECTED
    if outcomes & {Outcome.TIMED_OUT, Outcome.BUSY, Outcome.NOT_SUPPORTED}:
        return End.MISSED
    return End.CANCELLED if outcomes or call.up else End.NOTHING


# The lobby


def _knock(call: Call, verb: Knock, now: float, rules: Rules) -> Stepped:
    if verb.account in call.denied:
        raise Late(Why.DENIED)
    if verb.account in call.admitted or verb.account in call.waiting:
        return call, []
    told = [Told(moderator, Event.KNOCK, verb.account) for moderator in verb.moderators]
    return replace(call, waiting={**call.waiting, verb.account: now}), told


def _admit(call: Call, verb: Admit, now: float, rules: Rules) -> Stepped:
    accounts = verb.accounts or tuple(call.waiting)
    known = (*call.waiting, *call.denied, *call.admitted)
    if any(account not in known for account in accounts):
        raise Late(Why.NOT_WAITING)
    told = [
        Told(account, Event.ADMITTED, account) for account in accounts
        if account not in call.admitted
    ]  # fmt: skip
    waiting = {a: at for a, at in call.waiting.items() if a not in accounts}
    denied = tuple(account for account in call.denied if account not in accounts)
    call = replace(
        call, waiting=waiting, denied=denied, admitted=_added(call.admitted, accounts),
        idle_until=max(call.idle_until, now + rules.setup),
    )  # fmt: skip
    return call, told


def _deny(call: Call, verb: Deny, now: float, rules: Rules) -> Stepped:
    account = verb.account
    if account in call.denied:
        return call, []
    if account not in call.waiting and account not in call.admitted:
        raise Late(Why.NOT_WAITING)
    waiting = {a: at for a, at in call.waiting.items() if a != account}
    admitted = tuple(one for one in call.admitted if one != account)
    denied = _added(call.denied, (account,))
    call = replace(call, waiting=waiting, admitted=admitted, denied=denied)
    return call, [Told(account, Event.DENIED, account)]


def _written(call: Call, verb: Written, now: float, rules: Rules) -> Stepped:
    return replace(call, says=call.says[verb.count :]), []


def _added(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))


_ACTS: Mapping[type, Callable[[Call, Any, float, Rules], Stepped]] = {
    Ring: _ring, Accept: _accept, Reject: _reject, Cancel: _cancel, Hangup: _hangup,
    Present: _present, Gone: _gone, Knock: _knock, Admit: _admit, Deny: _deny, Tick: _tick,
    Written: _written,
}  # fmt: skip
# What an ended call still takes.
_AFTER = (Tick, Written, Gone, Accept, Reject)
