"""Every description that we write: answers to clients' offers, and our subscriber offers.

ICE-lite, BUNDLE and rtcp-mux always, all candidates at once. Says what `negotiation.py` decided and
decides nothing; no line can hold a line break, whoever its parts came from. Pure.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mediaserver import codecs as known
from mediaserver.api import IceCandidate, TrackSpec
from mediaserver.candidates import attribute_lines
from mediaserver.engine_types import Codec, PublicationSpec, SubscriptionSpec
from mediaserver.sdp import MSID, Description, Section

SCTP_PORT = 5000


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of one transport as it is written into every description."""

    ufrag: str
    pwd: str
    fingerprint: str
    candidates: tuple[IceCandidate, ...]
    session_id: int = 1
    version: int = 1
    max_message_size: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Receiving:
    """The client sends on this section. `track` is None until it is declared."""

    spec: PublicationSpec
    track: TrackSpec | None
    rids: tuple[str, ...] = ()
    stereo: bool = False
    dtx: bool = True


@dataclass(frozen=True, slots=True)
class Sending:
    """We send a track of `participant_id` on this section."""

    spec: SubscriptionSpec
    participant_id: str
    track_id: str
    stream: str = ""
    stereo: bool = False


Plan = Mapping[str, Receiving | Sending]


@dataclass(frozen=True, slots=True)
class OfferSection:
    """One m-section of our subscriber offer; `sending` None means inactive."""

    mid: str
    kind: str
    codecs: tuple[Codec, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    sending: Sending | None = None


def write_answer(offer: Description, local: Local, plan: Plan, *, client: bool) -> str:
    """The answer. Sections without a plan are inactive, those without a shared codec rejected."""
    bodies: list[list[str]] = []
    accepted: list[str] = []
    for section in offer.sections:
        body = _answer_section(section, plan.get(section.mid), local)
        if body is None:
            bodies.append(_rejected(section))
            continue
        if not accepted:
            body += candidate_lines(local)
        accepted.append(section.mid)
        bodies.append(body + _transport_lines(local, "passive" if client else "active"))
    bundle = [mid for mid in offer.bundle if mid in accepted]
    head = _session_lines(local, bundle, mixed=offer.extmap_allow_mixed)
    return render(head, *bodies)


def _answer_section(
    section: Section, plan: Receiving | Sending | None, local: Local
) -> list[str] | None:
    if section.rejected:
        return None
    if section.is_data:
        return _data_section(section.protocol, section.mid, local)
    offered = known.section_codecs(section)
    if isinstance(plan, Receiving):
        offered = _publisher_codecs(plan)  # the media line's order is the one that counts
    if not offered:
        return None
    extensions = known.accepted_extensions(section)
    lines = [
        _media_line(section.kind, section.protocol, offered),
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    mirrored = {"sendonly": "/recvonly", "recvonly": "/sendonly", "inactive": "/inactive"}
    for name, (number, way) in extensions.items():
        lines.append(f"a=extmap:{number}{mirrored.get(way, '')} {known.EXTENSIONS[name]}")
    if isinstance(plan, Receiving):
        lines += ["a=recvonly", *_codec_lines(offered, section.kind)]
        lines += [f"a=rid:{rid} recv" for rid in plan.rids]
        if plan.rids and section.simulcast_send:
            lines.append(f"a=simulcast:recv {';'.join(plan.rids)}")
    elif isinstance(plan, Sending):
        lines += ["a=sendonly", *_codec_lines(offered, section.kind), *_sender_lines(plan)]
    else:
        lines += ["a=inactive", *_codec_lines(offered, section.kind)]
    return lines


def _publisher_codecs(plan: Receiving) -> tuple[Codec, ...]:
    """A client sends the first: RED when its track asked for it (the engine takes it apart for
    subscribers that did not), else Opus with RED possible."""
    codecs = tuple(_publisher_fmtp(c, plan) for c in plan.spec.codecs)
    if plan.track is None or not plan.track.red:
        return codecs
    return tuple(sorted(codecs, key=lambda c: c.name != "red"))


def _publisher_fmtp(codec: Codec, plan: Receiving) -> Codec:
    """What we ask a publisher to send (RFC 7587 section 7: the receiver's wish)."""
    if codec.name != "opus":
        return codec
    values = known.parameters(codec.fmtp)
    values.pop("usedtx", None)
    values.pop("stereo", None)
    if plan.dtx:
        values["usedtx"] = "1"
    if plan.stereo:
        values |= {"stereo": "1", "maxaveragebitrate": "510000"}
    return replace(codec, fmtp=";".join(f"{k}={v}" if v else k for k, v in values.items()))


def write_offer(sections: Sequence[OfferSection], local: Local) -> str:
    """Our subscriber offer; section 0 is the data section when there is one."""
    bodies = []
    for index, section in enumerate(sections):
        if section.kind == "application":
            body = _data_section("UDP/DTLS/SCTP", section.mid, local)
        else:
            body = _offer_section(section)
        if index == 0:
            body += candidate_lines(local)
        bodies.append(body + _transport_lines(local, "actpass"))
    head = _session_lines(local, [s.mid for s in sections], mixed=True)
    return render(head, *bodies)


def _offer_section(section: OfferSection) -> list[str]:
    lines = [
        _media_line(section.kind, "UDP/TLS/RTP/SAVPF", section.codecs),
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    for name, number in section.extensions.items():
        lines.append(f"a=extmap:{number} {known.EXTENSIONS[name]}")
    if section.sending is None:
        return [*lines, "a=inactive", *_codec_lines(section.codecs, section.kind)]
    offered = section.codecs
    if section.sending.stereo:
        offered = tuple(
            replace(c, fmtp=f"{c.fmtp};sprop-stereo=1") if c.name == "opus" else c for c in offered
        )
    lines += ["a=sendonly", *_codec_lines(offered, section.kind)]
    return lines + _sender_lines(section.sending)


def _session_lines(local: Local, bundle: Sequence[str], *, mixed: bool) -> list[str]:
    lines = [
        "v=0",
        f"o=- {local.session_id} {local.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=msid-semantic:WMS *",
    ]
    if bundle:
        lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    if mixed:
        lines.append("a=extmap-allow-mixed")
    return lines


def _transport_lines(local: Local, setup: str) -> list[str]:
    return [
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
    ]


def candidate_lines(local: Local) -> list[str]:
    """All of them at once: there is nothing to trickle (RFC 8840 section 4)."""
    lines = [f"a=candidate:{line}" for line in attribute_lines(local.candidates)]
    return [*lines, "a=end-of-candidates"]


def _data_section(protocol: str, mid: str, local: Local) -> list[str]:
    return [
        f"m=application 9 {protocol} webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{local.max_message_size}",
    ]


def _media_line(kind: str, protocol: str, codecs: Sequence[Codec]) -> str:
    numbers: list[int] = []
    for codec in codecs:
        numbers.append(codec.payload_type)
        if codec.rtx_payload_type is not None:
            numbers.append(codec.rtx_payload_type)
    return f"m={kind} 9 {protocol} {' '.join(map(str, dict.fromkeys(numbers)))}"


def _codec_lines(codecs: Sequence[Codec], kind: str) -> list[str]:
    lines = []
    for codec in codecs:
        number = codec.payload_type
        channels = "/2" if codec.name in ("opus", "red") else ""
        name = codec.name if codec.name in ("opus", "red") else codec.name.upper()
        lines.append(f"a=rtpmap:{number} {name}/{codec.clock_rate}{channels}")
        lines += [f"a=rtcp-fb:{number} {value}" for value in _feedback(codec)]
        if codec.fmtp:
            lines.append(f"a=fmtp:{number} {codec.fmtp}")
        if codec.rtx_payload_type is not None:
            lines.append(f"a=rtpmap:{codec.rtx_payload_type} rtx/{codec.clock_rate}")
            lines.append(f"a=fmtp:{codec.rtx_payload_type} apt={number}")
    return lines


def _feedback(codec: Codec) -> list[str]:
    flags = (
        (codec.remb, "goog-remb"),
        (codec.transport_cc, "transport-cc"),
        (codec.fir, "ccm fir"),
        (codec.nack, "nack"),
        (codec.pli, "nack pli"),
    )
    return [value for flag, value in flags if flag]


def _stream_id(name: str) -> str:
    """What the publisher called a stream, if an msid can hold it (RFC 8830 section 2); else a
    digest, which keeps the tracks of that stream together as well."""
    if not name or MSID.fullmatch(name):
        return name
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def _sender_lines(sending: Sending) -> list[str]:
    """msid as LiveKit's clients split it, and the SSRCs for those that still want them.

    One CNAME a participant, so that its tracks are played in sync (RFC 8834 section 4.9).
    """
    spec = sending.spec
    stream = f"{sending.participant_id}|{_stream_id(sending.stream) or sending.track_id}"
    lines = [f"a=msid:{stream} {sending.track_id}"]
    if spec.rtx_ssrc is not None:
        lines.append(f"a=ssrc-group:FID {spec.ssrc} {spec.rtx_ssrc}")
    for ssrc in (spec.ssrc, spec.rtx_ssrc):
        if ssrc is not None:
            lines.append(f"a=ssrc:{ssrc} cname:{sending.participant_id}")
            lines.append(f"a=ssrc:{ssrc} msid:{stream} {sending.track_id}")
    return lines


def _rejected(section: Section) -> list[str]:
    lines = [
        f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}",
        "c=IN IP4 0.0.0.0",
    ]
    return [*lines, f"a=mid:{section.mid}", "a=inactive"] if section.mid else lines


def render(*blocks: Sequence[str]) -> str:
    """Lines to text. A line break inside a line would be ours to answer for, so it is a bug."""
    lines = [line for block in blocks for line in block]
    if any(not line.isprintable() for line in lines):
        raise ValueError("control character in a description that we write")
    return "\r\n".join(lines) + "\r\n"
