"""The README's quick start, line by line as it stands there, against a server that it began."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from livekit import api

from tests.interop.servers import serving

ROOT = Path(__file__).resolve().parents[2]
PORT = "http://127.0.0.1:7880"
TWO_MINUTES = 120


def test_the_quick_start_of_the_readme(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(rf"```sh\n(SOTTO={PORT}\n.*?)```", text, re.DOTALL)
    with serving(tmp_path / "server") as server:
        link = setup_code(server.folder / "server.log")
        script = block.replace(PORT, server.http).replace(".venv/bin/python", sys.executable)
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=ROOT,
            env={**os.environ, "LINK": link},
            capture_output=True,
            text=True,
            timeout=TWO_MINUTES,
            check=True,
        )
        print(f"quick start: {time.monotonic() - started:.1f} s")
        lines = done.stdout.splitlines()
        said, page = (json.loads(line) for line in lines if line.startswith("{"))
        assert said["body"]["text"] == "The tomatoes are ripe."
        assert [message["id"] for message in page["items"]] == [said["id"]]
        assert [line.split("  ")[-1] for line in lines if "  " in line] == [
            "The tomatoes are ripe.",
            "And the figs.",
        ]
        address, _, token = lines[-1].partition("/#token=")
        assert address == server.http
        grants = api.TokenVerifier("devkey", "secret").verify(token, verify_signature=False)
        assert grants.video is not None and grants.video.room_join


def setup_code(said: Path) -> str:
    end = time.monotonic() + 180
    while not (found := re.findall(r"/setup#([A-Za-z0-9_-]{32})", said.read_text())):
        assert time.monotonic() < end, "the server printed no link for its first owner"
        time.sleep(0.1)
    return str(found[0])
