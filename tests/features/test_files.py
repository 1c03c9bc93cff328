"""What people send beside text: how it arrives, what is made of it, who gets it.

Long because each kind of harm has its own test, and each ends with a device that comes back.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from sotto_client.model import MessageView
from tests.features.raising import MEGABYTE
from tests.features.town import Annex, Person, Phone, Place, Shown, Town
from tests.signaling.files import samples
from tests.signaling.files.rig import every_byte
from tests.signaling.files.scanners import EICAR
from tests.signaling.files.test_checked import photo, wide_png, zipped


def files(message: MessageView) -> list[Any]:
    return list(getattr(message.body, "files", []))


async def found(phone: Phone, room: str, message: Any) -> tuple[bytes, Mapping[str, str]]:
    """By the key in the message that came to the device."""
    (file,) = files(phone.message(room, message["id"]))
    return await phone.person.fetch(file.id, key=file.key)


async def refused(shown: Shown, person: Person, room: str, data: bytes, name: str) -> str:
    """The reason; nobody gets the file."""
    info = await person.send(room, data, name)
    assert info["state"] == "refused", info
    shown.refused(await person.link(info["id"]), 409, "file_not_ready")
    shown.note(f"`{info['reason']}`")
    return str(info["reason"])


async def test_create(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    async with bob.phone(room) as phone:
        async with phone.away():
            made = await ann.create(room, 5, "a.txt")
            assert (made.status, made.body["state"]) == (201, "uploading")
            assert made.headers["Location"] == f"/api/v1/uploads/{made.body['id']}"
            await ann.piece(made.body["id"], 0, b"hello")
            info = await ann.must("POST", f"/files/{made.body['id']}/complete")
            message = await ann.attach(room, info)
            shown.allowed()
        assert (await found(phone, room, message))[0] == b"hello"
        shown.offline()
    shown.refused(await town.cy.create(room, 5), 403, "not_permitted")
    fleeting = await ann.room(bob, mode="transient")
    shown.refused(await ann.create(fleeting, 5), 422, "file_mode_mismatch")
    encrypted = await ann.room(bob, mode="e2ee")
    shown.refused(await ann.create(encrypted, 5), 422, "file_mode_mismatch")


async def test_resumable_upload_tus_1_0(town: Town, shown: Shown) -> None:
    """The phone that uploads is the one that goes offline, in the middle of it."""
    bob, data = town.bob, os.urandom(150_000)
    room = await bob.room(town.ann)
    good = base64.b64encode(hashlib.sha256(data[60_000:]).digest()).decode()
    async with bob.phone(room) as phone:
        ident = (await bob.create(room, len(data))).body["id"]
        assert (await bob.piece(ident, 0, data[:60_000])).status == 204
        async with phone.away():
            shown.refused(await bob.piece(ident, 0, b"x"), 409, "upload_offset_mismatch")
            other = {"Tus-Resumable": "0.2.2"}
            stale = await bob.piece(ident, 60_000, b"x", **other)
            shown.refused(stale, 412, "tus_version_unsupported")
            torn = await bob.piece(ident, 60_000, data[60_000:-1], **{
                "Upload-Checksum": f"sha256 {good}"
            })  # fmt: skip
            shown.refused(torn, 460, "checksum_mismatch")
        fields = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {phone.person.token}"}
        head = await town.there.send("HEAD", f"/api/v1/uploads/{ident}", headers=fields)
        offset = int(head.headers["Upload-Offset"])
        assert offset == 60_000, "what the server has, and nothing of what it refused"
        checked = {"Upload-Checksum": f"sha256 {good}"}
        assert (await bob.piece(ident, offset, data[offset:], **checked)).status == 204
        info = await bob.must("POST", f"/files/{ident}/complete")
        assert info["sha256"] == hashlib.sha256(data).hexdigest()
        shown.offline()
        shown.allowed()


async def test_complete(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    ident = (await ann.create(room, 10)).body["id"]
    await ann.piece(ident, 0, b"01234")
    at = f"/files/{ident}/complete"
    shown.refused(await ann.ask("POST", at), 409, "upload_incomplete")
    shown.refused(await bob.ask("POST", at), 404, "not_found")
    early = {"format": "m.plain.v1", "text": "look", "files": [{"id": ident}]}
    posted = await ann.ask("POST", f"/rooms/{room}/messages", {"body": early})
    shown.refused(posted, 409, "file_not_ready")
    async with bob.phone(room) as phone:
        async with phone.away():
            await ann.piece(ident, 5, b"56789")
            info = await ann.must("POST", at)
            assert (await ann.must("POST", at))["state"] == info["state"] == "ready"
            message = await ann.attach(room, info)
            shown.allowed()
        assert (await found(phone, room, message))[0] == b"0123456789"
        shown.offline()


async def test_content_type_by_sniffing(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    async with bob.phone(room) as phone:
        async with phone.away():
            picture = await ann.send(room, photo(), "holiday.png", media_type="image/png")
            page = await ann.send(room, b"<!doctype html><script>alert(1)</script>", "a.html")
            assert (picture["media_type"], picture["name"]) == ("image/jpeg", "holiday.jpg")
            shown.allowed()
            sent = [await ann.attach(room, one) for one in (picture, page)]
        kinds = [(await found(phone, room, one))[1]["Content-Type"] for one in sent]
        assert kinds == ["image/jpeg", "application/octet-stream"], "a page is never one here"
        shown.offline()
    lies = ((photo(), "a.pdf"), (b"MZ" + bytes(300), "a.jpg"), (zipped(a=b"b"), "a.jpg"))
    for data, name in lies:
        assert await refused(shown, ann, room, data, name) == "file_type_mismatch"
    assert await refused(shown, ann, room, b"8BPS" + bytes(100), "a.psd") == "file_type_refused"


async def test_size_and_quota(town: Town, shown: Shown) -> None:
    ann, bob = await town.pair()
    room = await ann.room(bob)
    shown.refused(await ann.create(room, 8 * MEGABYTE + 1), 413, "too_large")
    begun = [await ann.create(room, 8 * MEGABYTE) for _ in range(2)]
    assert [answer.status for answer in begun] == [201, 201]
    shown.refused(await ann.create(room, 8 * MEGABYTE), 413, "quota_exceeded")
    used = await ann.must("GET", "/account/files/usage")
    assert (used["used_bytes"], used["uploads"]) == (16 * MEGABYTE, 2)
    async with bob.phone(room) as phone:
        async with phone.away():
            # Another's room in it is another's; and what is deleted is free again.
            message = await ann.attach(room, await ann.send(room, b"small"))
            for answer in begun:
                await ann.must("DELETE", f"/files/{answer.body['id']}")
            assert (await ann.create(room, 8 * MEGABYTE)).status == 201
            shown.allowed()
        assert (await found(phone, room, message))[0] == b"small"
        shown.offline()


async def test_decompression_and_pixel_bombs(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    bombs = [
        (zipped(a=bytes(4 * MEGABYTE)), "a.zip"),
        (zipped(a=zipped(b=bytes(4 * MEGABYTE))), "nested.zip"),
        (wide_png(100_000, 100_000), "a.png"),
    ]
    for data, name in bombs:
        assert len(data) < 100_000
        assert await refused(shown, ann, room, data, name) == "file_too_complex"
    honest = zipped(**{"a.txt": b"text " * 1000})
    async with bob.phone(room) as phone:
        async with phone.away():
            message = await ann.attach(room, await ann.send(room, honest, "a.zip"))
            shown.allowed()
        assert (await found(phone, room, message))[0] == honest
        shown.offline()


async def test_images_re_encoded_and_stripped(town: Town, shown: Shown, tmp_path: Path) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    data = samples.picture("jpg", tmp_path).read_bytes()
    evil = data + b"<script>alert('polyglot')</script>" + zipped(evil=b"x" * 100)
    assert b"CanaryCam" in evil and zipfile.is_zipfile(io.BytesIO(evil))
    async with bob.phone(room) as phone:
        async with phone.away():
            message = await ann.attach(room, await ann.send(room, evil, "photo.jpg"))
        body, fields = await found(phone, room, message)
        assert fields["Content-Type"] == "image/jpeg" and samples.opened(body).size == (240, 160)
        assert not any(canary in body for canary in (*samples.CANARIES, b"<script>"))
        assert not zipfile.is_zipfile(io.BytesIO(body))
        shown.allowed()
        shown.offline()
    broken = data[:2000]
    assert await refused(shown, ann, room, broken, "a.jpg") == "file_unreadable"
    raw = b"\xff\x0a" + bytes(100)
    assert await refused(shown, ann, room, raw, "a.jxl") == "file_type_refused"


async def test_video_metadata_stripped(town: Town, shown: Shown, tmp_path: Path) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    path = samples.film("mp4", tmp_path)
    assert "48.85" in samples.place_of(path)
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, path.read_bytes(), "film.mp4")
            message = await ann.attach(room, info)
        body, fields = await found(phone, room, message)
        given = tmp_path / "given.mp4"
        given.write_bytes(body)
        assert fields["Content-Type"] == "video/mp4" and not samples.place_of(given)
        assert not any(canary in body for canary in samples.CANARIES)
        assert (info["width"], info["height"]) == (160, 120) and info["duration"] > 0.5
        shown.allowed()
        shown.offline()
    empty = b"\0\0\0\x18ftypmp42" + bytes(400)
    assert await refused(shown, ann, room, empty, "a.mp4") == "file_unreadable"
    assert await refused(shown, ann, room, b"FLV\x01" + bytes(100), "a.flv") == "file_type_refused"


async def test_location_only_by_choice(town: Town, shown: Shown, tmp_path: Path) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    data = samples.picture("jpg", tmp_path).read_bytes()
    async with bob.phone(room) as phone:
        async with phone.away():
            hidden = await ann.attach(room, await ann.send(room, data, "a.jpg"))
            info = await ann.send(room, data, "b.jpg", keep_location=True)
            assert abs(info["latitude"] - 48.8577) < 0.001
            told = await ann.attach(room, info, latitude=info["latitude"], longitude=2.295)
            shown.allowed()
        for message, place in ((hidden, False), (told, True)):
            given = tmp_path / f"given-{place}.jpg"
            given.write_bytes((await found(phone, room, message))[0])
            assert ("48.85" in samples.place_of(given)) is place
            (file,) = files(phone.message(room, message["id"]))
            assert (file.latitude is not None) is place
        shown.offline()
    wish = {"room": room, "size": 1, "keep_location": "yes"}
    shown.refused(await ann.ask("POST", "/files", wish), 422, "fields_invalid")


async def test_thumbnails_and_previews(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    data = io.BytesIO()
    Image.new("RGB", (2000, 1000), (0, 200, 0)).save(data, "PNG")
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, data.getvalue(), "wide.png")
            message = await ann.attach(room, info)
            shown.allowed()
        (file,) = files(phone.message(room, message["id"]))
        for variant, size in (("thumbnail", (320, 160)), ("preview", (1600, 800))):
            body, _ = await phone.person.fetch(file.id, key=file.key, variant=variant)
            assert samples.opened(body).size == size
        shown.offline()
    text = await ann.send(room, b"no picture", "a.txt")
    shown.refused(await ann.link(text["id"], variant="thumbnail"), 404, "not_found")
    shown.refused(await bob.link(text["id"], variant="file"), 404, "not_found")


async def test_voice_messages(town: Town, shown: Shown, tmp_path: Path) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    data = samples.sound("ogg", tmp_path, seconds=2).read_bytes()
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, data, "voice.ogg", voice=True)
            heard = {name: info[name] for name in ("duration", "waveform")}
            message = await ann.attach(room, info, voice=True, **heard)
            shown.allowed()
        seen = phone.message(room, message["id"])
        assert [one.voice for one in seen.attachments] == [True]
        (file,) = files(phone.message(room, message["id"]))
        assert abs(file.duration - 2) < 0.2 and len(file.waveform) == 100
        assert (await found(phone, room, message))[1]["Content-Type"] == "audio/ogg"
        shown.offline()
    mine = await ann.send(room, data, "voice.ogg", voice=True)
    body = {"format": "m.plain.v1", "files": [{"id": mine["id"], "voice": True}]}
    at = f"/rooms/{room}/messages"
    shown.refused(await bob.ask("POST", at, {"body": body}), 404, "not_found")
    lie = {"body": body, "attachments": [{"id": "another"}]}
    shown.refused(await ann.ask("POST", at, lie), 422, "fields_invalid")


async def test_an_origin_of_its_own(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room = await ann.room(bob)
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, b"<svg onload='alert(1)'/>", "a.svg")
            message = await ann.attach(room, info)
        body, fields = await found(phone, room, message)
        assert body == b"<svg onload='alert(1)'/>" and "Set-Cookie" not in fields
        assert fields["Content-Type"] == "application/octet-stream"
        assert fields["Content-Disposition"].startswith("attachment;")
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in fields["Content-Security-Policy"]
        shown.allowed()
        shown.offline()
    url = (await bob.must("POST", f"/files/{info['id']}/links", {"key": info["key"]}))["url"]
    base, _, ticket = url.partition("/f/")
    assert base != town.there.house.url
    for elsewhere in (f"{base}/api/v1/account", f"{base}/f/nonsense"):
        shown.refused(await town.there.send("GET", elsewhere), 404, "not_found")
    page = await town.there.send("GET", f"{town.there.house.url}/f/{ticket}")
    assert page.status == 404, "nor is any file on the page's own origin"
    town.house.move_on(601)
    shown.refused(await town.there.send("GET", url), 410, "link_invalid")


def kept(path: Path) -> list[Path]:
    return [one for one in path.rglob("*") if one.is_file()] if path.exists() else []


async def test_files_on_disk(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room, blobs = await ann.room(bob), town.house.state / "store" / "blobs"
    before, data = set(kept(blobs)), os.urandom(150_000)
    async with bob.phone(room) as phone:
        async with phone.away():
            message = await ann.attach(room, await ann.send(room, data))
        assert len(set(kept(blobs)) - before) == 3
        body, _ = await found(phone, room, message)
        assert body == data
        shown.allowed()
        shown.offline()
    await ann.must("DELETE", f"/rooms/{room}/messages/{message['id']}")
    assert set(kept(blobs)) <= before, "they go with the message that held them"
    (file,) = message["attachments"]
    shown.refused(await bob.link(file["id"]), 404, "not_found")


async def test_files_in_s3(annex: Annex, bucket: tuple[str, Path], shown: Shown) -> None:
    ann, bob = await annex.pair()
    room, objects = await ann.room(bob), bucket[1] / "files"
    before, data = set(kept(objects)), b"canary in a bucket" * 8000
    async with bob.phone(room) as phone:
        async with phone.away():
            message = await ann.attach(room, await ann.send(room, data))
        assert len(set(kept(objects)) - before) == 3
        assert not kept(annex.house.state / "store" / "blobs"), "nothing lies on the disk"
        assert b"canary in a bucket" not in every_byte(objects)
        assert (await found(phone, room, message))[0] == data
        shown.allowed()
        shown.offline()
    await ann.must("DELETE", f"/rooms/{room}/messages/{message['id']}")
    assert set(kept(objects)) <= before
    (file,) = message["attachments"]
    shown.refused(await bob.link(file["id"]), 404, "not_found")


async def test_encrypted_chunks(town: Town, shown: Shown) -> None:
    ann, bob = town.ann, town.bob
    room, canary = await ann.room(bob), b"the canary of the chunks sings " * 5000
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, canary, "canary-name.txt")
            message = await ann.attach(room, info)
            stored = every_byte(town.house.state / "store")
            assert b"canary of the chunks" not in stored and b"canary-name" not in stored
        assert (await found(phone, room, message))[0] == canary
        shown.allowed()
        shown.offline()
    # The key is in the message alone: without it, or with another, there is no such file.
    for person in (ann, bob):
        shown.refused(await person.link(info["id"]), 404, "not_found")
        shown.refused(await person.link(info["id"], key="A" * 43 + "="), 404, "not_found")
    shown.refused(await bob.link(info["id"], key="short"), 422, "fields_invalid")


async def _scanned(place: Place, shown: Shown) -> None:
    ann, bob = await place.pair()
    room = await ann.room(bob)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.com", EICAR)
    infected = await ann.send(room, EICAR, "invoice.txt")
    assert (infected["state"], infected["scanned"]) == ("quarantined", True)
    assert "EICAR" in infected["reason"]
    assert (await ann.send(room, packed.getvalue(), "a.zip"))["state"] == "quarantined"
    shown.refused(await ann.link(infected["id"]), 403, "file_quarantined")
    body = {"format": "m.plain.v1", "text": "look", "files": [{"id": infected["id"]}]}
    posted = await ann.ask("POST", f"/rooms/{room}/messages", {"body": body})
    shown.refused(posted, 403, "file_quarantined")
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, b"nothing wrong with it", "a.txt")
            assert (info["state"], info["scanned"]) == ("ready", True)
            message = await ann.attach(room, info)
            shown.allowed()
        assert phone.texts(room) == ["look"]
        assert (await found(phone, room, message))[0] == b"nothing wrong with it"
        shown.offline()


async def test_virus_scan_by_clamd(town: Town, shown: Shown) -> None:
    await _scanned(town, shown)


async def test_virus_scan_by_icap(annex: Annex, shown: Shown) -> None:
    await _scanned(annex, shown)


async def test_files_of_encrypted_rooms(town: Town, shown: Shown) -> None:
    """The client seals and strips; the server neither looks into it nor names it."""
    ann, bob = town.ann, town.bob
    room = await ann.room(bob, mode="e2ee")
    data = b"\xff\xd8\xff" + os.urandom(5000)
    device = (await ann.must("GET", "/session"))["device"]
    async with bob.phone(room) as phone:
        async with phone.away():
            info = await ann.send(room, data, "told.jpg", opaque=True)
            assert (info["state"], info["media_type"]) == ("ready", "application/octet-stream")
            assert "name" not in info
            file = {"id": info["id"], "size": info["size"]}
            wish = {"body": sealed(ann.id, device), "attachments": [file]}
            message = await ann.must("POST", f"/rooms/{room}/messages", wish)
        (seen,) = phone.message(room, message["id"]).attachments
        body, fields = await phone.person.fetch(seen.id, key=info["key"])
        assert (body, fields["Content-Type"]) == (data, "application/octet-stream")
        shown.allowed()
        shown.offline()
    shown.refused(await ann.create(room, 5), 422, "file_mode_mismatch")
    wish = {"text": "in the clear", "attachments": []}
    shown.refused(await ann.ask("POST", f"/rooms/{room}/messages", wish), 422, "plaintext_refused")


def sealed(account: str, device: str) -> dict[str, Any]:
    """A body as clients encrypt it, of random bytes."""

    def text(size: int) -> str:
        return base64.b64encode(os.urandom(size)).decode()

    return {
        "format": "m.e2ee.v1", "account": account, "device": device, "group_id": text(16),
        "epoch": 1, "leaf": 0, "sent_at": 1, "salt": text(16), "ct": text(80), "sig": text(64),
    }  # fmt: skip
