"""`application/trickle-ice-sdpfrag` (RFC 8840 section 9).

Read from clients, written for ICE restarts. Pure.

Also swaps the ICE credentials of an offer, because the media server takes whole offers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from signaling.errors import ClientError, Code

MEDIA_TYPE = "application/trickle-ice-sdpfrag"
MAX_LINES = 300
MAX_LINE = 1024
# RFC 8839 section 5.4: ice-char and its bounds.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")


@dataclass(frozen=True, slots=True)
class Fragment:
    """`ufrag` and `pwd` are empty when the fragment does not say; candidates without `a=`."""

    ufrag: str
    pwd: str
    candidates: tuple[str, ...]


def _bad(message: str) -> ClientError:
    return ClientError(Code.BAD_SDP, 422, message)


def read(body: bytes) -> Fragment:
    """Raises ClientError 422. Media sections share one transport, so all must agree."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("The fragment is not UTF-8.") from None
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
        raise _bad("The fragment is too long.")
    found: dict[str, set[str]] = {"ice-ufrag": set(), "ice-pwd": set()}
    candidates: dict[str, None] = {}
    for line in filter(None, lines):
        if not line.isprintable() or line[1:2] != "=":
            raise _bad("The fragment has a line that is not SDP.")
        name, _, value = line[2:].partition(":")
        if line[0] == "a" and name in found:
            found[name].add(value)
        elif line[0] == "a" and name == "candidate":
            candidates[f"candidate:{value}"] = None
    ufrag = _single(found["ice-ufrag"], _UFRAG, "ice-ufrag")
    pwd = _single(found["ice-pwd"], _PWD, "ice-pwd")
    return Fragment(ufrag, pwd, tuple(candidates))


def _single(values: set[str], shape: re.Pattern[str], name: str) -> str:
    if not values:
        return ""
    if len(values) > 1:
        raise _bad(f"The fragment has more than one {name}.")
    value = values.pop()
    if not shape.fullmatch(value):
        raise _bad(f"The fragment's {name} is malformed.")
    return value


def attribute(sdp: str, name: str) -> str:
    """The first value of an attribute, or an empty string."""
    found = re.search(rf"^a={re.escape(name)}:([^\r\n]*)", sdp, re.MULTILINE)
    return found[1] if found else ""


def with_credentials(offer: str, fragment: Fragment) -> str:
    """The offer as it would read after the client's ICE restart; old candidates are gone."""
    offer = re.sub(r"^a=candidate:[^\r\n]*(\r?\n|$)", "", offer, flags=re.MULTILINE)
    offer = re.sub(
        r"^a=ice-ufrag:[^\r\n]*", f"a=ice-ufrag:{fragment.ufrag}", offer, flags=re.MULTILINE
    )
    return re.sub(r"^a=ice-pwd:[^\r\n]*", f"a=ice-pwd:{fragment.pwd}", offer, flags=re.MULTILINE)


def from_answer(answer: str) -> str:
    """Our side of an ICE restart (RFC 9725 section 4.3.3).

    The first section's, as all are bundled.
    """
    media = re.search(r"^m=[^\r\n]*", answer, re.MULTILINE)
    candidates = dict.fromkeys(re.findall(r"^a=candidate:[^\r\n]*", answer, re.MULTILINE))
    mid = attribute(answer, "mid")
    lines = [
        "a=ice-lite",
        f"a=group:BUNDLE {mid}",
        media.group() if media else "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{attribute(answer, 'ice-ufrag')}",
        f"a=ice-pwd:{attribute(answer, 'ice-pwd')}",
        *candidates,
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"
