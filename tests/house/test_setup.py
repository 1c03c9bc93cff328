"""What is built already is not built again: a second `make run` is soon in a call."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def steps() -> list[str]:
    """What `make run` and `make test` say that they are doing before anything else."""
    words = ["bash", ".ci/setup", "test"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()


def test_a_second_run_builds_nothing() -> None:
    steps()
    assert steps() == []
