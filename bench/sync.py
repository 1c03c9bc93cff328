"""Messages between people over the sync socket, beside Centrifugo and beside the store alone.

50 rooms of 11 people who post in turn: 500 and 2,500 messages/s, 5,000 and 25,000 deliveries/s.
Sotto has each message sealed and on the disk before it is acknowledged; Centrifugo keeps its
history in memory. `make bench WHAT=sync`, or `python bench/sync.py [--seconds 8] [--runs 3]`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from chat import MEMBERS, Site, bare_writes, centrifugo, sotto, stand_in
from servers import BenchError
from table import line, spread, title

RATES = (500, 2500)
ACK_GOAL, DELIVERY_GOAL = 2.0, 100.0
Round = dict[str, dict[int, dict[str, float]]]
"""By server and rate."""

ROWS: tuple[tuple[str, str, int], ...] = (
    ("messages/s in", "in", 0),
    ("deliveries/s out", "out", 0),
    ("not delivered", "missing", 0),
    ("ack p50 ms", "ack_p50", 1),
    ("ack p99 ms", "ack_p99", 1),
    ("delivery p50 ms", "delivery_p50", 1),
    ("delivery p99 ms", "delivery_p99", 1),
    ("server's CPU us a message", "cpu", 0),
    ("load's CPU us a message", "load_cpu", 0),
)


def told(found: Mapping[str, Any]) -> dict[str, float]:
    acks, deliveries, sent = found["acks"], found["deliveries"], found["sent"]
    return {
        "in": found["sent_per_s"], "out": found["deliveries_per_s"], "missing": found["missing"],
        "ack_p50": acks["p50"], "ack_p99": acks["p99"],
        "delivery_p50": deliveries["p50"], "delivery_p99": deliveries["p99"],
        "cpu": found["server_cpu_s"] / sent * 1e6, "load_cpu": found["load_cpu_s"] / sent * 1e6,
    }  # fmt: skip


async def under_load(site: Site, seconds: float) -> dict[int, dict[str, float]]:
    await site.load.ask("open")
    found = {}
    for rate in RATES:
        answer = await site.load.ask("load", rate=rate, seconds=seconds, warm=2)
        found[rate] = told(answer)
    return found


async def one_round(seconds: float, only: list[str]) -> Round:
    found: Round = {}
    with tempfile.TemporaryDirectory(prefix="sotto-bench-") as name, stand_in() as mongo:
        folder = Path(name)
        stores: dict[str, dict[str, str]] = {"embedded": {}, "stand-in": mongo}
        for store, settings in stores.items():
            if f"bare {store}" in only:
                found[f"bare {store}"] = {}
                for rate in RATES:
                    waits = await bare_writes(folder / f"{store}{rate}", settings, rate, seconds)
                    found[f"bare {store}"][rate] = {f"ack_{k}": v for k, v in waits.items()}
        if "centrifugo" in only:
            async with centrifugo(folder / "centrifugo") as site:
                found[site.name] = await under_load(site, seconds)
        for store, settings in stores.items():
            if f"sotto {store}" in only:
                async with sotto(folder / f"sotto-{store}", f"sotto {store}", settings) as site:
                    found[site.name] = await under_load(site, seconds)
    return found


SERVERS = ("bare embedded", "bare stand-in", "centrifugo", "sotto embedded", "sotto stand-in")


def ratios(rounds: list[Round], of: str, to: str, rate: int, what: str) -> list[float]:
    return [one[of][rate][what] / one[to][rate][what] for one in rounds]


def show(rounds: list[Round]) -> bool:
    """True when the goals are met."""
    names = [name for name in SERVERS if name in rounds[0]]
    met = [_show(rounds, names, rate) for rate in RATES]
    return all(met)


def _show(rounds: list[Round], names: list[str], rate: int) -> bool:
    title(f"{rate} messages/s in, {rate * (MEMBERS - 1)} deliveries/s out")
    line("", *names)
    for shown, key, digits in ROWS:
        values = [[one[name][rate].get(key, -1.0) for one in rounds] for name in names]
        line(f"  {shown}", *("-" if v[0] == -1.0 else spread(v, digits) for v in values))
    good = True
    for store in ("embedded", "stand-in"):
        of, bare = f"sotto {store}", f"bare {store}"
        if of not in names:
            continue
        if bare in names:
            acks = ratios(rounds, of, bare, rate, "ack_p99")
            line(f"  {of}: ack p99 / bare", spread(acks), f"goal {ACK_GOAL:.0f}")
            good &= store != "embedded" or statistics.median(acks) <= ACK_GOAL
        if "centrifugo" in names:
            for what in ("out", "ack_p99", "delivery_p99", "cpu"):
                found = ratios(rounds, of, "centrifugo", rate, what)
                line(f"  {of}: {what} / centrifugo", spread(found))
        waits = [one[of][rate]["delivery_p99"] for one in rounds]
        good &= store != "embedded" or statistics.median(waits) <= DELIVERY_GOAL
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default=",".join(SERVERS))
    wanted = parser.parse_args()
    try:
        rounds = [
            asyncio.run(one_round(wanted.seconds, wanted.only.split(",")))
            for _ in range(wanted.runs)
        ]
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0 if show(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
