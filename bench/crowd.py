"""A crowd on the sync socket: what a client costs in memory, 2,000 that come again at once while
others talk, and one client that was away for 1,000 messages. Beside Centrifugo, in one run.

A client is bound to one room over TLS. Coming again is a full handshake, an upgrade and a resume by
cursor. `make bench WHAT=crowd`, or `python bench/crowd.py [--clients 2000] [--runs 3]`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import rounds
from chat import MEMBERS, TALKING, Site, centrifugo, sotto
from table import line, spread, title

RATE = 100
"""Messages a second of the others."""
BEHIND, TIMES = 1000, 5
Found = dict[str, float]

# What is shown, where it is found, with so many digits; and the goal, of Sotto alone.
ROWS: tuple[tuple[str, str, int, float | None], ...] = (
    ("kB a client", "kb", 1, 80),
    ("back", "back", 0, None),
    ("all are back after s", "seconds", 2, 30),
    ("connections tried", "tries", 0, None),
    ("others' delivery p99 before ms", "calm", 1, None),
    ("others' delivery p99 ms", "others", 1, 500),
    ("others' longest ms", "others_max", 1, None),
    ("resume, 1,000 behind, p50 ms", "resume", 1, 200),
    ("resume, the slowest ms", "resume_max", 1, None),
)


async def measure(site: Site, clients: int) -> Found:
    await site.load.ask("open")
    await asyncio.sleep(1)
    before = site.resident()
    await site.load.ask("sleepers", count=clients)
    await asyncio.sleep(2)
    each = (site.resident() - before) / clients
    storm: dict[str, Any] = await site.load.ask("storm", rate=RATE)
    resumed = await site.load.ask("resume", count=BEHIND, times=TIMES)
    return {
        "kb": each / 1000, "back": storm["back"], "seconds": storm["seconds"],
        "tries": storm["tries"], "calm": storm["others_before"]["p99"],
        "others": storm["others"]["p99"], "others_max": storm["others"]["max"],
        "resume": resumed["p50"], "resume_max": resumed["max"],
    }  # fmt: skip


def tell(server: str, found: Found) -> None:
    """At once, for who does not see the end of the run."""
    cells = [f"{shown} {found[key]:.{digits}f}" for shown, key, digits, _ in ROWS]
    line(f"  {server}", "  " + ", ".join(cells))


async def one_round(clients: int, only: list[str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory(prefix="sotto-bench-") as name:
        for server, made in SERVERS.items():
            if server in only:
                async with made(Path(name) / server) as site:
                    found[server] = await measure(site, clients)
                tell(server, found[server])
    return found


SERVERS: dict[str, Callable[[Path], Any]] = {"centrifugo": centrifugo, "sotto": sotto}


def show(each: list[dict[str, Found]], clients: int) -> bool:
    """True when the goals are met."""
    names, good = list(each[0]), True
    title(f"{clients} clients in rooms where nobody talks, {TALKING * MEMBERS} that do")
    line("", *names, "sotto / centrifugo" if len(names) > 1 else "", "goal")
    for shown, key, digits, goal in ROWS:
        values = {name: [one[name][key] for one in each] for name in names}
        cells = [spread(values[name], digits) for name in names]
        ratio = ""
        if len(names) > 1:
            both = zip(values["sotto"], values["centrifugo"], strict=True)
            ratio = spread([mine / theirs for mine, theirs in both if theirs])
        line(f"  {shown}", *cells, ratio, "" if goal is None else f"{goal:.0f}")
        if goal is not None and "sotto" in values:
            good &= statistics.median(values["sotto"]) <= goal
    return good


if __name__ == "__main__":
    sys.exit(rounds.main(__doc__, list(SERVERS), ("clients", 2000), one_round, show))
