"""A backup restored on a machine that has nothing: a fresh Debian root, the wheel, two files.

Made by `mmdebstrap --variant=minbase`; the wheel is installed there from a folder, without network.
What is restored is compared row by row, verifies, and lets the same people sign in.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from signaling.config.store import Store as Settings
from signaling.storage.archive.records import Any, Cursor
from signaling.storage.archive.run import Place, _dump
from tests.proofs.server import API_SECRET, ROOT, Api, Installation, client
from tests.signaling.accounts.rig import PASSWORD

LAST_BYTES = 40


@dataclass
class FreshRoot:
    """`path` is the root; commands run inside it, with what an operator would type."""

    path: Path

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": "/opt/sotto/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            ["chroot", str(self.path), *words], env={**clean, **environment},
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip

    def must(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    @property
    def store(self) -> Path:
        return self.path / "var/lib/sotto/store"


def codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    (name,) = (line.partition("=")[2] for line in lines if line.startswith("VERSION_CODENAME="))
    return name.strip('"')


def wheel() -> Path:
    """What `.ci/setup` built, and what is shipped."""
    named = os.environ.get("SOTTO_WHEEL")
    found = [Path(named)] if named else sorted((ROOT / "dist").glob("sotto-*.whl"))
    assert found, "no wheel in dist/: run `bash .ci/setup test`, or name one in SOTTO_WHEEL"
    return found[-1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FreshRoot:
    assert os.geteuid() == 0, "a root file system is made and entered by root"
    made = FreshRoot(tmp_path_factory.mktemp("fresh") / "root")
    words = ["mmdebstrap", "--variant=minbase", "--include=python3,python3-venv", codename()]
    subprocess.run([*words, str(made.path)], check=True, timeout=1200)
    install(made)
    return made


def install(made: FreshRoot) -> None:
    """The wheel and what it needs, fetched here and installed there."""
    version = made.must("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--dest", str(made.path / "wheels"),
         "--only-binary=:all:", "--python-version", version.strip(),
         "-c", str(ROOT / ".ci/constraints.txt"), str(wheel()),
         # redis wants it before Python 3.11.3; pip asks its own Python about such marks.
         "async-timeout>=4.0.3"],
        check=True, timeout=1200,
    )  # fmt: skip
    made.must("python3", "-m", "venv", "/opt/sotto")
    made.must("/opt/sotto/bin/pip", "install", "-q", "--no-index", "--find-links=/wheels", "sotto")
    (made.path / "etc/sotto").mkdir()


async def filled(installation: Installation) -> list[str]:
    """A bit of everything that this server keeps; the logins of who may sign in."""
    async with installation.running() as api:
        owner = await api.owner()
        logins = [f"person.{number}" for number in range(12)]
        for login in logins:
            token = (await api.invited(owner, login, name=f"The {login}"))["access_token"]
            await api.must("POST", "/calls/tokens", {"room": login}, token)
            await api.must("POST", "/sync/tickets", token=token)
        made = await api.must("POST", "/access/key-sets", {"name": "kept"}, owner)
        grant = {"ttl": 60, "permissions": {"resources": {"channels": {"room": 3}}}}
        await api.must("POST", f"/access/key-sets/{made['key_set']['id']}/tokens", grant, owner)
        await api.must("POST", "/guest-links", {"room": "lobby", "label": "door"}, owner)
    return logins


async def rows(place: Place) -> list[Any]:
    """Every row that an archive has; of idents whose ops are gone an adapter may forget the seq."""
    return [
        msgspec.structs.replace(record, seq=0) if isinstance(record, Cursor) else record
        async for record in _dump(place)
    ]


def listing(folder: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    )


def configured(root: FreshRoot, old: Installation) -> None:
    """The same words as on the lost machine, other places; master keys are kept elsewhere."""
    text = old.config.read_text()
    text = text.replace(str(old.home / "state"), "/var/lib/sotto")
    text = text.replace(str(old.home / "tls"), "/etc/sotto/tls")
    (root.path / "etc/sotto/sotto.toml").write_text(text)
    (root.path / "var/lib/sotto/keys").mkdir(parents=True, mode=0o700)
    for folder, there in (("state/keys", "var/lib/sotto/keys"), ("tls", "etc/sotto/tls")):
        subprocess.run(
            ["cp", "-a", "-T", str(old.home / folder), str(root.path / there)], check=True
        )


@pytest.mark.long
async def test_a_backup_is_restored_in_a_fresh_root(tmp_path: Path, root: FreshRoot) -> None:
    old = Installation(tmp_path / "old")
    logins = await filled(old)
    key, archive = tmp_path / "backup.key", tmp_path / "monday.sotto"
    assert old.command("backup", f"--new-key={key}").returncode == 0
    done = old.command("backup", f"--key={key}", f"--out={archive}")
    assert done.returncode == 0, done.stderr
    configured(root, old)
    environment = {"SOTTO_PROOF_KEY": API_SECRET}
    restore = ("sotto", "restore", "--config=/etc/sotto/sotto.toml")
    for name, data in refused(archive, key, old, tmp_path).items():
        (root.path / "bad.sotto").write_bytes(data)
        (root.path / "backup.key").write_bytes(key.read_bytes())
        (root.path / "backup.key").chmod(0o600)
        before = listing(root.path / "var/lib/sotto")
        bad = root.run(*restore, "--key=/backup.key", "/bad.sotto", **environment)
        assert bad.returncode == 1, (name, bad.stdout, bad.stderr)
        assert "Traceback" not in bad.stderr, name
        assert listing(root.path / "var/lib/sotto") == before, name
    (root.path / "monday.sotto").write_bytes(archive.read_bytes())
    good = root.run(*restore, "--key=/backup.key", "/monday.sotto", **environment)
    assert good.returncode == 0, good.stderr
    there = Place(Settings(directory=str(root.store)), root.path)
    kept = await rows(Place(Settings(), old.home / "state"))
    assert await rows(there) == kept
    assert len(kept) > 60
    print(f"{len(kept)} rows are the same")
    full = listing(root.path / "var/lib/sotto")
    again = root.run(*restore, "--key=/backup.key", "/monday.sotto", **environment)
    assert again.returncode != 0, "a target that holds something is refused"
    assert listing(root.path / "var/lib/sotto") == full
    verified = root.run("sotto", "audit", "verify", "--config=/etc/sotto/sotto.toml", **environment)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    await lived_in(root, logins)


def refused(archive: Path, key: Path, old: Installation, tmp_path: Path) -> dict[str, bytes]:
    """Archives that are none: changed at both ends and in the middle, cut, foreign, nonsense."""
    data = archive.read_bytes()
    foreign_key, foreign = tmp_path / "foreign.key", tmp_path / "foreign.sotto"
    assert old.command("backup", f"--new-key={foreign_key}").returncode == 0
    made = old.command("backup", f"--key={foreign_key}", f"--out={foreign}")
    assert made.returncode == 0, made.stderr
    middle = len(data) // 2
    return {
        "changed in the middle": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "changed at the end": data[:-1] + bytes([data[-1] ^ 1]),
        "changed at the start": bytes([data[0] ^ 1]) + data[1:],
        "cut": data[:-LAST_BYTES],
        "longer": data + b"more",
        "of another key": foreign.read_bytes(),
        "another file": b"PK\x03\x04" + bytes(4000),
        "empty": b"",
    }


def served(root: FreshRoot) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["chroot", str(root.path), "/opt/sotto/bin/sotto", "serve",
         "--config=/etc/sotto/sotto.toml", "--ready-file=/ready.json",
         "--set=process.drain_seconds=0", "--set=accounts.tries_per_address=1000"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
             "SOTTO_PROOF_KEY": API_SECRET,
             "SOTTO_API__RATE_FACTOR": "1000"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


async def lived_in(root: FreshRoot, logins: list[str]) -> None:
    """A server on what was restored, from the root's own files: everybody signs in."""
    there = Installation(root.path / "client")
    ready = root.path / "ready.json"
    there.process = process = served(root)
    try:
        async with asyncio.timeout(120):
            while not ready.exists():
                assert process.poll() is None, "it does not start"
                await asyncio.sleep(0.1)
        there.facts = json.loads(ready.read_bytes())
        await signs_in(there, logins)
    finally:
        await there.stop()


async def signs_in(there: Installation, logins: list[str]) -> None:
    async with client() as session:
        api = Api(there, session)
        for login in logins:
            done = await api.must(
                "POST", "/sign-in/password", {"login": login, "password": PASSWORD}
            )
            me = await api.must("GET", "/account", token=done["access_token"])
            assert me["name"] == f"The {login}"
