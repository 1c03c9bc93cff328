"""Promise B24: every refusal takes the same time, whatever was wrong."""

from __future__ import annotations

from pathlib import Path

from signaling.bus.local import LocalBus
from tests.signaling.access.quickest import Ask, apart
from tests.signaling.access.rig import Process, ground, serving
from tests.signaling.storage.places import EmbeddedPlace

# In milliseconds. What a remote observer could tell apart is more.
APART = 1.5


async def test_b24_refusals_take_the_same_time(tmp_path: Path) -> None:
    async with ground(EmbeddedPlace(tmp_path / "store"), tmp_path) as base:
        process = Process(base, LocalBus(base.clock))
        async with serving(process) as client:
            room = {"resources": {"channels": {"room": 3}}}
            expired = await client.granted(room, 1)
            base.clock.advance(60)
            good = await client.granted({**room, "uuid": "ada"})
            revoked = await client.granted(room)
            await client.signed("DELETE", f"/grant/{revoked}")
            many = {f"room-{i}-[a-z]*": 3 for i in range(500)}
            patterned = await client.granted({"patterns": {"channels": many}})

            def asking(token: str | None, name: str = "room") -> Ask:
                async def ask() -> None:
                    assert (await client.check(token, "publish", channels=[name])).status == 403

                return ask

            cases: dict[str, Ask] = {
                "missing": asking(None),
                "garbage": asking("am_garbage"),
                "truncated": asking(good[:-1]),
                "bad tag": asking(good[:-1] + ("A" if good[-1] != "A" else "B")),
                "unknown": asking("am_" + "A" * 64),
                "expired": asking(expired),
                "revoked": asking(revoked),
                "wrong uuid": asking(good),
                "not granted": asking(patterned, "elsewhere"),
            }
            assert not await apart(cases, APART)
