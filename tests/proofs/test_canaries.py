"""The search of the dump test finds what it should: planted leaks in every way of writing."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import pytest

from tests.proofs.canaries import Canaries, leaks

SECRET = "cs_AaH_1vSxcbmDfe9SNc8OJhHjTRYq2DLPyzf3-D4cTXcE85PQmHsmL62UJ84Q8M1od8Za7Db-dfUq"


def planted(text: str) -> dict[str, bytes]:
    raw = f"before {text} after"
    shifted = [f"{'x' * n}{text}yyyyy".encode() for n in range(5)]
    return {
        "text": raw.encode(),
        "capitals": raw.upper().encode(),
        "utf-16": raw.encode("utf-16-le"),
        "utf-16-be": raw.encode("utf-16-be"),
        "hex": shifted[1].hex().encode(),
        "HEX": shifted[1].hex().upper().encode(),
        "percent": "".join(f"%{ord(c):02X}" for c in text).encode(),
        "in a url": quote(f"/x?y={text}&z").encode(),
        "json": "".join(f"\\u{ord(c):04x}" for c in text).encode(),
        **{f"base64 {n}": base64.b64encode(shifted[n]) for n in range(3)},
        **{f"base64url {n}": base64.urlsafe_b64encode(shifted[n]) for n in range(3)},
        **{f"base32 {n}": base64.b32encode(shifted[n]) for n in range(5)},
    }


@pytest.mark.parametrize("way", planted("x"))
def test_what_was_made_up_is_found_however_it_is_written(way: str) -> None:
    canaries = Canaries()
    canary = canaries.new("account.name")
    (found, *_) = leaks({"file": bytes(9000) + planted(canary)[way] + bytes(99)}, canaries, {})
    assert found.startswith("file: account.name as "), found


@pytest.mark.parametrize("way", planted("x"))
def test_what_the_server_made_is_found_however_it_is_written(way: str) -> None:
    canaries = Canaries()
    canaries.learn("access_token", SECRET)
    assert leaks({"file": planted(SECRET)[way]}, canaries, {})
    assert leaks({"file": planted(SECRET[-30:])[way]}, canaries, {}), "its random end alone"


def test_bytes_and_plain_digests_are_found() -> None:
    canaries = Canaries()
    canaries.learn("access_token", SECRET)
    canaries.learn("totp", base64.b32encode(b"twenty bytes of seed").decode())
    canary = canaries.new("account.login")
    assert leaks({"file": base64.urlsafe_b64decode(SECRET[3:])}, canaries, {})
    assert leaks({"file": b"..twenty bytes of seed.."}, canaries, {})
    assert leaks({"file": hashlib.sha256(canary.encode()).digest()}, canaries, {})
    assert leaks({"file": hashlib.sha1(canary.encode()).hexdigest().encode()}, canaries, {})


def test_what_is_said_on_purpose_is_no_leak_there_and_one_elsewhere() -> None:
    canaries = Canaries()
    room = canaries.new("call.room")
    places = {"audit": b"room " + room.encode(), "log": b"room " + room.encode()}
    (found,) = leaks(places, canaries, {"audit": [room]})
    assert found.startswith("log: call.room as text")


def test_what_is_kept_on_purpose_is_not() -> None:
    canaries = Canaries()
    canaries.learn("access_token", SECRET)
    canaries.new("account.login")
    kept = hashlib.sha256(SECRET.encode()).hexdigest()[:32]
    assert not leaks({"file": kept.encode() + bytes(500) + SECRET[3:20].encode()}, canaries, {})
