"""Builds and runs the stand-in for MongoDB (`StandIn.java`); needs Java 17 and Maven.

Right there: unique and compound indexes, compare and set, ordered inserts. Missing there:
sessions, transactions, SCRAM, TTL, elections; nothing of that is claimed as tested with it.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pymongo.errors import OperationFailure

HERE = Path(__file__).parent


@dataclass
class StandIn:
    """One running server; it also ends when we do, since it reads our pipe."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, *words: str, inside: Sequence[str] = ()) -> StandIn:
        """With the word "oplog" it has change streams, as a replica set does. `inside`: what the
        command line begins with, in a network namespace say.
        """
        built = subprocess.run(
            [HERE / "build"], check=True, stdout=subprocess.PIPE, text=True, timeout=600
        )
        directory = built.stdout.strip()
        process = subprocess.Popen(
            [
                *inside,
                "java",
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                f"{directory}:{directory}/*",
                "StandIn",
                *words,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


T = TypeVar("T")
TRIES = 50


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A read beside writes fails now and then in the stand-in, as no MongoDB does: ask again."""
    for _ in range(TRIES):
        try:
            return await ask()
        except OperationFailure as error:
            if "Unknown error: null" not in str(error):
                raise
            await asyncio.sleep(0.05)
    return await ask()
