"""How Redis is reached. Certificate and host name are always checked; the driver never retries.

Its defaults would wait for seconds in an outage, and raise above a hundred calls at once.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from signaling.config.store import Bus as Settings
from signaling.errors import ConfigError

PORT = 6379
# Calls at once on one connection each; more wait for their turn.
CONNECTIONS = 32


def arguments(settings: Settings) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """The kind of connection and what it is made with."""
    parts = urlsplit(settings.url)
    seconds = settings.timeout_seconds
    found: dict[str, Any] = {
        "socket_timeout": seconds,
        # A TLS handshake and a sign-in are several trips.
        "socket_connect_timeout": max(2.0, seconds),
        "retry": Retry(NoBackoff(), 0),
        "username": settings.user or None,
        "password": settings.password.reveal() if settings.password is not None else None,
        "client_name": "sotto",
        "driver_info": None,
    }
    if parts.scheme == "unix":
        return UnixDomainSocketConnection, {**found, "path": unquote(parts.path)}
    found |= {
        "host": parts.hostname or "localhost",
        "port": parts.port or PORT,
        "db": _database(parts.path),
    }
    if parts.scheme != "rediss":
        return Connection, found
    found["context"] = tls_context(settings)
    if settings.sentinels:
        return LedConnection, found | {"sentinels": settings.sentinels, "leader": settings.leader}
    return TlsConnection, found


class TlsConnection(SSLConnection):
    """With one context for all: the driver would make one for each connection, 100 ms of CPU, and
    trust the system's authorities beside ours."""

    def __init__(self, *, context: ssl.SSLContext, **more: Any) -> None:
        super().__init__(**more)
        self.ssl_context.context = context


class LedConnection(TlsConnection):
    """To whoever leads now: sentinels are asked each time, so a connection that broke when its
    server fell comes back to the server that took over. Who was asked may be behind the others, so
    the server itself must say that it leads.
    """

    def __init__(self, *, sentinels: Sequence[str], leader: str, **more: Any) -> None:
        super().__init__(**more)
        self._sentinels = sentinels
        self._leader = leader
        self._more = more

    async def connect(self) -> None:
        if self.is_connected:
            return
        await super().connect()  # type: ignore[no-untyped-call]
        role = await _said(self, "ROLE")
        if not role or _text(role[0]) != "master":
            await self.disconnect(nowait=True)
            raise Lost("the server that the sentinels name does not lead")

    async def _connect(self) -> None:
        # The driver comes here from `connect` and from commands on a connection that broke.
        self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _find(self) -> tuple[str, int]:
        for place in self._sentinels:
            host, _, port = place.rpartition(":")
            known = {**self._more, "host": host.strip("[]"), "port": int(port), "db": 0}
            sentinel = TlsConnection(**known)
            try:
                await sentinel.connect()  # type: ignore[no-untyped-call]
                found = await _said(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._leader)
            except (RedisError, OSError, TimeoutError):
                continue
            finally:
                await sentinel.disconnect(nowait=True)
            if found:
                return _text(found[0]), int(_text(found[1]))
        raise Lost("no sentinel says who leads")


async def _said(connection: AbstractConnection, *words: str) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _database(path: str) -> int:
    text = path.strip("/")
    if text and not text.isdecimal():
        raise ConfigError("bus.url", f"{text!r} is not the number of a database")
    return int(text or 0)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Trusts `bus.ca` alone if there is one. Raises ConfigError for files that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("bus.ca", f"a certificate file cannot be used: {error}") from error
    return context


def pool(settings: Settings) -> BlockingConnectionPool:
    """For commands."""
    kind, found = arguments(settings)
    return BlockingConnectionPool(
        max_connections=CONNECTIONS,
        timeout=settings.timeout_seconds,
        connection_class=kind,
        protocol=3,
        **found,
    )


def listening(settings: Settings) -> Callable[[], AbstractConnection]:
    """Makes the reader's connections. RESP2: there a message is a plain answer, read in order."""
    kind, found = arguments(settings)
    return lambda: kind(protocol=2, **{**found, "socket_timeout": None})
