"""ASVS 17.1.1: no request of any kind opens a way to a special address, of either family.

A real coturn with the rendered configuration is asked CreatePermission, ChannelBind and Connect.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.turn.probe import IPV6, TCP, UDP, Probe
from tests.turn.relays import SPECIAL, SPECIAL_IPV6, relay, running, server
from turn.check import connect
from turn.coturn import SAFE_IPV6, Program, find

FORBIDDEN = 403
OTHER_FAMILY = 443  # RFC 8656 section 7.2: the peer is not of the relayed address's family
NO_SUCH_FAMILY = 440
NO_SUCH_TRANSPORT = 442
GRANTED = 0
PUBLIC_IPV6 = "2001:db8::7"  # special too, but named in `turn.allowed_peers`


async def asked(probe: Probe, address: str) -> dict[str, int]:
    peer = (address, 9)
    return {
        "CreatePermission": await probe.permit(peer),
        "ChannelBind": await probe.bind(peer),
        "Connect": await probe.connect(peer),
    }


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_relay_of_ipv4_reaches_no_special_address(tmp_path: Path, transport: str) -> None:
    """The configuration that every coturn gets; TCP peers are refused whoever they are."""
    made = relay()
    async with running(tmp_path, made), connect("127.0.0.1", made.port, transport) as wire:
        probe = Probe(wire, server(made, transport))
        assert await probe.allocate() == GRANTED
        for address in SPECIAL:
            codes = await asked(probe, address)
            assert set(codes.values()) == {FORBIDDEN}, (address, codes)
        for address in SPECIAL_IPV6:
            codes = await asked(probe, address)
            assert set(codes.values()) <= {FORBIDDEN, OTHER_FAMILY}, (address, codes)
        codes = await asked(probe, "127.0.0.1")
        wanted = {"CreatePermission": GRANTED, "ChannelBind": GRANTED, "Connect": FORBIDDEN}
        assert codes == wanted, "the media server itself"


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_a_relay_of_ipv6_reaches_no_special_address(tmp_path: Path, host: str) -> None:
    """What a coturn from 4.18 on gets; this machine's may be older, then `render` is told not so.

    Its deny list is the same. The fault of the old ones, which their distributions may have mended,
    is why `render` refuses an IPv6 relay for them (`test_an_old_coturn_gets_no_ipv6_relay`).
    """
    made = relay(listen=("127.0.0.1", "::1"), relay_address="::1", allowed_peers=(PUBLIC_IPV6,))
    program = Program(find().path, SAFE_IPV6)
    async with running(tmp_path, made, program), connect(host, made.port, "udp") as wire:
        probe = Probe(wire, server(made))
        assert await probe.allocate(UDP, IPV6) == GRANTED
        for address in SPECIAL_IPV6:
            codes = await asked(probe, address)
            assert set(codes.values()) == {FORBIDDEN}, (address, codes)
        for address in SPECIAL:
            codes = await asked(probe, address)
            assert set(codes.values()) <= {FORBIDDEN, OTHER_FAMILY}, (address, codes)
        codes = await asked(probe, PUBLIC_IPV6)
        wanted = {"CreatePermission": GRANTED, "ChannelBind": GRANTED, "Connect": FORBIDDEN}
        assert codes == wanted, "the media server itself"


async def test_neither_tcp_nor_an_unasked_family_is_relayed(tmp_path: Path) -> None:
    made = relay()
    async with running(tmp_path, made):
        for transport in ("udp", "tcp"):
            async with connect("127.0.0.1", made.port, transport) as wire:
                probe = Probe(wire, server(made, transport))
                assert await probe.allocate(TCP) in {NO_SUCH_TRANSPORT, 400}
                assert await probe.connect(("127.0.0.1", 9)) != GRANTED
                assert await probe.allocate(UDP, IPV6) == NO_SUCH_FAMILY
                assert await probe.allocate() == GRANTED, "the same client may relay UDP"
