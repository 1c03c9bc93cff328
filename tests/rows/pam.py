"""Subscriptions on the sync socket, as the rows of section 1.D ask for them."""

from __future__ import annotations

import asyncio
from typing import Any


async def bind(socket: Any, session: int, token: str | None = None, **more: Any) -> Any:
    """The answer to a subscription on the sync socket; news of who is there are passed over."""
    await socket.send_json({"type": "bind", "session": session, "token": token, **more})
    return await told(socket)


async def told(socket: Any) -> Any:
    async with asyncio.timeout(30):
        while True:
            frame = await socket.receive_json()
            if frame["type"] == "ping":
                await socket.send_json({"type": "pong", "id": frame["id"]})
            elif frame["type"] != "here":
                return frame


def is_error(frame: Any, code: int, session: int, message: str) -> bool:
    return bool(
        frame["type"] == "error"
        and (frame["code"], frame["session"], frame["status"]) == (code, session, 403)
        and frame["body"]["message"] == message
    )
