"""Advertised addresses: explicit, detected, or refused with the reason."""

import pytest

from mediaserver.addresses import advertised, bindable, candidates, detect
from mediaserver.api import MediaConfig
from mediaserver.errors import ClientError, Code

EVERYWHERE = ("0.0.0.0", "::")


def told(*found: str, **options: object) -> tuple[str, ...]:
    config = MediaConfig(**{"bind": EVERYWHERE, **options})  # type: ignore[arg-type]
    return advertised(config, lambda: found)


def test_explicit_addresses_are_taken_as_they_are() -> None:
    assert told("10.0.0.1", advertise=("203.0.113.5", "2001:db8::5")) == (
        "203.0.113.5",
        "2001:db8::5",
    )


@pytest.mark.parametrize("address", ["example.org", "0.0.0.0", "224.0.0.1", "127.0.0.1", ""])
def test_explicit_addresses_that_cannot_work_are_refused(address: str) -> None:
    with pytest.raises(ClientError) as error:
        told(advertise=(address,))
    assert error.value.code is Code.ADDRESS_MISSING
    assert address in error.value.message


def test_detected_addresses_leave_out_what_nobody_can_reach() -> None:
    assert told("127.0.0.1", "169.254.1.1", "fe80::1%eth0", "10.0.0.1", "10.0.0.1") == ("10.0.0.1",)


def test_nothing_detected_is_refused_with_the_reason() -> None:
    with pytest.raises(ClientError) as error:
        told("127.0.0.1")
    assert "set the advertised addresses" in error.value.message


def test_development_tells_loopback_and_an_outer_address_beside_it() -> None:
    assert told("10.0.0.1", advertise_loopback=True) == ("127.0.0.1", "10.0.0.1")
    assert told(advertise_loopback=True) == ("127.0.0.1",)


def test_only_addresses_that_the_sockets_receive_on_are_told() -> None:
    assert told("10.0.0.1", "10.0.0.2", bind=("10.0.0.2",)) == ("10.0.0.2",)
    assert told("10.0.0.1", "2001:db8::1", bind=("0.0.0.0",)) == ("10.0.0.1",)
    with pytest.raises(ClientError):
        told("2001:db8::1", bind=("0.0.0.0",))


def test_udp_comes_before_tcp() -> None:
    made = candidates(("10.0.0.1", "10.0.0.2"), 7882, 7881)
    assert [(c.protocol, c.port) for c in made] == [
        ("udp", 7882),
        ("udp", 7882),
        ("tcp", 7881),
        ("tcp", 7881),
    ]
    assert len(candidates(("10.0.0.1",), 7882, None)) == 1


def test_detection_sends_nothing_and_never_raises() -> None:
    assert isinstance(detect(), list)


def test_wildcard_of_a_missing_ipv6_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_ipv6(*_: object, **__: object) -> None:
        raise OSError("address family not supported")

    monkeypatch.setattr("mediaserver.addresses.socket.socket", no_ipv6)
    assert bindable(("0.0.0.0", "::")) == ("0.0.0.0",)
    assert bindable(("::",)) == ("::",), "the only address must bind or fail"
    assert bindable(("192.0.2.1",)) == ("192.0.2.1",)
