"""What is due at a time, on a real server: a scheduled post is sent, an expired one is erased."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.signaling.delivery.served import house_at, living, must, room


async def test_a_server_sends_what_is_scheduled_and_erases_what_expired(tmp_path: Path) -> None:
    async with living(house_at(tmp_path, {9: ""})) as there:
        where = await room(there)
        at = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
        wish = {"at": at, "message": {"text": "later"}}
        await must(there, "POST", f"/rooms/{where}/scheduled", wish)
        short = {"text": "short", "ttl": 1}
        seq = (await must(there, "POST", f"/rooms/{where}/messages", short))["seq"]
        async with asyncio.timeout(60):
            while True:
                items = (await must(there, "GET", f"/rooms/{where}/messages"))["items"]
                log = await must(there, "GET", f"/rooms/{where}/log?after={seq - 1}&limit=1")
                erased = log["entries"][0]["op"]["type"] == "erased"
                if [one["body"]["text"] for one in items] == ["later"] and erased:
                    return
                await asyncio.sleep(0.2)
