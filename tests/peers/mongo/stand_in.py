"""Builds and runs the stand-in for MongoDB (`StandIn.java`); needs Java 17 and Maven.

Right there: unique and compound indexes, compare and set, ordered inserts. Missing there:
sessions, transactions, SCRAM, TTL, elections; nothing of that is claimed as tested with it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass
class StandIn:
    """One running server; it also ends when we do, since it reads our pipe."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls) -> StandIn:
        built = subprocess.run(
            [HERE / "build"], check=True, stdout=subprocess.PIPE, text=True, timeout=600
        )
        directory = built.stdout.strip()
        process = subprocess.Popen(
            [
                "java",
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                f"{directory}:{directory}/*",
                "StandIn",
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
