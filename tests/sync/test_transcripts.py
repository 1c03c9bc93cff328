"""The golden transcripts are what this server says today, and what the Python client does with it.

`web/src/client/sync/transcripts.test.ts` plays the same files with the TypeScript client.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from sotto_client.local import Local
from sotto_client.replica import Frame, Replica
from tests.sync.recording import folds_of, snapshot, view_in_the_end
from tests.sync.transcripts import GOLDEN, SCENES, Scene, name_of, record

Transcript = dict[str, Any]
FILES = sorted(GOLDEN.glob("*.json"))


def inflated(transcript: Transcript) -> Transcript:
    """Two versions of zlib may deflate the same differently."""
    for step in transcript["steps"]:
        frame = step.get("frame", {})
        if "packed" in frame:
            plain = zlib.decompress(base64.b64decode(frame.pop("packed")))
            frame["changes"] = json.loads(plain)
    return transcript


def test_there_is_a_transcript_of_every_scene_and_no_other() -> None:
    assert [path.stem for path in FILES] == sorted(map(name_of, SCENES))


@pytest.mark.parametrize("scene", SCENES, ids=name_of)
async def test_the_server_says_what_the_transcript_says(scene: Scene) -> None:
    """Recorded anew from its real sessions: `python -m tests.sync.transcripts` when it should."""
    kept = json.loads((GOLDEN / f"{name_of(scene)}.json").read_text())
    assert inflated(await record(scene)) == inflated(kept)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_python_client_does_what_the_transcript_says(path: Any) -> None:
    transcript = json.loads(path.read_text())
    player = Player(transcript["path"])
    for step in transcript["steps"]:
        sent = player.play(step)
        assert sent == step.get("sends"), step
        assert snapshot(player.replica) == step["local"], step
    assert view_in_the_end(player.replica) == transcript["view"]
    player.local.close()


class Player:
    """A device that hears what a transcript says, and nothing else."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.now = 0
        self.sessions = 0
        self.local = Local(":memory:")
        self.replica = self.open()

    def open(self) -> Replica:
        folds = folds_of(self.path)
        return Replica(self.local, self.path, lambda: self.now, self.number, folds)

    def number(self, _: Replica) -> int:
        self.sessions += 1
        return self.sessions

    def play(self, step: dict[str, Any]) -> list[Frame] | None:
        """What it sends; None where a step sends nothing by its nature."""
        match step["do"]:
            case "connect":
                return self.replica.begin()
            case "hear":
                ours = step["frame"].get("session") == self.replica.session
                return self.replica.hear(step["frame"]) if ours else []
            case "make":
                self.now = step["now"]
                return self.replica.make(step["op"])[1]
            case "mark":
                return [self.replica.mark()[1]]
            case "gone":
                self.replica.gone()
            case "restart":
                self.replica = self.open()
            case unknown:
                raise AssertionError(unknown)
        return None
