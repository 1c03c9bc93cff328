"""How many handshakes of a node take a step at once. Shared by its connections (`context.py`)."""

import asyncio


class HandshakeGate:
    """Lets a few handshake steps through in each turn of the loop, first come first served.

    A step costs up to 1 ms of elliptic curves; a thousand clients that reconnect at once must
    not hold up media signalling and everybody's data channels for a second.
    """

    def __init__(self, steps: int) -> None:
        self._turns = asyncio.Semaphore(steps)
        self.waiting = 0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().call_soon(self._turns.release)
