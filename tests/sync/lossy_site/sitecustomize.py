"""In a server that a test starts: its bus drops, repeats and reorders. Seed and loss come from the
environment. Python imports this by its name when the directory is on its path.
"""

from __future__ import annotations

import os
import sys
from typing import Any

if "SOTTO_TEST_LOSSY" in os.environ:
    sys.path.append(os.environ["SOTTO_TEST_ROOT"])

    import signaling.bus.open as opening
    from tests.signaling.bus.lossy import LossyBus, LossyShared

    right = opening.open_bus

    async def lossy(settings: Any, clock: Any, entropy: Any) -> Any:
        seed, loss = int(os.environ["SOTTO_TEST_LOSSY"]), 0.3
        if not settings.url:
            return LossyBus(seed, loss, clock)
        return LossyShared(await right(settings, clock, entropy), seed, loss)

    vars(opening)["open_bus"] = lossy
