"""ASVS 5.2, attack class 23: what a file says of itself against what it is. Bombs, polyglots."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageCms

from tests.signaling.files import samples
from tests.signaling.files.rig import There

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEGABYTE = 1024 * 1024


def zipped(**entries: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


def wide_png(width: int, height: int) -> bytes:
    """A small file that says it has many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def photo(kind: str = "JPEG", **options: Any) -> bytes:
    data = io.BytesIO()
    Image.effect_noise((120, 80), 50).convert("RGB").save(data, kind, **options)
    return data.getvalue()


def many_frames() -> bytes:
    """A GIF of 3,000 x 3,000 whose 100 frames have one pixel each: 900 million in 3 kB."""
    head = b"GIF89a" + struct.pack("<HH", 3000, 3000) + b"\x80\0\0" + bytes(6)
    control = b"\x21\xf9\x04\0\x0a\0\0\0"
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return head + (control + frame) * 100 + b";"


def overlapping() -> bytes:
    """Many entries that share their bytes (David Fifield's zip bomb, in small)."""
    data = bytearray(zipped(a=os.urandom(50_000)))
    at = data.index(b"PK\x01\x02")
    entry = bytes(data[at : data.index(b"PK\x05\x06")])
    end = data[data.index(b"PK\x05\x06") :]
    end[8:12] = struct.pack("<HH", 500, 500)
    end[12:16] = struct.pack("<I", len(entry) * 500)
    return bytes(data[:at]) + entry * 500 + bytes(end)


async def refused(there: There, data: bytes, name: str, **wish: Any) -> str:
    """The reason; and that nobody gets the file, and that it takes no room any more."""
    info = await there.bob.send(data, name, **wish)
    assert info["state"] == "refused", info
    assert (await there.bob.link(info["id"])).code == "file_not_ready"
    used = (await there.bob.ask("GET", "/account/files/usage")).json
    assert (used["used_bytes"], used["uploads"]) == (0, 0)
    return str(info["reason"])


@pytest.mark.parametrize("side", [50_000, 100_000, 2**31 - 1])
async def test_5_2_6_a_picture_of_too_many_pixels(there: There, side: int) -> None:
    assert await refused(there, wide_png(side, side), "a.png") == "file_too_complex"


async def test_5_2_6_an_animation_of_too_many_pixels(there: There) -> None:
    data = many_frames()
    assert len(data) < 4000
    assert await refused(there, data, "a.gif") == "file_too_complex"


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz", "nested", "overlapping", "entries"])
async def test_5_2_3_an_archive_that_explodes(there: There, kind: str) -> None:
    zeros = bytes(150 * MEGABYTE)
    inner = zipped(**{f"f{n}": bytes(30 * MEGABYTE) for n in range(3)})
    made: dict[str, Callable[[], bytes]] = {
        "zip": lambda: zipped(a=zeros),
        "gz": lambda: gzip.compress(zeros),
        "bz2": lambda: bz2.compress(zeros, 1),
        "xz": lambda: lzma.compress(zeros, preset=0),
        "nested": lambda: zipped(**{f"z{n}": inner for n in range(4)}),
        "overlapping": overlapping,
        "entries": lambda: zipped(**{f"e{n}": b"" for n in range(50_001)}),
    }
    ending = kind if kind in ("gz", "bz2", "xz") else "zip"
    assert await refused(there, made[kind](), f"a.{ending}") == "file_too_complex"


async def test_honest_archives_and_documents_stay_as_they_are(there: There) -> None:
    data = zipped(
        **{"a.txt": b"text " * 20_000, "word/document.xml": b"<w/>", "in.zip": zipped(b=b"c")}
    )
    for name, kind in (
        ("a.zip", "application/zip"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ):
        info = await there.ana.send(data, name)
        assert (info["state"], info["media_type"]) == ("ready", kind)
        assert (await there.ana.fetch(info["id"])).body == data


@pytest.mark.parametrize(
    ("data", "name", "declared", "reason"),
    [
        (photo(), "a.pdf", "", "file_type_mismatch"),
        (photo(), "a.mp4", "", "file_type_mismatch"),
        (photo(), "a.zip", "", "file_type_mismatch"),
        (b"MZ" + bytes(300), "holiday.jpg", "image/jpeg", "file_type_mismatch"),
        (b"<html><script>alert(1)</script>", "a.png", "", "file_type_mismatch"),
        (b"<html><script>alert(1)</script>", "a", "image/png", "file_type_mismatch"),
        (b"plain text", "a.mp3", "", "file_type_mismatch"),
        (b"not a pdf", "a.pdf", "", "file_type_mismatch"),
        (zipped(a=b"b"), "a.jpg", "", "file_type_mismatch"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", "", "file_unreadable"),
        (photo()[:2000], "a.jpg", "", "file_unreadable"),
        (photo("PNG")[:3000], "a.png", "", "file_unreadable"),
        (photo("WEBP")[:900], "a.webp", "", "file_unreadable"),
        (b"\xff\xd8\xff" + os.urandom(4000), "a.jpg", "", "file_unreadable"),
        (b"GIF89a" + bytes(20), "a.gif", "", "file_unreadable"),
        (b"\0\0\0\x18ftypmp42" + bytes(400), "a.mp4", "", "file_unreadable"),
        (b"OggS" + bytes(400), "a.ogg", "", "file_unreadable"),
        (b"PK\x03\x04" + bytes(100), "a.zip", "", "file_unreadable"),
        (b"\x1f\x8b\x08\0" + bytes(100), "a.gz", "", "file_unreadable"),
        (b"8BPS" + bytes(100), "a.psd", "", "file_type_refused"),
        (b"\0\0\0\x18ftypcrx " + bytes(100), "a.cr3", "", "file_type_refused"),
        (b"II*\0" + bytes(100), "a.dng", "", "file_type_refused"),
        (b"FLV\x01" + bytes(100), "a.flv", "", "file_type_refused"),
        (b"\xff\x0a" + bytes(100), "a.jxl", "", "file_type_refused"),
    ],
)  # fmt: skip
async def test_5_2_2_content_against_name_and_type(
    there: There, data: bytes, name: str, declared: str, reason: str
) -> None:
    assert await refused(there, data, name, media_type=declared) == reason


@pytest.mark.parametrize(
    ("name", "declared", "shown"),
    [("a.png", "image/png", "a.jpg"), ("photo", "", "photo.jpg"), ("a.txt", "text/plain", "a.jpg"),
     ("A.JPEG", "", "A.JPEG"), ("a.jpg", "application/x-evil", "a.jpg")],
)  # fmt: skip
async def test_5_2_2_a_wrong_word_for_the_same_kind_is_corrected(
    there: There, name: str, declared: str, shown: str
) -> None:
    info = await there.ana.send(photo(), name, media_type=declared)
    assert (info["state"], info["media_type"], info["name"]) == ("ready", "image/jpeg", shown)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "a.svg"),
        (b"<?xml version='1.0'?><svg onload='alert(1)'/>", "a.svg"),
        (b"<!doctype html><script>alert(document.domain)</script>", "a.html"),
        (b"\xef\xbb\xbf  <HTML><body onload=alert(1)>", "readme"),
        (b"alert(1)", "a.js"),
        (b"%PDF-1.7 with /JavaScript", "a.pdf"),
        (b"<?xml version='1.0'?><x:html xmlns:x='http://www.w3.org/1999/xhtml'/>", "a.xhtml"),
    ],
)  # fmt: skip
async def test_5_4_what_a_browser_would_run_is_never_shown(
    there: There, data: bytes, name: str
) -> None:
    info = await there.ana.send(data, name, media_type="image/svg+xml" if "svg" in name else "")
    got = await there.ana.fetch(info["id"])
    assert got.body == data
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert "html" not in info["media_type"]
    assert "svg" not in info["media_type"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
async def test_polyglots_lose_their_other_half(there: There, kind: str) -> None:
    """A picture that is a page, a script and an archive as well, in comment and behind its end."""
    evil = b"<script>alert('polyglot')</script>"
    hidden: dict[str, Any] = {"comment": evil} if kind in ("JPEG", "GIF") else {}
    data = photo(kind, **hidden) + evil + zipped(evil=b"x" * 100)
    assert evil in data
    info = await there.ana.send(data, f"a.{kind.lower()}")
    for shape in info["shapes"]:
        body = (await there.ana.fetch(info["id"], variant=shape["variant"])).body
        assert evil not in body
        assert b"PK\x03\x04" not in body
        assert not zipfile.is_zipfile(io.BytesIO(body))


async def test_pictures_come_back_upright_with_their_colours(there: There) -> None:
    image = Image.new("RGB", (60, 40), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = io.BytesIO()
    image.save(data, "JPEG", exif=exif, icc_profile=profile, quality=95)
    info = await there.ana.send(data.getvalue(), "a.jpg")
    assert (info["width"], info["height"]) == (40, 60)
    again = samples.opened((await there.ana.fetch(info["id"])).body)
    assert again.size == (40, 60)
    assert again.info["icc_profile"] == profile
    assert 0x0112 not in again.getexif()
    top_right = again.convert("RGB").getpixel((35, 5))
    assert isinstance(top_right, tuple)
    assert top_right[0] > 200 > 60 > top_right[2]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
async def test_animations_stay_animated(there: There, kind: str) -> None:
    frames = [Image.new("RGB", (50, 40), (n * 40, 0, 0)) for n in range(5)]
    data = io.BytesIO()
    frames[0].save(data, kind, save_all=True, append_images=frames[1:], duration=120, loop=0)
    info = await there.ana.send(data.getvalue(), f"a.{kind.lower()}")
    again = samples.opened((await there.ana.fetch(info["id"])).body)
    assert getattr(again, "n_frames", 1) == 5
    assert abs(info["duration"] - 0.6) < 0.05


async def test_transparency_and_small_forms(there: There) -> None:
    image = Image.new("RGBA", (2000, 1000), (0, 200, 0, 0))
    data = io.BytesIO()
    image.save(data, "PNG")
    info = await there.ana.send(data.getvalue(), "a.png")
    shapes = {shape["variant"]: shape for shape in info["shapes"]}
    assert (shapes["preview"]["width"], shapes["preview"]["height"]) == (1600, 800)
    assert (shapes["thumbnail"]["width"], shapes["thumbnail"]["height"]) == (320, 160)
    small = samples.opened((await there.ana.fetch(info["id"], variant="thumbnail")).body)
    assert small.mode == "RGBA"


async def test_a_voice_message_has_a_length_and_a_waveform(there: There, tmp_path: Any) -> None:
    path = samples.sound("ogg", tmp_path, seconds=3)
    info = await there.ana.send(path.read_bytes(), "voice.ogg", voice=True)
    assert info["voice"] is True
    assert abs(info["duration"] - 3) < 0.1
    assert len(info["waveform"]) == 100
    assert max(info["waveform"]) > 10


async def test_a_film_has_a_poster_and_plays_in_parts(there: There, tmp_path: Any) -> None:
    info = await there.ana.send(samples.film("mp4", tmp_path).read_bytes(), "film.mp4")
    assert (info["width"], info["height"], info["media_type"]) == (160, 120, "video/mp4")
    assert {shape["variant"] for shape in info["shapes"]} == {"file", "preview", "thumbnail"}
    whole = (await there.ana.fetch(info["id"])).body
    part = await there.ana.fetch(info["id"], {"Range": "bytes=100-199"})
    assert (part.status, part.body) == (206, whole[100:200])
    assert part.headers["Content-Type"] == "video/mp4"
