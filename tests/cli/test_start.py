"""A start loads what every server needs: a process that died keeps people waiting meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What `sotto serve` loads before it listens, without the configuration of anything.
START = "import signaling.cli, signaling.commands.serve, mediaserver.node, signaling.app"
# Each takes a twentieth of a second or more, for what few servers use or what can wait.
LATER = {
    "PIL", "acme", "aioice", "aiokafka", "aiormq", "aiortc", "av", "bson", "dns", "h2", "joserfc",
    "pkcs11", "pymongo", "redis", "requests", "webauthn",
}  # fmt: skip


def loaded(work: str) -> set[str]:
    """The packages that a new interpreter has afterwards."""
    words = [sys.executable, "-P", "-c", f"{work}\nimport sys\nprint(*sys.modules)"]
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name.partition(".")[0] for name in said.split()}


def test_a_start_loads_nothing_that_can_wait() -> None:
    assert not LATER & loaded(START)


@pytest.mark.parametrize("command", ["serve", "token"])
def test_a_command_loads_no_other(command: str) -> None:
    work = (
        "import contextlib, sys, signaling.cli\n"
        f"with contextlib.suppress(SystemExit): signaling.cli.main([{command!r}, '--help'])\n"
        "found = {name for name in sys.modules if name.startswith('signaling.commands.')}\n"
        f"assert found == {{'signaling.commands.common', 'signaling.commands.{command}'}}, found"
    )
    loaded(work)
