"""TURN credentials against coturn's published form, and their bounds."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from turn.credentials import issue, password, urls


def test_the_password_is_the_hmac_of_the_user_name() -> None:
    made = issue("north", "PA_a", 1_000_000.9, 600)
    assert made.username == "1000600:PA_a"
    expected = hmac.new(b"north", b"1000600:PA_a", hashlib.sha1).digest()
    assert base64.b64decode(made.password) == expected
    assert password("south", made.username) != made.password


@pytest.mark.parametrize(("name", "ttl"), [("a", 601), ("a", 0), ("a:b", 600)])
def test_long_lives_and_ambiguous_names_are_refused(name: str, ttl: int) -> None:
    with pytest.raises(ValueError):
        issue("secret", name, 0, ttl)


def test_a_credential_does_not_print_its_password() -> None:
    made = issue("secret", "PA_a", 0)
    assert made.password not in repr(made)


def test_urls_prefer_udp_and_leave_out_what_is_off() -> None:
    assert urls("t.example", 3478, 5349) == (
        "turn:t.example:3478?transport=udp",
        "turn:t.example:3478?transport=tcp",
        "turns:t.example:5349?transport=tcp",
    )
    assert urls("2001:db8::1", 0, 443) == ("turns:[2001:db8::1]:443?transport=tcp",)
