"""ASVS 15.1.2, 15.2.1: the lists of components name everything that a release is made of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lists() -> dict[str, list[dict[str, Any]]]:
    """Components by ecosystem, as `make sbom` lists them."""
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom.py"], check=True, capture_output=True)
    return {
        path.name.partition(".")[0]: json.loads(path.read_text())["components"]
        for path in (ROOT / "dist" / "sbom").glob("*.cdx.json")
    }


def test_the_lists_name_every_library_that_was_asked_for(
    lists: dict[str, list[dict[str, Any]]],
) -> None:
    listed = {of: {part["name"].lower() for part in parts} for of, parts in lists.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[^\w.-]", text)[0].lower() for text in project["dependencies"]}
    assert wanted <= listed["python"]
    package = json.loads((ROOT / "web" / "package.json").read_text())
    assert {name.split("/")[-1].lower() for name in package["dependencies"]} <= listed["page"]
    assert {"sotto-engine-core", "sotto-engine-net", "pyo3"} <= listed["engine"]


def test_a_scanner_can_look_up_every_component(lists: dict[str, list[dict[str, Any]]]) -> None:
    """Advisories are found by package URL and version; the engine's own crates have none."""
    kinds = {"engine": "pkg:cargo/", "python": "pkg:pypi/", "page": "pkg:npm/"}
    assert set(lists) == set(kinds)
    for of, parts in lists.items():
        assert parts
        for part in parts:
            version = part["version"]
            assert re.fullmatch(r"\d[\w.+-]*", version), part["name"]
            assert part["purl"].startswith(kinds[of]) and f"@{version}" in part["purl"], part
