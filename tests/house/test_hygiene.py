"""What must not be in the repository: secrets, machine paths, registry hosts, left-over marks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "a machine path": re.compile(r"(?<![\w.])/(?:work|root|tmp/bg)/"),
    "a registry host": re.compile(r"artifactory|index\.crates\.io:"),
    "a private key": re.compile(r"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/]{20}"),
    "a left-over mark": re.compile(
        r"\b(?:TODO|FIXME|XXX|NotImplementedError|todo!\(|unimplemented!\()"
    ),
}


def tracked_text() -> list[tuple[str, str]]:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    found = []
    for name in names:
        path = ROOT / name
        if (
            not name
            or not path.is_file()
            or "corpus" in name
            or name == "tests/house/test_hygiene.py"
        ):
            continue
        try:
            found.append((name, path.read_text()))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_the_repository_holds_no(what: str) -> None:
    hits = [
        f"{name}: {match.group(0)[:60]}"
        for name, text in tracked_text()
        for match in FORBIDDEN[what].finditer(text)
    ]
    assert not hits, hits[:20]


def test_only_the_agreed_things_stand_at_the_top() -> None:
    agreed = {
        "pyproject.toml", "README.md", "mediaserver", "signaling", "web", "tests", "turn",
        "docs", "bench", "deploy", "client", "Makefile", "LICENSE", "ARCHITECTURE.md",
        "CONTRIBUTING.md", "SECURITY.md",
    }  # fmt: skip
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {name.split("/")[0] for name in listed}
    assert {name for name in top if not name.startswith(".")} <= agreed
