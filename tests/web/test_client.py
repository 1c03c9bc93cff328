"""What the page and the server must agree on, and what the built page may weigh."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from signaling.errors import Code

WEB = Path(__file__).resolve().parents[2] / "web"


def test_every_error_code_of_the_server_has_its_sentence() -> None:
    texts = json.loads((WEB / "src" / "i18n" / "en.json").read_text())
    for code in Code:
        assert texts.get(f"error.{code}.title"), code
        assert texts.get(f"error.{code}.body"), code


def test_the_built_page_stays_within_its_budgets() -> None:
    node = shutil.which("node")
    assert node is not None, "node is missing"
    words = [node, "scripts/size.mjs"]
    done = subprocess.run(words, cwd=WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_no_other_host() -> None:
    """Nothing in the build's own files is loaded from anywhere else."""
    page = (WEB / "dist" / "index.html").read_text()
    assert "http://" not in page
    assert "https://" not in page
    for sheet in (WEB / "dist" / "assets").glob("*.css"):
        assert "url(" not in sheet.read_text(), sheet.name
