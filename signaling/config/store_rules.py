"""What the store's and the bus's addresses may be: never plain or without sign-in off this machine.

Pure; driven by `rules`. A password never stands in a URL: URLs are shown and logged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from signaling.config.mongo import Mongo
from signaling.config.store import Bus
from signaling.errors import ConfigError

MONGODB = ("mongodb", "mongodb+srv")
REDIS = ("redis", "rediss", "unix")
# The first group weakens TLS; the second would undo what the adapter relies on.
WEAKENING = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
FIXED = ("w", "journal", "j", "readpreference", "readconcernlevel", "retrywrites", "retryreads")


def check_store(store: Mongo, *, production: bool, section: str = "store") -> Iterator[ConfigError]:
    """Of every MongoDB that is named: `section` is the table that names it."""
    if store.url in ("", "memory:"):
        if store.url and production:
            yield ConfigError(f"{section}.url", "`memory:` forgets everything at the end")
        return
    parts = urlsplit(store.url)
    if parts.scheme not in MONGODB or not parts.netloc:
        yield ConfigError(f"{section}.url", "is mongodb://, mongodb+srv:// or empty")
        return
    yield from _no_password(parts, section)
    yield from _options(parts, section)
    loopback = all(map(_is_local, mongodb_hosts(parts)))
    tls = mongodb_tls(parts)
    if store.insecure_without_auth:
        if not loopback:
            yield ConfigError(f"{section}.insecure_without_auth", "is for loopback only")
        return
    if not tls and not (store.sidecar and loopback):
        yield ConfigError(
            f"{section}.url", _PLAIN.format("`tls=true` is missing in the URL", section)
        )
    if not _signs_in(parts, store):
        yield ConfigError(
            f"{section}.user", "MongoDB without sign-in is refused: user and password"
        )


_PLAIN = "{}; only a sidecar on loopback (`{}.sidecar`) may be plain"


def mongodb_hosts(parts: SplitResult) -> list[str]:
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return [_host(unquote(host)) for host in hosts]


def same_database(one: Mongo, other: Mongo) -> bool:
    """Of a server that both name; what has no URL lies elsewhere."""
    if not one.url or not other.url or one.database != other.database:
        return False
    hosts, others = (mongodb_hosts(urlsplit(each.url)) for each in (one, other))
    return bool(set(hosts) & set(others))


def mongodb_tls(parts: SplitResult) -> bool:
    """`+srv` implies it unless told otherwise; `ssl` is its old name."""
    options = _query(parts)
    named = options.get("tls", options.get("ssl"))
    return parts.scheme == "mongodb+srv" if named is None else named == "true"


def _query(parts: SplitResult) -> dict[str, str]:
    return {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}


def _options(parts: SplitResult, section: str) -> Iterator[ConfigError]:
    options = _query(parts)
    if ";" in parts.query or len(options) != len(parse_qsl(parts.query, keep_blank_values=True)):
        yield ConfigError(f"{section}.url", "options are separated by `&`, and none comes twice")
    for name in WEAKENING:
        if options.get(name, "false") != "false":
            yield ConfigError(
                f"{section}.url", f"{name}: certificate and host name are always checked"
            )
    for name in FIXED:
        if name in options:
            yield ConfigError(f"{section}.url", f"{name} is decided by the server")


def _signs_in(parts: SplitResult, store: Mongo) -> bool:
    if _query(parts).get("authmechanism", "").upper() == "MONGODB-X509":
        return bool(store.certificate)
    return bool(store.user) and store.password is not None


def check_bus(bus: Bus) -> Iterator[ConfigError]:
    if not bus.url:
        return
    parts = urlsplit(bus.url)
    if parts.scheme not in REDIS:
        yield ConfigError("bus.url", "is rediss://HOST:PORT/DATABASE or empty")
        return
    yield from _no_password(parts, "bus")
    loopback = parts.scheme == "unix" or _is_local(parts.hostname or "")
    if bus.insecure_plaintext:
        if not loopback:
            yield ConfigError("bus.insecure_plaintext", "is for loopback only")
        return
    if parts.scheme != "rediss" and not (bus.sidecar and loopback):
        yield ConfigError("bus.url", _PLAIN.format("only rediss:// is taken", "bus"))
    if parts.query:
        yield ConfigError("bus.url", "takes no options; the keys of `bus` say everything")
    if not bus.user or bus.user == "default" or bus.password is None:
        yield ConfigError("bus.user", "Redis needs an ACL user of its own, and its password")
    if bool(bus.certificate) != bool(bus.key):
        yield ConfigError("bus.certificate", "certificate and key come together")
    if bus.sentinels and parts.scheme != "rediss":
        yield ConfigError("bus.sentinels", "are asked over TLS: the URL is rediss://")
    for text in bus.sentinels:
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            yield ConfigError("bus.sentinels", f"{text!r} is not HOST:PORT")


def _no_password(parts: SplitResult, section: str) -> Iterator[ConfigError]:
    if "@" in parts.netloc:
        yield ConfigError(
            f"{section}.url",
            f"name and password belong in `{section}.user` and `{section}.password`",
        )


def _host(text: str) -> str:
    """Without the port: `[::1]:27017`, `db.example:27017`, `/run/mongodb.sock`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.startswith("/") else text.partition(":")[0]


def _is_local(host: str) -> bool:
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
