"""How each client of the matrix is started: a name, a command line, perhaps a build before it.

Builds are kept in ~/.cache/sotto/{go,npm}; when they are missing they are made, when they are there
they are used. `SOTTO_NO_BUILD=1` makes a missing one an error.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.building import alone, copied
from tests.interop.peer import Peer

PEERS = Path(__file__).parent.parent / "peers"
CACHE = Path(os.environ.get("SOTTO_CACHE", Path.home() / ".cache" / "sotto"))


def _digest(folder: Path, *patterns: str) -> str:
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def go_peers() -> Path:
    """The Go binary with the SDK and the pion peers, built once for each state of its sources."""
    source = PEERS / "go"
    binary = CACHE / "go" / f"peers-{_digest(source, '*.go', 'go.*')}"
    with alone(binary) as missing:
        if missing:
            partial = binary.with_suffix(".new")
            command = ["go", "build", "-p", "2", "-o", str(partial), "."]
            subprocess.run(command, cwd=source, check=True)
            partial.rename(binary)
    return binary


def node_peers() -> Path:
    """The folder with node_modules and the bundled page, for each state of the lock file."""
    source = PEERS / "node"
    home = CACHE / "npm" / f"peers-{_digest(source, 'package*.json')}"
    with alone(home / "installed") as missing:
        if missing:
            for name in ("package.json", "package-lock.json"):
                (home / name).write_bytes((source / name).read_bytes())
            cache = str(CACHE / "npm" / "cache")
            command = ["npm", "ci", "--no-audit", "--no-fund", "--cache", cache]
            subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
            (home / "installed").touch()
        for path in source.glob("*.mjs"):
            copied(path, home / path.name)
    return home


def page() -> Path:
    """The bundle of livekit-client and the test page."""
    home = node_peers()
    built = home / f"page-{_digest(home, 'page.mjs')}.js"
    with alone(built) as missing:
        if missing:
            command = ["node_modules/.bin/esbuild", "page.mjs", "--bundle", f"--outfile={built}"]
            subprocess.run([*command, "--log-level=warning"], cwd=home, check=True)
    return built


def command_of(client: str) -> list[str]:
    """The command line of a client by its name in the matrix."""
    if client in {"libwebrtc", "libwebrtc-dual"}:
        return [sys.executable, "-m", "tests.peers.python.livekit_peer"]
    if client == "aiortc":
        return [sys.executable, "-m", "tests.peers.python.aiortc_peer"]
    if client == "gstreamer":
        return ["/usr/bin/python3", "-m", "tests.peers.python.gstreamer_peer"]
    if client in {"go-sdk", "go-sdk-single"}:
        return [str(go_peers()), "sdk"]
    if client == "pion":
        return [str(go_peers()), "pion"]
    if client in {"chromium", "firefox"}:
        return ["node", str(node_peers() / "browser.mjs"), client, str(page())]
    if client in {"werift", "libdatachannel"}:
        return ["node", str(node_peers() / f"{client}.mjs")]
    raise ValueError(client)


async def start(client: str, folder: Path, netns: str | None = None, name: str = "") -> Peer:
    """Start a client, in a network namespace when one is named."""
    argv = command_of(client)
    if netns:
        argv = ["ip", "netns", "exec", netns, *argv]
    label = name or client
    log = folder / f"{label}-{os.urandom(3).hex()}.log"
    return await Peer.start(label, argv, log)
