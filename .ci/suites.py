"""The suites of `make test` and the parts of `make test-long`, in order.

Every suite is a list of commands with a bound in minutes. A failing command does not stop the
others: the run ends with one line that counts the suites, and fails if one of them failed. What
needed a second try passes, and is named there.
"""

from __future__ import annotations

import argparse
import contextlib
import enum
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
ENGINE = ROOT / "mediaserver" / "engine"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sotto"
LANES = int(os.environ.get("SOTTO_LANES", "2"))
"""How many suites that may share the machine run at a time."""
SEED = "SOTTO_SEED"
"""What the tests that leave things to chance are seeded by (`tests/seeds.py`)."""
RUN = "SOTTO_SUITE_RUN"
"""Whatever a command starts has this in its environment."""
_PRINTING = threading.Lock()


class Verdict(enum.Enum):
    """Ordered: a suite is as good as the worst of its commands."""

    OK = "ok"
    AGAIN = "ok when tried again"
    FAILED = "FAILED"

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        return max(verdicts, key=list(cls).index, default=cls.OK)


@dataclass(frozen=True)
class Command:
    """One process: its words, where it runs, and what it adds to the environment."""

    words: tuple[str, ...]
    directory: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)
    again: tuple[str, ...] = ()
    """Added for one more try of what failed; both results are printed."""


@dataclass(frozen=True)
class Suite:
    """A named list of commands; `minutes` bounds each command on two loaded cores."""

    name: str
    minutes: int
    commands: tuple[Command, ...]
    beside: bool = False
    """May share the machine with others: nothing in it asks how long anything took."""


def tool(*words: str) -> Command:
    """A program of the virtual environment."""
    return Command((str(BIN / words[0]), *words[1:]))


def pytest(*words: str, long: bool = False) -> Command:
    """Runs the tests against the installed wheel: append mode keeps the checkout behind it."""
    marker = "long" if long else "not long"
    return tool("pytest", "--import-mode=append", "-m", marker, *words)


def script(name: str, **environment: str) -> Command:
    """A script beside this file."""
    return Command(("bash", str(ROOT / ".ci" / name)), environment=environment)


def real(name: str, *words: str) -> Command:
    """Tests with real parts on a machine that others share: what fails is tried once more, with
    the same seed.

    `name` is the suite's: what failed is remembered for each, since two run beside each other.
    """
    first = pytest("-o", f"cache_dir={ROOT / '.pytest_cache' / name}", *words)
    return replace(first, again=("--last-failed", "--last-failed-no-failures", "none"))


def cargo(*words: str) -> Command:
    return Command(("cargo", *words), ENGINE)


def npm(*words: str) -> Command:
    return Command(("npm", "--prefix", "web", "run", "--silent", *words))


# What of tests/signaling serves calls, and what keeps; the rest is who may do what.
CALLS = tuple(f"tests/signaling/{room}" for room in ("config", "http", "rtc", "whip"))
STORES = tuple(f"tests/signaling/{room}" for room in ("bus", "storage"))
FILES = ("tests/signaling/files",)
CHAT = tuple(f"tests/signaling/{room}" for room in ("calls", "chat", "sync"))
DELIVERY = ("tests/signaling/delivery",)
ELSEWHERE = tuple(f"--ignore={place}" for place in (*CALLS, *STORES, *FILES, *CHAT, *DELIVERY))

# Neighbours that may stand beside each other are longest first, so that they end together.
TEST = (
    Suite(
        "check",
        12,
        (
            tool("ruff", "check", "."),
            tool("ruff", "format", "--check", "."),
            tool("mypy"),
            tool("stubtest", "mediaserver._engine"),
            tool("lint-imports"),
            cargo("fmt", "--check"),
            cargo("clippy", "-q", "--all-targets", "--locked", "--", "-D", "warnings"),
            cargo("check", "-q", "--locked", "--manifest-path", "fuzz/Cargo.toml"),
            script("deny"),
            npm("check"),
            pytest("tests/house"),
        ),
        beside=True,
    ),
    Suite("engine", 25, (cargo("test", "-q", "--locked", "--workspace"),), beside=True),
    Suite("client", 10, (npm("test"),), beside=True),
    Suite("media", 10, (real("media", "tests/mediaserver"),)),
    Suite("rows", 40, (real("rows", "tests/rows"),), beside=True),
    Suite("signaling", 25, (real("signaling", *CALLS, "tests/turn", "tests/cli"),), beside=True),
    Suite("accounts", 25, (real("accounts", "tests/signaling", *ELSEWHERE),), beside=True),
    Suite("delivery", 25, (real("delivery", *DELIVERY),), beside=True),
    Suite("features", 25, (real("features", "tests/features"),), beside=True),
    Suite("sync", 25, (real("sync", "tests/sync"),), beside=True),
    Suite("stores", 20, (real("stores", *STORES),), beside=True),
    Suite("proofs", 20, (real("proofs", "tests/proofs"),), beside=True),
    Suite("files", 20, (real("files", *FILES),), beside=True),
    Suite("chat", 20, (real("chat", *CHAT),), beside=True),
    Suite("interop", 20, (real("interop", "tests/interop"),)),
    Suite("page", 25, (real("page", "tests/web"),)),
    Suite("network", 20, (real("network", "tests/network"),)),
    Suite("attacks", 15, (real("attacks", "tests/attacks"),)),
)


def network(*names: str) -> tuple[Command, ...]:
    """Rows of the fault matrix, each in full, twenty times."""
    files = sorted(f for name in names for f in (ROOT / "tests" / "network").glob(f"*{name}*.py"))
    return (pytest("-s", *(str(f.relative_to(ROOT)) for f in files), long=True),)


RUNS = int(os.environ.get("SOTTO_SYNC_RUNS", "20"))
"""Of `make test-long` with 10,000 messages on each store, in two parts for each; and of those
with markers and ownership, in one part for both."""

SOAK = int(float(os.environ.get("SOTTO_SOAK_MINUTES", "60")))
"""Minutes that the soak goes on, beside its beginning and end."""


def kills(store: str, half: int) -> Suite:
    """A half of the runs on one store, each some minutes long."""
    name = f"tests/sync/test_convergence.py::test_ten_thousand_messages_on_{store}"
    turns = range(RUNS)[: (RUNS + 1) // 2] if half == 1 else range(RUNS)[(RUNS + 1) // 2 :]
    words = ("-s", *(f"{name}[{turn}]" for turn in turns))
    return Suite(f"sync-{store}-{half}", 100, (pytest(*words, long=True),) if turns else ())


def all_of(*words: str, times: int) -> tuple[Command, ...]:
    """What `make test` takes once and what it does not, again and again; nothing is tried twice."""
    return (tool("pytest", "--import-mode=append", *words),) * times


# Each part ends within 100 minutes on two cores.
LONG = (
    Suite(
        "seeds",
        95,
        (
            Command(
                ("cargo", "test", "-q", "--release", "-p", "sotto-engine-core"),
                ENGINE,
                {"SOTTO_SEEDS": "100"},
            ),
        ),
    ),
    Suite("fuzz-1", 95, (script("long-fuzz", HALF="1"),)),
    Suite("fuzz-2", 95, (script("long-fuzz", HALF="2"),)),
    Suite("proofs", 40, (pytest("-s", "tests/proofs", long=True),)),
    Suite("sync-machine", 95, (pytest("-s", "tests/sync/test_machine.py", long=True),)),
    kills("sqlite", 1),
    kills("sqlite", 2),
    kills("mongodb", 1),
    kills("mongodb", 2),
    Suite("sync-orders", 95, (pytest("-s", "tests/sync/test_contests.py", long=True),)),
    Suite("media", 45, (pytest("tests/mediaserver", *CALLS, long=True),)),
    Suite("accounts", 45, (pytest("tests/signaling", *ELSEWHERE, long=True),)),
    Suite("stores", 45, (pytest(*STORES, long=True),)),
    Suite("delivery", 45, (pytest("-s", *DELIVERY, *CHAT, *FILES, long=True),)),
    Suite("interop", 9, all_of("tests/interop", times=10)),
    Suite("page", 11, all_of("tests/web", times=8)),
    Suite("network-loss", 95, network("f10")),
    Suite("network-moves", 95, network("f09", "f14", "f15", "f19")),
    Suite("network-paths", 95, network("f05_stalled", "f11", "f12", "f13", "survives")),
    Suite("network-messages", 95, network("f04", "f05_sync")),
    Suite("attacks", 12, all_of("tests/attacks", times=8)),
    Suite("soak", SOAK + 30, (pytest("-s", "tests/soak", long=True),)),
)


def seeded() -> None:
    """One seed for the whole run, so that a second try does what the first one did."""
    print(f"{SEED}={os.environ.setdefault(SEED, str(secrets.randbelow(10**6)))}", flush=True)


def run(command: Command, minutes: int, out: TextIO) -> bool:
    """Runs one command; at its end, or at the bound, nothing that it started is left."""
    mark = secrets.token_hex(8)
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(CACHE / "target")),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        **command.environment,
        RUN: mark,
    }
    words = " ".join(Path(w).name if w.startswith(str(BIN)) else w for w in command.words)
    print("$", words, file=out, flush=True)
    process = subprocess.Popen(  # noqa: S603 - the words are constants of this file
        command.words,
        cwd=command.directory,
        env=environment,
        start_new_session=True,
        stdout=out,
        stderr=subprocess.STDOUT,
    )
    try:
        return process.wait(minutes * 60) == 0
    except subprocess.TimeoutExpired:
        print(f"not finished within {minutes} minutes", file=out, flush=True)
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kill_marked(f"{RUN}={mark}".encode())


def kill_marked(mark: bytes) -> None:
    """Servers that tests start are in sessions of their own; their environment tells whose."""
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in place.read_bytes().split(b"\0"):
                os.kill(int(place.parent.name), signal.SIGKILL)


def try_command(command: Command, minutes: int, out: TextIO) -> Verdict:
    if run(command, minutes, out):
        return Verdict.OK
    if not command.again:
        return Verdict.FAILED
    print("== what failed is tried once more", file=out, flush=True)
    again = replace(command, words=(*command.words, *command.again))
    return Verdict.AGAIN if run(again, minutes, out) else Verdict.FAILED


def run_suite(suite: Suite, out: TextIO) -> Verdict:
    print(f"\n== {suite.name}", file=out, flush=True)
    started = time.monotonic()
    verdicts = [try_command(command, suite.minutes, out) for command in suite.commands]
    verdict = Verdict.worst(verdicts)
    seconds = time.monotonic() - started
    print(f"== {suite.name}: {verdict.value} in {seconds:.0f} s", file=out, flush=True)
    return verdict


def run_beside(suite: Suite) -> Verdict:
    """Prints all of it when it has ended, so that two never mix their lines."""
    with tempfile.TemporaryFile("w+") as out:
        verdict = run_suite(suite, out)
        out.seek(0)
        with _PRINTING:
            shutil.copyfileobj(out, sys.stdout)
            sys.stdout.flush()
    return verdict


def run_all(suites: Iterable[Suite]) -> dict[str, Verdict]:
    """In their order; neighbours that may stand beside each other share the machine."""
    results: dict[str, Verdict] = {}
    for beside, neighbours in itertools.groupby(suites, key=lambda suite: suite.beside):
        group = list(neighbours)
        if beside and len(group) > 1:
            print(f"\n== {LANES} at a time: {', '.join(suite.name for suite in group)}", flush=True)
            with ThreadPoolExecutor(LANES) as pool:
                verdicts = list(pool.map(run_beside, group))
        else:
            verdicts = [run_suite(suite, sys.stdout) for suite in group]
        results |= zip((suite.name for suite in group), verdicts, strict=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["test", "long"])
    parser.add_argument("--only", help="comma-separated names of suites")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    options = parser.parse_args()
    suites = TEST if options.which == "test" else LONG
    names = [suite.name for suite in suites]
    if options.list:
        print("parts:", " ".join(names))
        print("nothing was run: PART=name runs one, PART=one,other several, PART=all all (a day)")
        return 0
    wanted = options.only.split(",") if options.only not in (None, "all") else names
    seeded()
    if unknown := set(wanted) - set(names):
        parser.error(f"no suite named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    results = run_all(suite for suite in suites if suite.name in wanted)
    named = {
        verdict: [name for name, its in results.items() if its is verdict] for verdict in Verdict
    }
    for verdict in (Verdict.AGAIN, Verdict.FAILED):
        if named[verdict]:
            print(f"\n{verdict.value}: {', '.join(named[verdict])} ({SEED}={os.environ[SEED]})")
    failed = len(named[Verdict.FAILED])
    print(f"\nsuites: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
