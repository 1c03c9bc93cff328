"""The page in real Chromium and Firefox against a real `sotto dev`.

What people do, what goes wrong, how it looks, how they sign in. The scenarios are in `web/e2e`;
this starts them and shows what they print.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
MINUTES = {"talk": 6, "trouble": 6, "screens": 6, "accounts": 12, "strict": 4}
# The servers of those groups that want another than `sotto dev` starts without flags.
SETTINGS = {
    "accounts": ["accounts.sign_up=open"],
    "strict": [
        "calls.guest_join=false",
        "accounts.second_factor=required",
        "api.reauth_seconds=30",
    ],
}


@pytest.mark.browser
@pytest.mark.parametrize("group", MINUTES)
def test_page(group: str, tmp_path: Path) -> None:
    """Against a server of its own, which some scenarios kill and start again."""
    node = shutil.which("node")
    assert node is not None, "node is missing"
    assert (WEB / "dist" / "index.html").is_file(), "web/dist is missing: npm run build in web/"
    # Each with one above it: that is where files are served from.
    ports = [free_port(above=1) for _ in range(5)]
    words = [node, "e2e/run.mjs", "--group", group]
    words += ["--serve", server_command(ports, tmp_path, SETTINGS.get(group, []))]
    words += ["--origin", f"http://127.0.0.1:{ports[0]}"]
    words += ["--secure", f"https://localhost:{ports[1]}", "--log", str(tmp_path / "log")]
    assert _run(words, MINUTES[group] * 60) == 0


def server_command(ports: list[int], state: Path, settings: list[str]) -> str:
    """The installed `sotto` where there is one, otherwise this checkout's."""
    installed = Path(sys.executable).with_name("sotto")
    checkout = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "signaling.cli"]
    start = [str(installed)] if installed.is_file() else checkout
    names = ("http", "https", "operator", "udp", "tcp")
    flags = [f"--{name}-port={port}" for name, port in zip(names, ports, strict=True)]
    words = [*start, "dev", "--no-turn", "--state-dir", str(state), *flags]
    for setting in [f"http.client_dir={WEB / 'dist'}", *settings]:
        words += ["--set", setting]
    log = shlex.quote(str(state / "log"))
    return f"{shlex.join(words)} >>{log} 2>&1"


def _run(words: list[str], seconds: int) -> int:
    """In a process group of its own, so that no browser outlives the test."""
    process = subprocess.Popen(words, cwd=WEB, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
