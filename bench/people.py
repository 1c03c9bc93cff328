"""The sections of `make bench` of accounts, store, sockets and chat, each in its own process.

None needs the Rust tools: what they are measured against runs beside them, in the same run.
`run.py` calls them; `python bench/store.py` does the same.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

SCRIPTS = {
    "store": "store.py",
    "access": "access.py",
    "requests": "authenticated.py",
    "logins": "logins.py",
    "sockets": "idle_sockets.py",
    "revocation": "revocation.py",
    "sync": "sync.py",
    "crowd": "crowd.py",
    "history": "history.py",
}
# A script's exit status when it ran well and a goal was missed; its last line says which.
MISSED = 1


def run(script: str, _plan: object) -> None:
    path = Path(__file__).with_name(script)
    status = subprocess.run([sys.executable, str(path)], check=False).returncode
    if status == MISSED:
        print(f"  {script}: not every goal was met", flush=True)
    elif status:
        raise SystemExit(f"bench: {script} failed")


SECTIONS: dict[str, Callable[[object], None]] = {
    name: partial(run, script) for name, script in SCRIPTS.items()
}
