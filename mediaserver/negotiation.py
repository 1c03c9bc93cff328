"""Offer to engine parameters and answer, and subscriber offers: pure functions.

Nothing here keeps state, allocates SSRCs or talks to the engine: `participant/` decides which track
belongs to which section and passes it in as a plan. Every description that we write is made here.
ICE-lite, BUNDLE and rtcp-mux always; DTLS passive whenever the client leaves us the choice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mediaserver import codecs as known
from mediaserver.api import IceCandidate, Kind, LayerSpec, TrackSpec
from mediaserver.candidates import attribute_lines
from mediaserver.engine_types import Codec, Encoding, PublicationSpec, SubscriptionSpec
from mediaserver.errors import ClientError, Code, bad_sdp, unsupported_sdp
from mediaserver.sdp import Description, Fingerprint, Section

SCTP_PORT = 5000
QUALITY_BY_RID = {"q": 0, "h": 1, "f": 2, "2": 0, "1": 1, "0": 2}
MAX_ENCODINGS = 3


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
class Remote:
    """The client's side of one transport. `client` is True when it is the DTLS client."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    client: bool


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


@dataclass(frozen=True, slots=True)
class Answered:
    """What the client accepted of one section that we offered."""

    mid: str
    accepted: bool
    codecs: tuple[Codec, ...]
    extensions: Mapping[str, int]


def remote_of(description: Description, *, answering: bool) -> Remote:
    """The bundled transport: the first live section speaks for all (RFC 9143 section 7.3)."""
    live = list(description.live())
    if not live:
        raise unsupported_sdp("every section is rejected")
    tag = next((s for s in live if s.mid in description.bundle[:1]), live[0])
    prints = tuple(tag.transport.fingerprints)
    for section in live:
        if not section.is_data and not section.rtcp_mux:
            raise unsupported_sdp("rtcp-mux is required")
        if tuple(section.transport.fingerprints) != prints:
            raise unsupported_sdp("bundled sections differ in their fingerprints")
    setup = tag.transport.setup
    if setup == "holdconn" or (answering and setup == "actpass"):
        raise bad_sdp("setup must be active or passive in an answer")
    return Remote(tag.transport.ufrag, tag.transport.pwd, prints, setup != "passive")


def plan_receiving(
    section: Section,
    track: TrackSpec | None,
    *,
    allowed: Sequence[str] = (),
    fixed: Sequence[str] = (),
) -> Receiving | None:
    """How a section in which the client sends is taken; None when no codec is shared.

    `fixed`: the codecs already answered for this section, which a late declaration must keep.
    """
    offered = known.section_codecs(section)
    if fixed:
        offered = tuple(c for c in offered if c.name in fixed)
    wanted = _wanted(track, section.msid_track)
    chosen = known.for_publishing(offered, wanted, allowed, red=track is None or track.red)
    if not chosen:
        return None
    extensions = known.usable(known.accepted_extensions(section), client_sends=True)
    encodings, rids = _encodings(section, track)
    spec = PublicationSpec(
        kind="audio" if section.kind == Kind.AUDIO else "video",
        mid=section.mid,
        codecs=chosen,
        extensions=extensions,
        encodings=encodings,
        svc=chosen[0].name in ("vp9", "av1") and len(encodings) == 1,
        screen=track is not None and track.screen,
    )
    stereo, dtx = (track.stereo, track.dtx) if track is not None else (False, True)
    return Receiving(spec, track, rids, stereo, dtx)


def plan_sending(
    section: Section, published: Sequence[Codec], ssrc: int, rtx_ssrc: int
) -> SubscriptionSpec | None:
    """How a track leaves on a section that the client offered; None when no codec is shared."""
    extensions = known.usable(known.accepted_extensions(section), client_sends=False)
    return _subscription(
        section.mid, published, known.section_codecs(section), extensions, ssrc, rtx_ssrc
    )


def plan_answered(
    answered: Answered, published: Sequence[Codec], ssrc: int, rtx_ssrc: int
) -> SubscriptionSpec | None:
    """The same for a section that we offered."""
    if not answered.accepted:
        return None
    return _subscription(
        answered.mid, published, answered.codecs, answered.extensions, ssrc, rtx_ssrc
    )


def _subscription(
    mid: str,
    published: Sequence[Codec],
    offered: Sequence[Codec],
    extensions: Mapping[str, int],
    ssrc: int,
    rtx_ssrc: int,
) -> SubscriptionSpec | None:
    chosen = known.for_subscribing(
        published, offered, dependency_descriptor="dependency_descriptor" in extensions
    )
    if not chosen:
        return None
    rtx = rtx_ssrc if any(c.rtx_payload_type is not None for c in chosen) else None
    # rid and rrid name a publisher's layers; a subscriber receives one stream (RFC 8852).
    wanted = {k: v for k, v in extensions.items() if k not in ("rid", "rrid")}
    return SubscriptionSpec(mid, ssrc, rtx, chosen, wanted)


def _wanted(track: TrackSpec | None, cid: str) -> str:
    if track is None or not track.codecs:
        return ""
    own = next((c for c in track.codecs if same_cid(c.cid, cid)), track.codecs[0])
    return known.codec_name(own.mime)


def same_cid(left: str, right: str) -> bool:
    """Firefox writes track ids in braces, and some clients strip them."""
    return left.strip("{}") == right.strip("{}") != ""


def _encodings(
    section: Section, track: TrackSpec | None
) -> tuple[tuple[Encoding, ...], tuple[str, ...]]:
    """The layers, by rid (RFC 8853), by legacy SIM group, or the only one; and the rids."""
    repair = {g[0]: g[1] for s, g in section.ssrc_groups if s == "FID" and len(g) == 2}
    layers = track.layers if track is not None else ()
    rids = section.simulcast_send or tuple(r for r, way in section.rids.items() if way == "send")
    if section.kind == Kind.VIDEO and rids:
        kept = rids[:MAX_ENCODINGS]
        found = (_encoding(_layer(layers, i, len(kept), r), rid=r) for i, r in enumerate(kept))
        # Lowest first, as the engine counts; native libwebrtc SDKs offer the highest first.
        return tuple(sorted(found, key=lambda e: e.quality)), kept
    simulcast = next((g for s, g in section.ssrc_groups if s == "SIM"), ())[:MAX_ENCODINGS]
    if section.kind == Kind.VIDEO and len(simulcast) > 1:
        return tuple(
            _encoding(_layer(layers, i, len(simulcast), ""), ssrc=ssrc, rtx=repair.get(ssrc))
            for i, ssrc in enumerate(simulcast)
        ), ()
    repairs = set(repair.values())
    ssrc = next((s for s in section.ssrcs if s not in repairs), None)
    top = max(layers, key=lambda x: x.quality, default=LayerSpec(2))
    return (_encoding(top, ssrc=ssrc, rtx=repair.get(ssrc) if ssrc is not None else None),), ()


def _layer(layers: Sequence[LayerSpec], index: int, count: int, rid: str) -> LayerSpec:
    """The announced layer of this encoding: by its rid, by the rid's custom, by position."""
    for layer in layers:
        if rid and layer.rid == rid:
            return layer
    quality = QUALITY_BY_RID.get(rid, index if count > 1 else 2)
    for layer in layers:
        if layer.quality == quality:
            return layer
    return LayerSpec(quality, rid)


def _encoding(
    layer: LayerSpec, *, rid: str | None = None, ssrc: int | None = None, rtx: int | None = None
) -> Encoding:
    return Encoding(rid, ssrc, rtx, layer.quality, layer.width, layer.height, layer.bitrate)


def write_answer(offer: Description, local: Local, plan: Plan, *, client: bool) -> str:
    """The answer. Sections without a plan are inactive, those without a shared codec rejected."""
    bodies: list[list[str]] = []
    accepted: list[str] = []
    for section in offer.sections:
        body = _answer_section(section, plan.get(section.mid))
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


def _answer_section(section: Section, plan: Receiving | Sending | None) -> list[str] | None:
    if section.rejected:
        return None
    if section.is_data:
        return _data_section(section.protocol, section.mid)
    offered = known.section_codecs(section)
    if isinstance(plan, Receiving):
        offered = plan.spec.codecs
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
        offered = _publisher_codecs(plan)
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
            body = _data_section("UDP/DTLS/SCTP", section.mid)
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


def read_answer(answer: Description, offered: Sequence[OfferSection]) -> tuple[Answered, ...]:
    """Match an answer with our offer, section by section (RFC 8829 section 5.10)."""
    if len(answer.sections) != len(offered):
        raise ClientError(Code.ANSWER_UNEXPECTED, 400, "the answer has not our number of sections")
    result = []
    for ours, theirs in zip(offered, answer.sections, strict=True):
        if ours.kind != theirs.kind or (not theirs.rejected and theirs.mid != ours.mid):
            raise ClientError(Code.ANSWER_UNEXPECTED, 400, "the answer does not fit our offer")
        accepted = not theirs.rejected and (theirs.receives or theirs.is_data)
        codecs = () if theirs.is_data else _common(ours.codecs, known.section_codecs(theirs))
        ids = {n: i for n, (i, _) in known.accepted_extensions(theirs).items()}
        extensions = {n: i for n, i in ours.extensions.items() if ids.get(n) == i}
        result.append(Answered(ours.mid, accepted, codecs, extensions))
    return tuple(result)


def _common(ours: Iterable[Codec], theirs: Iterable[Codec]) -> tuple[Codec, ...]:
    """Their payload types of our codecs; they may renumber (RFC 3264 section 6.1)."""
    mine = {c.name for c in ours}
    return tuple(c for c in theirs if c.name in mine)


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


def _data_section(protocol: str, mid: str) -> list[str]:
    return [
        f"m=application 9 {protocol} webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a=sctp-port:{SCTP_PORT}",
        "a=max-message-size:262144",
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


def _sender_lines(sending: Sending) -> list[str]:
    """msid as LiveKit's clients split it, and the SSRCs for those that still want them.

    One CNAME a participant, so that its tracks are played in sync (RFC 8834 section 4.9).
    """
    spec = sending.spec
    stream = f"{sending.participant_id}|{sending.stream or sending.track_id}"
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
