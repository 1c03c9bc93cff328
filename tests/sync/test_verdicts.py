"""What the Python client does about an error: the table of docs/reference/sync.md, as the other
client's (`web/src/client/sync/verdicts.test.ts`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from signaling.sync.errors import SyncCode
from sotto_client.verdicts import fate_of

TYPESCRIPT = Path(__file__).resolve().parents[2] / "web/src/client/sync/verdicts.test.ts"
BODIES: dict[str, dict[str, Any]] = {
    "{}": {},
    "again": {"tryAgain": True, "action": "Transient"},
    "reset": {"tryAgain": True, "shouldClientReset": True, "action": "ClientReset"},
}


def table() -> list[tuple[int, str, str]]:
    """The other client's own: a line is `[104, again, 'reconnect'],`."""
    line = re.compile(r"^  \[(\d{3}), (\{\}|again|reset), '(\w+)'\],$", re.MULTILINE)
    lines = line.findall(TYPESCRIPT.read_text())
    return [(int(code), body, fate) for code, body, fate in lines]


def frame(code: int, body: dict[str, Any]) -> dict[str, Any]:
    said = {"message": "", "tryAgain": False, "shouldClientReset": False, "action": "Warning"}
    return {"type": "error", "code": code, "name": "", "session": 1, "body": {**said, **body}}


@pytest.mark.parametrize(("code", "body", "fate"), table())
def test_both_clients_do_the_same(code: int, body: str, fate: str) -> None:
    assert fate_of(frame(code, BODIES[body])) == fate


def test_there_is_a_line_for_every_code_that_the_server_sends() -> None:
    assert {code for code, _, _ in table()} == set(SyncCode)


def test_it_signs_out_wherever_the_server_says_so() -> None:
    assert fate_of(frame(228, {"action": "LogOutUser"})) == "sign_out"
