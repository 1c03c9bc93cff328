"""Attack class 28: what the wheel holds is what this repository means to ship, file by file."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import subprocess
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.proofs.test_restore import wheel

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("signaling", "mediaserver", "turn")
SOURCES = re.compile(r".*\.(py|pyi)|.*/py\.typed|signaling/accounts/passwords/common\.bloom")
BUILT = re.compile(
    r"mediaserver/_engine\.abi3\.so"
    r"|web/dist/(index\.html|favicon\.svg|\.vite/manifest\.json|assets/[\w-]+\.(js|css))"
)
ABOUT = re.compile(
    r"sotto-[^/]+\.dist-info/"
    r"(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE|sboms/sotto-engine-py\.cyclonedx\.json)"
)
SECRETS = {
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a key of AWS": rb"\bA(KIA|SIA)[0-9A-Z]{16}\b",
    "a token of GitHub": rb"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})",
    "a token of Slack": rb"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    "a JWT": rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "one of our tokens": rb"\b(cs|rt|am|sec)_[A-Za-z0-9_-]{43,}",
    "a password in an address": rb"\b(mongodb|rediss?|https?)://[^\s:/@\"'{}<>]+:[^\s/@\"'{}<>*]+@",
    "a place on the machine that built it": rb"(?<![\w.-])/(home|root|work|Users)/\w",
}


@pytest.fixture(scope="module")
def shipped() -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel()) as opened:
        yield opened


def sources() -> set[str]:
    """What git has, or would take, of the rooms that are shipped."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *ROOMS]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {
        path
        for path in listed.splitlines()
        if SOURCES.fullmatch(path) and not path.startswith("mediaserver/engine/")
        and (ROOT / path).exists()
    }  # fmt: skip


def test_it_holds_the_sources_what_was_built_and_nothing_else(shipped: zipfile.ZipFile) -> None:
    names = shipped.namelist()
    assert len(names) == len(set(names))
    rest = {name for name in names if not BUILT.fullmatch(name) and not ABOUT.fullmatch(name)}
    assert rest == sources()
    assert {name for name in names if name.endswith(".so")} == {"mediaserver/_engine.abi3.so"}


def test_no_test_and_no_tool_of_ours_is_in_it(shipped: zipfile.ZipFile) -> None:
    odd = re.compile(r"(^|/)(tests?|bench|fuzz|conftest\.py|test_[^/]+|\.[a-z]+(?<!\.vite)/)")
    assert [name for name in shipped.namelist() if odd.search(name)] == []
    for name in shipped.namelist():
        if name.endswith(".py"):
            text = shipped.read(name).decode()
            assert not re.search(r"^\s*(from|import) (tests|bench|pytest|hypothesis)\b", text, re.M)


def test_no_secret_and_no_place_is_in_it(shipped: zipfile.ZipFile) -> None:
    """In texts. The engine's panics and its list of crates name the places of their sources."""
    found = []
    for name in shipped.namelist():
        if not name.endswith((".so", ".bloom", ".cyclonedx.json")):
            data = shipped.read(name)
            found += [(name, what) for what, like in SECRETS.items() if re.search(like, data)]
    assert found == []


def test_every_file_has_its_digest_and_nobody_may_write_it(shipped: zipfile.ZipFile) -> None:
    [record] = [name for name in shipped.namelist() if name.endswith("/RECORD")]
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(shipped.read(record).decode()))}
    assert set(rows) == set(shipped.namelist())
    for info in shipped.infolist():
        mode = info.external_attr >> 16
        assert not mode & 0o022, (info.filename, oct(mode))
        if info.filename != record:
            digest = hashlib.sha256(shipped.read(info)).digest()
            text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            assert rows[info.filename] == f"sha256={text}", info.filename


def test_everything_that_it_asks_for_is_pinned(shipped: zipfile.ZipFile) -> None:
    [about] = [name for name in shipped.namelist() if name.endswith("/METADATA")]
    asked = Parser().parsestr(shipped.read(about).decode()).get_all("Requires-Dist") or []
    needed = [one for one in map(Requirement, asked) if "extra" not in str(one.marker)]
    assert len(needed) > 10
    pins = [Requirement(line) for line in (ROOT / ".ci" / "constraints.txt").read_text().split()]
    pinned = {pin.name.lower().replace("_", "-"): str(pin.specifier) for pin in pins}
    for one in needed:
        version = pinned[one.name.lower().replace("_", "-")]
        assert version.startswith("==") and one.specifier.contains(version[2:]), str(one)
