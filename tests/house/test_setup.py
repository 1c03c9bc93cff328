"""What `make run` and `make test` need and do not find, or find too old, is said in one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = ("bash", "cat", "cc", "dirname", "grep", "head", "id", "mkdir", "sed", "sort")
"""All that `.ci/setup` runs of the system before it has looked at every tool."""
ENOUGH = {
    "cargo": "cargo 1.99.0 (0123456 2026-01-01)",
    "node": "v22.12.0",
    "npm": "11.0.0",
    "go": "go version go1.99 linux/amd64",
    "apt-get": "nothing new",
}
NODE = "missing: Node 20.19 or newer of 20, or 22.12 or newer, with npm (https://nodejs.org)"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"cargo": None}, "missing: Rust 1.88 or newer with cargo (https://rustup.rs)"),
        ({"cargo": "cargo 1.87.1 (5 2025)"}, "(found 1.87.1)"),
        ({"node": "v18.19.1"}, f"{NODE} (found 18.19.1)"),
        ({"node": "v20.18.3"}, f"{NODE} (found 20.18.3)"),
        ({"node": "v21.7.3"}, f"{NODE} (found v21.7.3)"),
        ({"node": "v22.11.0"}, f"{NODE} (found v22.11.0)"),
        ({"npm": None, "apt-cache": "  Candidate: 18.19.0+dfsg-6~deb12u2"}, NODE),
        ({"go": None}, "missing: Go 1.26 or newer"),
        ({"go": "go version go1.24.9 linux/amd64"}, "(found 1.24.9)"),
    ],
)
def test_what_is_missing_or_too_old_is_said_in_one_line(
    tmp_path: Path, found: dict[str, str | None], said: str
) -> None:
    for name in SYSTEM:
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    programs = {name: f"echo '{its}'" for name, its in {**ENOUGH, **found}.items() if its}
    for name, body in {**programs, "python3": f'exec {sys.executable} "$@"'}.items():
        (tmp_path / name).write_text(f"#!{tmp_path}/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    ended = subprocess.run(
        [str(tmp_path / "bash"), str(ROOT / ".ci/setup"), "test"],
        check=False,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
