"""A WHIP session of our own.

Gives the doctor real ICE credentials, advertised addresses and relays.

Publishes nothing: the offer is well formed, the handshake never begins, and `close` ends it.
Driven by `hops`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import aiohttp

from turn.check import Server

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Candidate:
    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Session:
    """What the answer said. `password` signs checks; it never leaves this process."""

    url: str
    ufrag: str
    password: str = field(repr=False)
    own_ufrag: str
    candidates: tuple[Candidate, ...]
    relays: tuple[Server, ...]


class ProbeFailed(Exception):  # noqa: N818 - names what happened
    """`status` is 0 when there was no answer at all."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def offer(ufrag: str, password: str) -> str:
    """One Opus section, as a WHIP client sends it (RFC 9725 section 4.4)."""
    fingerprint = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    lines = (
        "v=0",
        f"o=- {secrets.randbits(62)} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=msid-semantic: WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendonly",
        "a=msid:doctor doctor-audio",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        "a=rtpmap:111 opus/48000/2",
        f"a=ssrc:{secrets.randbits(31) + 1} cname:doctor",
    )
    return "\r\n".join(lines) + "\r\n"


async def open_session(http: aiohttp.ClientSession, base: str, room: str, token: str) -> Session:
    """Raises ProbeFailed."""
    own = "".join(secrets.choice(ALPHABET) for _ in range(8))
    password = "".join(secrets.choice(ALPHABET) for _ in range(24))
    url = urljoin(base, f"/whip/{room}")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    try:
        async with http.post(url, data=offer(own, password), headers=headers) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise ProbeFailed(answer.status, f"POST /whip answered {answer.status}")
            location = answer.headers.get("Location", "")
            links = answer.headers.getall("Link", [])
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProbeFailed(0, f"POST /whip: {type(error).__name__}") from error
    return Session(
        url=urljoin(url, location),
        ufrag=_attribute(text, "ice-ufrag"),
        password=_attribute(text, "ice-pwd"),
        own_ufrag=own,
        candidates=_candidates(text),
        relays=tuple(server for link in links for server in _relay(link)),
    )


async def close_session(http: aiohttp.ClientSession, session: Session, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.delete(session.url, headers=headers):
        pass


def _attribute(sdp: str, name: str) -> str:
    found = re.search(rf"^a={name}:(\S+)\s*$", sdp, re.MULTILINE)
    if found is None:
        raise ProbeFailed(201, f"the answer has no {name}")
    return found[1]


def _candidates(sdp: str) -> tuple[Candidate, ...]:
    """RFC 8839 section 5.1; the same address in several sections counts once."""
    found: dict[Candidate, None] = {}
    for line in re.findall(r"^a=candidate:(.*?)\s*$", sdp, re.MULTILINE):
        parts = line.split()
        if len(parts) >= 8 and parts[5].isdecimal():
            found[Candidate(parts[2].lower(), parts[4], int(parts[5]))] = None
    return tuple(found)


_LINK = re.compile(r"<(?P<url>[^>]*)>(?P<rest>[^,]*)")
_PARAMETER = re.compile(r';\s*([\w-]+)="((?:[^"\\]|\\.)*)"')
_TURN = re.compile(r"(turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?")


def _relay(link: str) -> list[Server]:
    """`Link: <turn:host:port?transport=udp>; rel="ice-server"; username=...; credential=...`"""
    servers: list[Server] = []
    for found in _LINK.finditer(link):
        parameters: dict[str, Any] = dict(_PARAMETER.findall(found["rest"]))
        url = _TURN.fullmatch(found["url"])
        if url is None or parameters.get("rel") != "ice-server":
            continue
        secure = url[1] == "turns"
        transport = "tls" if secure else (url[4] or "udp")
        port = int(url[3] or (5349 if secure else 3478))
        servers.append(
            Server(
                url[2].strip("[]"),
                port,
                transport,
                parameters.get("username", ""),
                parameters.get("credential", ""),
            )
        )
    return servers
