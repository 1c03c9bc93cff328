"""Parsers of what strangers send: tus fields, names, first bytes, archives. No reader raises."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.accounts.principal import Kind
from signaling.errors import ClientError
from signaling.files import names, sniff, tus
from signaling.files.links import Links, Ticket
from signaling.files.port import Variant
from signaling.files.work import archives
from signaling.files.work.job import Job, TooComplex, Unreadable
from signaling.ids import SeededEntropy

STARTS = st.sampled_from([start for start, _ in sniff._STARTS] + [b"RIFF", b"\0\0\0\x20ftyp", b""])


@given(st.text(max_size=300) | st.none())
def test_metadata_is_read_or_refused(text: str | None) -> None:
    with contextlib.suppress(ClientError):
        found = tus.metadata(text)
        for name in ("voice", "opaque"):
            with contextlib.suppress(ClientError):
                tus.flag(found, name)


@given(st.dictionaries(st.from_regex(r"\A[a-z_]{1,20}\Z"), st.text(max_size=50), max_size=8))
def test_metadata_comes_back(found: dict[str, str]) -> None:
    text = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in found.items())
    assert tus.metadata(text) == found


@given(st.text(max_size=60) | st.none())
def test_numbers_and_checksums_are_read_or_refused(text: str | None) -> None:
    with contextlib.suppress(ClientError):
        assert 0 <= tus.number(text, "Upload-Offset") < 10**16
    with contextlib.suppress(ClientError):
        tus.checksum(text)


@given(st.text(max_size=400))
def test_names_are_safe_whatever_they_were(text: str) -> None:
    name = names.cleaned(text)
    assert name
    assert len(name.encode()) <= names.MAX_BYTES + 1
    assert not set(name) & set('/\\<>:"|?*\0\r\n')
    assert name.strip(" .") == name or name.startswith("_")
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in name)
    assert names.cleaned(name) == name
    shown = names.disposition(name, inline=False)
    assert shown.isascii()
    assert shown.count('"') == 2


@given(STARTS, st.binary(max_size=500), st.sampled_from(["a.jpg", "a.mp4", "a", "a.zip", "a.pdf"]))
@settings(max_examples=400)
def test_first_bytes_are_something_or_refused(start: bytes, rest: bytes, name: str) -> None:
    with contextlib.suppress(ClientError):
        form = sniff.identify(start + rest, name, "")
        assert form.reader or form.family in (sniff.Family.OTHER,)
        assert "html" not in form.media_type


@given(st.sampled_from(["zip", "gzip", "bz2", "xz"]), STARTS, st.binary(max_size=2000))
@settings(max_examples=300)
def test_archives_are_read_or_refused(kind: str, start: bytes, rest: bytes) -> None:
    data = start + rest
    job = Job(family="archive", reader=kind, size=len(data), max_pixels=1, max_unpacked=10**6)
    with contextlib.suppress(Unreadable, TooComplex):
        archives.check(job, io.BytesIO(data))


@given(st.text(max_size=200))
def test_a_link_that_is_made_up_is_none(text: str) -> None:
    links = Links(os.urandom(32), SeededEntropy())
    with contextlib.suppress(ClientError):
        links.open(text, 0.0)
        raise AssertionError(text)


def test_a_link_opens_with_its_secret_alone() -> None:
    ticket = Ticket(
        "app", "file", Variant.FILE, bytes(32), "n", False, 10.0, Kind.ACCOUNT, "a", "d", "s",
        None, None,
    )  # fmt: skip
    one, two = Links(bytes(32), SeededEntropy()), Links(bytes([1]) * 32, SeededEntropy())
    text = one.seal(ticket)
    assert one.open(text, 9.0) == ticket
    with contextlib.suppress(ClientError):
        two.open(text, 9.0)
        raise AssertionError
