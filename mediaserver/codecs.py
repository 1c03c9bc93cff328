"""Which codecs and header extensions are forwarded, and how two sides' lists are matched.

ulpfec, flexfec and RED for video are refused: padding, RTX and end-to-end encryption do not go
with them. Everything unknown is left out of the answer. Driven by `negotiation.py`; pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import cast

from mediaserver.api import Kind
from mediaserver.engine_types import Codec, CodecName
from mediaserver.sdp import MAX_REMEMBERED, Codecs, RtpMap, Section, codecs_of

VIDEO_CODECS = ("vp8", "h264", "vp9", "av1", "h265")
AUDIO_CODECS = ("opus", "red", "pcmu", "pcma")
CLOCK_RATES = {"opus": 48000, "red": 48000, "pcmu": 8000, "pcma": 8000}
# RFC 3551 section 6: static payload types that need no rtpmap.
STATIC = {0: RtpMap(0, "pcmu", 8000), 8: RtpMap(8, "pcma", 8000)}

EXTENSIONS = {
    "mid": "urn:ietf:params:rtp-hdrext:sdes:mid",
    "rid": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "rrid": "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "audio_level": "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "abs_send_time": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "transport_cc": ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    "abs_capture_time": "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    "orientation": "urn:3gpp:video-orientation",
    "playout_delay": "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "dependency_descriptor": (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ),
}
VIDEO_ONLY = {"rid", "rrid", "orientation", "playout_delay", "dependency_descriptor"}


def extensions_for(kind: str) -> list[str]:
    left_out = VIDEO_ONLY if kind == Kind.AUDIO else {"audio_level"}
    return [name for name in EXTENSIONS if name not in left_out]


def accepted_extensions(section: Section) -> dict[str, tuple[int, str]]:
    """Name to (id, the client's direction) of what both sides know.

    abs-send-time is for estimating without transport-cc, so beside it it would be dead weight.
    Identifier 15 is reserved in the one-byte form (RFC 8285 section 4.2).
    """
    found: dict[str, tuple[int, str]] = {}
    used: set[int] = set()
    for name in extensions_for(section.kind):
        entry = section.extensions.get(EXTENSIONS[name])
        if entry is not None and entry[0] != 15 and entry[0] not in used:
            found[name] = entry
            used.add(entry[0])
    if "transport_cc" in found:
        found.pop("abs_send_time", None)
    return found


def usable(extensions: Mapping[str, tuple[int, str]], *, client_sends: bool) -> dict[str, int]:
    """The ids that may appear in one direction (RFC 8285 section 8)."""
    barred = ("recvonly", "inactive") if client_sends else ("sendonly", "inactive")
    return {name: number for name, (number, way) in extensions.items() if way not in barred}


def section_codecs(section: Section) -> tuple[Codec, ...]:
    """What we know of the offered codecs, in their order, each with its RTX payload type."""
    if section.codecs is None:
        make: Callable[..., tuple[Codec, ...]] = _codecs
        if sum(map(len, section.codec_lines)) > MAX_REMEMBERED:
            make = _codecs.__wrapped__
        transport_cc = EXTENSIONS["transport_cc"] in section.extensions
        section.codecs = make(section.codec_lines, section.formats, section.kind, transport_cc)
    return section.codecs


def compact(section: Section) -> None:
    """Drop what `section_codecs` was made from: participants keep sections while they stay."""
    if not section.is_data:
        section_codecs(section)
        section.codec_lines = ()


@lru_cache(maxsize=128)
def _codecs(
    lines: tuple[str, ...], formats: tuple[str, ...], kind: str, transport_cc: bool
) -> tuple[Codec, ...]:
    known = AUDIO_CODECS if kind == Kind.AUDIO else VIDEO_CODECS
    said = codecs_of(lines, formats)
    rtx = _rtx_payload_types(said)
    codecs = []
    for number in dict.fromkeys(int(f) for f in formats):
        entry = said.rtpmaps.get(number) or STATIC.get(number)
        if entry is None or entry.name not in known:
            continue
        if entry.clock_rate != CLOCK_RATES.get(entry.name, 90000):
            continue
        feedback = said.feedback.get(number, set())
        codecs.append(
            Codec(
                payload_type=number,
                name=cast(CodecName, entry.name),
                clock_rate=entry.clock_rate,
                rtx_payload_type=rtx.get(number) if "nack" in feedback else None,
                nack="nack" in feedback,
                pli="nack pli" in feedback,
                fir="ccm fir" in feedback,
                remb="goog-remb" in feedback and not transport_cc,
                transport_cc=transport_cc and "transport-cc" in feedback,
                fmtp=said.fmtp.get(number, ""),
            )
        )
    return tuple(codecs)


def _rtx_payload_types(said: Codecs) -> dict[int, int]:
    """RFC 4588 section 8.6: fmtp `apt` names the payload type that an RTX one repairs."""
    found: dict[int, int] = {}
    for number, entry in said.rtpmaps.items():
        apt = parameters(said.fmtp.get(number, "")).get("apt", "")
        if entry.name == "rtx" and apt.isdigit():
            found.setdefault(int(apt), number)
    return found


def parameters(fmtp: str) -> dict[str, str]:
    pairs = (p.partition("=") for p in fmtp.split(";"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs if key.strip()}


def codec_name(mime: str) -> str:
    """`video/VP8`, `VP8` and `vp8` are all vp8."""
    return mime.rpartition("/")[2].lower()


def mime_of(kind: str, codec: Codec) -> str:
    return f"{kind}/{codec.name}"


def for_publishing(
    codecs: Sequence[Codec], wanted: str, allowed: Sequence[str] = (), *, red: bool = True
) -> tuple[Codec, ...]:
    """One codec for a publisher to send: `wanted` when offered, else its own first choice.

    A single payload type a codec, so that each subscriber's is found by the codec's name. RED
    stays beside Opus, after it or before it as the client's track asks.
    """
    names = {codec_name(mime) for mime in allowed}
    pool = [c for c in codecs if not names or c.name in names or c.name == "red"]
    primary = [c for c in pool if c.name != "red"]
    chosen = [c for c in primary if c.name == wanted] or primary[:1]
    if not chosen:
        return ()
    best = max((c for c in primary if c.name == chosen[0].name), key=_preference)
    redundant = [c for c in pool if c.name == "red"][:1] if best.name == "opus" and red else []
    return (best, *redundant)


def for_subscribing(
    published: Sequence[Codec], offered: Sequence[Codec], *, dependency_descriptor: bool
) -> tuple[Codec, ...]:
    """The subscriber's payload type for each published codec; empty when none is shared.

    Chrome from 152 decodes no AV1 without the dependency descriptor, so without it AV1 counts
    as not shared.
    """
    result = []
    for codec in published:
        if codec.name == "av1" and not dependency_descriptor:
            continue
        same = [c for c in offered if c.name == codec.name]
        if same:
            result.append(max(same, key=lambda c: (_similarity(codec, c), _preference(c))))
    if [c.name for c in result] == ["red"]:
        return ()
    return tuple(result)


def without_feedback(codec: Codec) -> Codec:
    return replace(codec, nack=False, pli=False, fir=False, remb=False, transport_cc=False)


def _preference(codec: Codec) -> int:
    """Among payload types of one codec: the variant that most decoders take."""
    values = parameters(codec.fmtp)
    if codec.name == "h264":
        profile = values.get("profile-level-id", "42001f").lower()
        ranks = {"42e0": 3, "4200": 2, "4d00": 1}
        return (10 if values.get("packetization-mode") == "1" else 0) + ranks.get(profile[:4], 0)
    if codec.name == "vp9":
        return 1 if values.get("profile-id", "0") == "0" else 0
    if codec.name == "av1":
        return 1 if values.get("profile", "0") == "0" else 0
    if codec.name == "h265":
        return 1 if values.get("profile-id", "1") == "1" else 0
    return 0


def _similarity(published: Codec, offered: Codec) -> int:
    """How well a receiver's variant fits what is sent (RFC 6184 section 8.1, RFC 9628, AV1)."""
    ours, theirs = parameters(published.fmtp), parameters(offered.fmtp)
    if published.name == "h264":
        mode = ours.get("packetization-mode", "0") == theirs.get("packetization-mode", "0")
        profile = ours.get("profile-level-id", "42001f")[:4].lower()
        same = profile == theirs.get("profile-level-id", "42001f")[:4].lower()
        return 2 * mode + same
    key = "profile" if published.name == "av1" else "profile-id"
    default = "1" if published.name == "h265" else "0"
    return int(ours.get(key, default) == theirs.get(key, default))
