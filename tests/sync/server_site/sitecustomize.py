"""In a server that a test starts, what the environment asks for: a bus that drops, repeats and
reorders (`tests.sync.losses`), sync frames written down (`tests.sync.watched`).

Python imports this by its name when the directory is on its path, and goes on without it when it
fails: so who asked for it looks for what it leaves.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

if "SOTTO_TEST_ROOT" in os.environ and {"serve", "dev"} & set(sys.orig_argv):
    sys.path.append(os.environ["SOTTO_TEST_ROOT"])

    if "SOTTO_TEST_LOSSY" in os.environ:
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

    if "SOTTO_TEST_FRAMES" in os.environ:
        from tests.sync.watched import writing_down

        for_life = contextlib.ExitStack()
        for_life.enter_context(writing_down(os.environ["SOTTO_TEST_FRAMES"]))
