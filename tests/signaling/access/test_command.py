"""`sotto access`: what a person gets who makes a key set, or asks why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signaling.cli import main

GRANT: dict[str, Any] = {
    "ttl": 15,
    "permissions": {
        "resources": {"channels": {"inbox": 3}},
        "patterns": {"channels": {"room-": 1, "^room-[0-9]+$": 1}, "uuids": {".*": 32}},
        "uuid": "ada",
    },
}


@pytest.fixture
def grant(tmp_path: Path) -> Path:
    path = tmp_path / "grant.json"
    path.write_text(json.dumps(GRANT))
    return path


def explain(grant: Path, *words: str) -> int:
    return main(["access", "explain", "--grant", str(grant), *words])


def test_b22_explains_a_refusal(grant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = explain(grant, "--operation", "publish", "--channel", "room-1", "--as", "ada")
    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        "publish: refused: not_granted",
        "  the token is for ada, who asks",
        "  NO channels room-1: needs write",
        "       named in the grant: nothing",
        "       pattern '^room-[0-9]+$' gives read",
    ]


@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        (["--operation", "publish", "--channel", "inbox", "--as", "ada"], 0, "allowed"),
        (["--operation", "subscribe", "--channel", "room-2", "--as", "ada"], 0, "allowed"),
        (["--operation", "join_call", "--channel", "room-2"], 1, "refused: other_uuid"),
        (["--operation", "get_all_users", "--as", "ada"], 0, "allowed"),
        (
            ["--operation", "publish", "--channel", "inbox", "--as", "ada", "--after", "15"],
            1,
            "refused: expired",
        ),
    ],
)
def test_b22_explains(
    grant: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, verdict: str
) -> None:
    assert explain(grant, *words) == code
    assert capsys.readouterr().out.splitlines()[0].endswith(verdict)


@pytest.mark.parametrize("content", ["{", '{"ttl": 0}', None])
def test_b22_what_is_no_grant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "grant.json"
    if content is not None:
        path.write_text(content)
    assert explain(path, "--operation", "publish") == 2
    assert "--grant" in capsys.readouterr().err


def test_b27_makes_a_key_set_and_shows_the_secret_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert main(["access", "key-set", "shop", "--state-dir", str(state)]) == 0
    keys = json.loads(capsys.readouterr().out)
    assert keys.keys() == {"id", "subscribe_key", "publish_key", "secret_key"}
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert keys["secret_key"].encode() not in kept
    assert b"shop" not in kept
