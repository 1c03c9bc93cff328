"""A writing process killed 25 times: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signaling.clock import SystemClock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError
from signaling.ids import SystemEntropy
from signaling.storage.archive.records import Part
from signaling.storage.archive.run import Place, backup, restore
from signaling.storage.embedded import EmbeddedStore
from signaling.storage.port import GENESIS, digest_of, link
from tests.signaling.storage.killed_writer import APP, ROOMS, body

KILLS = 25


@dataclass
class Acknowledged:
    """What the process said before it died. An op's seq is 0 when it was known to be a repeat."""

    ops: dict[tuple[str, str, int], int] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    repeats: int = 0

    def hear(self, line: str) -> None:
        kind, *words = line.split()
        if kind == "count":
            assert int(words[1]) > self.counts.get(words[0], 0), "a count was given twice"
            self.counts[words[0]] = int(words[1])
            return
        room, ident, version, seq = words[0], words[1], int(words[2]), int(words[3])
        if seq:
            assert self.ops.setdefault((room, ident, version), seq) == seq
        else:
            self.repeats += 1
            self.ops.setdefault((room, ident, version), 0)
        self.newest[ident] = max(version, self.newest.get(ident, 0))


def run_and_kill(directory: Path, known: Acknowledged, lines: int) -> None:
    """Kills it with SIGKILL after so many acknowledgements, in the middle of the next ones."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.signaling.storage.killed_writer", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(known.newest) + "\n")
        process.stdin.flush()
        for _ in range(lines):
            known.hear(process.stdout.readline())
        process.kill()
        rest = process.stdout.read()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            known.hear(line)


async def check(store: EmbeddedStore, known: Acknowledged) -> int:
    """Everything that was acknowledged is there, in its place, once."""
    total = 0
    for number in range(ROOMS):
        room = f"room{number}"
        found = await store.log.read(APP, room, after=0, limit=10**6)
        assert [op.seq for op in found] == list(range(1, len(found) + 1))
        times = Counter((op.ident, op.version) for op in found)
        assert not [pair for pair, count in times.items() if count > 1]
        chain = GENESIS
        for op in found:
            chain = link(chain, op.ident, op.version, digest_of(op))
            assert op.chain == chain
            assert op.body == body(op.ident, op.version)
        places = {(op.ident, op.version): op.seq for op in found}
        for (where, ident, version), seq in known.ops.items():
            if where == room:
                assert places[ident, version] == seq or not seq
        total += len(found)
    for key, value in known.counts.items():
        stored = await store.meta.get(APP, "counter", key)
        assert stored is not None
        assert value <= int(stored.value) <= value + 1
        assert stored.terms == (f"is{int(stored.value)}",)
        by_term = await store.meta.scan(APP, "counter", term=stored.terms[0])
        assert key in [one.key for one in by_term]
        known.counts[key] = int(stored.value)
    return total


async def test_nothing_acknowledged_is_lost_in_25_kills(tmp_path: Path) -> None:
    known = Acknowledged()
    source = random.Random(5)
    for _ in range(KILLS):
        run_and_kill(tmp_path, known, source.randint(50, 700))
        store = EmbeddedStore(tmp_path)
        total = await check(store, known)
        await store.close()
    print(f"{len(known.ops)} ops acknowledged, {total} stored, {known.repeats} repeats known")
    assert len(known.ops) > 25 * 50


async def test_what_a_killed_server_left_can_be_backed_up(tmp_path: Path) -> None:
    """Its write-ahead log is still there, and nobody opens it for writing."""
    place = Place(Settings(directory=str(tmp_path / "store")), tmp_path)
    known = Acknowledged()
    run_and_kill(place.directory, known, 300)
    entropy, key = SystemEntropy(), bytes(32)
    end = await backup(place, key, tmp_path / "archive", Part.ALL, SystemClock(), entropy)
    assert end.ops >= len(known.ops)
    other = Place(Settings(directory=str(tmp_path / "other")), tmp_path)
    await restore(other, [tmp_path / "archive"], key, entropy)
    store = EmbeddedStore(other.directory)
    await check(store, known)
    await store.close()


async def test_a_second_server_on_the_same_file_refuses_to_start(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    with pytest.raises(ConfigError, match="another server"):
        EmbeddedStore(tmp_path)
    await store.close()
    again = EmbeddedStore(tmp_path)
    await again.close()
