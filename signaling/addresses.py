"""This machine's own addresses, read from the kernel; nothing is sent. Driven by `sotto dev`."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCGIFADDR = 0x8915  # linux/sockios.h
_NAME_BYTES = 16
# Bridges of containers and virtual machines: no phone is behind them.
_VIRTUAL = ("docker", "br-", "veth", "virbr", "podman", "cni")


def lan_addresses() -> list[str]:
    """IPv4 addresses that a phone on the same network could reach, most likely first."""
    found: list[tuple[bool, str]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[: _NAME_BYTES - 1])
            try:
                answer = fcntl.ioctl(sock.fileno(), SIOCGIFADDR, request)
            except OSError:
                continue  # an interface without an IPv4 address
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith(("127.", "169.254.")):
                found.append((name.startswith(_VIRTUAL), address))
    return [address for _, address in sorted(found, key=lambda item: item[0])]
