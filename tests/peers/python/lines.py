"""The peers' side of the driver protocol: one JSON command a line in, one JSON answer a line out.

Standard library only, because the GStreamer peer runs under Debian's own Python.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Handler = Callable[..., Awaitable[Any]]


async def serve(handlers: Mapping[str, Handler]) -> None:
    """Answer every command in a task of its own, until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(_answer(handlers, json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _answer(handlers: Mapping[str, Handler], command: dict[str, Any]) -> None:
    answer: dict[str, Any] = {"id": command["id"]}
    try:
        if command["do"] == "commands":
            result: Any = {"names": sorted(handlers)}
        else:
            result = await handlers[command["do"]](**command.get("args", {}))
        answer["ok"] = {} if result is None else result
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
