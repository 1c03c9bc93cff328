"""Long histories: rooms of 10,000, 100,000 and 1,000,000 messages in one store, through the server.

The same requests in each room in turn, so that a ratio of two rooms is of one run: the newest page,
a page from anywhere, the page around a message, a post; in the middle one a search.
Filling takes some minutes; `--home DIRECTORY` keeps what was filled for the next run.
`make bench WHAT=history`, or `python bench/history.py [--home DIRECTORY] [--fill]`. Other `--sizes`
show that it works, and no goal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from chat import Site, quantile, sotto
from servers import BenchError
from table import line, title

SIZES = (10_000, 100_000, 1_000_000)
"""Messages in each room; the middle one is searched."""
SEARCHED = 1
SEARCHED = 1
PAGE = 50
SEARCHES = 5
PLACES = 40
PAGE_GOAL, SEARCH_GOAL, FIRST_GOAL, FLAT_GOAL = 5.0, 1000.0, 100.0, 1.5
Waits = dict[str, list[list[float]]]
"""Milliseconds of each request by what was asked, for each room."""
Sizes = tuple[int, ...]


async def heads(site: Site) -> list[int]:
    assert site.api is not None
    found = []
    for room in site.rooms:
        path = f"/rooms/{room}/log?limit=1"
        found.append((await site.api.must("GET", path, None, site.tokens[0]))["head"])
    return found


async def fill(site: Site, sizes: Sizes) -> None:
    """Uploads of a client that was away; a place for each room's own first ops is left."""
    for room, (size, head) in enumerate(zip(sizes, await heads(site), strict=True)):
        if head < size:
            begun = time.perf_counter()
            await site.load.ask("fill", room=room, count=size - head)
            each = (time.perf_counter() - begun) / (size - head)
            print(f"  filled to {size}: {each * 1e6:.0f} us a message", flush=True)


class Asker:
    """One connection that asks again and again; times are its own."""

    def __init__(self, site: Site, heads: list[int]) -> None:
        assert site.api is not None
        self._api, self._site, self._heads = site.api, site, heads
        self._noise = random.Random(6)
        self._places: list[list[tuple[str, str]]] = []

    async def _messages(self, room: int, query: str) -> None:
        path = f"/rooms/{self._site.rooms[room]}/messages?limit={PAGE}{query}"
        page = await self._api.must("GET", path, None, self._site.tokens[room + 1])
        assert len(page["items"]) == PAGE, len(page["items"])

    async def newest(self, room: int) -> None:
        await self._messages(room, "")

    async def prepare(self) -> None:
        """Messages and cursors all over each room, to be asked for later."""
        for room, (ident, head) in enumerate(zip(self._site.rooms, self._heads, strict=True)):
            token = self._site.tokens[room + 1]
            places: list[tuple[str, str]] = []
            while len(places) < PLACES:
                seq = self._noise.randrange(200, head - 200)
                path = f"/rooms/{ident}/log?after={seq}&limit=1"
                found = (await self._api.must("GET", path, None, token))["entries"]
                message = found[0]["op"]["id"]
                path = f"/rooms/{ident}/messages?limit={PAGE}&around={message}"
                page = await self._api.must("GET", path, None, token)
                places.append((message, page["next_cursor"]))
            self._places.append(places)

    async def anywhere(self, room: int) -> None:
        """As who scrolls up."""
        _, cursor = self._noise.choice(self._places[room])
        await self._messages(room, f"&cursor={cursor}")

    async def jump(self, room: int) -> None:
        """As who follows a link to a message."""
        message, _ = self._noise.choice(self._places[room])
        await self._messages(room, f"&around={message}")

    async def post(self, room: int) -> None:
        path = f"/rooms/{self._site.rooms[room]}/messages"
        await self._api.must("POST", path, {"text": "one more"}, self._site.tokens[room + 1])

    async def bare(self, room: int) -> None:
        """A request that reads nothing of a room: what HTTP itself costs."""
        await self._api.must("GET", "/session", None, self._site.tokens[room + 1])


def spent(pid: int) -> float:
    """Milliseconds of CPU that all threads of a process have had, by the scheduler's own count."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e6


async def in_turn(asker: Asker, pid: int, rooms: int, times: int) -> tuple[Waits, Waits]:
    """How long each request took, and the server's CPU meanwhile; the first ten are not counted."""
    kinds: dict[str, Callable[[int], Awaitable[None]]] = {
        "a request without a room": asker.bare,
        "the newest page": asker.newest,
        "a page from anywhere": asker.anywhere,
        "the page around a message": asker.jump,
        "a post": asker.post,
    }
    waits: Waits = {kind: [[] for _ in range(rooms)] for kind in kinds}
    costs: Waits = {kind: [[] for _ in range(rooms)] for kind in kinds}
    for number in range(times + 10):
        for kind, ask in kinds.items():
            for room in range(rooms):
                before, begun = spent(pid), time.perf_counter()
                await ask(room)
                took = (time.perf_counter() - begun) * 1e3
                if number >= 10:
                    waits[kind][room].append(took)
                    costs[kind][room].append(spent(pid) - before)
    return waits, costs


async def search(site: Site, words: str, room: int) -> tuple[float, float, int, int]:
    """Milliseconds to the first and to all; how many there are, in how many answers."""
    assert site.api is not None
    url = f"{site.api.installation.url}/api/v1/search"
    fields = {"Authorization": f"Bearer {site.tokens[1]}"}
    begun, first, found, answers, after = time.perf_counter(), 0.0, 0, 0, ""
    while True:
        answers += 1
        query = {"q": words, "room": site.rooms[room], "limit": "100"}
        if after:
            query["after"] = after
        async with site.api.session.get(url, params=query, headers=fields) as answer:
            assert answer.status == 200, await answer.text()
            async for text in answer.content:
                told = json.loads(text)
                if "message" in told:
                    found += 1
                    first = first or (time.perf_counter() - begun) * 1e3
                else:
                    after = told["next"] or ""
        if not after:
            return first, (time.perf_counter() - begun) * 1e3, found, answers


def show(waits: Waits, costs: Waits, sizes: Sizes) -> bool:
    good = True
    title(f"pages of {PAGE} and posts over HTTPS, one after the other, p50 / p99 ms")
    shown = [f"{size:,} messages" for size in sizes]
    line("", *shown, f"p50, {sizes[-1]:,} / {sizes[0]:,}")
    for kind, rooms in waits.items():
        slow = [quantile(values, 0.99) for values in rooms]
        both = zip((quantile(values, 0.5) for values in rooms), slow, strict=True)
        flat = growth(rooms)
        line(f"  {kind}", *(f"{a:.2f} / {b:.2f}" for a, b in both), f"{flat:.2f}")
        good &= flat <= FLAT_GOAL and ("page" not in kind or slow[-1] <= PAGE_GOAL)
    line("  goals", "", "", f"p99 {PAGE_GOAL:.0f} of a page", f"{FLAT_GOAL}")
    title("the server's CPU of each, p50 ms")
    line("", *shown, f"{sizes[-1]:,} / {sizes[0]:,}")
    for kind, rooms in costs.items():
        flat = growth(rooms)
        line(f"  {kind}", *(f"{quantile(values, 0.5):.2f}" for values in rooms), f"{flat:.2f}")
        good &= flat <= FLAT_GOAL
    line("  goal", "", "", "", f"{FLAT_GOAL}")
    return good


def growth(rooms: list[list[float]]) -> float:
    """From the smallest room to the largest."""
    return quantile(rooms[-1], 0.5) / quantile(rooms[0], 0.5)


async def searches(site: Site, size: int) -> bool:
    title(f"search of {size:,} messages, ms; p50 (and the slowest)")
    line("", "first result", "all", "found", "answers")
    good = True
    for what, words in {"a word in one of 1,000": "needle", "in none": "haystack"}.items():
        tries = [await search(site, words, SEARCHED) for _ in range(SEARCHES)]
        firsts, wholes = [one[0] for one in tries], [one[1] for one in tries]
        line(
            f"  {what}",
            f"{quantile(firsts, 0.5):.0f} ({max(firsts):.0f})",
            f"{quantile(wholes, 0.5):.0f} ({max(wholes):.0f})",
            *tries[0][2:],
        )
        good &= quantile(wholes, 0.5) <= SEARCH_GOAL and quantile(firsts, 0.5) <= FIRST_GOAL
    line("  goals", f"{FIRST_GOAL:.0f}", f"{SEARCH_GOAL:.0f}")
    return good


async def measure(home: Path, sizes: Sizes, times: int, only_fill: bool) -> bool:
    async with sotto(home, rooms=len(sizes), talking=0) as site:
        await fill(site, sizes)
        if only_fill:
            return True
        asker = Asker(site, await heads(site))
        await asker.prepare()
        waits, costs = await in_turn(asker, site.pid, len(sizes), times)
        good = show(waits, costs, sizes)
        return await searches(site, sizes[SEARCHED]) and good


@contextlib.contextmanager
def kept(home: Path | None) -> Iterator[Path]:
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="sotto-bench-") as name:
        yield Path(name)


def sizes_of(text: str) -> Sizes:
    """Below five hundred there is no page from anywhere."""
    found = tuple(int(word) for word in text.split(","))
    if len(found) != len(SIZES) or min(found) < 500:
        raise argparse.ArgumentTypeError("three numbers, each at least 500")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--fill", action="store_true", help="only fill --home")
    parser.add_argument("--sizes", type=sizes_of, default=SIZES, help="of three rooms: 10000,...")
    parser.add_argument("--times", type=int, default=300, help="requests of each kind in a room")
    wanted = parser.parse_args()
    try:
        with kept(wanted.home) as home:
            return 0 if asyncio.run(measure(home, wanted.sizes, wanted.times, wanted.fill)) else 1
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
