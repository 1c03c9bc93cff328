"""A call where nobody has an IPv4 address but the server's loopback: media over UDP, then TCP."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.interop import clients
from tests.interop.peer import Peer, running
from tests.interop.scenario import join
from tests.interop.servers import Place, serving
from tests.network.netns import Lab, Site, namespace, veth
from tests.network.rig import flowing

pytestmark = pytest.mark.namespaces
SERVER = "2001:db8:ffff::10"  # RFC 3849
# The plain listener is for loopback only, and no kernel translates to ::1 what came from elsewhere.
DOOR = """
import asyncio, sys
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    back, forth = await asyncio.open_connection("127.0.0.1", 7880)
    await asyncio.gather(pipe(reader, forth), pipe(back, writer), return_exceptions=True)
async def main():
    async with await asyncio.start_server(serve, sys.argv[1], 7880) as door:
        print("open", flush=True)
        await door.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def lab(*labels: str) -> Iterator[Lab]:
    """A namespace for each label, wired to the server's by a cable; IPv6 alone."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(namespace("srv"))
        veth(server, "public", server, "public-end")
        server.ip("addr", "add", f"{SERVER}/128", "dev", "public", "nodad")
        sites = {}
        for at, label in enumerate(labels):
            space = stack.enter_context(namespace(label))
            veth(space, "wan", server, f"b{at}")
            address, gateway = f"2001:db8:{at}::2", f"2001:db8:{at}::1"
            space.ip("addr", "add", f"{address}/64", "dev", "wan", "nodad")
            server.ip("addr", "add", f"{gateway}/64", "dev", f"b{at}", "nodad")
            space.ip("-6", "route", "add", "default", "via", gateway)
            space.hosts(server_test=SERVER)
            sites[label] = Site(space, address, gateway, "wan")
        yield Lab(server, sites)


@contextlib.asynccontextmanager
async def door(rig: Lab) -> AsyncIterator[None]:
    words = ["ip", "netns", "exec", rig.server.name, sys.executable, "-c", DOOR, SERVER]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def ways(peer: Peer) -> set[tuple[str, str]]:
    pairs = (await peer.do("transport"))["pairs"]
    return {(pair["protocol"], "v6" if ":" in pair["address"] else "v4") for pair in pairs}


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_media_goes_both_ways_over_ipv6_alone(tmp_path: Path, protocol: str) -> None:
    with lab("alice", "bob") as rig:
        place = Place(SERVER, rig.server.name)
        with serving(tmp_path / "server", place) as server:
            server.http = "http://server.test:7880"
            starting = [clients.start("libwebrtc", tmp_path, rig[n].name, n) for n in rig.sites]
            async with door(rig), running(*starting) as peers:
                for site in rig.sites.values():
                    if protocol == "tcp":
                        site.cut("meta l4proto udp")
                for peer in peers:
                    await join(server, "six", peer)
                for peer in peers:
                    await peer.do("publish", kind="audio")
                    await peer.do("publish", kind="video")
                for peer in peers:
                    await flowing(peer, 40)
                    assert await ways(peer) == {(protocol, "v6")}
