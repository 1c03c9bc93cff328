"""Directories that only our account can enter, each level of them."""

from __future__ import annotations

from pathlib import Path


def make_private(path: Path) -> None:
    """`Path.mkdir(parents=True)` would give the levels between the usual mode."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
