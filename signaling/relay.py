"""From the configuration to the TURN relay: what coturn is told, and what each participant is told.

Pure apart from the clock it is given. Driven by `app` and by `sotto turn`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signaling.config import Config
from signaling.rtc.services import IceServer
from turn import credentials
from turn.coturn import Relay


def offered(config: Config) -> bool:
    return bool(config.turn.host and config.turn.secret is not None)


def relay_from(config: Config, advertised: Sequence[str], own: Sequence[str]) -> Relay:
    """`advertised` are the media server's addresses: the only special ones that may be reached."""
    turn = config.turn
    secrets = [s.reveal() for s in (turn.secret, turn.previous_secret) if s is not None]
    if not secrets:
        raise ValueError("turn.secret is not set")
    tls = bool(turn.certificate or config.tls.certificate)
    return Relay(
        realm=turn.host or "sotto",
        secrets=tuple(secrets),
        port=turn.port,
        tls_port=turn.tls_port if tls else 0,
        certificate=turn.certificate or config.tls.certificate,
        key=turn.key or config.tls.key,
        listen=turn.listen,
        relay_address=turn.relay_address or _relay_address(own),
        external_address=turn.external_address,
        allowed_peers=turn.allowed_peers or _allowed(advertised),
        own_addresses=tuple(_ipv4(own)),
        min_port=turn.min_relay_port,
        max_port=turn.max_relay_port,
        user_quota=turn.user_quota,
        total_quota=turn.total_quota,
        max_bps=turn.max_bps,
    )


def _ipv4(addresses: Sequence[str]) -> list[str]:
    return [address for address in addresses if ":" not in address]


def _allowed(advertised: Sequence[str]) -> tuple[str, ...]:
    """Loopback only when there is nothing else: every service of this machine listens there."""
    addresses = tuple(dict.fromkeys(_ipv4(advertised)))
    return tuple(a for a in addresses if not a.startswith("127.")) or addresses


def _relay_address(own: Sequence[str]) -> str:
    candidates = _ipv4(own)
    return candidates[0] if candidates else "127.0.0.1"


def ice_servers(
    config: Config, clock: Callable[[], float], up: Callable[[], bool] = lambda: True
) -> Callable[[str], Sequence[IceServer]]:
    """For each participant a credential of its own. Nothing while the relay is known to be down."""
    turn = config.turn
    urls = credentials.urls(turn.host, turn.port, turn.tls_port)

    def for_participant(name: str) -> Sequence[IceServer]:
        if turn.secret is None or not turn.host or not up():
            return ()
        made = credentials.issue(turn.secret.reveal(), name, clock(), turn.ttl_seconds)
        return (IceServer(urls, made.username, made.password),)

    return for_participant
