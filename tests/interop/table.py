"""Writes docs/reference/interop.md: runs the matrix and says what each client could do.

`python -m tests.interop.table`. A client that could not be installed has failed, like any other.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "interop.md"
ABILITIES = ("publish", "subscribe", "layers", "data", "streams, RPC", "server API")
HEAD = """# Clients that were tried

Real clients, none of them ours, against this server. `python -m tests.interop.table` runs them and
writes this page; `tests/interop/` holds the tests, `tests/peers/` the clients' pinned versions.
"yes" is a passing test, "no" a failing one, "-" what the client cannot do or has no protocol for.
Each client publishes Opus and VP8 and subscribes to them; "layers" is simulcast, every layer chosen
in turn; "data" is reliable and lossy packets both ways. Stacks without LiveKit's signalling publish
by WHIP, watch by WHEP, and exchange data through a small LiveKit signalling client of the tests.

"""


@dataclass(frozen=True)
class Row:
    """A client, its version, how it connects, and the tests behind each ability."""

    client: str
    version: str
    way: str
    tests: Mapping[str, tuple[str, ...]]


def _call(file: str, name: str) -> tuple[str, ...]:
    return (f"{file}::test_media_and_data_both_ways[{name}]",)


def _full(client: str, version: str, file: str, name: str, mode: str, layers: str) -> Row:
    call = _call(file, name)
    shown = dict.fromkeys(("publish", "subscribe", "data", "streams, RPC"), call)
    if layers:
        shown["layers"] = tuple(f"{file}::{test}" for test in layers.split())
    return Row(client, version, mode, shown)


def _stack(client: str, version: str, name: str) -> Row:
    whip = f"test_whip_whep.py::test_publishes_by_whip[{name}]"
    whep = f"test_whip_whep.py::test_watches_by_whep[{name}]"
    data = f"test_driver.py::test_publishes_and_exchanges_data[{name}]"
    shown = {"publish": (whip, data), "subscribe": (whep,), "data": (data,)}
    return Row(client, version, "WHIP, WHEP, driver", shown)


def _version(*words: str, take: int = -1) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return done.stdout.split()[take]


def rows() -> list[Row]:
    native, browser, golang = "test_libwebrtc.py", "test_browsers.py", "test_go_sdk.py"
    chromium = _version("chromium", "--version", take=1)
    firefox = _version("firefox-esr", "--version").removesuffix("esr")
    package = ("dpkg-query", "-W", "-f", "${Version}", "gstreamer1.0-plugins-bad")
    gstreamer = _version(*package).partition("-")[0]
    ways = {"single": "/rtc/v1", "dual": "/rtc"}
    found = []
    for mode, path in ways.items():
        layers = f"test_each_simulcast_layer_in_turn[{mode}]"
        label = "libwebrtc (PyPI livekit)"
        found.append(_full(label, "1.2.1", native, mode, path, layers))
    for name, version in (("chromium", chromium), ("firefox", firefox)):
        for mode, path in ways.items():
            layers = f"test_receives_each_simulcast_layer[{name}]"
            layers += f" test_publishes_each_simulcast_layer[{name}]"
            label = f"livekit-client 2.23.0 in {name.capitalize()}"
            chosen = layers if mode == "single" else ""
            found.append(_full(label, version, browser, f"{name}-{mode}", path, chosen))
    for mode, path in ways.items():
        layers = "test_simulcast_layers_both_ways" if mode == "dual" else ""
        row = _full("LiveKit Go SDK", "2.18.1", golang, mode, path, layers)
        calls = {"server API": (f"{golang}::test_server_calls",)}
        found.append(replace(row, tests={**row.tests, **calls}))
    api = {"server API": ("test_livekit_api.py::test_room_service",)}
    found.append(Row("livekit-api (PyPI)", "1.2.2", "Twirp", api))
    found.append(_stack("pion", "4.2", "pion"))
    found.append(_stack("aiortc", "1.16.0", "aiortc"))
    found.append(_stack("GStreamer webrtcbin", gstreamer, "gstreamer"))
    found.append(_stack("libdatachannel (node-datachannel)", "0.33.4", "libdatachannel"))
    found.append(_stack("werift", "0.25.2", "werift"))
    whip = {"publish": ("test_whip_whep.py::test_ffmpeg_publishes_by_whip",)}
    found.append(Row("ffmpeg (imageio-ffmpeg 0.8.1)", "9.0.2", "WHIP", whip))
    return found


class Outcomes:
    """A pytest plugin that remembers which tests passed."""

    def __init__(self) -> None:
        self.passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid.removeprefix("tests/interop/"))


def write(passed: set[str]) -> str:
    lines = [HEAD, "| client | version | by | " + " | ".join(ABILITIES) + " |\n"]
    lines.append("|" + " --- |" * (3 + len(ABILITIES)) + "\n")
    for row in rows():
        cells = []
        for ability in ABILITIES:
            tests = row.tests.get(ability)
            cells.append("-" if not tests else "yes" if set(tests) <= passed else "**no**")
        lines.append(f"| {row.client} | {row.version} | {row.way} | " + " | ".join(cells) + " |\n")
    return "".join(lines)


def main() -> int:
    outcomes = Outcomes()
    status = pytest.main(["-q", str(ROOT / "tests" / "interop"), *sys.argv[1:]], [outcomes])
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(write(outcomes.passed))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
