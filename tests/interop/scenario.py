"""What every client must show, said once: media arrives, layers follow, data passes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from tests.interop.peer import Peer, Stats, track
from tests.interop.servers import Server


async def join(server: Server, room: str, peer: Peer, **args: Any) -> Any:
    grants = args.pop("grants", {})
    token = server.token(room, peer.name, **grants)
    joined = await peer.do("join", url=server.url, token=token, **args)
    if "echo" in (await peer.do("commands"))["names"]:
        await peer.do("echo")
    return joined


async def join_all(server: Server, room: str, peers: Iterable[Peer], **args: Any) -> None:
    everybody = list(peers)
    await asyncio.gather(*(join(server, room, peer, **args) for peer in everybody))
    for peer in everybody:
        others = {p.name for p in everybody if p is not peer}
        await peer.until(partial(_present, others), 10, f"{others} present")


async def hears_and_sees(
    peer: Peer, video: bool = True, audio: bool = True, within: float = 20
) -> Stats:
    """A second of audio and of video, decoded where the client decodes."""

    def enough(stats: Stats) -> bool:
        heard, seen = track(stats, "audio"), track(stats, "video")
        return (not audio or heard["packets"] > 40) and (not video or seen["frames"] > 10)

    return await peer.until(enough, within, "audio and video")


async def layers_in_turn(peer: Peer, widths: Sequence[int]) -> None:
    """Ask for each quality; the received width must become that layer's."""
    stats = await peer.until(lambda s: track(s, "video")["frames"] > 5, 20, "video")
    sid = track(stats, "video")["sid"]
    for quality in (0, 2, 1, 0, 2):
        await peer.do("quality", sid=sid, quality=quality)
        wanted = widths[quality]
        await peer.until(partial(_is_wide, wanted), 15, f"width {wanted}")


async def data_both_kinds(one: Peer, two: Peer) -> None:
    """Reliable in order and complete; lossy mostly there on a quiet path; both ways."""
    for sender, receiver in ((one, two), (two, one)):
        for number in range(20):
            await sender.do("send", data=f"r{number}", reliable=True, topic="t")
            await sender.do("send", data=f"l{number}", reliable=False, topic="t")
        wanted = [f"r{n}" for n in range(20)]

        def arrived(stats: Stats, who: str = sender.name, wanted: list[str] = wanted) -> bool:
            data = [i["data"] for i in stats["inbox"] if i["kind"] == "data" and i["from"] == who]
            reliable = [d for d in data if d.startswith("r")]
            lossy = [d for d in data if d.startswith("l")]
            return reliable == wanted and len(lossy) >= 15

        await receiver.until(arrived, 10, f"data of {sender.name}")


async def streams_and_rpc(one: Peer, two: Peer) -> None:
    for sender, receiver in ((one, two), (two, one)):
        answer = await sender.do("rpc", to=receiver.name, payload="p" * 2000)
        assert answer["payload"] == "echo:" + "p" * 2000
        await sender.do("text", data="words " * 8000)
        await sender.do("bytes", data="b" * 100_000)
        await receiver.until(
            partial(_has_streams, sender.name),
            15,
            "byte and text streams",
        )


def _present(wanted: set[str], stats: Stats) -> bool:
    return wanted <= set(stats["participants"])


def _is_wide(wanted: int, stats: Stats) -> bool:
    return abs(int(track(stats, "video")["width"]) - wanted) <= 16


def _has_streams(who: str, stats: Stats) -> bool:
    return _has(stats, who, "text", 48_000) and _has(stats, who, "bytes", 100_000)


def _has(stats: Stats, who: str, kind: str, length: int) -> bool:
    return any(
        i["kind"] == kind and i["from"] == who and len(i["data"]) == length for i in stats["inbox"]
    )
