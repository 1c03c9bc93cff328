"""Sync beside Centrifugo and a bare store write: deliveries, acknowledgements, reconnects, memory.

    python -m bench.sync [--seconds 8] [--only load,reconnect,resume,memory]

Sotto is `sotto serve` on its embedded store, each message durable and sealed before it is
acknowledged. Centrifugo (cached by the bench in ~/.cache/sotto) keeps its history in memory. One
load process drives both in the same way, on the same cores; all figures are of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from bench.centrifugo import MEMBERS, ROOMS, Centrifugo
from bench.sync_load import (
    Peer,
    Tally,
    cpu_seconds,
    open_peer,
    paced,
    quantile,
    resident,
    stamp,
)
from signaling.clock import SystemClock
from signaling.ids import SystemEntropy
from signaling.storage.embedded.store import EmbeddedStore
from signaling.storage.port import NewOp
from tests.proofs.server import Api, Installation, client

RATES = (500, 2500)
WS = "Sec-WebSocket-Protocol: sotto.1\r\nAuthorization: Bearer {}\r\n"
SETTINGS = {
    "sync.sockets_per_account": "100000",
    "sync.messages_per_second": "100000",
    "sync.messages_burst": "100000",
    "api.rate_factor": "1000",
}


# Sotto


class Sotto:
    """One server with `MEMBERS` people in `ROOMS` rooms."""

    def __init__(self, home: Path) -> None:
        self.there = Installation(home, SETTINGS)
        self.tokens: list[str] = []
        self.rooms: list[str] = []
        self.tally = Tally()
        self.peers: list[Peer] = []

    async def start(self) -> None:
        self.there.start()
        await self.there.ready()
        async with client() as http:
            await self._people(Api(self.there, http))

    async def _people(self, api: Api) -> None:
        owner = await api.owner()
        accounts = []
        for number in range(MEMBERS):
            made = await api.invited(owner, f"some.{number:02}", "member")
            self.tokens.append(made["access_token"])
            me = await api.must("GET", "/account", None, made["access_token"])
            accounts.append(me["id"])
        for number in range(ROOMS):
            body = {"kind": "group", "name": f"r{number}", "members": accounts[1:]}
            room = await api.must("POST", "/rooms", body, self.tokens[0])
            self.rooms.append(room["id"])

    @property
    def port(self) -> int:
        return int(self.there.facts["https"])

    def _heard(self, peer: Peer, frame: bytes) -> None:
        if frame.startswith(b'{"type":"download"'):
            self.tally.delivered(frame)
            at = frame.find(b'"upload_client_version":') + 24
            acked = int(frame[at : frame.find(b",", at)])
            sent = peer.data.get("sent", {})
            for version in range(peer.data.get("acked", 0) + 1, acked + 1):
                if version in sent:
                    self.tally.acks.append((time.perf_counter_ns() - sent.pop(version)) / 1e6)
            peer.data["acked"] = acked
            cut = frame.rfind(b',"changes":')
            peer.data["tail"] = frame[:cut] + b"}" if cut > 0 else b"{}"
        for kind, waiting in list(peer.waiting.items()):
            if frame.startswith(b'{"type":"' + kind.encode()):
                del peer.waiting[kind]
                waiting.set_result(frame)
        if frame.startswith(b'{"type":"ping"'):
            peer.send({"type": "pong", "id": json.loads(frame)["id"]})
        elif frame.startswith(b'{"type":"error"'):
            print("error", frame[:200])

    async def open(self, member: int, room: int) -> Peer:
        fields = WS.format(self.tokens[member])
        peer = await open_peer(self.port, "/sync", fields, self._heard)
        named = peer.wait("ident")
        path = f"room:{self.rooms[room]}"
        peer.send({"type": "bind", "session": 1, "path": path, "need_client_file_ident": True})
        given = json.loads(await named)
        await self.identify(peer, given["client_file_ident"], given["client_file_ident_salt"])
        return peer

    async def identify(self, peer: Peer, ident: str, salt: str, **cursors: Any) -> bytes:
        first = peer.wait("download")
        peer.data["file"] = (ident, salt)
        file = {"client_file_ident": ident, "client_file_ident_salt": salt}
        peer.send({"type": "ident", "session": 1, "window": 1, **file, **cursors})
        return await first

    async def fill(self) -> None:
        for room in range(ROOMS):
            made = [self.open(member, room) for member in range(MEMBERS)]
            self.peers += await asyncio.gather(*made)

    def post(self, number: int) -> None:
        peer = self.peers[(number % ROOMS) * MEMBERS]
        version = peer.data["version"] = peer.data.get("version", 0) + 1
        now = int(time.time() * 1000)
        name = str(uuid.UUID(int=now << 80 | 7 << 76 | 2 << 62 | number))
        op = {"type": "post", "id": name, "body": {"format": "m.plain.v1", "text": stamp()}}
        peer.data.setdefault("sent", {})[version] = time.perf_counter_ns()
        change = {"version": version, "clock": now, "op": op}
        peer.send({"type": "upload", "session": 1, "changes": [change]})

    def memory(self) -> int:
        assert self.there.process is not None
        return resident(self.there.process.pid)

    def busy(self) -> float:
        assert self.there.process is not None
        return cpu_seconds(self.there.process.pid)

    async def stop(self) -> None:
        for peer in self.peers:
            if peer.transport is not None:
                peer.transport.abort()
        await self.there.stop()


# What is measured


async def load(site: Sotto | Centrifugo, name: str, seconds: float) -> dict[str, Any]:
    if isinstance(site, Sotto):
        await site.start()
    before = site.memory()
    await site.fill()
    await asyncio.sleep(1)
    found: dict[str, Any] = {"bytes_each": (site.memory() - before) // len(site.peers)}
    for rate in RATES:
        await paced(rate, 1.5, site.post)
        await asyncio.sleep(0.5)
        site.tally.clear()
        begun, busy = time.perf_counter(), site.busy()
        sent = await paced(rate, seconds, site.post)
        took = time.perf_counter() - begun
        await asyncio.sleep(1.5)
        tally = site.tally
        found[str(rate)] = {
            "server_cpu_us_per_message": round((site.busy() - busy) / sent * 1e6),
            "sent_per_s": round(sent / took),
            "acked": len(tally.acks) / sent,
            "deliveries_per_s": round(len(tally.deliveries) / took),
            "ack_p50": round(quantile(tally.acks, 0.5), 2),
            "ack_p99": round(quantile(tally.acks, 0.99), 2),
            "delivery_p50": round(quantile(tally.deliveries, 0.5), 2),
            "delivery_p99": round(quantile(tally.deliveries, 0.99), 2),
        }
        print(json.dumps({name: {str(rate): found[str(rate)]}}), flush=True)
    return found


async def bare(folder: Path, seconds: float) -> dict[str, Any]:
    """Only the store, at the same rates: what an acknowledgement cannot be faster than."""
    (folder / "bare").mkdir()
    store = EmbeddedStore(folder / "bare", SystemClock(), SystemEntropy())
    found: dict[str, Any] = {}
    try:
        for rate in RATES:
            took: list[float] = []
            tasks: list[asyncio.Task[None]] = []

            async def one(number: int, took: list[float] = took, rate: int = rate) -> None:
                begun = time.perf_counter()
                ops = [NewOp(f"i{rate}", number + 1, bytes(300))]
                await store.log.append("app", f"room{number % ROOMS}", ops)
                took.append((time.perf_counter() - begun) * 1e3)

            def send(number: int, tasks: list[asyncio.Task[None]] = tasks) -> None:
                tasks.append(asyncio.ensure_future(one(number)))

            await paced(rate, seconds, send)
            await asyncio.gather(*tasks)
            found[str(rate)] = {
                "ack_p50": round(quantile(took, 0.5), 2),
                "ack_p99": round(quantile(took, 0.99), 2),
            }
        print(json.dumps({"bare store": found}), flush=True)
    finally:
        await store.close()
    return found


async def reconnect(site: Sotto, count: int) -> dict[str, Any]:
    """`count` sockets at once, while 500 others talk."""
    site.tally.clear()
    begun = time.perf_counter()
    talking = asyncio.create_task(paced(100, 20, site.post))
    made = await asyncio.gather(
        *(site.open(number % MEMBERS, number % ROOMS) for number in range(count)),
        return_exceptions=True,
    )
    took = time.perf_counter() - begun
    back = [peer for peer in made if isinstance(peer, Peer)]
    during = quantile(site.tally.deliveries, 0.99)
    await talking
    for peer in back:
        if peer.transport is not None:
            peer.transport.abort()
    answer = {"clients": count, "back": len(back), "seconds": round(took, 2),
              "others_p99": round(during, 1)}  # fmt: skip
    print(json.dumps({"reconnect": answer}), flush=True)
    return answer


async def resume(site: Sotto, behind: int = 1000) -> dict[str, Any]:
    """One client that missed so many messages of one room."""
    reader = await site.open(1, 0)
    await asyncio.sleep(0.2)
    tail = json.loads(reader.data["tail"])
    assert reader.transport is not None
    reader.transport.abort()
    writer = site.peers[0]
    for number in range(behind):
        site.post(number * ROOMS)
        if number % 50 == 49:
            await asyncio.sleep(0.05)
    while writer.data["acked"] < writer.data["version"]:  # noqa: ASYNC110 - a bench
        await asyncio.sleep(0.05)
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        again = await open_peer(site.port, "/sync", WS.format(site.tokens[1]), site._heard)
        again.send({"type": "bind", "session": 1, "path": f"room:{site.rooms[0]}"})
        marked = again.wait("mark")

        first = site.identify(
            again, *reader.data["file"], download_server_version=tail["to"], chain=tail["chain"]
        )
        await first
        again.send({"type": "mark", "session": 1, "request": 1})
        await marked
        took.append((time.perf_counter() - begun) * 1e3)
        assert again.transport is not None
        again.transport.abort()
    answer = {"behind": behind, "ms": [round(value, 1) for value in took]}
    print(json.dumps({"resume": answer}), flush=True)
    return answer


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--only", default="bare,centrifugo,load,reconnect,resume")
    wanted = parser.parse_args()
    only = wanted.only.split(",")
    with tempfile.TemporaryDirectory(prefix="sotto-bench-") as name:
        folder = Path(name)
        if "bare" in only:
            await bare(folder, wanted.seconds)
        if "centrifugo" in only:
            peer = Centrifugo(folder / "centrifugo")
            try:
                await peer.start()
                print(json.dumps({"centrifugo": await load(peer, "centrifugo", wanted.seconds)}))
            except subprocess.CalledProcessError:
                print("centrifugo: the Go proxy does not give the module; not measured")
            finally:
                await peer.stop()
        site = Sotto(folder / "sotto")
        try:
            print(json.dumps({"sotto": await load(site, "sotto", wanted.seconds)}))
            if "reconnect" in only:
                await reconnect(site, wanted.clients)
            if "resume" in only:
                await resume(site)
        finally:
            await site.stop()


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
