"""The environment in which a server loads `server_site/sitecustomize.py` at its start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.command import INSTALLED

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).with_name("server_site")


def site() -> Mapping[str, str]:
    return {
        "PYTHONPATH": str(SITE) if INSTALLED.exists() else f"{SITE}{os.pathsep}{ROOT}",
        "SOTTO_TEST_ROOT": str(ROOT),
    }
