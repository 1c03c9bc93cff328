"""Multicast DNS: a name that is published is found, one that is not costs half a second at most."""

from __future__ import annotations

import random
import socket
import struct
import threading

import pytest

from signaling import dev, mdns

HERE = "127.0.0.1"


class Responder(threading.Thread):
    """Answers one question with `address`, as a responder on the link would."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 0))
        self.asked = b""

    @property
    def group(self) -> tuple[str, int]:
        return (HERE, self.socket.getsockname()[1])

    def run(self) -> None:
        self.asked, whence = self.socket.recvfrom(512)
        self.socket.sendto(b"noise", whence)
        self.socket.sendto(answer(self.asked, self.address), whence)
        self.socket.close()


def answer(question: bytes, address: str) -> bytes:
    """A cname-like record that is to be passed over, then the address under a compressed name."""
    (number,) = struct.unpack_from("!H", question)
    head = struct.pack("!6H", number, 0x8400, 1, 2, 0, 0) + question[12:]
    other = struct.pack("!HHHIH", 0xC00C, 16, 0x8001, 10, 3) + b"\x02ab"
    return (
        head + other + struct.pack("!HHHIH", 0xC00C, 1, 0x8001, 10, 4) + socket.inet_aton(address)
    )


@pytest.mark.parametrize(("address", "found"), [(HERE, True), ("192.0.2.1", False)])
def test_a_name_counts_when_it_leads_here(address: str, found: bool) -> None:
    responder = Responder(address)
    responder.start()
    assert mdns.published("box.local", HERE, responder.group, 0.2 if not found else 10) is found
    responder.join()
    assert responder.asked[12:] == b"\x03box\x05local\x00\x00\x01\x00\x01"


def test_silence_is_no() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HERE, 0))
        assert not mdns.published("box.local", HERE, deaf.getsockname(), 0.05)


def test_whatever_answers_is_read_or_passed_over() -> None:
    whole = answer(mdns._question(7, "box.local"), HERE)
    assert mdns.answered(whole, 7) == [HERE]
    assert mdns.answered(whole, 8) == []
    source = random.Random(1)
    for cut in range(len(whole)):
        assert mdns.answered(whole[:cut], 7) == []
    for _ in range(20_000):
        broken = bytearray(whole)
        for _ in range(source.randrange(1, 6)):
            broken[source.randrange(2, len(broken))] = source.randrange(256)
        mdns.answered(bytes(broken), 7)


@pytest.mark.parametrize(
    ("host", "resolves", "local", "name"),
    [
        ("box", {}, True, "box.local"),
        ("box.example.org", {"box.example.org": "192.0.2.7"}, True, "box.local"),
        ("box.example.org", {"box.example.org": "192.0.2.7"}, False, "box.example.org"),
        ("box.example.org", {"box.example.org": "127.0.1.1"}, False, "192.0.2.7"),
        ("box", {"box": "192.0.2.7"}, False, "192.0.2.7"),
        ("localhost", {"localhost": HERE}, False, "192.0.2.7"),
    ],
)
def test_turn_urls_carry_a_name_that_others_resolve(
    monkeypatch: pytest.MonkeyPatch, host: str, resolves: dict[str, str], local: bool, name: str
) -> None:
    def resolve(asked: str) -> str:
        if asked not in resolves:
            raise socket.gaierror
        return resolves[asked]

    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(socket, "gethostbyname", resolve)
    monkeypatch.setattr(mdns, "published", lambda asked, address: local and asked == "box.local")
    assert dev._shared_name(("192.0.2.7",)) == name
