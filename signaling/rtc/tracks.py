"""TrackInfo: how an AddTrackRequest and the media server's findings become what everybody sees.

Pure functions over LiveKit's messages and `mediaserver.api`'s types, and `Publication`, which
holds one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import CodecSpec, Kind, LayerSpec, Published, PublishedCodec, TrackSpec

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

LayerMode = models.VideoLayer.Mode
Feature = models.AudioTrackFeature
Source = models.TrackSource
_SVC = frozenset({"video/vp9", "video/av1"})
_SCREEN = frozenset({Source.SCREEN_SHARE, Source.SCREEN_SHARE_AUDIO})
_CAMERA = frozenset({Source.CAMERA, Source.MICROPHONE})


@dataclass(slots=True)
class Publication:
    """A published track. Ends when its publisher unpublishes it or leaves."""

    info: models.TrackInfo
    cid: str
    publisher: Participant
    subscribed_once: bool = False

    @property
    def sid(self) -> str:
        return self.info.sid

    def mids(self) -> set[str]:
        return {m for m in (self.info.mid, *(c.mid for c in self.info.codecs)) if m}

    def cids(self) -> set[str]:
        return {self.cid, *(c.cid for c in self.info.codecs)}


def stream_name(source: int) -> str:
    """Tracks of one stream are played together, so they are lip-synchronised."""
    if source in _CAMERA:
        return "camera"
    return "screenshare" if source in _SCREEN else str(source)


def track_info(
    request: rtc.AddTrackRequest, sid: str, version: models.TimedVersion
) -> models.TrackInfo:
    info = models.TrackInfo(
        sid=sid,
        type=request.type,
        name=request.name,
        muted=request.muted,
        width=request.width,
        height=request.height,
        source=request.source,
        layers=_ordered(request.layers),
        disable_red=request.disable_red,
        encryption=request.encryption,
        stream=request.stream or stream_name(request.source),
        version=version,
        backup_codec_policy=_backup_policy(request),
        packet_trailer_features=sorted(set(request.packet_trailer_features)),
    )
    features = list(dict.fromkeys(request.audio_features))
    if request.stereo and Feature.TF_STEREO not in features:
        features.append(Feature.TF_STEREO)
    if request.disable_dtx and Feature.TF_NO_DTX not in features:
        features.append(Feature.TF_NO_DTX)
    set_audio_features(info, features)
    add_codecs(info, request)
    first = info.codecs[0]
    info.simulcast = (
        len(first.layers) > 1
        and first.video_layer_mode != LayerMode.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
    )
    return info


def _ordered(layers: Iterable[models.VideoLayer]) -> list[models.VideoLayer]:
    return sorted(layers, key=lambda layer: layer.quality)


def _backup_policy(request: rtc.AddTrackRequest) -> models.BackupCodecPolicy:
    regress = models.BackupCodecPolicy.REGRESSION
    if request.type == models.TrackType.AUDIO and request.backup_codec_policy != regress:
        return models.BackupCodecPolicy.SIMULCAST
    return request.backup_codec_policy


def add_codecs(info: models.TrackInfo, request: rtc.AddTrackRequest) -> None:
    """Append the request's codecs that the track does not have yet."""
    kind = "video" if info.type == models.TrackType.VIDEO else "audio"
    if not request.simulcast_codecs and not info.codecs:
        info.codecs.append(
            models.SimulcastCodecInfo(
                cid=request.cid,
                layers=info.layers,
                video_layer_mode=LayerMode.ONE_SPATIAL_LAYER_PER_STREAM,
            )
        )
        return
    for codec in request.simulcast_codecs:
        mime = codec.codec if "/" in codec.codec else f"{kind}/{codec.codec}"
        if not codec.codec:
            mime = ""
        known = next((c for c in info.codecs if c.mime_type.lower() == mime.lower()), None)
        if known is not None:
            known.cid = codec.cid or known.cid
            continue
        info.codecs.append(
            models.SimulcastCodecInfo(
                mime_type=mime,
                cid=codec.cid,
                layers=_ordered(codec.layers or request.layers),
                video_layer_mode=_layer_mode(codec, mime),
            )
        )


def _layer_mode(codec: rtc.SimulcastCodec, mime: str) -> models.VideoLayer.Mode:
    if codec.video_layer_mode != LayerMode.MODE_UNUSED:
        return codec.video_layer_mode
    if mime.lower() in _SVC:
        return LayerMode.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
    return LayerMode.ONE_SPATIAL_LAYER_PER_STREAM


def set_audio_features(
    info: models.TrackInfo, features: Iterable[models.AudioTrackFeature]
) -> None:
    """The two deprecated booleans follow the features."""
    listed = list(dict.fromkeys(features))
    del info.audio_features[:]
    info.audio_features.extend(listed)
    info.stereo = Feature.TF_STEREO in listed
    info.disable_dtx = Feature.TF_NO_DTX in listed


def set_layers(info: models.TrackInfo, layers: Iterable[models.VideoLayer]) -> None:
    ordered = _ordered(layers)
    for target in (info.layers, *(codec.layers for codec in info.codecs[:1])):
        del target[:]
        target.extend(ordered)


def track_spec(info: models.TrackInfo, cid: str) -> TrackSpec:
    """What the media server must know to find the track in an offer."""
    return TrackSpec(
        track_id=info.sid,
        cid=cid,
        kind=Kind.VIDEO if info.type == models.TrackType.VIDEO else Kind.AUDIO,
        screen=info.source in _SCREEN,
        codecs=tuple(CodecSpec(mime=c.mime_type, cid=c.cid) for c in info.codecs if c.mime_type),
        layers=tuple(
            LayerSpec(
                quality=int(layer.quality),
                rid=layer.rid,
                width=layer.width,
                height=layer.height,
                bitrate=layer.bitrate,
                ssrc=layer.ssrc,
            )
            for layer in info.layers
        ),
        red=not info.disable_red,
        stereo=info.stereo,
        dtx=not info.disable_dtx,
        muted=info.muted,
        stream=info.stream,
    )


def plain_track_info(published: Published) -> models.TrackInfo:
    """A track of a WHIP session, which announces nothing: a camera or a microphone."""
    video = published.kind is Kind.VIDEO
    source = Source.CAMERA if video else Source.MICROPHONE
    return models.TrackInfo(
        sid=published.track_id,
        type=models.TrackType.VIDEO if video else models.TrackType.AUDIO,
        source=source,
        stream=stream_name(source),
        disable_red=not published.red,
    )


def apply_media(info: models.TrackInfo, published: Published, version: models.TimedVersion) -> None:
    """Write what was negotiated into the track's info."""
    info.mid = published.mid
    info.version.CopyFrom(version)
    for found in published.codecs:
        codec = _codec_for(info, found)
        codec.mime_type, codec.mid = found.mime, found.mid
        if found.cid and codec.cid and found.cid != codec.cid:
            codec.sdp_cid = found.cid
        if found.svc:
            codec.video_layer_mode = LayerMode.MULTIPLE_SPATIAL_LAYERS_PER_STREAM
        _merge_layers(codec.layers, found.layers)
    if published.codecs:
        info.mime_type = published.codecs[0].mime
        info.mid = info.mid or published.codecs[0].mid
    _merge_layers(info.layers, published.layers)


def _codec_for(info: models.TrackInfo, found: PublishedCodec) -> models.SimulcastCodecInfo:
    mime = found.mime.lower()
    for codec in info.codecs:
        if codec.mime_type.lower() == mime:
            return codec
    for codec in info.codecs:
        if not codec.mime_type or (codec.cid and codec.cid == found.cid):
            return codec
    return info.codecs.add(cid=found.cid)


def _merge_layers(layers: Iterable[models.VideoLayer], found: Iterable[LayerSpec]) -> None:
    by_quality = {int(layer.quality): layer for layer in layers}
    for spec in found:
        layer = by_quality.get(spec.quality)
        if layer is not None:
            layer.ssrc, layer.rid = spec.ssrc, spec.rid or layer.rid


def demand_message(
    info: models.TrackInfo, qualities: Iterable[tuple[str, Iterable[tuple[int, bool]]]]
) -> rtc.SignalResponse:
    """SubscribedQualityUpdate for video, SubscribedAudioCodecUpdate for audio."""
    if info.type == models.TrackType.AUDIO:
        return rtc.SignalResponse(
            subscribed_audio_codec_update=rtc.SubscribedAudioCodecUpdate(
                track_sid=info.sid,
                subscribed_audio_codecs=[
                    models.SubscribedAudioCodec(
                        codec=_short(mime), enabled=any(on for _, on in levels)
                    )
                    for mime, levels in qualities
                ],
            )
        )
    codecs = [
        rtc.SubscribedCodec(
            codec=_short(mime),
            qualities=[rtc.SubscribedQuality(quality=_quality(q), enabled=on) for q, on in levels],
        )
        for mime, levels in qualities
    ]
    return rtc.SignalResponse(
        subscribed_quality_update=rtc.SubscribedQualityUpdate(
            track_sid=info.sid,
            # Clients that know no codecs read the first codec's qualities.
            subscribed_qualities=codecs[0].qualities if codecs else [],
            subscribed_codecs=codecs,
        )
    )


def _short(mime: str) -> str:
    """Clients compare with their own names: `vp8`, not `video/VP8`."""
    return mime.rpartition("/")[2].lower()


def _quality(value: int) -> models.VideoQuality:
    return (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)[
        min(max(value, 0), 2)
    ]
