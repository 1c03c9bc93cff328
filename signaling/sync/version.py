"""Which version of the protocol a client and this server speak, by `Sec-WebSocket-Protocol`. Pure.

A client lists what it speaks as `sotto/1` or, for a range, `sotto/1-3`. A browser may not put a
slash there (RFC 6455 section 4.1 asks for a token of RFC 9110), so `sotto.1` and `sotto.1-3` mean
the same. The answer is one version in the spelling that was offered: the offer itself, unless that
was a range. Browsers accept no other answer than one of their offers, so they list each version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from signaling.errors import ClientError, Code

NAME = "sotto"
OLDEST = 1
NEWEST = 1
MOST_OFFERS = 32
_OFFER = re.compile(rf"{NAME}([/.])(\d{{1,4}})(?:-(\d{{1,4}}))?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z/]{1,64}", re.ASCII)

Offer = tuple[int, int, str]
"""First and last version, and the separator that its client writes."""


def spell(version: int, separator: str = ".") -> str:
    return f"{NAME}{separator}{version}"


def supported() -> list[str]:
    """For discovery documents."""
    return [spell(version) for version in range(OLDEST, NEWEST + 1)]


def parse(fields: Sequence[str]) -> list[Offer]:
    """What is offered of our protocol. Raises ClientError (400) when there is none, or rubbish."""
    names = [name.strip() for field in fields for name in field.split(",")]
    if not fields or len(names) > MOST_OFFERS or not all(_TOKEN.fullmatch(n) for n in names):
        raise _refuse(400, "Sec-WebSocket-Protocol must list versions such as sotto.1.")
    offers = [offer for name in names if (offer := _offer(name)) is not None]
    if not offers:
        raise _refuse(400, "None of the protocols in Sec-WebSocket-Protocol is sotto.")
    return offers


def _offer(name: str) -> Offer | None:
    match = _OFFER.fullmatch(name)
    if match is None:
        return None
    first = int(match[2])
    last = int(match[3]) if match[3] else first
    return (first, last, match[1]) if first <= last else None


def choose(offers: Sequence[Offer]) -> tuple[int, str]:
    """The newest version that both speak, and how to spell it. Raises ClientError: 426 when the
    client is too old, 400 when it is too new."""
    best = [
        (min(last, NEWEST), separator)
        for first, last, separator in offers
        if first <= NEWEST and last >= OLDEST
    ]
    if best:
        version, separator = max(best, key=lambda found: found[0])
        return version, spell(version, separator)
    if all(first > NEWEST for first, _, _ in offers):
        raise _refuse(400, "This server is older than the client.")
    raise _refuse(426, "This client is older than the server.")


def _refuse(status: int, message: str) -> ClientError:
    headers = {"Sec-WebSocket-Protocol": ", ".join(supported())}
    if status == 426:
        headers["Upgrade"] = "websocket"  # RFC 9110 section 15.5.22
    return ClientError(Code.VERSION_UNSUPPORTED, status, message, headers=headers)
