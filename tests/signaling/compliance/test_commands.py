"""`sotto keys` and `sotto audit` on the store of a server that was started separately."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import sotto

PORTS = ("--https-port=0", "--http-port=0", "--operator-port=0", "--udp-port=0", "--tcp-port=0")
HEAD = b'"app":"default","actor":"system:audit"'


@contextlib.contextmanager
def server(home: Path, *words: str) -> Iterator[dict[str, Any]]:
    """`sotto dev` with its state below `home`."""
    ready = home / "ready.json"
    ready.unlink(missing_ok=True)
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            sotto("dev", "--no-turn", *PORTS, f"--state-dir={home}/state",
                  f"--ready-file={ready}", *words),
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        end = time.monotonic() + 180
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < end, (home / "log").read_text()
            time.sleep(0.05)
        yield json.loads(ready.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def command(home: Path, *words: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        sotto(*words, f"--state-dir={home}/state"),
        capture_output=True, text=True, check=False, env={**os.environ, **(environ or {})},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def refused(facts: dict[str, Any], path: str) -> int:
    try:
        with urllib.request.urlopen(f"{facts['http_url']}api/v1{path}") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_b11_a_running_servers_audit_verifies_and_tampering_shows(tmp_path: Path) -> None:
    copy = tmp_path / "copy.ndjson"
    forwarding = ("--set", f"audit_file.path={copy}", "--set", "audit.head_seconds=1")
    with server(tmp_path, *forwarding) as facts:
        for _ in range(5):
            assert refused(facts, "/audit") == 401
        end = time.monotonic() + 120
        while not whole(copy):
            assert time.monotonic() < end
            time.sleep(0.1)
        code, out, err = command(tmp_path, "audit", "verify")
        assert code == 0, err
        assert "default:" in out and "nothing was found" in out
        code, keys, err = command(tmp_path, "audit", "keys")
        assert code == 0, err
        assert len(bytes.fromhex(keys.strip())) == 32
    (tmp_path / "public").write_text(keys)
    pinned = (f"--public-key={tmp_path}/public", f"--head={copy}")
    copied = [json.loads(line) for line in copy.read_text().splitlines()]
    assert [r["action"] for r in copied].count("listAuditRecords") == 5
    code, out, err = command(tmp_path, "audit", "verify", *pinned, "--json")
    assert code == 0, err
    assert all(not report["findings"] for report in json.loads(out))
    tamper(tmp_path / "state" / "store" / "sotto.db")
    code, out, _ = command(tmp_path, "audit", "verify", *pinned)
    assert code == 1 and "changed at" in out


def whole(copy: Path) -> bool:
    """Five refusals are there, and a head of the chain."""
    data = copy.read_bytes() if copy.exists() else b""
    return data.count(b'"listAuditRecords"') >= 5 and HEAD in data


def tamper(path: Path) -> None:
    """One byte of a record, or of a batch of them, as somebody with the file can change it."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT rid, seq, body FROM op ORDER BY rid, seq").fetchall()
    rid, seq, body = next(row for row in rows if row[2][:1] in (b"R", b"B"))
    changed = body[:-1] + bytes([body[-1] ^ 1])
    connection.execute("UPDATE op SET body = ? WHERE rid = ? AND seq = ?", (changed, rid, seq))
    connection.commit()
    connection.close()


def test_a12_status_rotation_and_rewrap_from_the_shell(tmp_path: Path) -> None:
    with server(tmp_path):
        code, out, err = command(tmp_path, "keys", "status", "--json")
        assert code == 0, err
        (master,) = json.loads(out)
        assert master["state"] == "active" and master["wraps"] > 0
        code, _, err = command(tmp_path, "keys", "rotate")
        assert code == 2 and "--url and --token" in err
    code, out, err = command(tmp_path, "keys", "rotate")
    assert code == 0, err
    assert "master key 2 (local) is active" in out and " 0 failed" in out
    code, out, _ = command(tmp_path, "keys", "status")
    assert code == 0 and "decrypt_only" in out and "wait for a rewrap" not in out
    with server(tmp_path) as facts:
        assert refused(facts, "/audit") == 401
    code, out, _ = command(tmp_path, "audit", "verify")
    assert code == 0, out
    code, _, err = command(tmp_path, "keys", "disable", "--version", "1")
    assert code == 2 and "through a server" in err


def test_a12_without_its_master_key_the_server_does_not_start(tmp_path: Path) -> None:
    with server(tmp_path):
        pass
    (key,) = (tmp_path / "state" / "keys").glob("*.key")
    hidden = key.read_bytes()
    key.unlink()
    with pytest.raises(AssertionError, match="is not there"), server(tmp_path):
        pass
    key.write_bytes(hidden)
    key.chmod(0o600)
    with server(tmp_path):
        pass


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--public-key=/nonexistent"),
        ("verify", "--head=/nonexistent"),
    ],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, _, err = command(tmp_path, "audit", *words)
    assert code == 2 and "cannot be read" in err
