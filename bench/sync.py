"""Messages between people over the sync socket, beside Centrifugo and beside the store alone.

50 rooms of 11 people who post in turn: 500 and 2,500 messages/s, 5,000 and 25,000 deliveries/s.
Sotto has each message sealed and on the disk before it is acknowledged; Centrifugo keeps its
history in memory. What cannot keep up at a rate is told so, and has no ratios there.
`make bench WHAT=sync`, or `python bench/sync.py [--seconds 8] [--runs 3]`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import rounds
from chat import MEMBERS, LoadError, Site, bare_writes, centrifugo, sotto, stand_in
from servers import BenchError
from table import line, spread, title

RATES = (500, 2500)
ACK_GOAL, DELIVERY_GOAL = 2.0, 100.0
Figures = dict[str, float] | None
"""None when it cannot keep up."""
Round = dict[str, dict[int, Figures]]
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


def tell(name: str, rate: int, found: Figures) -> Figures:
    """At once, for who does not see the end of the run."""
    if found is None:
        line(f"  {name}, {rate}/s", "cannot")
    else:
        cells = [f"{key} {found[key]:.{digits}f}" for _, key, digits in ROWS if key in found]
        line(f"  {name}, {rate}/s", "  " + ", ".join(cells))
    return found


async def under_load(site: Site, seconds: float) -> dict[int, Figures]:
    await site.load.ask("open")
    found: dict[int, Figures] = {}
    for rate in RATES:
        try:
            answer = await site.load.ask("load", rate=rate, seconds=seconds, warm=2)
        except LoadError:
            raise
        except BenchError as error:
            print(f"  {site.name}: {error}", flush=True)
            found[rate] = tell(site.name, rate, None)
        else:
            found[rate] = tell(site.name, rate, told(answer))
    return found


async def alone(
    name: str, folder: Path, settings: Mapping[str, str], seconds: float
) -> dict[int, Figures]:
    """The store without a server."""
    found: dict[int, Figures] = {}
    for rate in RATES:
        waits = await bare_writes(folder / f"{name}{rate}", settings, rate, seconds)
        acks = None if waits is None else {f"ack_{key}": value for key, value in waits.items()}
        found[rate] = tell(name, rate, acks)
    return found


async def one_round(seconds: float, only: list[str]) -> Round:
    found: Round = {}
    with tempfile.TemporaryDirectory(prefix="sotto-bench-") as name, stand_in() as mongo:
        folder = Path(name)
        stores: dict[str, dict[str, str]] = {"embedded": {}, "stand-in": mongo}
        for store, settings in stores.items():
            if (bare := f"bare {store}") in only:
                found[bare] = await alone(bare, folder, settings, seconds)
        if "centrifugo" in only:
            async with centrifugo(folder / "centrifugo") as site:
                found[site.name] = await under_load(site, seconds)
        for store, settings in stores.items():
            if f"sotto {store}" in only:
                async with sotto(folder / f"sotto-{store}", f"sotto {store}", settings) as site:
                    found[site.name] = await under_load(site, seconds)
    return found


SERVERS = ("bare embedded", "bare stand-in", "centrifugo", "sotto embedded", "sotto stand-in")


def figures(found: list[Round], name: str, rate: int, what: str) -> list[float] | None:
    """Of each round; None when it could not keep up in one of them."""
    all_of_them = [one[name][rate] for one in found]
    return None if None in all_of_them else [one[what] for one in all_of_them if one]


def ratios(found: list[Round], of: str, to: str, rate: int, what: str) -> list[float] | None:
    mine, theirs = figures(found, of, rate, what), figures(found, to, rate, what)
    if mine is None or theirs is None:
        return None
    return [a / b for a, b in zip(mine, theirs, strict=True) if b]


def cell(found: list[Round], name: str, rate: int, what: str, digits: int) -> str:
    could = [one[name][rate] for one in found]
    if missed := could.count(None):
        return "cannot" if missed == len(could) else f"cannot, {missed} of {len(could)}"
    values = [one[what] for one in could if one and what in one]
    return spread(values, digits)


def show(found: list[Round], _seconds: float = 0) -> bool:
    """True when the goals are met."""
    names = [name for name in SERVERS if name in found[0]]
    met = [_show(found, names, rate) for rate in RATES]
    return all(met)


def _show(found: list[Round], names: list[str], rate: int) -> bool:
    title(f"{rate} messages/s in, {rate * (MEMBERS - 1)} deliveries/s out")
    line("", *names)
    for shown, key, digits in ROWS:
        line(f"  {shown}", *(cell(found, name, rate, key, digits) for name in names))
    for store in ("embedded", "stand-in"):
        of = f"sotto {store}"
        compared = [("ack_p99", f"bare {store}", f"goal {ACK_GOAL:.0f}")]
        compared += [(what, "centrifugo", "") for what in ("out", "ack_p99", "delivery_p99", "cpu")]
        for what, to, goal in compared:
            if of in names and to in names and (both := ratios(found, of, to, rate, what)):
                line(f"  {of}: {what} / {to}", spread(both), goal)
    return _met(found, names, rate)


def _met(found: list[Round], names: list[str], rate: int) -> bool:
    """The embedded store's alone: of MongoDB there is a stand-in."""
    of, bare = "sotto embedded", "bare embedded"
    if of not in names:
        return True
    waits = figures(found, of, rate, "delivery_p99")
    if waits is None or statistics.median(waits) > DELIVERY_GOAL:
        return False
    acks = ratios(found, of, bare, rate, "ack_p99") if bare in names else [0.0]
    return acks is not None and statistics.median(acks) <= ACK_GOAL


if __name__ == "__main__":
    sys.exit(rounds.main(__doc__, SERVERS, ("seconds", 8.0), one_round, show))
