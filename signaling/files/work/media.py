"""Sounds and films packed anew without re-coding: streams of sound and picture, nothing beside.

Tags, chapters, cover pictures, subtitles and data streams (where cameras write their way) stay
behind. A poster and a waveform come from decoding. Runs in the worker only.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import av
import av.error
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from PIL import Image

from signaling.files.port import Variant
from signaling.files.work.images import Place, Sink, shown, small
from signaling.files.work.job import WAVES, Done, Job, Output, TooComplex, Unreadable

# The one demuxer of each, so that no file chooses a reader that fetches other files.
READERS: Mapping[str, str] = {
    "mp4": "mov", "mov": "mov", "3gp": "mov", "ipod": "mov", "webm": "matroska",
    "matroska": "matroska", "ogg": "ogg", "mp3": "mp3", "flac": "flac", "wav": "wav",
    "adts": "aac",
}  # fmt: skip
# Media type with pictures, without, and ending of each.
TARGETS: Mapping[str, tuple[str, str, str, str]] = {
    "mp4": ("video/mp4", "audio/mp4", "mp4", "m4a"),
    "mov": ("video/quicktime", "audio/mp4", "mov", "mov"),
    "3gp": ("video/3gpp", "audio/3gpp", "3gp", "3gp"),
    "ipod": ("video/mp4", "audio/mp4", "m4v", "m4a"),
    "webm": ("video/webm", "audio/webm", "webm", "weba"),
    "matroska": ("video/x-matroska", "audio/x-matroska", "mkv", "mka"),
    "ogg": ("video/ogg", "audio/ogg", "ogv", "ogg"),
    "mp3": ("audio/mpeg", "audio/mpeg", "mp3", "mp3"),
    "flac": ("audio/flac", "audio/flac", "flac", "flac"),
    "wav": ("audio/wav", "audio/wav", "wav", "wav"),
    "adts": ("audio/aac", "audio/aac", "aac", "aac"),
}
OPTIONS: Mapping[str, Mapping[str, str]] = {"mp3": {"id3v2_version": "0", "write_id3v1": "0"}}
STREAMS = 16
RATE = 8000
# Longer sounds have no waveform: it is for voice messages.
WAVEFORM_SECONDS = 3600
_ISO6709 = re.compile(r"^([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)(?:[+-]\d+(?:\.\d+)?)?/?")
_PLACES = ("location", "com.apple.quicktime.location.ISO6709", "location-eng")
# Pictures of these come with segments of their own in each frame.
_FRAMES_WITH_TAGS = frozenset({"mjpeg", "mjpegb", "png", "apng", "tiff", "webp", "jpeg2000"})


def clean(job: Job, source: BinaryIO, target: BinaryIO) -> Done:
    try:
        return _clean(job, source, target)
    except MemoryError as error:
        raise TooComplex from error
    except (av.error.FFmpegError, ValueError, OSError, TypeError, KeyError, IndexError) as error:
        raise Unreadable(type(error).__name__) from error
    except (ArithmeticError, AttributeError, RuntimeError) as error:
        raise Unreadable(type(error).__name__) from error


def _open(job: Job, source: BinaryIO) -> InputContainer:
    source.seek(0)
    return av.open(source, "r", format=READERS[job.reader], metadata_errors="ignore")


def _clean(job: Job, source: BinaryIO, target: BinaryIO) -> Done:
    with _open(job, source) as container:
        if len(container.streams) > STREAMS:
            raise TooComplex
        kept = [stream for stream in container.streams if _kept(job, stream)]
        if not kept:
            raise Unreadable("no stream")
        video = any(stream.type == "video" for stream in kept)
        place = _place(container) if job.keep_location else None
        seconds = _seconds(container, kept)
        _remux(job, container, kept, target, place)
    media_type = TARGETS[job.reader][0 if video else 1]
    size = target.seek(0, io.SEEK_END)
    sink = Sink(target)
    first = Output(variant=Variant.FILE, media_type=media_type, start=0, size=size)
    sink.outputs.append(first)
    frame = _poster(job, source) if video else None
    waveform: tuple[int, ...] = ()
    if frame is not None:
        small(sink, shown(frame, None), frame.size, preview=True)
    if not video and seconds is not None and seconds <= WAVEFORM_SECONDS:
        waveform = _waveform(job, source, seconds)
    return Done(
        outputs=tuple(sink.outputs),
        ending=TARGETS[job.reader][2 if video else 3],
        width=frame.width if frame else None,
        height=frame.height if frame else None,
        duration=seconds,
        waveform=waveform,
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
    )


def _kept(job: Job, stream: Any) -> bool:
    if stream.type == "audio":
        return stream.codec_context is not None
    if stream.type != "video" or stream.codec_context is None:
        return False
    if stream.disposition & av.stream.Disposition.attached_pic:
        return False
    if stream.codec_context.name in _FRAMES_WITH_TAGS:
        return False
    if stream.codec_context.width * stream.codec_context.height > job.max_pixels:
        raise TooComplex
    return True


def _remux(
    job: Job, container: InputContainer, kept: list[Any], target: BinaryIO, place: Place | None
) -> None:
    options = {"fflags": "+bitexact", **OPTIONS.get(job.reader, {})}
    with av.open(target, "w", format=job.reader, options=options) as output:
        if place is not None:
            output.metadata["location"] = f"{place[0]:+010.6f}{place[1]:+011.6f}/"
        streams = {stream.index: output.add_stream_from_template(stream) for stream in kept}
        for stream in streams.values():
            stream.metadata.clear()
        for packet in container.demux(kept):
            if packet.dts is None:
                continue
            packet.stream = streams[packet.stream.index]
            output.mux(packet)


def _seconds(container: InputContainer, kept: list[Any]) -> float | None:
    if container.duration:
        return max(0.0, round(container.duration / 1_000_000, 3))
    for stream in kept:
        if stream.duration and stream.time_base:
            return max(0.0, round(float(stream.duration * stream.time_base), 3))
    return None


def _place(container: InputContainer) -> Place | None:
    """ISO 6709, annex H, as phones write it."""
    for name in _PLACES:
        found = _ISO6709.match(container.metadata.get(name, ""))
        if found and abs(float(found[1])) <= 90 and abs(float(found[2])) <= 180:
            return float(found[1]), float(found[2])
    return None


def _poster(job: Job, source: BinaryIO) -> Image.Image | None:
    """The first picture, upright. A film whose codec is unknown here has none."""
    with _open(job, source) as container:
        streams: list[Any] = [one for one in container.streams.video if _kept(job, one)]
        if not streams:
            return None
        streams[0].codec_context.thread_count = 1
        try:
            frame: Any = next(iter(container.decode(streams[0])), None)
        except av.error.FFmpegError:
            return None
        if frame is None or frame.width * frame.height > job.max_pixels:
            return None
        image: Image.Image = frame.to_image()
        turned = int(frame.rotation) % 360
        return image.rotate(turned, expand=True) if turned else image


def _waveform(job: Job, source: BinaryIO, seconds: float) -> tuple[int, ...]:
    """The loudest sample of each of `WAVES` stretches, 0 to 255."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    stretch = max(1, int(seconds * RATE / WAVES))
    peaks, at = [0] * WAVES, 0
    with _open(job, source) as container:
        stream: Any = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        try:
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    samples = memoryview(bytes(piece.planes[0]))[: piece.samples * 2].cast("h")
                    at = _peaks(samples, peaks, at, stretch)
        except av.error.FFmpegError:
            return ()
    return tuple(min(255, peak >> 7) for peak in peaks)


def _peaks(samples: memoryview[int], peaks: list[int], at: int, stretch: int) -> int:
    done = 0
    while done < len(samples):
        place = min(at // stretch, WAVES - 1)
        most = len(samples) if place == WAVES - 1 else done + stretch - at % stretch
        piece = samples[done:most]
        loudest = max(piece)
        peaks[place] = max(peaks[place], loudest, -min(piece))
        at += len(piece)
        done += len(piece)
    return at
