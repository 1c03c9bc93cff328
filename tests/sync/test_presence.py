"""Presence on a device: the Python client does what the golden transcript says.

`web/src/client/sync/presence.test.ts` plays the same file with the TypeScript client; the server is
held to it by `tests/rows/test_c18_presence.py`, whose frames pass the same document.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from sotto_client.presence import Person, Presence
from tests.signaling.sync.documented import checked

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "presence"


def test_the_python_client_does_what_the_transcript_says() -> None:
    steps: list[dict[str, Any]] = json.loads((GOLDEN / "watching.json").read_text())["steps"]
    numbers = itertools.count(1)
    presence = Presence(lambda presence: next(numbers))
    for step in steps:
        sent: list[dict[str, Any]] = []
        if step["do"] == "connect":
            sent = presence.begin()
        elif step["do"] == "gone":
            presence.gone()
        elif checked(step["frame"], sender="server")["session"] == presence.session:
            sent = presence.hear(step["frame"])
        assert sent == step["sends"], step
        assert all(checked(frame, sender="client") for frame in sent)
        assert {one.account: one.state for one in presence.people.values()} == step["people"]


def test_who_listens_hears_of_those_who_changed_and_of_nobody_else() -> None:
    presence = Presence(lambda presence: 1)
    presence.begin()
    told: list[list[tuple[str, str]]] = []
    presence.changed.append(lambda people: told.append([(o.account, o.state) for o in people]))

    def say(*people: tuple[str, str]) -> None:
        shown = [{"account": account, "state": state} for account, state in people]
        presence.hear({"type": "presence", "session": 1, "people": shown})

    say(("bob", "online"))
    say(("bob", "online"), ("cy", "busy"))
    say(("bob", "online"))
    assert told == [[("bob", "online")], [("cy", "busy")]]
    assert presence.of("nobody") == Person(account="nobody", state="offline")
