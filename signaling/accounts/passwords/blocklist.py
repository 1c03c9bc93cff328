"""The block-list that ships with the server: 55,782 common and breached passwords."""

from __future__ import annotations

import functools
from pathlib import Path

from signaling.accounts.passwords.bloom import Bloom


@functools.cache
def shipped() -> Bloom:
    """Read once; 163 kB of memory. Raises OSError or ValueError when the package is damaged."""
    return Bloom.loads(Path(__file__).with_name("common.bloom").read_bytes())
