"""Why a decision is what it is: every name, what it needed, and what gave or did not give it.

Pure; for operators and tests, never for whoever was refused. Not a second decision: it reports
what `evaluate` said and shows the parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signaling.access.evaluate import Ask, Decision, Granted, Holder, evaluate
from signaling.access.patterns import matching
from signaling.access.permissions import OPERATIONS, Kind, Permission


class Matched(msgspec.Struct, frozen=True):
    """A pattern of the grant that matches the whole name, and what it gives."""

    pattern: str
    gives: tuple[str, ...]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of the question: what it needs, what it has, and from where."""

    kind: Kind
    name: str
    needs: tuple[str, ...]
    has: tuple[str, ...]
    explicit: tuple[str, ...] = ()
    patterns: tuple[Matched, ...] = ()
    enough: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    operation: str
    allowed: bool
    reason: str
    who: tuple[str, ...]
    bound: str | None
    until: float
    parts: tuple[Part, ...]


def words(mask: int) -> tuple[str, ...]:
    return tuple(str(bit.name).lower() for bit in Permission if bit & mask)


def explain(holder: Holder, ask: Ask, who: tuple[str, ...], now: float) -> Explanation:
    decision = evaluate(holder, ask, who, now)
    return Explanation(
        operation=ask.operation,
        allowed=decision.allowed,
        reason=decision.reason,
        who=who,
        bound=holder.bound,
        until=holder.until,
        parts=tuple(_parts(holder, ask)),
    )


def _parts(holder: Holder, ask: Ask) -> Sequence[Part]:
    needs = OPERATIONS[ask.operation]
    asked = (
        (Kind.CHANNEL, ask.channels, needs.channel, holder.channels),
        (Kind.GROUP, ask.groups, needs.group, holder.groups),
        (Kind.UUID, ask.uuids, needs.uuid, holder.uuids),
    )
    made = []
    for kind, names, need, masks in asked:
        for name in dict.fromkeys(names):
            has = 0 if holder.fault is not None else masks[name]
            explicit, patterns = _sources(holder, kind, name)
            made.append(
                Part(
                    kind=kind,
                    name=name,
                    needs=words(need),
                    has=words(has),
                    explicit=explicit,
                    patterns=patterns,
                    enough=has & need == need,
                )
            )
    return made


def _sources(holder: Holder, kind: Kind, name: str) -> tuple[tuple[str, ...], tuple[Matched, ...]]:
    if not isinstance(holder, Granted):
        return (), ()
    grant = holder.grant
    found = (Matched(p, words(mask)) for p, mask in matching(grant.patterns.of(kind), name))
    return words(grant.resources.of(kind).get(name, 0)), tuple(found)


def lines(explanation: Explanation) -> list[str]:
    """For people. The verdict first, then one line a resource."""
    verdict = "allowed" if explanation.allowed else f"refused: {explanation.reason}"
    made = [f"{explanation.operation}: {verdict}"]
    if explanation.bound is not None:
        asks = "who asks" if explanation.bound in explanation.who else "and somebody else asks"
        made.append(f"  the token is for {explanation.bound}, {asks}")
    for part in explanation.parts:
        mark = "ok " if part.enough else "NO "
        made.append(f"  {mark}{part.kind} {part.name}: needs {_list(part.needs)}")
        made.append(f"       named in the grant: {_list(part.explicit)}")
        made += [f"       pattern {m.pattern!r} gives {_list(m.gives)}" for m in part.patterns]
        if not part.patterns:
            made.append("       no pattern matches the whole name")
    return made


def _list(items: Sequence[str]) -> str:
    return ", ".join(items) or "nothing"


__all__ = ["Decision", "Explanation", "Part", "explain", "lines", "words"]
