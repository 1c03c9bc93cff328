"""ASVS 15.1.2: the lists of components name everything that a release is made of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_lists_name_every_library_that_was_asked_for(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom.py"], check=True, capture_output=True)
    listed = {
        path.name.partition(".")[0]: {
            part["name"].lower() for part in json.loads(path.read_text())["components"]
        }
        for path in (ROOT / "dist" / "sbom").glob("*.cdx.json")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[^\w.-]", text)[0].lower() for text in project["dependencies"]}
    assert wanted <= listed["python"]
    package = json.loads((ROOT / "web" / "package.json").read_text())
    assert {name.split("/")[-1].lower() for name in package["dependencies"]} <= listed["page"]
    assert {"sotto-engine-core", "sotto-engine-net", "pyo3"} <= listed["engine"]
