"""tus 1.0 as its specification says: versions, offsets, checksums, expiry, termination."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.signaling.files.rig import BYTES, TUS, Answer, Person, There, metadata

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def begin(person: Person, size: int, **more: str) -> str:
    made = await create(person, size, **more)
    assert made.status == 201, made.body
    return made.headers["Location"].rpartition("/")[2]


async def create(person: Person, size: int | str, **more: str) -> Answer:
    found = {"room": person.room, "filename": "a.bin", **more}
    return await person.ask(
        "POST", "/uploads", Tus_Resumable="1.0.0", Upload_Length=str(size),
        Upload_Metadata=metadata(**found),
    )  # fmt: skip


async def test_options_say_what_the_server_has(there: There) -> None:
    answer = await there.ana.ask("OPTIONS", "/uploads")
    assert answer.status == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Checksum-Algorithm"].split(",")[0] == "sha1"
    assert int(answer.headers["Tus-Max-Size"]) == 100 * 1024 * 1024
    extensions = set(answer.headers["Tus-Extension"].split(","))
    assert {"creation", "expiration", "checksum", "termination"} <= extensions


async def test_an_upload_goes_on_where_it_was(there: There) -> None:
    data = os.urandom(200_003)
    ident = await begin(there.ana, len(data))
    at = 0
    for step in (1, 65_535, 7, 100_000, 34_460):
        answer = await there.ana.patch(ident, at, data[at : at + step])
        assert answer.status == 204
        at += step
        assert answer.headers["Upload-Offset"] == str(at)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert parsedate_to_datetime(answer.headers["Upload-Expires"]).tzinfo is not None
        head = await there.ana.head(ident)
        assert (head.status, head.headers["Upload-Offset"]) == (200, str(at))
        assert head.headers["Upload-Length"] == str(len(data))
        assert head.headers["Cache-Control"] == "no-store"
    done = await there.ana.complete(ident)
    assert done.json["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await there.ana.fetch(ident)).body == data
    assert (await there.ana.head(ident)).status == 404  # it is a file now


@pytest.mark.parametrize("offset", [0, 9, 11, 2**50])
async def test_a_wrong_offset_is_409_and_changes_nothing(there: There, offset: int) -> None:
    ident = await begin(there.ana, 100)
    assert (await there.ana.patch(ident, 0, b"0123456789")).status == 204
    refused = await there.ana.patch(ident, offset, b"x")
    assert (refused.status, refused.code) == (409, "upload_offset_mismatch")
    assert refused.headers["Tus-Resumable"] == "1.0.0"
    assert (await there.ana.head(ident)).headers["Upload-Offset"] == "10"


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1", "2"])
async def test_another_version_is_412(there: There, version: str | None) -> None:
    ident = await begin(there.ana, 3)
    fields = {"Content_Type": BYTES["Content-Type"], "Upload_Offset": "0"}
    if version is not None:
        fields["Tus_Resumable"] = version
    refused = await there.ana.ask("PATCH", f"/uploads/{ident}", data=b"abc", **fields)
    assert (refused.status, refused.code) == (412, "tus_version_unsupported")
    assert refused.headers["Tus-Version"] == "1.0.0"
    assert (await there.ana.head(ident)).headers["Upload-Offset"] == "0"


async def test_more_than_was_announced_is_413_and_not_kept(there: There) -> None:
    ident = await begin(there.ana, 10)
    assert (await there.ana.patch(ident, 0, b"0123456")).status == 204
    refused = await there.ana.patch(ident, 7, b"789X")
    assert refused.status == 413
    assert (await there.ana.head(ident)).headers["Upload-Offset"] == "7"
    assert (await there.ana.patch(ident, 7, b"789")).status == 204
    await there.ana.complete(ident)
    assert (await there.ana.fetch(ident)).body == b"0123456789"


async def test_larger_than_any_file_may_be_is_413(there: There) -> None:
    refused = await create(there.ana, 100 * 1024 * 1024 + 1)
    assert (refused.status, refused.code) == (413, "too_large")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
async def test_a_checksum_is_kept_to(there: There, algorithm: str) -> None:
    data = os.urandom(70_000)
    good = base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    bad = base64.b64encode(hashlib.new(algorithm, b"other").digest()).decode()
    ident = await begin(there.ana, 2 * len(data))
    refused = await there.ana.patch(ident, 0, data, **{"Upload-Checksum": f"{algorithm} {bad}"})
    assert (refused.status, refused.code) == (460, "checksum_mismatch")
    assert (await there.ana.head(ident)).headers["Upload-Offset"] == "0"
    for at in (0, len(data)):
        taken = await there.ana.patch(ident, at, data, **{"Upload-Checksum": f"{algorithm} {good}"})
        assert taken.status == 204
    await there.ana.complete(ident)
    assert (await there.ana.fetch(ident)).body == data + data


@pytest.mark.parametrize("field", ["md5 abcd", "sha1", "sha1 !!", "crc32 AAAA", ""])
async def test_an_unknown_checksum_is_400(there: There, field: str) -> None:
    ident = await begin(there.ana, 3)
    refused = await there.ana.patch(ident, 0, b"abc", **{"Upload-Checksum": field})
    assert refused.status == 400


@pytest.mark.parametrize("length", ["-1", "1.5", "", "0x10", "1_0", "99999999999999999999"])
async def test_a_length_that_is_no_number_is_400(there: There, length: str) -> None:
    refused = await create(there.ana, length)
    assert refused.status == 400


@pytest.mark.parametrize(
    "text", ["room", "room !!!", "room bG9iYnk=,room bG9iYnk=", "filename YQ==", "room /w==", "ä a"]
)
async def test_metadata_that_cannot_be_read_is_400(there: There, text: str) -> None:
    refused = await there.ana.ask(
        "POST", "/uploads", Tus_Resumable="1.0.0", Upload_Length="1", Upload_Metadata=text
    )
    assert refused.status == 400, refused.body


async def test_deferred_length_is_refused(there: There) -> None:
    refused = await there.ana.ask(
        "POST", "/uploads", Tus_Resumable="1.0.0", Upload_Defer_Length="1",
        Upload_Metadata=metadata(room=there.room),
    )  # fmt: skip
    assert refused.status == 400


async def test_another_content_type_is_415(there: There) -> None:
    ident = await begin(there.ana, 3)
    refused = await there.ana.patch(ident, 0, b"abc", **{"Content-Type": "text/plain"})
    assert refused.status == 415


async def test_creation_with_the_first_bytes(there: There) -> None:
    answer = await there.ana.ask(
        "POST", "/uploads", data=b"abc", Upload_Length="5",
        Upload_Metadata=metadata(room=there.room, filename="a.bin"),
        Content_Type=BYTES["Content-Type"], Tus_Resumable="1.0.0",
    )  # fmt: skip
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, "3")


async def test_an_empty_file(there: There) -> None:
    ident = await begin(there.ana, 0)
    done = await there.ana.complete(ident)
    assert (done.status, done.json["state"]) == (200, "ready")
    assert (await there.ana.fetch(ident)).body == b""


async def test_giving_up_ends_it_and_gives_the_room_back(there: There) -> None:
    before = (await there.bob.ask("GET", "/account/files/usage")).json
    ident = await begin(there.bob, 50_000)
    assert (await there.bob.patch(ident, 0, bytes(10_000))).status == 204
    during = (await there.bob.ask("GET", "/account/files/usage")).json
    assert during["used_bytes"] == before["used_bytes"] + 50_000
    gone = await there.bob.ask("DELETE", f"/uploads/{ident}", Tus_Resumable="1.0.0")
    assert gone.status == 204
    assert (await there.bob.head(ident)).status == 404
    assert (await there.bob.ask("GET", "/account/files/usage")).json == before


async def test_completing_too_early_says_what_is_missing(there: There) -> None:
    ident = await begin(there.ana, 10)
    await there.ana.patch(ident, 0, b"0123")
    refused = await there.ana.complete(ident)
    assert (refused.status, refused.code) == (409, "upload_incomplete")
    assert "6 bytes" in refused.json["detail"]


async def test_another_persons_upload_is_not_there(there: There) -> None:
    ident = await begin(there.ana, 10)
    for answer in (
        await there.bob.head(ident),
        await there.bob.patch(ident, 0, b"0123456789"),
        await there.bob.complete(ident),
        await there.bob.ask("DELETE", f"/uploads/{ident}", Tus_Resumable="1.0.0"),
        await there.bob.ask("GET", f"/files/{ident}"),
        await there.bob.link(ident),
    ):
        assert answer.status == 404
    assert (await there.ana.head(ident)).headers["Upload-Offset"] == "0"


async def test_two_patches_at_once_cannot_both_count(there: There) -> None:
    """Whatever the order: each byte of the file comes from one of them, at its place."""
    one, two = bytes([1]) * 1_500_000, bytes([2]) * 1_500_000
    ident = await begin(there.ana, len(one))
    answers = await asyncio.gather(there.ana.patch(ident, 0, one), there.ana.patch(ident, 0, two))
    assert sorted(answer.status for answer in answers) == [204, 409]
    won = one if answers[0].status == 204 else two
    await there.ana.complete(ident)
    assert (await there.ana.fetch(ident)).body == won


async def test_what_came_before_the_client_went_away_is_kept(there: There) -> None:
    data, sent = os.urandom(3_000_000), 1_200_000
    ident = await begin(there.ana, len(data))

    async def offset() -> int:
        return int((await there.ana.head(ident)).headers["Upload-Offset"])

    async def part() -> Any:
        yield data[:sent]
        async with asyncio.timeout(120):
            while not await offset():
                await asyncio.sleep(0.02)
        raise ConnectionResetError

    with pytest.raises((ConnectionResetError, aiohttp.ClientError)):
        await there.ana.ask(
            "PATCH", f"/uploads/{ident}", data=part(), Tus_Resumable="1.0.0", Upload_Offset="0",
            Content_Type=BYTES["Content-Type"],
        )  # fmt: skip
    async with asyncio.timeout(120):  # the server still takes what had come when it went away
        while (await there.ana.patch(ident, at := await offset(), data[at:])).status != 204:
            await asyncio.sleep(0.02)
    assert 0 < at <= sent
    await there.ana.complete(ident)
    assert (await there.ana.fetch(ident)).body == data


async def test_for_who_can_only_post(there: There) -> None:
    ident = await begin(there.ana, 3)
    answer = await there.ana.ask(
        "POST", f"/uploads/{ident}", data=b"abc", X_HTTP_Method_Override="PATCH",
        Upload_Offset="0", Content_Type=BYTES["Content-Type"], **{"Tus_Resumable": "1.0.0"},
    )  # fmt: skip
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, "3")
    refused = await there.ana.ask("POST", f"/uploads/{ident}", X_HTTP_Method_Override="PUT", **{
        name.replace("-", "_"): value for name, value in TUS.items()
    })  # fmt: skip
    assert refused.status == 405
