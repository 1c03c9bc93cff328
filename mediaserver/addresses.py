"""Which addresses clients are told to send media to: explicit, detected, or refused with a reason.

Never wrong in silence: an explicit address must be a literal that can be reached, and detection
that finds nothing raises. Loopback alone is told only when asked for (development), and then a
non-loopback address beside it when there is one, since Firefox pairs no loopback candidates.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from mediaserver.api import IceCandidate, MediaConfig
from mediaserver.errors import ClientError, Code

# Nothing is sent there: connecting a UDP socket only asks the kernel for a route.
_PROBES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def detect() -> list[str]:
    """The source addresses of the default routes, then those of the host's own name."""
    found: list[str] = []
    for family, destination in _PROBES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((destination, 9))
                found.append(probe.getsockname()[0])
        except OSError:
            continue
    try:
        infos = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_DGRAM)
    except OSError:
        infos = []
    found += [str(info[4][0]) for info in infos]
    return list(dict.fromkeys(found))


def bindable(addresses: Sequence[str]) -> tuple[str, ...]:
    """Without the IPv6 wildcard where the kernel has no IPv6; any other address must bind."""
    if "::" not in addresses or len(addresses) == 1:
        return tuple(addresses)
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("::", 0))
    except OSError:
        return tuple(a for a in addresses if a != "::")
    return tuple(addresses)


def advertised(
    config: MediaConfig, detector: Callable[[], Iterable[str]] = detect
) -> tuple[str, ...]:
    """Raises ClientError (the operator's configuration is wrong) with the reason."""
    bound = [ipaddress.ip_address(a) for a in config.bind]
    if config.advertise:
        return tuple(_explicit(a, config.advertise_loopback) for a in config.advertise)
    result: list[str] = []
    if config.advertise_loopback:
        result += [a for a in ("127.0.0.1", "::1") if _reaches(a, bound)]
        result = result[:1] if "127.0.0.1" in result else result
    result += [a for a in detector() if _usable(a) and _reaches(a, bound)]
    if not result:
        raise ClientError(
            Code.ADDRESS_MISSING,
            500,
            "no address to advertise was found on the interfaces that media is bound to; "
            "set the advertised addresses explicitly",
        )
    return tuple(dict.fromkeys(result))


def _explicit(address: str, loopback: bool) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ClientError(
            Code.ADDRESS_MISSING, 500, f"advertised address {address} is not an IP address"
        ) from None
    wrong = parsed.is_unspecified or parsed.is_multicast or (parsed.is_loopback and not loopback)
    if wrong:
        raise ClientError(
            Code.ADDRESS_MISSING, 500, f"advertised address {address} cannot be reached by clients"
        )
    return str(parsed)


def _usable(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not (
        parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local or parsed.is_multicast
    )


def _reaches(address: str, bound: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    """Whether a socket bound as configured receives what is sent to this address."""
    parsed = ipaddress.ip_address(address)
    return any(b == parsed or (b.is_unspecified and b.version == parsed.version) for b in bound)


def candidates(
    addresses: Sequence[str], udp_port: int, tcp_port: int | None
) -> tuple[IceCandidate, ...]:
    """UDP of every address first, then TCP."""
    result = [IceCandidate("udp", address, udp_port) for address in addresses]
    if tcp_port is not None:
        result += [IceCandidate("tcp", address, tcp_port) for address in addresses]
    return tuple(result)
