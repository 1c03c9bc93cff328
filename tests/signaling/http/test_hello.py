"""ClientHellos as clients send them, in pieces, broken, and what is no hello at all."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.http.hello import MAX_HELLO, Hello, More, Not, read_hello


def client_hello(*protocols: str, name: str = "meet.example") -> bytes:
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def fragmented(hello: bytes, size: int) -> bytes:
    """The same handshake message in records of `size` bytes (RFC 8446 section 5.1)."""
    body = hello[5:]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(hello[:3] + len(part).to_bytes(2, "big") + part for part in parts)


def test_protocols_and_name_are_read() -> None:
    assert read_hello(client_hello("h2", "http/1.1")) == Hello((b"h2", b"http/1.1"), "meet.example")
    assert read_hello(client_hello("acme-tls/1")) == Hello((b"acme-tls/1",), "meet.example")
    assert read_hello(client_hello(name="MEET.example")) == Hello((), "meet.example")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_may_be_spread_over_records(size: int) -> None:
    hello = fragmented(client_hello("acme-tls/1"), size)
    assert read_hello(hello) == Hello((b"acme-tls/1",), "meet.example")


def test_in_pieces_it_says_how_much_is_missing_and_never_less_than_there_is() -> None:
    whole = fragmented(client_hello("h2"), 50)
    for size in range(len(whole)):
        found = read_hello(whole[:size])
        assert isinstance(found, More)
        assert size < found.size <= len(whole)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"GET / HTTP/1.1\r\n", Not.HTTP),
        (b"POST /api/v1/x HTTP/1.1\r\n", Not.HTTP),
        (b"SSH-2.0-x\r\n", Not.TLS),
        (b"\x16\x02\x00\x00\x05", Not.TLS),
        (b"\x16\x03\x01\x00\x00", Not.TLS),
        (b"\x16\x03\x01\xff\xff", Not.TLS),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", Not.TLS),
        (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", Not.TLS),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Not.TLS),
        (b"\x15\x03\x01\x00\x02\x01\x00", Not.TLS),
    ],
)
def test_what_is_no_hello_is_named(data: bytes, found: Not) -> None:
    assert read_hello(data) is found


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for start in (b"", b"\x16\x03\x01", b"\x16\x03\x03\x02\x00\x01\x00\x01\xfc\x03\x03"):
        found = read_hello(start + data)
        if isinstance(found, More):
            assert len(start + data) < found.size <= MAX_HELLO + 16389


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_flipped_byte_is_read_or_refused(place: int, value: int) -> None:
    hello = bytearray(HELLO)
    hello[place % len(hello)] = value
    assert isinstance(read_hello(bytes(hello)), Hello | More | Not)


HELLO = client_hello("h2", "http/1.1")
