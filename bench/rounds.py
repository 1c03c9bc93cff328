"""How the sections of chat are run: rounds in which every server has its turn.

What a server gave is printed as soon as it is there, so that a run that is cut shows something; the
tables come at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from servers import BenchError
from table import title

R = TypeVar("R")
A = TypeVar("A", int, float)


def main(
    doc: str | None,
    servers: Sequence[str],
    amount: tuple[str, A],
    one_round: Callable[[A, list[str]], Awaitable[R]],
    show: Callable[[list[R], A], bool],
) -> int:
    """`amount` is the option that says how much, and what is usual. `show` is true when the goals
    are met; the answer is a script's exit status."""
    name, usual = amount
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument(f"--{name}", dest="amount", type=type(usual), default=usual)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default=",".join(servers))
    wanted = parser.parse_args()
    rounds: list[R] = []
    try:
        for number in range(wanted.runs):
            title(f"round {number + 1} of {wanted.runs}")
            rounds.append(asyncio.run(_one(one_round, wanted.amount, wanted.only.split(","))))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0 if show(rounds, wanted.amount) else 1


async def _one(measure: Callable[[A, list[str]], Awaitable[R]], amount: A, only: list[str]) -> R:
    return await measure(amount, only)
