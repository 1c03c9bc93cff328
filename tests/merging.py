"""Results that several test runs of one checkout keep in one file: read, merge, write, by turns.

`make test` runs two suites at a time, and each adds to the same file whenever a test has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def merge(path: Path, merged: Callable[[], Mapping[str, Any]]) -> None:
    """`merged` reads what is there; nobody else writes meanwhile, and readers see it whole."""
    path.parent.mkdir(exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by closing, also by a run that is killed
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(merged(), indent=0, sort_keys=True))
        partial.replace(path)
