"""Rules between keys that types cannot say.

What production refuses, and addresses. Pure; driven by the commands.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator

from signaling.config.key_store import check_key_store
from signaling.config.kms_rules import check_audit, check_kms
from signaling.config.mirror import check_mirror
from signaling.config.push import check_push
from signaling.config.store_rules import check_bus, check_store
from signaling.config.tree import DEV_KEY, DEV_SECRET, Config
from signaling.errors import ConfigError
from signaling.secret import Secret

# HS256 keys shorter than the hash are weaker than the hash (RFC 7518 section 3.2).
MIN_SECRET = 32
POSITIVE = ("signaling_limits", "signaling_times", "media_limits")
"""Sections whose every key is more than 0: nothing there means "none"."""
# Beyond these a bound says nothing, or does not fit where it is kept; below, nobody can call. A
# quarter of a second at the least repair rate is two packets.
RANGES = {
    "media_limits.packets_per_second": (50, 1_000_000),
    "media_limits.dtls_per_second": (20, 1_000_000),
    "media_limits.keyframe_interval_ms": (1, 60_000),
    "media_limits.keyframes_per_second": (1, 1_000),
    "media_limits.repair_percent": (1, 100),
    "media_limits.repair_bitrate": (100_000, 1_000_000_000),
    "media_limits.tcp_connections": (1, 1_000_000),
    "media_limits.tcp_connections_per_address": (1, 1_000_000),
    "media_limits.sdp_sections": (2, 10_000),
    "media_limits.subscriptions": (1, 100_000),
}


def parse_address(text: str, path: str) -> tuple[str, int]:
    """`127.0.0.1:80`, `[::1]:80`, `localhost:80` -> (host, port)."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(path, f"{text!r} is not ADDRESS:PORT")
    return host, int(port)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_production(config: Config) -> list[ConfigError]:
    """Everything `sotto serve` refuses, all at once so that it is mended in one go."""
    return [
        *_keys(config),
        *_listeners(config),
        *_turn(config),
        *_webhooks(config),
        *_acme(config),
        *check_store(config.store, production=True),
        *check_bus(config.bus),
        *check_kms(config),
        *check_audit(config),
        *check_push(config.push),
        *check_mirror(config.mirror, config.store, production=True),
        *check_key_store(config.key_store, config.store, config.mirror, production=True),
    ]


def check_any(config: Config) -> list[ConfigError]:
    """What holds for `sotto dev` as well."""
    return [
        *_plain(config),
        *_ranges(config),
        *_bounds(config),
        *check_store(config.store, production=False),
        *check_bus(config.bus),
        *check_kms(config),
        *check_audit(config),
        *check_push(config.push),
        *check_mirror(config.mirror, config.store, production=False),
        *check_key_store(config.key_store, config.store, config.mirror, production=False),
    ]


def _keys(config: Config) -> Iterator[ConfigError]:
    if not config.keys:
        yield ConfigError(
            "keys", "at least one API key is needed; `sotto token --new-key` makes one"
        )
    for name, secret in config.keys.items():
        path = f"keys.{name}"
        if name == DEV_KEY or secret.matches(DEV_SECRET):
            yield ConfigError(path, "this is the development key, which everybody knows")
        elif len(secret) < MIN_SECRET:
            yield ConfigError(
                path, f"the secret has {len(secret)} characters; it needs {MIN_SECRET}"
            )


def _listeners(config: Config) -> Iterator[ConfigError]:
    for address in config.http.listen:
        yield from _parses(address, "http.listen")
    if not config.http.listen and not config.http.plain:
        yield ConfigError("http.listen", "nothing would listen")
    files = config.tls.certificate and config.tls.key
    if config.http.listen and not config.acme.directory and not files:
        yield ConfigError("tls.certificate", "https needs tls.certificate and tls.key")
    yield from _plain(config)
    if config.operator.listen:
        yield from _parses(config.operator.listen, "operator.listen")
    yield from _ranges(config)
    yield from _bounds(config)


def _acme(config: Config) -> Iterator[ConfigError]:
    acme = config.acme
    if not acme.directory:
        return
    if not acme.directory.startswith("https://"):
        yield ConfigError("acme.directory", "is not https")
    if not acme.domains:
        yield ConfigError("acme.domains", "names no host")
    if not acme.agree_terms:
        yield ConfigError(
            "acme.agree_terms", "read the authority's terms of service, then say true"
        )
    if acme.challenge == "http-01" and not acme.http_listen:
        yield ConfigError("acme.http_listen", "http-01 needs a listener at port 80")
    for address in acme.http_listen:
        yield from _parses(address, "acme.http_listen")


def _plain(config: Config) -> Iterator[ConfigError]:
    for address in config.http.plain:
        problems = list(_parses(address, "http.plain"))
        yield from problems
        if not problems and not is_loopback(parse_address(address, "http.plain")[0]):
            yield ConfigError(
                "http.plain", f"{address} is not loopback; only https may leave this machine"
            )


def _ranges(config: Config) -> Iterator[ConfigError]:
    if config.turn.min_relay_port > config.turn.max_relay_port:
        yield ConfigError("turn.min_relay_port", "is above turn.max_relay_port")
    for path, addresses in (
        ("media.bind", config.media.bind),
        ("media.advertise", config.media.advertise),
    ):
        for address in addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield ConfigError(path, f"{address!r} is not an IP address")


def _bounds(config: Config) -> Iterator[ConfigError]:
    """A bound of 0 would not mean "none": it would refuse everything."""
    for section in POSITIVE:
        table = getattr(config, section)
        for field in dataclasses.fields(table):
            if getattr(table, field.name) <= 0:
                yield ConfigError(f"{section}.{field.name}", "must be more than 0")
    for path, (least, most) in RANGES.items():
        section, _, name = path.partition(".")
        value = getattr(getattr(config, section), name)
        if value > 0 and not least <= value <= most:
            yield ConfigError(path, f"must be from {least} to {most}")
    media = config.media_limits
    if media.tracks >= media.sdp_sections:
        yield ConfigError(
            "media_limits.tracks", "each needs a section: must be below media_limits.sdp_sections"
        )


def _parses(address: str, path: str) -> Iterator[ConfigError]:
    try:
        parse_address(address, path)
    except ConfigError as error:
        yield error


def _turn(config: Config) -> Iterator[ConfigError]:
    turn = config.turn
    if turn.host and turn.secret is None:
        yield ConfigError("turn.secret", "turn.host is set, so credentials need a secret")
    if turn.supervise and not turn.host:
        yield ConfigError("turn.host", "turn.supervise needs the host name that clients are told")
    for path, secret in (
        ("turn.secret", turn.secret),
        ("turn.previous_secret", turn.previous_secret),
    ):
        if isinstance(secret, Secret) and len(secret) < MIN_SECRET:
            yield ConfigError(path, f"has {len(secret)} characters; it needs {MIN_SECRET}")


def _webhooks(config: Config) -> Iterator[ConfigError]:
    if config.webhooks.key and config.webhooks.key not in config.keys:
        yield ConfigError("webhooks.key", "is not the name of an API key")
    for url in config.webhooks.urls:
        if not url.startswith("https://"):
            yield ConfigError("webhooks.urls", f"{url} is not https")
