"""Two test runs that keep results in one file lose none and fail for none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ONE = """
import json, sys
from pathlib import Path
from tests.merging import merge
path, who = Path(sys.argv[1]), sys.argv[2]
for turn in range(100):
    def merged():
        before = json.loads(path.read_text()) if path.exists() else {}
        return {**before, f"{who} {turn}": "pass"}
    merge(path, merged)
"""


def test_runs_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "rows.json"
    runs = [
        subprocess.Popen([sys.executable, "-c", ONE, str(path), who], cwd=ROOT)
        for who in ("one", "other", "third")
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(json.loads(path.read_text())) == 300
    assert sorted(one.name for one in path.parent.iterdir()) == ["rows.json", "rows.lock"]
