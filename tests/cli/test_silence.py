"""Nothing leaves the machine: a server in development form is started, examined and ended, and the
firewall of its namespace has not seen one packet for the outside."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.command import sotto
from tests.network.netns import lab

pytestmark = pytest.mark.namespaces
ROOT = Path(__file__).resolve().parents[2]
COUNTER = """table inet watch {
 counter outside { }
 chain output {
  type filter hook output priority 0
  oifname != "lo" ip protocol { tcp, udp } counter name outside drop
  oifname != "lo" meta nfproto ipv6 meta l4proto { tcp, udp } counter name outside drop
 }
}"""


def test_nothing_tries_to_leave(tmp_path: Path) -> None:
    with lab(direct=("home",)) as rig:
        home = rig["home"].space  # it has a default route: packets could go
        home.nft(COUNTER)
        command = ["ip", "netns", "exec", home.name, *sotto()]
        state, ready = tmp_path / "state", tmp_path / "ready.json"
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "dev", f"--state-dir={state}", f"--ready-file={ready}"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        try:
            end = time.monotonic() + 180
            while not ready.exists():
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.05)
            facts = json.loads(ready.read_text())
            words = [*command, "doctor", "--json", f"--url={facts['url']}"]
            done = subprocess.run(
                [*words, f"--trust={facts['authority']}"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(90)
        report = json.loads(done.stdout)
        assert report["healthy"], report
        listed = home.run("nft", "list", "counter", "inet", "watch", "outside")
        assert re.search(r"packets 0 bytes 0", listed), listed
