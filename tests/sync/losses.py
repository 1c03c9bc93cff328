"""What the LossyBus of servers that are processes of their own lost: told by them, asked from here.

A server is told by its environment (`lossy`), and loads `server_site/sitecustomize.py` at its
start. Each process has a file of its own, which outlives its kill.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.sync.site import site


def lossy(seed: int, counts: Path) -> Mapping[str, str]:
    """The environment of a server whose bus is the LossyBus, and which counts below `counts`."""
    counts.mkdir(parents=True, exist_ok=True)
    return {
        **site(),
        "SOTTO_TEST_LOSSY": str(seed),
        "SOTTO_TEST_LOSSES": str(counts),
    }


def note(dropped: int, repeated: int) -> None:
    """In the server."""
    file = Path(os.environ["SOTTO_TEST_LOSSES"]) / f"{os.getpid()}.json"
    whole = file.with_suffix(".new")
    whole.write_text(json.dumps([dropped, repeated]))
    whole.rename(file)


@dataclass(frozen=True)
class Losses:
    """Of all processes that a site had so far."""

    processes: int
    dropped: int
    repeated: int

    @classmethod
    def of(cls, counts: Path) -> Losses:
        found = [json.loads(file.read_text()) for file in counts.glob("*.json")]
        return cls(len(found), sum(one[0] for one in found), sum(one[1] for one in found))
