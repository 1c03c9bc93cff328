"""A file from its first byte to its last reference, through the running server."""

from __future__ import annotations

import os
from pathlib import Path

from tests.signaling.files.rig import every_byte, people

CANARY = b"canary-of-plain-bytes-on-a-disk"


async def test_a_file_is_sent_completed_and_fetched_again(tmp_path: Path) -> None:
    data = CANARY + os.urandom(300_000) + CANARY
    async with people(tmp_path) as there:
        info = await there.ana.send(data, "notes.bin")
        assert (info["state"], info["size"], info["name"]) == ("ready", len(data), "notes.bin")
        got = await there.ana.fetch(info["id"])
        assert got.body == data
        assert CANARY not in every_byte(tmp_path / "store")
