"""Every pinned Python package has its digests, and setup takes nothing that is not one of them."""

from __future__ import annotations

import re
from pathlib import Path

CI = Path(__file__).resolve().parents[2] / ".ci"


def digests() -> dict[str, list[str]]:
    """By `name==version`, the name as the index writes it."""
    found: dict[str, list[str]] = {}
    text = re.sub(r"\\\n", " ", (CI / "hashes.txt").read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin, *options = line.split()
            found[pin] = [option.removeprefix("--hash=sha256:") for option in options]
    return found


def test_every_pin_has_its_digests_and_no_other_is_there() -> None:
    pins = (CI / "constraints.txt").read_text().split()
    normal = {re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower(): pin for pin in pins}
    wanted = {f"{name}=={pin.partition('==')[2]}" for name, pin in normal.items()}
    found = digests()
    assert set(found) == wanted, "see the head of .ci/hashes.txt"
    assert len(wanted) == len(pins) > 100
    for pin, known in found.items():
        assert known and all(re.fullmatch(r"[0-9a-f]{64}", one) for one in known), pin


def test_setup_fetches_by_digest() -> None:
    setup = (CI / "setup").read_text()
    fetching = [line for line in setup.splitlines() if "-m pip wheel" in line]
    assert len(fetching) == 1
    assert "--require-hashes" in fetching[0] and "-r $hashes" in fetching[0]
