"""How a test starts `sotto`: the installed command beside the interpreter, else the checkout's."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = Path(sys.executable).with_name("sotto")


def sotto(*words: str) -> list[str]:
    """The command line. `make test` has the wheel installed, and so tests what is shipped."""
    if INSTALLED.exists():
        return [str(INSTALLED), *words]
    return [sys.executable, "-m", "signaling.cli", *words]
