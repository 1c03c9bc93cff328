"""A process that writes to the embedded store until it is killed, saying what was acknowledged.

Standard input: JSON, the newest acknowledged version of each ident. Standard output: one line for
each acknowledgement. Writers begin after what they know was acknowledged, as clients do, so that
what was stored without them knowing is sent once more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from signaling.storage.embedded import EmbeddedStore
from signaling.storage.port import NewOp

APP, ROOMS = "app", 5


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def body(ident: str, version: int) -> bytes:
    return f"{ident}:{version}:".encode() * (1 + version % 40)


async def write_ops(store: EmbeddedStore, ident: str, version: int) -> None:
    room = f"room{hash_of(ident) % ROOMS}"
    while True:
        ops = [NewOp(ident, version + n + 1, body(ident, version + n + 1)) for n in range(2)]
        answers = await store.log.append(APP, room, ops)
        for op, answer in zip(ops, answers, strict=True):
            say("op", room, ident, op.version, answer.seq)
        version += 2


def hash_of(ident: str) -> int:
    return int(ident[1:])


async def count(store: EmbeddedStore, key: str) -> None:
    """A counter by compare and set."""
    while True:
        found = await store.meta.get(APP, "counter", key)
        value = int(found.value) + 1 if found else 1
        await store.meta.put(
            APP,
            "counter",
            key,
            str(value).encode(),
            expect=found.version if found else 0,
            terms=[f"is{value}"],
        )
        say("count", key, value)


async def main(directory: Path, known: dict[str, int]) -> None:
    store = EmbeddedStore(directory)
    writers = [write_ops(store, f"w{n}", known.get(f"w{n}", 0)) for n in range(20)]
    await asyncio.gather(*writers, *(count(store, f"c{n}") for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.stdin.readline())))
