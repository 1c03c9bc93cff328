"""The tests that `docs/security/asvs-authentication.md` names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "security" / "asvs-authentication.md"


def test_every_test_of_the_page_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    files = [*Path(__file__).parent.glob("test_*.py"), ROOT / "tests/signaling/test_egress.py"]
    found = {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert len(named) > 50
    assert named - found == set()
