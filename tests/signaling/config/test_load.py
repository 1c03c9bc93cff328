"""The three sources of the configuration, and how every mistake in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from signaling.config import load
from signaling.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "sotto.toml"
    file.write_text(text)
    return file


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    file = write(tmp_path, "[media]\nudp_port = 1\ntcp_port = 1\nworkers = 1\n")
    environ = {"SOTTO_MEDIA__UDP_PORT": "2", "SOTTO_MEDIA__TCP_PORT": "2"}
    config = load(file, environ, [("media.udp_port", "3")])
    assert (config.media.udp_port, config.media.tcp_port, config.media.workers) == (3, 2, 1)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[media]\nport = 1", "media.port"),
        ("surprise = 1", "surprise"),
        ("[media_limits]\nsdp = 1", "media_limits.sdp"),
        ("[signaling_times]\nping_interval = 'x'", "signaling_times.ping_interval"),
        ("[media]\nudp_port = 70000", "media.udp_port"),
        ("[media]\nudp_port = 'x'", "media.udp_port"),
        ("[http]\nlisten = [1]", "http.listen[0]"),
        ("[turn]\nsecret = 'written out'", "turn.secret"),
        ("[turn]\nsecret = { env = 'NOT_SET' }", "turn.secret"),
        ("[keys]\napp = { file = '/nonexistent/secret' }", "keys.app"),
        ("[keys]\napp = 'written out'", "keys.app"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_its_path(tmp_path: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert caught.value.path == path
    assert "written out" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("SOTTO_MEDIA__PORT", "media.port"),
        ("SOTTO_NOTHING__PORT", "nothing.port"),
        ("SOTTO_MEDIA__UDP_PORT", "media.udp_port"),
    ],
)
def test_a_mistake_in_the_environment_is_named_too(name: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {name: "not a number"})
    assert caught.value.path == path


def test_lists_in_the_environment_have_commas() -> None:
    config = load(None, {"SOTTO_HTTP__LISTEN": "127.0.0.1:1, [::1]:2"})
    assert config.http.listen == ("127.0.0.1:1", "[::1]:2")


def test_secrets_come_from_files_and_the_environment_and_print_as_stars(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    file = write(
        tmp_path,
        f"[turn]\nsecret = {{ file = '{tmp_path}/secret' }}\n[keys]\na = {{ env = 'KEY_A' }}\n",
    )
    config = load(file, {"KEY_A": "from-env", "SOTTO_KEYS__b": "verbatim"})
    assert config.turn.secret is not None
    assert config.turn.secret.reveal() == "from-a-file"
    keys = {name: secret.reveal() for name, secret in config.keys.items()}
    assert keys == {"a": "from-env", "b": "verbatim"}
    shown = f"{config} {config.turn.secret!s} {config.turn.secret:>10}"
    assert "***" in shown
    assert not any(text in shown for text in ("from-a-file", "from-env", "verbatim"))


def test_the_tree_is_frozen() -> None:
    with pytest.raises(AttributeError):
        load().media.udp_port = 1  # type: ignore[misc]  # that is the point


def test_no_file_and_no_toml_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="not TOML"):
        load(write(tmp_path, "[media"))
