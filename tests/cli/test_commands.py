"""The commands as a person or a service manager meets them: output, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from signaling.cli import main
from signaling.dev import NO_ADDRESS
from tests.command import sotto
from tests.network.netns import Namespace, namespace

ROOT = Path(__file__).resolve().parents[2]
LONG = "x" * 40
ANY_PORT = ("https", "http", "operator", "udp", "tcp", "turn", "turns")


def dev(folder: Path, *more: str) -> list[str]:
    ports = [f"--{name}-port=0" for name in ANY_PORT]
    ready = f"--ready-file={folder / 'ready.json'}"
    return sotto("dev", f"--state-dir={folder / 'state'}", ready, *ports, *more)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


def start(
    processes: list[subprocess.Popen[str]],
    words: list[str],
    ready: Path,
    environ: dict[str, str] | None = None,
) -> dict[str, object]:
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    processes.append(process)
    end = time.monotonic() + 180
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(process.communicate()[0])
        time.sleep(0.05)
    facts: dict[str, object] = json.loads(ready.read_text())
    return facts


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=90)
    return process.returncode, out


def test_dev_needs_nothing_and_says_what_to_open(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    facts = start(started, dev(tmp_path), tmp_path / "ready.json")
    with urllib.request.urlopen(f"{facts['http_url']}ca.crt") as answer:
        assert answer.headers["Content-Type"] == "application/x-x509-ca-cert"
        assert answer.read() == Path(str(facts["authority"])).read_bytes()
    with urllib.request.urlopen(f"http://127.0.0.1:{facts['operator']}/readyz") as answer:
        assert answer.status == 200
    code, out = stop(started[0])
    assert code == 0
    assert str(facts["url"]) in out
    assert str(facts["authority"]) in out
    assert "Traceback" not in out


def test_dev_starts_a_relay_and_takes_it_down(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    facts = start(started, dev(tmp_path), tmp_path / "ready.json")
    assert facts["turn_host"] == "localhost"
    for key in ("turn", "turns"):
        socket.create_connection(("127.0.0.1", int(str(facts[key]))), 30).close()
    stop(started[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(str(facts["turn"]))), 30)


def test_dev_survives_being_killed_without_leaving_a_relay(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    facts = start(started, dev(tmp_path), tmp_path / "ready.json")
    started[0].kill()
    started[0].communicate()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", int(str(facts["turn"]))), 1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.1)
    raise AssertionError("coturn outlived its supervisor")


@pytest.fixture
def network() -> Iterator[Namespace]:
    with namespace("lan") as space:
        yield space


@pytest.mark.namespaces
def test_lan_prints_a_code_for_phones(
    tmp_path: Path, started: list[subprocess.Popen[str]], network: Namespace
) -> None:
    network.ip("link", "add", "wlan", "type", "veth", "peer", "name", "phone")
    network.ip("addr", "add", "192.0.2.10/24", "dev", "wlan")
    network.ip("link", "set", "wlan", "up")
    words = ["ip", "netns", "exec", network.name, *dev(tmp_path, "--lan", "--no-turn")]
    facts = start(started, words, tmp_path / "ready.json")
    _, out = stop(started[0])
    assert f"https://192.0.2.10:{facts['https']}/" in out
    assert "/ca.crt" in out
    assert "█" in out or "▄" in out


@pytest.mark.namespaces
def test_lan_without_an_address_is_refused_with_the_reason(
    tmp_path: Path, network: Namespace
) -> None:
    words = ["ip", "netns", "exec", network.name, *dev(tmp_path, "--lan", "--no-turn")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode != 0
    assert NO_ADDRESS in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def production(tmp_path: Path) -> Path:
    from datetime import UTC, datetime

    from signaling.http.certificates import ensure

    files = ensure(tmp_path / "tls", ["localhost"], datetime.now(UTC))
    (tmp_path / "key").write_text(LONG)
    file = tmp_path / "sotto.toml"
    file.write_text(
        f"""
[http]
listen = ["127.0.0.1:0"]
[tls]
certificate = "{files.certificate}"
key = "{files.key}"
[operator]
listen = "127.0.0.1:0"
[media]
udp_port = 0
tcp_port = 0
bind = ["127.0.0.1"]
advertise = ["198.51.100.7"]
[process]
state_dir = "{tmp_path}"
drain_seconds = 30
[keys]
app = {{ file = "{tmp_path / "key"}" }}
"""
    )
    return file


def test_serve_tells_systemd_and_ends_on_sigterm(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        ready = tmp_path / "ready.json"
        words = sotto("serve", f"--config={production(tmp_path)}", f"--ready-file={ready}")
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        start(started, words, ready, environ)
        heard = {systemd.recv(100) for _ in range(3)}
        assert heard == {b"READY=1", b"WATCHDOG=1"}
        code, out = stop(started[0])
    assert code == 0
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("[keys]\ndevkey = { file = 'KEY' }", "keys.devkey"),
        ("[http]\nplain = ['0.0.0.0:80']", "http.plain"),
        ("[surprise]\na = 1", "surprise"),
        ("[media]\nudp = 1", "media.udp"),
    ],
)
def test_serve_refuses(
    tmp_path: Path, change: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = production(tmp_path)
    text = change.replace("KEY", str(tmp_path / "key"))
    section, rest = text.split("\n", 1)
    old = file.read_text()
    file.write_text(old.replace(section, text) if section in old else f"{old}\n{section}\n{rest}\n")
    assert main(["serve", "--config", str(file)]) == 2
    assert named in capsys.readouterr().err


def test_a_short_secret_is_refused_everywhere_but_in_dev(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = production(tmp_path)
    (tmp_path / "key").write_text("secret")
    for words in (["serve"], ["config", "check"]):
        assert main([*words, "--config", str(file)]) == 2
    assert "keys.app" in capsys.readouterr().err


def test_config_check_is_content_with_a_good_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", "--config", str(production(tmp_path))]) == 0
    assert "good" in capsys.readouterr().out


def test_an_unknown_flag_value_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(production(tmp_path))
    assert main(["config", "check", "--config", file, "--set", "media.port=1"]) == 2
    assert "media.port: unknown key" in capsys.readouterr().err
    assert main(["config", "check", "--config", file, "--set", "nonsense"]) == 2


def test_token_opens_one_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(production(tmp_path))
    words = ["token", "--room", "plan", "--identity", "ann", "--no-publish", "--config", file]
    assert main(words) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), LONG, algorithms=["HS256"])
    assert (claims["iss"], claims["sub"]) == ("app", "ann")
    assert claims["video"] == {"room": "plan", "roomJoin": True, "canPublish": False}
    assert main(["token", "--room", "plan"]) == 2
    assert main(["token", "--config", file, "--key", "none", "--admin"]) == 2


def test_a_new_key_is_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--new-key"]) == 0
    assert len(capsys.readouterr().out.strip()) >= 32


def test_turn_renders_what_it_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = production(tmp_path)
    assert main(["turn", "--config", str(file), "--render"]) == 2
    (tmp_path / "turn").write_text("t" * 40)
    file.write_text(
        file.read_text() + f'\n[turn]\nhost = "turn.example"\nrelay_address = "127.0.0.1"\n'
        f'secret = {{ file = "{tmp_path / "turn"}" }}\n'
    )
    assert main(["turn", "--config", str(file), "--render"]) == 0
    out = capsys.readouterr().out
    assert "realm=turn.example" in out
    assert "allowed-peer-ip=198.51.100.7" in out
    assert "no-cli" in out


@pytest.mark.parametrize("command", ["dev", "serve", "doctor", "token", "turn", "config"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 100
