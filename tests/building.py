"""What tests build once and keep in the cache: two suites beside each other may want it at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(made: Path) -> Iterator[bool]:
    """Whether `made` is still missing; nobody else builds it meanwhile."""
    made.parent.mkdir(parents=True, exist_ok=True)
    with made.with_name(f"{made.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by closing, also by a run that is killed
        yield not made.exists()


def copied(source: Path, to: Path) -> None:
    """Only when it differs, and whole at once: another run's program may be reading it."""
    data = source.read_bytes()
    if not to.exists() or to.read_bytes() != data:
        partial = to.with_name(f"{to.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.replace(to)
