"""Walks the hops in a client's order and turns each failure into a finding with its fix.

A hop behind a broken one is skipped, not guessed at. Driven by `sotto doctor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urljoin, urlsplit

import aiohttp
from livekit.protocol import models, rtc

from signaling.doctor import fixes
from signaling.doctor.checks import answers, binding, check_tcp, check_udp
from signaling.doctor.probe import (
    Candidate,
    ProbeFailed,
    Session,
    close_session,
    open_session,
)
from signaling.doctor.report import Finding, Hop, broken, ok, skipped
from signaling.errors import ConfigError
from turn.check import CheckFailed, Server, Step, check

TURN_HOPS = {"udp": Hop.TURN_UDP, "tcp": Hop.TURN_TCP, "tls": Hop.TURN_TLS}
# What these steps show is the way from the relay to the media server as much as the relay.
BEHIND_THE_RELAY = (Step.PERMISSION, Step.RELAY)
_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=6)


@dataclass(frozen=True, slots=True)
class Target:
    """The server as clients see it. `trust` is an authority to believe beside the system's."""

    url: str
    room: str
    token: str = field(repr=False)
    trust: str = ""

    def context(self) -> ssl.SSLContext:
        """Raises ConfigError when `trust` cannot be used."""
        context = ssl.create_default_context()
        if self.trust:
            try:
                context.load_verify_locations(self.trust)
            except OSError as error:
                raise ConfigError("--trust", f"{self.trust} is not a PEM certificate") from error
        return context


async def walk(target: Target) -> AsyncIterator[Finding]:
    """Findings as they are made. Never raises for what it tests."""
    context = target.context()
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http:
        page = await _page(http, target)
        yield page
        if page.fix:
            for hop in list(Hop)[1:]:
                yield skipped(hop, "the server cannot be reached")
            return
        yield await _signaling(http, target)
        try:
            session = await open_session(http, target.url, target.room, target.token)
        except ProbeFailed as error:
            yield broken(Hop.PROBE, error.detail, fixes.probe(error.status))
            for hop in (Hop.MEDIA_UDP, Hop.MEDIA_TCP, *TURN_HOPS.values()):
                yield skipped(hop, "needs a call of our own")
            return
        try:
            yield ok(Hop.PROBE, f"joined and left; {len(session.candidates)} addresses advertised")
            direct: list[Candidate] = []
            async for finding in _media(session, target, direct):
                yield finding
            async for finding in _relays(session, context, direct):
                yield finding
        finally:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await close_session(http, session, target.token)


async def _page(http: aiohttp.ClientSession, target: Target) -> Finding:
    try:
        async with http.get(target.url) as answer:
            await answer.read()
            status = answer.status
        # Proxies rename the Server header, but not the reason that this path answers with.
        async with http.get(urljoin(target.url, "/rtc/validate")) as answer:
            if (answer.status, await answer.text()) != (401, "no token"):
                return broken(Hop.HTTPS, f"status {status}", fixes.NOT_US)
            return ok(Hop.HTTPS, f"status {status}")
    except aiohttp.ClientConnectorCertificateError as error:
        return broken(Hop.HTTPS, str(error.certificate_error), fixes.CERTIFICATE)
    except aiohttp.ClientConnectorDNSError:
        name = urlsplit(target.url).hostname
        return broken(Hop.HTTPS, f"{name} has no address", fixes.DNS)
    except aiohttp.ClientConnectorError as error:
        return broken(Hop.HTTPS, error.strerror or "refused", fixes.HTTPS)
    except (aiohttp.ClientError, TimeoutError) as error:
        return broken(Hop.HTTPS, type(error).__name__, fixes.HTTPS)


async def _signaling(http: aiohttp.ClientSession, target: Target) -> Finding:
    """Joins with two peer connections, as older clients do, and waits for the first message."""
    url = target.url.replace("http", "ws", 1).rstrip("/") + "/rtc"
    query = {"protocol": "15", "auto_subscribe": "0", "sdk": "python", "version": "1.0"}
    headers = {"Authorization": f"Bearer {target.token}"}
    try:
        async with http.ws_connect(url, params=query, headers=headers, timeout=_WS) as socket:
            message = await socket.receive(timeout=6)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return broken(Hop.WSS, "the socket was closed at once", fixes.WSS_CLOSED)
            response = rtc.SignalResponse()
            response.ParseFromString(message.data)
            kind = response.WhichOneof("message")
            await socket.send_bytes(_leave())
    except aiohttp.WSServerHandshakeError as error:
        return broken(Hop.WSS, f"status {error.status}", fixes.upgrade(error.status))
    except (aiohttp.ClientError, TimeoutError) as error:
        return broken(Hop.WSS, type(error).__name__, fixes.WSS_CLOSED)
    if kind != "join":
        return broken(Hop.WSS, f"answered {kind}", fixes.WSS_CLOSED)
    return ok(Hop.WSS, "joined and left")


_WS = aiohttp.ClientWSTimeout(ws_close=2.0)


def _leave() -> bytes:
    reason = models.DisconnectReason.CLIENT_INITIATED
    leave: bytes = rtc.SignalRequest(leave=rtc.LeaveRequest(reason=reason)).SerializeToString()
    return leave


Test = Callable[[Session, Candidate], Awaitable[None]]


async def _media(
    session: Session, target: Target, direct: list[Candidate]
) -> AsyncIterator[Finding]:
    """`direct` is given the addresses that answered."""
    for hop, protocol, test in (
        (Hop.MEDIA_UDP, "udp", check_udp),
        (Hop.MEDIA_TCP, "tcp", check_tcp),
    ):
        offered = [c for c in session.candidates if c.protocol == protocol]
        if not offered:
            yield _not_offered(hop)
            continue
        results = await asyncio.gather(*(_try(test, session, c) for c in offered))
        reached = [c for c, error in zip(offered, results, strict=True) if error is None]
        failed = [(c, error) for c, error in zip(offered, results, strict=True) if error]
        direct += reached
        if reached:
            yield _reached(hop, reached[0], len(failed))
        else:
            yield await _unreached(hop, test, session, target, failed)


async def _try(test: Test, session: Session, candidate: Candidate) -> CheckFailed | None:
    try:
        await test(session, candidate)
    except CheckFailed as error:
        return error
    return None


def _not_offered(hop: Hop) -> Finding:
    if hop is Hop.MEDIA_UDP:
        return broken(hop, "the server advertises no UDP address", fixes.NO_ADDRESS)
    return skipped(hop, "the server does not offer it (media.tcp)")


def _reached(hop: Hop, candidate: Candidate, others: int) -> Finding:
    """One address that works is enough for a call: clients try them all."""
    note = f"; {others} more addresses do not answer" if others else ""
    return ok(hop, f"{candidate.address} port {candidate.port} answers{note}")


async def _unreached(
    hop: Hop,
    test: Test,
    session: Session,
    target: Target,
    failed: Sequence[tuple[Candidate, CheckFailed]],
) -> Finding:
    """A port that answers where the page came from, but not where clients are sent, is telling."""
    seen = ", ".join(f"{c.address} port {c.port}: {e.detail}" for c, e in failed)
    advertised = {candidate.address for candidate, _ in failed}
    first = failed[0][0]
    for address in await _addresses(target):
        if address in advertised:
            continue
        elsewhere = Candidate(first.protocol, address, first.port)
        if await _try(test, session, elsewhere) is None:
            seen = f"{seen}; but {address} port {first.port} answers"
            return broken(hop, seen, fixes.wrong_address(address))
    return broken(hop, seen, fixes.media(hop, failed))


async def _addresses(target: Target) -> list[str]:
    parts = urlsplit(target.url)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _relays(
    session: Session, context: ssl.SSLContext, direct: Sequence[Candidate]
) -> AsyncIterator[Finding]:
    """To the addresses that answered without a relay; when none did, to all, since a relay may
    reach what a firewall keeps from us."""
    peers = [c for c in session.candidates if c.protocol == "udp" and ":" not in c.address]
    reached = [c for c in peers if c in direct]
    for transport, hop in TURN_HOPS.items():
        servers = [s for s in session.relays if s.transport == transport]
        if not servers:
            yield skipped(hop, "the server offers no such relay (turn.host, turn.port)")
            continue
        if not peers:
            yield skipped(hop, "no IPv4 media address to relay to")
            continue
        server = servers[0]
        where = f"{server.host} port {server.port}"
        try:
            peer = await _relay(session, server, reached or peers, context)
        except CheckFailed as error:
            if reached or error.step not in BEHIND_THE_RELAY:
                yield broken(hop, f"{where}: {error.detail}", fixes.relay(hop, error))
            else:
                seen = f"{where} allocates; {error.detail}"
                yield skipped(hop, f"{seen}, but media over UDP is broken before it")
        else:
            yield ok(hop, f"{where} relays to {peer} and back")


async def _relay(
    session: Session, server: Server, peers: Sequence[Candidate], context: ssl.SSLContext
) -> str:
    """Relays a STUN check to the media server: what a client behind a closed network does.

    The first address that answers through the relay. Raises what the first of them met.
    """
    # Addresses that are not loopback first: those are what a relay is for.
    ordered = sorted(peers, key=lambda c: c.address.startswith("127."))
    failure: CheckFailed | None = None
    for candidate in ordered:
        request = binding(session)
        wanted = partial(answers, session, request)
        peer = (candidate.address, candidate.port)
        try:
            await check(server, peer, bytes(request), wanted, context)
        except CheckFailed as error:
            failure = failure or error
            continue
        return candidate.address
    assert failure is not None
    raise failure


def new_room() -> str:
    return f"sotto-doctor-{secrets.token_hex(8)}"
