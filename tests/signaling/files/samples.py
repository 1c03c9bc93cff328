"""Pictures, sounds and films as phones make them: with a place in them, written by exiftool.

The pixels come from Pillow, films and sounds from ffmpeg; every sample says where it was taken and
by whose camera before it is sent.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image

PLACE = ("48.8577", "2.295")
WRITTEN = (
    "-GPSLatitude=48.8577", "-GPSLatitudeRef=N", "-GPSLongitude=2.295", "-GPSLongitudeRef=E",
    "-XMP-exif:GPSLatitude=48.8577", "-XMP-exif:GPSLongitude=2.295", "-Make=CanaryCam",
    "-XMP-dc:Creator=Canary Person", "-Comment=canary comment",
)  # fmt: skip
FILM_TAGS = (
    "-Keys:GPSCoordinates=48.8577, 2.295", "-UserData:GPSCoordinates=48.8577, 2.295",
    "-ItemList:GPSCoordinates=48.8577, 2.295", "-XMP-exif:GPSLatitude=48.8577",
    "-XMP-exif:GPSLongitude=2.295", "-ItemList:Title=canary title",
    "-ItemList:Artist=Canary Person",
)  # fmt: skip
CANARIES = (b"CanaryCam", b"Canary Person", b"canary comment", b"canary title", b"48.857")


def exiftool(*words: str) -> str:
    program = shutil.which("exiftool")
    assert program is not None, "install libimage-exiftool-perl (.ci/debian-packages)"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def place_of(path: Path) -> str:
    """Whatever exiftool finds of places, in any group, embedded tracks included."""
    found = exiftool(
        "-ee", "-a", "-G1", "-s", "-n", "-GPS*", "-Location*", "-*Coordinates*", str(path)
    )
    return "\n".join(line for line in found.splitlines() if "]" in line)


def picture(kind: str, folder: Path, **options: Any) -> Path:
    """A photograph of `kind` (an ending) with everything that a phone writes into it."""
    path = folder / f"photo.{kind}"
    image = Image.effect_noise((240, 160), 40).convert("RGB")
    image.paste((200, 30, 30), (0, 0, 60, 40))  # top left: to see which way up it is
    image.save(path, **options)
    said = exiftool("-q", "-overwrite_original", *WRITTEN, str(path))
    assert not said.strip() or "Warning" in said, said
    return path


def ffmpeg(*words: str) -> None:
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", *words], check=True)


FILMS = {
    "mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "mov": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "3gp": ("-c:v", "mpeg4", "-c:a", "aac"),
    "webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "mkv": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "libopus"),
}
SOUNDS = {
    "m4a": ("-c:a", "aac"), "mp3": ("-c:a", "libmp3lame"), "ogg": ("-c:a", "libopus"),
    "flac": ("-c:a", "flac"), "wav": ("-c:a", "pcm_s16le"),
}  # fmt: skip
TAGS = (
    "-metadata", "location=+48.8577+002.2950/", "-metadata", "title=canary title",
    "-metadata", "artist=Canary Person",
)  # fmt: skip


def film(kind: str, folder: Path) -> Path:
    path = folder / f"film.{kind}"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc=d=1:s=160x120:r=10", "-f", "lavfi", "-i", "sine=d=1",
        *FILMS[kind], *TAGS, str(path),
    )  # fmt: skip
    if kind in ("mp4", "mov", "3gp"):
        exiftool("-q", "-overwrite_original", *FILM_TAGS, str(path))
    return path


def sound(kind: str, folder: Path, seconds: int = 1) -> Path:
    path = folder / f"sound.{kind}"
    ffmpeg("-f", "lavfi", "-i", f"sine=d={seconds}", *SOUNDS[kind], *TAGS, str(path))
    if kind == "m4a":
        exiftool("-q", "-overwrite_original", *FILM_TAGS, str(path))
    return path


def png(size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    data = io.BytesIO()
    Image.new(mode, size).save(data, "PNG")
    return data.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def heic(folder: Path) -> Path:
    """Debian's heif-enc: no Python encoder is free of patents and none is wanted."""
    source, path = folder / "source.png", folder / "photo.heic"
    Image.effect_noise((240, 160), 40).convert("RGB").save(source)
    program = shutil.which("heif-enc")
    assert program is not None, "install libheif-examples (.ci/debian-packages)"
    subprocess.run([program, "-q", "60", "-o", str(path), str(source)], check=True,
                   capture_output=True)  # fmt: skip
    exiftool("-q", "-overwrite_original", *WRITTEN, str(path))
    return path


def jxl(folder: Path) -> Path:
    path = folder / "photo.jxl"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:d=0.04:r=25", "-frames:v", "1", "-c:v", "libjxl",
           str(path))  # fmt: skip
    return path
