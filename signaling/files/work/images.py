"""Pictures decoded and encoded anew, so that only pixels get through (and a colour profile).

Orientation is applied, animations stay animated. Where the sender chose to share the place, that
alone is written back. Runs in the worker only.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import pi_heif  # type: ignore[import-untyped]
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, ImageSequence, JpegImagePlugin

from signaling.files.port import Variant
from signaling.files.work.job import Done, Job, Output, TooComplex, Unreadable, Untakable

pi_heif.register_heif_opener(thumbnails=False, depth_images=False)
# Ours are counted before anything is decoded, over all frames.
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False

THUMBNAIL, PREVIEW = 320, 1600
PROFILE_BYTES = 512 * 1024
FRAMES = 2000
DNG_VERSION = 50706
# Colour filter array, linear raw (DNG 1.6, chapter 4): a camera's raw file.
RAW_PHOTOMETRIC = (32803, 34892)
GPS_KEPT = (1, 2, 3, 4, 5, 6)  # latitude, longitude, altitude, each with its reference

# What each becomes: Pillow's name, media type, ending.
TARGETS: Mapping[str, tuple[str, str, str]] = {
    "JPEG": ("JPEG", "image/jpeg", "jpg"),
    "PNG": ("PNG", "image/png", "png"),
    "GIF": ("GIF", "image/gif", "gif"),
    "WEBP": ("WEBP", "image/webp", "webp"),
    "TIFF": ("TIFF", "image/tiff", "tif"),
    "BMP": ("PNG", "image/png", "png"),
    "HEIF": ("JPEG", "image/jpeg", "jpg"),
    "AVIF": ("AVIF", "image/avif", "avif"),
}
ANIMATED = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
JPEG_MODES = ("L", "RGB")
Place = tuple[float, float]


class Where(NamedTuple):
    """What may be told of the place, and as it is written back."""

    place: Place
    exif: Image.Exif


class Sink:
    """The second file: forms one after another."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.outputs: list[Output] = []

    def add(self, variant: Variant, media_type: str, data: bytes, size: tuple[int, int]) -> None:
        start = self._file.seek(0, io.SEEK_END)
        self._file.write(data)
        self.outputs.append(
            Output(
                variant=variant,
                media_type=media_type,
                start=start,
                size=len(data),
                width=size[0],
                height=size[1],
            )
        )


def clean(job: Job, source: BinaryIO, target: BinaryIO) -> Done:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _clean(job, source, Sink(target))
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError) as error:
        raise Unreadable(type(error).__name__) from error
    except (ArithmeticError, AttributeError, RuntimeError) as error:
        raise Unreadable(type(error).__name__) from error
    except Image.DecompressionBombError as error:
        raise TooComplex from error


def _clean(job: Job, source: BinaryIO, sink: Sink) -> Done:
    with Image.open(source, formats=(job.reader,)) as image:
        if job.reader == "TIFF":
            _refuse_raw(image)
        frames = _count(job, image)
        # Before pixels are decoded: some readers forget the rest then.
        where = _where(image) if job.keep_location else None
        if frames > 1 and job.reader in ANIMATED:
            return _animation(job, image, sink, where)
        if frames > 1 and job.reader == "TIFF":
            return _pages(job, image, sink, where)
        return _still(job, image, sink, where)


def _count(job: Job, image: Image.Image) -> int:
    """Before a pixel is decoded."""
    width, height = image.size
    if width * height > job.max_pixels:
        raise TooComplex
    frames = int(getattr(image, "n_frames", 1))
    if job.reader not in ANIMATED and job.reader != "TIFF":
        return 1
    if frames > FRAMES or width * height * frames > job.max_pixels:
        raise TooComplex
    return frames


def _refuse_raw(image: Image.Image) -> None:
    tags: Any = getattr(image, "tag_v2", {})
    if DNG_VERSION in tags or tags.get(262) in RAW_PHOTOMETRIC:
        raise Untakable


def _still(job: Job, image: Image.Image, sink: Sink, where: Where | None) -> Done:
    kind, media_type, ending = TARGETS[job.reader]
    # Of the file itself: what it was compressed with.
    options = _options(kind, image)
    upright = ImageOps.exif_transpose(image) or image
    profile = _profile(image, upright.mode)
    frame = _fit(bare(upright), kind, profile)
    data = io.BytesIO()
    extra = _extra(
        kind, profile if frame.mode == upright.mode else None, where.exif if where else None
    )
    frame.save(data, kind, **options, **extra)
    sink.add(Variant.FILE, media_type, data.getvalue(), frame.size)
    small(sink, shown(bare(upright), profile), frame.size, preview=kind == "TIFF")
    return _done(sink, ending, frame.size, where)


def _pages(job: Job, image: Image.Image, sink: Sink, where: Where | None) -> Done:
    """A TIFF of several pages, which may differ in size and mode."""
    pages = []
    for page in ImageSequence.Iterator(image):
        if page.width * page.height > job.max_pixels:
            raise TooComplex
        pages.append(bare(ImageOps.exif_transpose(page) or page))
    image.seek(0)
    data = io.BytesIO()
    pages[0].save(data, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_deflate")
    sink.add(Variant.FILE, "image/tiff", data.getvalue(), pages[0].size)
    small(sink, shown(pages[0], None), pages[0].size, preview=True)
    return _done(sink, "tif", pages[0].size, where)


def _animation(job: Job, image: Image.Image, sink: Sink, where: Where | None) -> Done:
    kind, media_type, ending = TARGETS[job.reader]
    options = _options(kind, image)
    profile = _profile(image, image.mode)
    exif = where.exif if where else None
    loop = image.info.get("loop")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    frames, durations = [], []
    for frame in ImageSequence.Iterator(image):
        upright = bare(frame)
        if orientation != 1:
            upright.getexif()[ExifTags.Base.Orientation] = orientation
            upright = bare(ImageOps.exif_transpose(upright))
        frames.append(upright)
        durations.append(max(0.0, float(frame.info.get("duration", 100) or 0)))
    extra = _extra(kind, profile, exif)
    # Without the word a GIF plays once; the others take 0 for ever, which is their default too.
    if loop is not None:
        extra["loop"] = int(loop)
    times: Any = [round(duration) for duration in durations]
    data = io.BytesIO()
    frames[0].save(
        data, kind, save_all=True, append_images=frames[1:], duration=times, **options, **extra
    )
    sink.add(Variant.FILE, media_type, data.getvalue(), frames[0].size)
    small(sink, shown(frames[0], profile), frames[0].size)
    return _done(sink, ending, frames[0].size, where, sum(durations) / 1000)


def _done(
    sink: Sink,
    ending: str,
    size: tuple[int, int],
    where: Where | None,
    seconds: float | None = None,
) -> Done:
    return Done(
        outputs=tuple(sink.outputs),
        ending=ending,
        width=size[0],
        height=size[1],
        duration=seconds,
        latitude=where.place[0] if where else None,
        longitude=where.place[1] if where else None,
    )


def bare(image: Image.Image) -> Image.Image:
    """Pixels, palette and transparency: nothing else of the file."""
    copy = image.copy()
    kept = image.info.get("transparency")
    copy.info = {} if kept is None else {"transparency": kept}
    # Animated GIF frames and the like are plain images from here on.
    return copy


def _fit(frame: Image.Image, kind: str, profile: bytes | None) -> Image.Image:
    """A mode that the target can hold."""
    if kind == "JPEG" and frame.mode not in JPEG_MODES:
        if frame.mode == "CMYK" and profile is not None:
            return shown(frame, profile)
        return frame.convert("RGB")
    if kind in ("WEBP", "AVIF") and frame.mode not in ("RGB", "RGBA"):
        return frame.convert("RGBA" if frame.has_transparency_data else "RGB")
    if kind == "PNG" and frame.mode not in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"):
        return frame.convert("RGBA" if frame.has_transparency_data else "RGB")
    return frame


def _options(kind: str, image: Image.Image) -> dict[str, Any]:
    """As near to what came as the encoder can."""
    if kind == "JPEG":
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            return {"quality": 90, "optimize": True}
        found: dict[str, Any] = {"qtables": image.quantization, "optimize": True}
        found["progressive"] = bool(image.info.get("progressive"))
        if image.mode == "RGB" and (sampling := JpegImagePlugin.get_sampling(image)) >= 0:
            found["subsampling"] = sampling
        return found
    if kind == "WEBP":
        file = getattr(image, "fp", None)
        lossless = False
        if file is not None:
            here = file.tell()
            file.seek(0)
            lossless = b"VP8L" in file.read(4096)
            file.seek(here)
        return {"lossless": lossless, "quality": 20 if lossless else 90, "method": 1}
    if kind == "AVIF":
        return {"quality": 80, "speed": 8}
    return {"compression": "tiff_deflate"} if kind == "TIFF" else {}


def _extra(kind: str, profile: bytes | None, exif: Image.Exif | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if profile is not None and kind != "GIF":
        found["icc_profile"] = profile
    # Pillow writes no directory of places into a TIFF: there the message alone tells it.
    if exif is not None and kind not in ("GIF", "TIFF"):
        found["exif"] = exif
    return found


def _profile(image: Image.Image, mode: str) -> bytes | None:
    """The colour profile, when it is one and fits the pixels: without it colours change."""
    data = image.info.get("icc_profile")
    if not isinstance(data, bytes) or not data or len(data) > PROFILE_BYTES:
        return None
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(data)).profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        return None
    modes = {"RGB": ("RGB", "RGBA", "P"), "GRAY": ("L", "LA", "1", "I;16"), "CMYK": ("CMYK",)}
    return data if mode in modes.get(space, ()) else None


def shown(image: Image.Image, profile: bytes | None) -> Image.Image:
    """In sRGB, for forms that are small and carry no profile."""
    if image.mode.startswith(("I", "F")):
        floats = image.convert("F")
        extrema: Any = floats.getextrema()
        base, span = float(extrema[0]), max(1.0, float(extrema[1]) - float(extrema[0]))
        return floats.point(lambda value: value * (255 / span) - base * 255 / span).convert("L")
    if profile is not None and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return bare(converted)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def small(sink: Sink, image: Image.Image, size: tuple[int, int], *, preview: bool = False) -> None:
    """Thumbnail, and a preview of what is larger than a screen or no browser shows."""
    wanted = [(Variant.PREVIEW, PREVIEW)] if preview or max(size) > PREVIEW else []
    for variant, edge in (*wanted, (Variant.THUMBNAIL, THUMBNAIL)):
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        image.save(data, "WEBP", quality=80 if variant is Variant.PREVIEW else 70, method=2)
        sink.add(variant, "image/webp", data.getvalue(), image.size)


# Where it was taken


def _gps(image: Image.Image) -> Mapping[int, Any]:
    return image.getexif().get_ifd(ExifTags.IFD.GPSInfo)


def _where(image: Image.Image) -> Where | None:
    gps = _gps(image)
    try:
        latitude = _degrees(gps[2]) * (-1 if str(gps.get(1, "N")).upper().startswith("S") else 1)
        longitude = _degrees(gps[4]) * (-1 if str(gps.get(3, "E")).upper().startswith("W") else 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    good = math.isfinite(latitude) and math.isfinite(longitude)
    if not good or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    exif = Image.Exif()
    # As a tag of its own: of an Exif that has none the writers of PNG and AVIF think it is empty.
    exif[ExifTags.IFD.GPSInfo] = {tag: gps[tag] for tag in GPS_KEPT if tag in gps}
    return Where((round(latitude, 6), round(longitude, 6)), exif)


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600
