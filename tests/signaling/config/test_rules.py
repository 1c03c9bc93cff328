"""What `sotto serve` refuses, and what it takes."""

from __future__ import annotations

import pytest

from signaling.config import check_production, load
from signaling.errors import ConfigError

LONG = "x" * 32
GOOD = {
    "SOTTO_KEYS__app": LONG,
    "SOTTO_TLS__CERTIFICATE": "/c",
    "SOTTO_TLS__KEY": "/k",
}


def paths(environ: dict[str, str]) -> list[str]:
    return [problem.path for problem in check_production(load(None, environ))]


def test_a_good_configuration_passes() -> None:
    assert paths(GOOD) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"SOTTO_KEYS__devkey": LONG}, "keys.devkey"),
        ({"SOTTO_KEYS__app": "secret"}, "keys.app"),
        ({"SOTTO_KEYS__app": "x" * 31}, "keys.app"),
        ({"SOTTO_HTTP__PLAIN": "0.0.0.0:80"}, "http.plain"),
        ({"SOTTO_HTTP__PLAIN": "192.0.2.1:80"}, "http.plain"),
        ({"SOTTO_HTTP__PLAIN": "127.0.0.1"}, "http.plain"),
        ({"SOTTO_HTTP__LISTEN": "everywhere"}, "http.listen"),
        ({"SOTTO_TLS__KEY": ""}, "tls.certificate"),
        ({"SOTTO_TURN__HOST": "t.example"}, "turn.secret"),
        ({"SOTTO_TURN__SECRET": "short"}, "turn.secret"),
        ({"SOTTO_MEDIA__ADVERTISE": "meet.example"}, "media.advertise"),
        ({"SOTTO_WEBHOOKS__URLS": "http://a.example"}, "webhooks.urls"),
        ({"SOTTO_WEBHOOKS__KEY": "other"}, "webhooks.key"),
        ({"SOTTO_MEDIA_LIMITS__TRACKS": "0"}, "media_limits.tracks"),
        ({"SOTTO_MEDIA_LIMITS__TRACKS": "500"}, "media_limits.tracks"),
        ({"SOTTO_MEDIA_LIMITS__REPAIR_PERCENT": "101"}, "media_limits.repair_percent"),
        ({"SOTTO_MEDIA_LIMITS__REPAIR_BITRATE": "99999"}, "media_limits.repair_bitrate"),
        (
            {"SOTTO_TURN__MIN_RELAY_PORT": "9", "SOTTO_TURN__MAX_RELAY_PORT": "8"},
            "turn.min_relay_port",
        ),
    ],
)
def test_production_refuses(change: dict[str, str], path: str) -> None:
    assert paths({**GOOD, **change}) == [path]


def test_everything_wrong_is_said_at_once() -> None:
    found = paths({"SOTTO_HTTP__PLAIN": "0.0.0.0:80"})
    assert found == ["keys", "tls.certificate", "http.plain"]


def test_loopback_may_be_plain() -> None:
    assert paths({**GOOD, "SOTTO_HTTP__PLAIN": "127.0.0.1:80,[::1]:80,localhost:80"}) == []


def test_a_problem_prints_its_path_first() -> None:
    assert str(ConfigError("a.b", "is wrong")) == "a.b: is wrong"
