"""Offer to engine parameters, and answers to our offers: pure functions.

Nothing here keeps state, allocates SSRCs or talks to the engine: `participant/` decides which track
belongs to which section and passes it in as a plan. What is then written is `describe.py`. DTLS is
passive whenever the client leaves us the choice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mediaserver import codecs as known
from mediaserver.api import Kind, LayerSpec, TrackSpec
from mediaserver.describe import OfferSection, Receiving
from mediaserver.engine_types import Codec, Encoding, PublicationSpec, SubscriptionSpec
from mediaserver.errors import ClientError, Code, bad_sdp, unsupported_sdp
from mediaserver.sdp import Description, Fingerprint, Section

QUALITY_BY_RID = {"q": 0, "h": 1, "f": 2, "2": 0, "1": 1, "0": 2}
MAX_ENCODINGS = 3


@dataclass(frozen=True, slots=True)
class Remote:
    """The client's side of one transport. `client` is True when it is the DTLS client."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    client: bool


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
    `allowed` binds a kind only when it names a codec of that kind.
    """
    offered = known.section_codecs(section)
    if fixed:
        offered = tuple(c for c in offered if c.name in fixed)
    allowed = [mime for mime in allowed if mime.startswith(f"{section.kind}/")]
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
