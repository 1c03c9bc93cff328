"""`python -m sotto_client URL ROOM`: print a room's messages as they come, also while away.

SOTTO_TOKEN holds the access token; `--keep FILE` keeps the room on this machine between runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys

from sotto_client.client import Client
from sotto_client.local import Local
from sotto_client.model import MessageView, Plain

DAY = 86_400.0


def line(message: MessageView) -> str:
    text = message.body.text if isinstance(message.body, Plain) else "(not readable here)"
    return f"{message.at}  {message.account}  {text}"


async def watch(url: str, room: str, keep: str, token: str, count: int) -> int:
    """Until `count` messages were printed, or for ever when it is 0."""

    async def bearer() -> str:
        return token

    printed: set[str] = set()
    async with Client(url, Local(keep), bearer) as client:
        here = client.room(room)

        def fresh() -> list[MessageView]:
            return [message for message in here.messages() if message.id not in printed]

        while not client.trouble and not (count and len(printed) >= count):
            with contextlib.suppress(TimeoutError):
                await client.wait(lambda: bool(client.trouble or fresh()), DAY)
            for message in fresh():
                printed.add(message.id)
                print(line(message), flush=True)
        if client.trouble:
            print(f"sotto_client: {client.trouble}", file=sys.stderr)
        return 1 if client.trouble else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="sotto_client", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("room")
    parser.add_argument("--keep", default=":memory:", metavar="FILE")
    parser.add_argument("--count", type=int, default=0, help="stop after so many messages")
    options = parser.parse_args()
    token = os.environ.get("SOTTO_TOKEN", "")
    if not token:
        parser.error("SOTTO_TOKEN is not set")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(watch(options.url, options.room, options.keep, token, options.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
