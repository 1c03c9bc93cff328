"""How suites are run: by one seed, also a second time, and leaving no process behind."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.seeds import NAME, run_seed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`.ci/suites.py`, which is in no package; no seed was given to this run."""
    monkeypatch.setenv(NAME, "")
    monkeypatch.delenv(NAME)
    spec = importlib.util.spec_from_file_location("suites", ROOT / ".ci" / "suites.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "suites", module)
    spec.loader.exec_module(module)
    return module


def test_a_second_try_has_the_seed_of_the_first(suites: ModuleType, tmp_path: Path) -> None:
    suites.seeded()
    drawn = "from tests.seeds import run_seed; run_seed(); raise SystemExit(1)"
    failing = suites.Command((sys.executable, "-c", drawn), again=("again",))
    with (tmp_path / "out").open("w+") as out:
        assert suites.try_command(failing, 1, out) is suites.Verdict.FAILED
        out.seek(0)
        seeds = re.findall(rf"^{NAME}=(\d+)$", out.read(), re.MULTILINE)
    assert seeds == [os.environ[NAME]] * 2


def test_a_run_is_repeated_by_its_seed(suites: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "41")
    suites.seeded()
    assert run_seed() == 41


def test_a_suite_leaves_no_process_in_a_session_of_its_own(
    suites: ModuleType, tmp_path: Path
) -> None:
    """Whether it ended by itself or was stopped at its bound."""
    started = "import subprocess as s; print(s.Popen(['sleep', '99'], start_new_session=True).pid)"
    for rest, ended in (("", True), ("; import time; time.sleep(99)", False)):
        words = (sys.executable, "-u", "-c", started + rest)
        with (tmp_path / "out").open("w+") as out:
            assert suites.run(suites.Command(words), 1 / 15, out) is ended
            out.seek(0)
            (pid,) = re.findall(r"^\d+$", out.read(), re.MULTILINE)
        until = time.monotonic() + 10
        while _runs(Path(f"/proc/{pid}/stat")):
            assert time.monotonic() < until
            time.sleep(0.05)


def _runs(state: Path) -> bool:
    """Not so what was killed and nobody has asked about since."""
    try:
        return state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_draws_a_seed_of_its_own() -> None:
    """By the clock, or by chance: it would be another one when it is tried again."""
    own = re.compile(r"\bRandom\((|(secrets|time)\..*)\)|[sS]eed\w* = .*(randrange|randint|time\()")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name != "seeds.py"
        for line in path.read_text().splitlines()
        if own.search(line)
    ]
    assert not found
