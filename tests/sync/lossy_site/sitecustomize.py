"""In a server that a test starts: its bus drops, repeats and reorders, by the environment's seed.

Python imports this by its name when the directory is on its path, and goes on without it when it
fails: so each process counts what it lost in a file of its own, which the test asks for
(`tests.sync.losses`).
"""

from __future__ import annotations

import os
import sys
from typing import Any

if "SOTTO_TEST_LOSSY" in os.environ:
    sys.path.append(os.environ["SOTTO_TEST_ROOT"])

    import signaling.bus.open as opening
    from tests.signaling.bus.lossy import LossyShared
    from tests.sync.losses import note

    right = opening.open_bus

    class Counting(LossyShared):
        async def publish(self, topic: str, payload: bytes) -> None:
            await super().publish(topic, payload)
            note(self.loss.dropped, self.loss.repeated)

    async def lossy(settings: Any, clock: Any, entropy: Any) -> Any:
        note(0, 0)
        bus = await right(settings, clock, entropy)
        return Counting(bus, int(os.environ["SOTTO_TEST_LOSSY"]), 0.3)

    vars(opening)["open_bus"] = lossy
