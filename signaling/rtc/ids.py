"""Server ids as LiveKit's clients parse them: `RM_`, `PA_`, `TR_`, `DTR_` and 12 characters.

The Rust SDK panics on any other prefix. Randomness comes from the caller.
"""

from __future__ import annotations

import random
import string
from enum import StrEnum

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 12  # 62**12 is 71 bits: no clash within a server's life


class Prefix(StrEnum):
    ROOM = "RM_"
    PARTICIPANT = "PA_"
    TRACK = "TR_"
    DATA_TRACK = "DTR_"
    EVENT = "EV_"
    RPC = "RPC_"


class Ids:
    """Makes ids from the given source of randomness (`random.SystemRandom` in production)."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def make(self, prefix: Prefix) -> str:
        return prefix + "".join(self._source.choices(_ALPHABET, k=_LENGTH))
