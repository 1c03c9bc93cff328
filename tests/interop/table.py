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
FAILED = "**no**"
HEAD = """# Clients that were tried

Real clients, none of them ours, against this server. `python -m tests.interop.table` runs them and
writes this page; `tests/interop/` holds the tests, `tests/peers/` the clients' pinned versions.
"yes" is a passing test, "no" a failing one, "-" what the client cannot do or has no protocol for,
"untried" what no test here asks of it.
Each client publishes Opus and VP8 and subscribes to them; "layers" is simulcast, every layer chosen
in turn; "data" is reliable and lossy packets both ways. Stacks without LiveKit's signalling publish
by WHIP, watch by WHEP, and exchange data through a small LiveKit signalling client of the tests.

"""
CODECS = """
## Codecs

Who encodes, who decodes what the server forwarded. Opus and VP8 are in every row above. H.265 has
no LiveKit client here: Debian's Chromium neither encodes nor decodes it, and the libwebrtc of the
PyPI package publishes VP8 when it is asked for H.265.

| codec | from | to | shown |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Row:
    """A client, its version, how it connects, and the tests behind each ability."""

    client: str
    version: str
    way: str
    tests: Mapping[str, tuple[str, ...]]
    untried: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Coded:
    """A codec beside Opus and VP8, and the tests in which a real encoder meets a real decoder."""

    codec: str
    sender: str
    receiver: str
    tests: tuple[str, ...]


def _full(client: str, version: str, file: str, name: str, mode: str) -> Row:
    call = (f"{file}::test_media_and_data_both_ways[{name}]",)
    shown = dict.fromkeys(("publish", "subscribe", "data", "streams, RPC"), call)
    shown["layers"] = (f"{file}::test_simulcast_layers_both_ways[{name}]",)
    return Row(client, version, mode, shown)


def _stack(client: str, version: str, name: str, untried: str = "layers") -> Row:
    whip = f"test_whip_whep.py::test_publishes_by_whip[{name}]"
    whep = f"test_whip_whep.py::test_watches_by_whep[{name}]"
    data = f"test_driver.py::test_publishes_and_exchanges_data[{name}]"
    shown = {"publish": (whip, data), "subscribe": (whep,), "data": (data,)}
    return Row(client, version, "WHIP, WHEP, driver", shown, frozenset(untried.split()))


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
        found.append(_full("libwebrtc (PyPI livekit)", "1.2.1", native, mode, path))
    for name, version in (("chromium", chromium), ("firefox", firefox)):
        for mode, path in ways.items():
            label = f"livekit-client 2.23.0 in {name.capitalize()}"
            found.append(_full(label, version, browser, f"{name}-{mode}", path))
    for mode, path in ways.items():
        row = _full("LiveKit Go SDK", "2.18.1", golang, mode, path)
        calls = {"server API": (f"{golang}::test_server_calls",)}
        found.append(replace(row, tests={**row.tests, **calls}))
    api = {"server API": ("test_livekit_api.py::test_room_service",)}
    found.append(Row("livekit-api (PyPI)", "1.2.2", "Twirp", api))
    found.append(_stack("pion", "4.2", "pion"))
    found.append(_stack("aiortc", "1.16.0", "aiortc", untried=""))
    found.append(_stack("GStreamer webrtcbin", gstreamer, "gstreamer"))
    found.append(_stack("libdatachannel (node-datachannel)", "0.33.4", "libdatachannel"))
    found.append(_stack("werift", "0.25.2", "werift"))
    whip = {"publish": ("test_whip_whep.py::test_ffmpeg_publishes_by_whip",)}
    found.append(Row("ffmpeg (imageio-ffmpeg 0.8.1)", "9.0.2", "WHIP", whip))
    return found


def codecs() -> list[Coded]:
    """Both ways of joining for what a browser encodes."""
    svc = "test_codecs.py::test_chromium_encodes_svc_and_chromium_decodes_each_layer"
    h264 = "test_whip_whep.py::test_ffmpeg_publishes_by_whip"
    h265 = "test_codecs.py::test_gstreamer_encodes_h265_and_gstreamer_decodes_it"
    found = [Coded("H.264", "ffmpeg (x264), WHIP", "libwebrtc, /rtc/v1", (h264,))]
    for name in ("VP9", "AV1"):
        for mode, path in {"single": "/rtc/v1", "dual": "/rtc"}.items():
            sender = f"Chromium, {path}, SVC L3T3_KEY"
            receiver = f"Chromium, {path}, each layer in turn"
            found.append(Coded(name, sender, receiver, (f"{svc}[{mode}]",)))
    sender, receiver = "GStreamer (x265), WHIP", "GStreamer (libav), WHEP"
    return [*found, Coded("H.265", sender, receiver, (h265,))]


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
        cells = [_cell(row, ability, passed) for ability in ABILITIES]
        lines.append(f"| {row.client} | {row.version} | {row.way} | " + " | ".join(cells) + " |\n")
    lines.append(CODECS)
    for one in codecs():
        shown = "yes" if set(one.tests) <= passed else FAILED
        lines.append(f"| {one.codec} | {one.sender} | {one.receiver} | {shown} |\n")
    return "".join(lines)


def _cell(row: Row, ability: str, passed: set[str]) -> str:
    tests = row.tests.get(ability)
    if tests:
        return "yes" if set(tests) <= passed else FAILED
    return "untried" if ability in row.untried else "-"


def main() -> int:
    outcomes = Outcomes()
    status = pytest.main(["-q", str(ROOT / "tests" / "interop"), *sys.argv[1:]], [outcomes])
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(write(outcomes.passed))
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
