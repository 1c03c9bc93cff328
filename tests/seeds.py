"""The seed of what is left to chance: printed, and given by SOTTO_SEED to have the same again.

`.ci/suites.py` draws one for each run: what failed is tried again with the seed that it failed by.
"""

from __future__ import annotations

import os
import random

NAME = "SOTTO_SEED"


def run_seed() -> int:
    given = os.environ.get(NAME)
    seed = int(given) if given else random.randrange(10**6)
    print(f"{NAME}={seed}")
    return seed
