"""Access decisions per second on one core, against a bare dict look-up in the same run.

A token with a thousand patterns and a thousand named rooms. Cached: rooms that this process was
asked about before (a socket's messages, a call's packets of control). Cold: every room for the
first time, so that the automaton runs. The goal is held to what is cached, and cold is told beside
it. `make bench WHAT=access`, or `python bench/access.py`.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from table import line, spread, title

from signaling.access.evaluate import Ask, Granted, evaluate
from signaling.access.grant import Grant, Permissions
from signaling.access.permissions import Operation

PATTERNS = 1000
ROOMS = 2000
ROUND = 100_000
ROUNDS = 7
NOW = 1_800_000_000.0
GOAL = 500_000
SHOWN = {
    "bare": "bare look-ups",
    "allowed": "cached, allowed",
    "refused": "cached, refused",
    "cold": "cold, allowed",
}

Run = Callable[[], None]


def holder() -> Granted:
    patterns = {f"room-{i}-[a-z0-9]*": 1 + 2 * (i % 2) for i in range(PATTERNS)}
    named = {f"named-{i}": 3 for i in range(1000)}
    grant = Grant(
        ttl=60,
        resources=Permissions(channels=named),
        patterns=Permissions(channels=patterns),
        uuid="ada",
    )
    return Granted(grant, app="default", keyset="k", ident="t", since=int(NOW))


def seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def decide(granted: Granted, asks: Sequence[Ask]) -> Run:
    who = ("ada", "adas-phone")

    def run() -> None:
        for ask in asks:
            evaluate(granted, ask, who, NOW)

    return run


def bare(names: Sequence[str]) -> Run:
    """What no decision can be faster than: one look-up and one comparison of bits."""
    masks = dict.fromkeys(names, 3)

    def run() -> None:
        for name in names:
            masks[name] & 1 == 1  # noqa: B015 - the work that is timed

    return run


def repeated(names: Sequence[str]) -> list[str]:
    return list(itertools.islice(itertools.cycle(names), ROUND))


def main() -> None:
    granted = holder()
    names = [f"room-{i % PATTERNS}-n{i}" for i in range(ROOMS // 2)]
    names += [f"named-{i}" for i in range(ROOMS // 2)]
    allowed = [Ask(Operation.SUBSCRIBE, (name,)) for name in repeated(names)]
    refused = [Ask(Operation.DELETE_FILE, (name,)) for name in repeated(names)]
    rounds: dict[str, list[float]] = {"bare": [], "allowed": [], "refused": [], "cold": []}
    for turn in range(ROUNDS):
        rounds["bare"].append(seconds(bare(repeated(names))))
        rounds["allowed"].append(seconds(decide(granted, allowed)))
        rounds["refused"].append(seconds(decide(granted, refused)))
        fresh = [
            Ask(Operation.SUBSCRIBE, (f"room-{i % PATTERNS}-{turn}x{i}",))
            for i in range(ROUND // 10)
        ]
        rounds["cold"].append(seconds(decide(granted, fresh)) * 10)
    title(f"access decisions, {PATTERNS} patterns loaded")
    rates = {name: [ROUND / one for one in taken] for name, taken in rounds.items()}
    for name, words in SHOWN.items():
        line(f"  {words}/s", spread(rates[name], 0))
    times = [one / two for one, two in zip(rates["bare"], rates["allowed"], strict=True)]
    line("  a dict look-up is", f"{spread(times, 1)} times as fast")
    cached, cold = (median(rates[name]) >= GOAL for name in ("allowed", "cold"))
    line(f"  goal {GOAL}/s: {said(cached)} with decisions cached, {said(cold)} cold")
    sys.exit(0 if cached else 1)


def said(met: bool) -> str:
    return "met" if met else "not met"


if __name__ == "__main__":
    main()
