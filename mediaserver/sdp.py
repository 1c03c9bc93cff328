"""Session descriptions as clients write them, parsed into plain data and bounded (RFC 8866, 8829).

Not a model of all SDP: only what a WebRTC offer or answer says and negotiation reads. Whatever may
be written out again (mids, rids, fmtp, extension URIs, ids) is checked character by character here,
so that nothing a client sent can start a line of its own. Driven by `negotiation.py`; pure.
Long because checks are easier to trust when the whole grammar is side by side.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from mediaserver.candidates import Candidates
from mediaserver.engine_types import Codec
from mediaserver.errors import ClientError, Code, bad_sdp, unsupported_sdp

MAX_LINE = 8192
MAX_LINES_PER_SECTION = 2000
MAX_FORMATS = 128
MAX_SSRCS = 64
MAX_RIDS = 16
MAX_REMEMBERED = 16_384

# RFC 8866 section 9: token, which mids and group members are.
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}")
# RFC 8851 section 10 (with the "_" and "-" of RFC 8852), as libwebrtc accepts it.
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")
# RFC 8839 section 5.4: ice-char, bounds of ufrag and password.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
MSID = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~:/=@\[\]]{1,128}")
_ENCODING_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_FMTP = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,1023}")
_URI = re.compile(r"[\x21-\x7e]{1,256}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_FEEDBACK = re.compile(r"[a-z0-9 -]{1,40}")

STRONG_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
CODEC_LINES = ("a=rtpmap:", "a=rtcp-fb:", "a=fmtp:")
DIRECTIONS = ("inactive", "sendonly", "recvonly", "sendrecv")
MEDIA_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP")
DATA_PROTOCOLS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
REFUSED_PROTOCOLS = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "DTLS/SCTP")


@dataclass(frozen=True, slots=True)
class RtpMap:
    payload_type: int
    name: str
    """Lower case."""
    clock_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Fingerprint:
    algorithm: str
    value: str


@dataclass(slots=True)
class Transport:
    """ICE and DTLS attributes, of the session or of one section."""

    ufrag: str = ""
    pwd: str = ""
    setup: str = ""
    fingerprints: list[Fingerprint] = field(default_factory=list)

    def or_else(self, session: "Transport") -> "Transport":
        return Transport(
            self.ufrag or session.ufrag,
            self.pwd or session.pwd,
            self.setup or session.setup,
            self.fingerprints or session.fingerprints,
        )


@dataclass(slots=True)
class Codecs:
    """What rtpmap, rtcp-fb and fmtp say, by payload type. Shared by equal sections, so never
    changed."""

    rtpmaps: dict[int, RtpMap] = field(default_factory=dict)
    fmtp: dict[int, str] = field(default_factory=dict)
    feedback: dict[int, set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Section:
    """One m-section. `extensions` maps URI to (id, direction or "")."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str = ""
    direction: str = "sendrecv"
    transport: Transport = field(default_factory=Transport)
    rtcp_mux: bool = False
    bundle_only: bool = False
    codec_lines: tuple[str, ...] = ()
    """rtpmap, rtcp-fb and fmtp as they came; `codecs_of` reads them together."""
    extensions: dict[str, tuple[int, str]] = field(default_factory=dict)
    msid_stream: str = ""
    msid_track: str = ""
    rids: dict[str, str] = field(default_factory=dict)
    simulcast_send: tuple[str, ...] = ()
    simulcast_recv: tuple[str, ...] = ()
    ssrcs: dict[int, str] = field(default_factory=dict)
    """SSRC to the track id of its msid line ("" when it has none), in order of appearance."""
    ssrc_groups: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    codecs: tuple[Codec, ...] | None = None
    """What `codecs.section_codecs` made of it, once."""
    sctp_port: int = 0
    max_message_size: int = 65536

    @property
    def rejected(self) -> bool:
        """RFC 9143 section 7.2.2: port 0 rejects, except beside bundle-only in an offer."""
        return self.port == 0 and not self.bundle_only

    @property
    def sends(self) -> bool:
        return self.direction in ("sendonly", "sendrecv") and not self.rejected

    @property
    def receives(self) -> bool:
        return self.direction in ("recvonly", "sendrecv") and not self.rejected

    @property
    def is_data(self) -> bool:
        return self.kind == "application"


@dataclass(slots=True)
class Description:
    """A parsed offer or answer."""

    sections: list[Section]
    bundle: tuple[str, ...] = ()
    transport: Transport = field(default_factory=Transport)
    ice_lite: bool = False
    extmap_allow_mixed: bool = False
    candidates: Candidates = field(default_factory=Candidates)

    def live(self) -> Iterator[Section]:
        return (s for s in self.sections if not s.rejected)


def parse(text: str, *, max_bytes: int = 1_000_000, max_sections: int = 500) -> Description:
    """Raises ClientError; never anything else, whatever the text."""
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise ClientError(Code.SDP_TOO_LARGE, 413, f"the description exceeds {max_bytes} bytes")
    if _CONTROL.search(text.replace("\r\n", "\n")):
        raise bad_sdp("control character in the description")
    result = Description([])
    section: Section | None = None
    codec_lines: list[list[str]] = []
    count = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
        if not line:
            continue
        if len(line) > MAX_LINE or len(line) < 2 or line[1] != "=":
            raise bad_sdp(f"line {number + 1} is not a description line")
        # Candidates have a bound of their own: those beyond it are ignored, never an error.
        count += not line.startswith("a=candidate:")
        if line[0] == "m":
            if len(result.sections) >= max_sections:
                raise ClientError(Code.SDP_TOO_LARGE, 413, f"more than {max_sections} sections")
            section = _media_line(line[2:])
            result.sections.append(section)
            codec_lines.append([])
            count = 0
        elif count > MAX_LINES_PER_SECTION:
            raise ClientError(Code.SDP_TOO_LARGE, 413, "too many lines in one section")
        elif line.startswith(CODEC_LINES) and section is not None and not section.is_data:
            codec_lines[-1].append(line)
        elif line[0] == "a":
            name, _, value = line[2:].partition(":")
            _attribute(result, section, name, value)
    if not text.startswith("v=0"):
        raise bad_sdp("the description does not begin with v=0")
    for section, lines in zip(result.sections, codec_lines, strict=True):
        section.codec_lines = tuple(lines)
        codecs_of(section.codec_lines, section.formats)
    _finish(result)
    return result


def _media_line(value: str) -> Section:
    parts = value.split()
    if len(parts) < 4:
        raise bad_sdp("m= line is too short")
    kind, port, protocol, *formats = parts
    if kind not in ("audio", "video", "application"):
        raise unsupported_sdp("m= line of an unknown kind")
    if protocol in REFUSED_PROTOCOLS:
        raise unsupported_sdp(f"{protocol} is refused: media must be encrypted by DTLS")
    if protocol not in (DATA_PROTOCOLS if kind == "application" else MEDIA_PROTOCOLS):
        raise unsupported_sdp("m= line of an unknown protocol")
    if len(formats) > MAX_FORMATS:
        raise bad_sdp("too many formats in one section")
    if kind == "application":
        if formats != ["webrtc-datachannel"]:
            raise unsupported_sdp("application section that is not webrtc-datachannel")
    elif not all(f.isascii() and f.isdigit() and int(f) < 128 for f in formats):
        raise bad_sdp("payload type out of range")
    return Section(kind, _number(port.partition("/")[0], 65535), protocol, tuple(formats))


def _attribute(result: Description, section: Section | None, name: str, value: str) -> None:
    transport = section.transport if section is not None else result.transport
    if _transport_attribute(transport, name, value):
        return
    if name == "candidate":
        result.candidates.add(value)
    elif name == "extmap-allow-mixed":
        result.extmap_allow_mixed = True
    elif name == "extmap" and section is not None:
        _extmap(section, value)
    elif section is not None:
        if section.is_data:
            _data_attribute(section, name, value)
        else:
            _media_attribute(section, name, value)
    elif name == "group":
        semantics, *mids = value.split() or [""]
        if semantics == "BUNDLE":
            result.bundle = tuple(mids)
    elif name == "ice-lite":
        result.ice_lite = True


def _transport_attribute(transport: Transport, name: str, value: str) -> bool:
    if name == "ice-ufrag":
        transport.ufrag = _match(_UFRAG, value, "ice-ufrag")
    elif name == "ice-pwd":
        transport.pwd = _match(_PWD, value, "ice-pwd")
    elif name == "setup":
        if value not in ("actpass", "active", "passive", "holdconn"):
            raise bad_sdp("unknown setup")
        transport.setup = value
    elif name == "fingerprint":
        algorithm, _, digest = value.partition(" ")
        _match(_FINGERPRINT, digest, "fingerprint")
        if len(transport.fingerprints) < 16:
            transport.fingerprints.append(Fingerprint(algorithm.lower(), digest.upper()))
    else:
        return False
    return True


def _data_attribute(section: Section, name: str, value: str) -> None:
    if name == "mid":
        section.mid = _match(_TOKEN, value, "mid")
    elif name == "sctp-port":
        section.sctp_port = _number(value, 65535)
    elif name == "max-message-size":
        section.max_message_size = _number(value, 2**53)
    elif name == "bundle-only":
        section.bundle_only = True
    elif name in DIRECTIONS:
        section.direction = name


def _media_attribute(section: Section, name: str, value: str) -> None:
    if name in DIRECTIONS:
        section.direction = name
    elif name == "rtcp-mux":
        section.rtcp_mux = True
    elif name == "bundle-only":
        section.bundle_only = True
    elif name == "mid":
        section.mid = _match(_TOKEN, value, "mid")
    elif name in _MEDIA_PARSERS:
        _MEDIA_PARSERS[name](section, value)


def codecs_of(lines: tuple[str, ...], formats: tuple[str, ...]) -> Codecs:
    """Nine tenths of an offer, and the same in each of a browser's sections: read once.

    What is too long to be a browser's is not remembered, so the memory is bounded.
    """
    if sum(map(len, lines)) > MAX_REMEMBERED:
        return _codecs_of.__wrapped__(lines, formats)
    return _codecs_of(lines, formats)


@lru_cache(maxsize=128)
def _codecs_of(lines: tuple[str, ...], formats: tuple[str, ...]) -> Codecs:
    codecs = Codecs()
    for line in lines:
        name, _, rest = line[2:].partition(":")
        payload, _, value = rest.partition(" ")
        if name == "rtpmap":
            number = _number(payload, 127)
            codecs.rtpmaps[number] = _rtpmap(number, value)
        elif name == "fmtp":
            codecs.fmtp[_number(payload, 127)] = _match(_FMTP, value.strip(), "fmtp")
        else:
            kind = _match(_FEEDBACK, value.strip().lower(), "rtcp-fb")
            every = [int(f) for f in formats] if payload == "*" else [_number(payload, 127)]
            for number in every:
                codecs.feedback.setdefault(number, set()).add(kind)
    return codecs


def _rtpmap(number: int, encoding: str) -> RtpMap:
    name, *rest = encoding.split("/")
    _match(_ENCODING_NAME, name, "rtpmap")
    if not 1 <= len(rest) <= 2:
        raise bad_sdp("rtpmap without a clock rate")
    rate = _number(rest[0], 1_000_000)
    channels = _number(rest[1], 255) if len(rest) == 2 else 1
    return RtpMap(number, name.lower(), rate, channels)


def _extmap(section: Section, value: str) -> None:
    """RFC 8285 section 8; the parameters after the URI are not used by any extension we know."""
    parts = value.split(" ")
    if len(parts) < 2:
        raise bad_sdp("extmap is too short")
    number, _, direction = parts[0].partition("/")
    identifier = _number(number, 255)
    if direction and direction not in DIRECTIONS:
        raise bad_sdp("extmap of an unknown direction")
    if identifier and len(section.extensions) < 64:
        section.extensions[_match(_URI, parts[1], "extmap")] = (identifier, direction)


def _msid(section: Section, value: str) -> None:
    stream, _, track = value.partition(" ")
    section.msid_stream = _match(MSID, stream, "msid")
    section.msid_track = _match(MSID, track.strip(), "msid") if track.strip() else ""


def _rid(section: Section, value: str) -> None:
    parts = value.split()
    if len(parts) < 2 or parts[1] not in ("send", "recv"):
        raise bad_sdp("rid without a direction")
    if len(section.rids) >= MAX_RIDS:
        raise bad_sdp("too many rids in one section")
    section.rids[_match(_RID, parts[0], "rid")] = parts[1]


def _simulcast(section: Section, value: str) -> None:
    """RFC 8853 section 5.1; of alternatives the first is taken, `~` (initially paused) ignored."""
    words = value.split()
    if len(words) not in (2, 4):
        raise bad_sdp("malformed simulcast")
    for direction, streams in zip(words[::2], words[1::2], strict=True):
        rids = tuple(
            _match(_RID, s.split(",")[0].removeprefix("~"), "simulcast") for s in streams.split(";")
        )
        if len(rids) > MAX_RIDS or len(set(rids)) != len(rids):
            raise bad_sdp("malformed simulcast")
        if direction == "send":
            section.simulcast_send = rids
        elif direction == "recv":
            section.simulcast_recv = rids
        else:
            raise bad_sdp("malformed simulcast")


def _ssrc(section: Section, value: str) -> None:
    number, _, attribute = value.partition(" ")
    ssrc = _number(number, 2**32 - 1)
    if ssrc not in section.ssrcs:
        if len(section.ssrcs) >= MAX_SSRCS:
            raise bad_sdp("too many SSRCs in one section")
        section.ssrcs[ssrc] = ""
    if attribute.startswith("msid:"):
        words = attribute[5:].split()
        if len(words) == 2:
            section.ssrcs[ssrc] = _match(MSID, words[1], "ssrc msid")
            section.msid_stream = section.msid_stream or _match(MSID, words[0], "ssrc msid")


def _ssrc_group(section: Section, value: str) -> None:
    semantics, *numbers = value.split() or [""]
    if len(section.ssrc_groups) >= MAX_SSRCS or len(numbers) > MAX_SSRCS:
        raise bad_sdp("too many SSRC groups in one section")
    section.ssrc_groups.append((semantics, tuple(_number(n, 2**32 - 1) for n in numbers)))


_MEDIA_PARSERS = {
    "msid": _msid,
    "rid": _rid,
    "simulcast": _simulcast,
    "ssrc": _ssrc,
    "ssrc-group": _ssrc_group,
}


def _finish(result: Description) -> None:
    """What holds for a whole description: unique mids, one bundled and fingerprinted transport."""
    if not result.sections:
        raise unsupported_sdp("the description has no section")
    mids = [s.mid for s in result.sections]
    if len(set(mids)) != len(mids):
        raise unsupported_sdp("two sections share a mid, or lack one (unified plan is required)")
    live = list(result.live())
    if any(not s.mid for s in live):
        raise unsupported_sdp("a section has no mid")
    if len(live) > 1 and not {s.mid for s in live} <= set(result.bundle):
        raise unsupported_sdp("every section must be in one BUNDLE group")
    for section in result.sections:
        section.transport = section.transport.or_else(result.transport)
        if not section.msid_track:
            section.msid_track = next((t for t in section.ssrcs.values() if t), "")
    for section in live:
        _check_fingerprints(section)
        if not section.transport.ufrag or not section.transport.pwd:
            raise bad_sdp("ICE credentials are missing")
        if not section.transport.setup:
            raise bad_sdp("setup is missing")


def _check_fingerprints(section: Section) -> None:
    prints = section.transport.fingerprints
    if not prints:
        raise ClientError(Code.FINGERPRINT_MISSING, 400, "a section has no fingerprint")
    strong = [f for f in prints if f.algorithm in STRONG_HASHES]
    if not strong:
        raise ClientError(
            Code.FINGERPRINT_WEAK, 400, "fingerprints must be sha-256, sha-384 or sha-512"
        )
    if any(len(f.value) != STRONG_HASHES[f.algorithm] * 3 - 1 for f in strong):
        raise bad_sdp("fingerprint of a wrong length")
    section.transport.fingerprints = strong


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not pattern.fullmatch(value):
        raise bad_sdp(f"malformed {what}")
    return value


def _number(value: str, maximum: int) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 16 or int(value) > maximum:
        raise bad_sdp("number out of range")
    return int(value)
