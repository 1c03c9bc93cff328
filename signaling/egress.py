"""Every call of this server to an address that somebody else chose, guarded where it connects.

Private and special addresses are refused by the address of the socket itself: neither a name that
resolves otherwise the second time, nor a redirect, nor an odd spelling gets through. What the
operator lists in `egress.allow` is reached on that port only, with that CA only. No cookies, no
proxy, no compression; bounded in time, size and redirects. For sign-in providers, webhooks, push.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from msgspec import Struct
from yarl import URL

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Beyond what Python calls not global: ranges that carry another address inside them (RFC 6052,
# RFC 8215, RFC 3056, RFC 4380), old site-local ones (RFC 3879) and what only routers answer.
CARRIERS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "fec0::/10", "::/96",
        "192.88.99.0/24", "192.0.0.0/24", "100.64.0.0/10", "240.0.0.0/4", "0.0.0.0/8",
        "5f00::/16", "100::/64", "3fff::/20",
    )
)  # fmt: skip
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# The redirects that keep method and body (RFC 9110 sections 15.4.8 and 15.4.9).
REDIRECTS_KEEPING = frozenset({307, 308})
# What proves who sends: another origin could show it to the first one as its own.
CROSS_ORIGIN_DROPS = frozenset(
    {
        "authorization", "cookie", "dpop",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }
)  # fmt: skip
CONNECTIONS = 20


class EgressRefused(Exception):  # noqa: N818 - names what happened
    """The address, scheme or answer is not allowed; the message is for the log."""


class EgressFailed(Exception):  # noqa: N818 - names what happened
    """The other side could not be reached or did not answer in time."""


class Allow(Struct, frozen=True):
    """An exception of the operator: this network on this port, trusted by this CA."""

    network: IpNetwork
    port: int
    ca_file: str = ""

    def covers(self, address: IpAddress, port: int) -> bool:
        return port == self.port and _plain(address) in self.network


class Answer(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    url: str


class Place(Struct, frozen=True):
    """An address that was looked up and may be called, and the name that it must prove."""

    address: str
    port: int
    name: str
    context: ssl.SSLContext


def is_public(address: IpAddress) -> bool:
    """May anybody on the Internet be meant by it? An IPv4 address inside IPv6 counts as itself."""
    plain = _plain(address)
    if any(plain.version == net.version and plain in net for net in CARRIERS):
        return False
    return plain.is_global and not plain.is_multicast


def _plain(address: IpAddress) -> IpAddress:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class _Way:
    """Connections under one rule: to the public, or to one exception of the operator."""

    def __init__(self, allow: Allow | None, resolver: AbstractResolver | None) -> None:
        self._allow = allow
        self.context = context = self.tls()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context,
                resolver=resolver,
                socket_factory=self._socket,
                limit=CONNECTIONS,
                ttl_dns_cache=10,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    def tls(self) -> ssl.SSLContext:
        """A new one: who speaks something else than HTTP/1.1 needs one of its own."""
        ca_file = self._allow.ca_file if self._allow is not None else ""
        context = ssl.create_default_context(cafile=ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def admits(self, address: IpAddress, port: int) -> bool:
        if self._allow is not None:
            return self._allow.covers(address, port)
        return is_public(address)

    def _socket(self, info: tuple[Any, Any, Any, Any, Any]) -> socket.socket:
        """Called with the very address that is connected to next."""
        family, kind, protocol, _, place = info
        if not self.admits(ipaddress.ip_address(str(place[0]).partition("%")[0]), place[1]):
            raise PermissionError(f"{place[0]} port {place[1]} is not to be called")
        return socket.socket(family=family, type=kind, proto=protocol)


class Egress:
    """Owned by the composition root. Made inside a running loop; `close` it."""

    def __init__(
        self, allow: Sequence[Allow] = (), resolver: AbstractResolver | None = None
    ) -> None:
        self._own = resolver if resolver is not None else aiohttp.ThreadedResolver()
        self._ways = [*(_Way(one, resolver) for one in allow), _Way(None, resolver)]

    async def close(self) -> None:
        for way in self._ways:
            await way.session.close()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most: int = 1_048_576,
        seconds: float = 10.0,
        redirects: int = 0,
    ) -> Answer:
        """One exchange. Raises EgressRefused, EgressFailed; `most` bounds the answer's body, and
        `seconds` all of it. Up to `redirects` are followed: never from https to http, nor from the
        public to an exception of the operator; what has a body only where method and body stay.
        """
        fields = {"Accept-Encoding": "identity", **(headers or {})}
        try:
            async with asyncio.timeout(seconds):
                where = _checked(url)
                way = await self._way(where)
                for _ in range(redirects + 1):
                    answer = await self._once(way, method, where, fields, body, most)
                    moved = answer.status in REDIRECTS and "location" in answer.headers
                    if not redirects or not moved:
                        return answer
                    there, way = await self._onward(method, where, way, answer)
                    if there.origin() != where.origin():
                        fields = {
                            name: value
                            for name, value in fields.items()
                            if name.lower() not in CROSS_ORIGIN_DROPS
                        }
                    where = there
                raise EgressRefused("too many redirects")
        except TimeoutError:
            raise EgressFailed(f"no answer within {seconds} s") from None

    async def _onward(self, method: str, where: URL, way: _Way, answer: Answer) -> tuple[URL, _Way]:
        """Where a redirect leads. Raises EgressRefused, EgressFailed."""
        try:
            if method not in ("GET", "HEAD") and answer.status not in REDIRECTS_KEEPING:
                raise EgressRefused("what has a body moves on by 307 and 308 only")
            there = _checked(str(where.join(_parsed(answer.headers["location"]))))
            if where.scheme == "https" and there.scheme != "https":
                raise EgressRefused("from https to http")
            onward = await self._way(there)
            if way is self._ways[-1] and onward is not way:
                raise EgressRefused("from the public to what egress.allow names")
        except EgressRefused as error:
            raise EgressRefused(f"a redirect ({answer.status}): {error}") from error
        return there, onward

    async def place(self, host: str, port: int, *, plain: bool = False) -> Place:
        """Where to connect for what is no HTTP: an address that may be called, looked up now, and
        what its certificate is checked with. Raises EgressRefused, EgressFailed.
        """
        name = f"[{host}]" if ":" in host and not host.startswith("[") else host
        where = _checked(f"https://{name}:{port}")
        addresses = await self._addresses(where, port)
        for way in self._ways:
            if plain and way is self._ways[-1]:
                raise EgressRefused("without TLS only where egress.allow says so")
            for address in addresses:
                if way.admits(address, port):
                    return Place(str(address), port, where.host or host, way.context)
        raise EgressRefused("the address is private or special")

    async def check(self, url: str) -> None:
        """Raises EgressRefused for what `fetch` would refuse now. A name that means nothing yet is
        looked at when it is called.
        """
        where = _checked(url)
        try:
            await self._way(where)
        except EgressFailed:
            if where.scheme == "http":
                raise EgressRefused("plain http is for what egress.allow names") from None

    async def connect(
        self, url: str, *, alpn: Sequence[str] = (), seconds: float = 10.0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection under the same rules, for protocols that keep theirs open. Raises
        EgressRefused, EgressFailed.
        """
        where = _checked(url)
        try:
            async with asyncio.timeout(seconds):
                return await self._connected(where, alpn)
        except TimeoutError:
            raise EgressFailed(f"no connection within {seconds} s") from None

    async def _connected(
        self, where: URL, alpn: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if where.scheme != "https":
            raise EgressRefused("TLS is needed here")
        way, port = await self._way(where), where.port or 443
        found = [one for one in await self._addresses(where, port) if way.admits(one, port)]
        if not found:
            raise EgressRefused("the address is private or special")
        context = way.tls()
        if alpn:
            context.set_alpn_protocols(list(alpn))
        try:
            # By address, so that nothing is resolved a second time.
            return await asyncio.open_connection(
                str(found[0]), port, ssl=context, server_hostname=where.host
            )
        except OSError as error:
            raise EgressFailed(type(error).__name__) from error

    async def _once(
        self,
        way: _Way,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        most: int,
    ) -> Answer:
        if way.session.closed:
            raise EgressFailed("the server is stopping")
        try:
            async with way.session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise EgressRefused("a compressed answer, which was not asked for")
                data = await _bounded(response, most)
                fields = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, fields, data, str(url))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if _was_refused(error):
                raise EgressRefused("the address is private or special") from error
            raise EgressFailed(type(error).__name__) from error

    async def _way(self, url: URL) -> _Way:
        """The operator's exceptions first. What the name means is looked at again on connecting."""
        port = url.port or 443
        addresses = await self._addresses(url, port)
        for way in self._ways:
            exception = way is not self._ways[-1]
            if any(way.admits(address, port) for address in addresses):
                if url.scheme == "http" and not exception:
                    raise EgressRefused("plain http is for what egress.allow names")
                return way
        raise EgressRefused("the address is private or special")

    async def _addresses(self, url: URL, port: int) -> list[IpAddress]:
        host = url.host or ""
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            pass
        try:
            found = await self._own.resolve(host, port, family=socket.AF_UNSPEC)
        except (OSError, UnicodeError) as error:
            raise EgressFailed("the name does not resolve") from error
        return [ipaddress.ip_address(one["host"].partition("%")[0]) for one in found]


def _parsed(text: str) -> URL:
    try:
        return URL(text)
    except ValueError as error:
        raise EgressRefused("not a URL") from error


def _checked(text: str) -> URL:
    """Only http and https, with a host, without a user name (RFC 3986 section 3.2.1)."""
    url = _parsed(text)
    try:
        port = url.port
    except ValueError as error:
        raise EgressRefused("not a URL") from error
    if url.scheme not in ("https", "http") or not url.host or not port:
        raise EgressRefused("not an http URL")
    if url.user is not None or url.password is not None or "%" in url.host:
        raise EgressRefused("a URL with a user name or a zone")
    return url.with_fragment(None)


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        data += chunk
        if len(data) > most:
            raise EgressRefused(f"an answer of more than {most} bytes")
    return bytes(data)


def _was_refused(error: BaseException) -> bool:
    """aiohttp wraps what the socket factory raised."""
    seen: BaseException | None = error
    while seen is not None:
        if "is not to be called" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
