"""From the configuration to coturn and to each participant."""

from __future__ import annotations

import pytest

from signaling.config import load
from signaling.relay import ice_servers, relay_from

TURN = {"SOTTO_TURN__HOST": "turn.example", "SOTTO_TURN__SECRET": "s" * 32}


def test_each_participant_gets_a_credential_of_its_own() -> None:
    ask = ice_servers(load(None, TURN), lambda: 1_000_000.0)
    (one,), (two,) = ask("PA_a"), ask("PA_b")
    assert one.urls[0] == "turn:turn.example:3478?transport=udp"
    assert one.username == "1000600:PA_a"
    assert one.credential != two.credential


def test_nobody_is_told_of_a_relay_that_is_off_or_down() -> None:
    assert ice_servers(load(None, {}), lambda: 0.0)("PA_a") == ()
    assert ice_servers(load(None, TURN), lambda: 0.0, up=lambda: False)("PA_a") == ()


@pytest.mark.parametrize(
    ("advertised", "allowed"),
    [
        (["127.0.0.1", "192.0.2.7", "fd00::1"], ("192.0.2.7",)),
        (["127.0.0.1"], ("127.0.0.1",)),
    ],
)
def test_only_the_media_server_may_be_relayed_to(
    advertised: list[str], allowed: tuple[str, ...]
) -> None:
    relay = relay_from(load(None, TURN), advertised, ["192.0.2.7", "192.0.2.8"])
    assert relay.allowed_peers == allowed
    assert relay.relay_address == "192.0.2.7"
    assert relay.own_addresses == ("192.0.2.7", "192.0.2.8")
    assert relay.tls_port == 0, "without a certificate there is no TLS"


def test_both_secrets_and_the_certificate_of_tls_are_used() -> None:
    more = {
        "SOTTO_TURN__PREVIOUS_SECRET": "o" * 32,
        "SOTTO_TLS__CERTIFICATE": "/c",
        "SOTTO_TLS__KEY": "/k",
    }
    relay = relay_from(load(None, {**TURN, **more}), ["192.0.2.7"], [])
    assert relay.secrets == ("s" * 32, "o" * 32)
    assert (relay.tls_port, relay.certificate, relay.key) == (5349, "/c", "/k")
