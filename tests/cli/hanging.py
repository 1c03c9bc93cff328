"""`python hanging.py dev ...`: `sotto` with a store that never closes.

Says `closing` once it waits, in a thread that nothing can cancel, as on a disk that went away.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from signaling import app
from signaling.cli import main


async def never() -> None:
    print("closing", flush=True)
    await asyncio.to_thread(threading.Event().wait)


class Hanging(app.App):
    async def start(self) -> None:
        await super().start()
        self._stack.push_async_callback(never)


if __name__ == "__main__":
    app.App = Hanging  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
