"""A whole server on loopback, free ports and a fake engine: what its HTTP tests talk to."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from signaling.app import App
from signaling.config import Config, load
from signaling.http.certificates import Files, ensure
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret
from tests.mediaserver.fakes import FakeEngine, House

KEY, SECRET = "house", "house-secret-of-more-than-32-characters"


def base(state: Path, files: Files) -> dict[str, Any]:
    return {
        "http": {
            "listen": ["127.0.0.1:0"],
            "plain": ["127.0.0.1:0"],
            "client_dir": str(state / "client"),
        },
        "tls": {"certificate": str(files.certificate), "key": str(files.key)},
        "operator": {"listen": "127.0.0.1:0"},
        "keys": {KEY: Secret(SECRET)},
        "calls": {"guest_join": True},
        # As cheap as the server lets it be: a start makes one hash, and so does each person.
        "accounts": {"hash_memory_kib": 19456, "hash_passes": 1},
        "process": {"drain_seconds": 0.0},
    }


@dataclass
class Running:
    """One server and a client that trusts its certificate."""

    app: App
    engine: FakeEngine
    client: aiohttp.ClientSession
    trust: ssl.SSLContext
    config: Config
    state: Path

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.app.facts()['http']}"

    @property
    def https(self) -> str:
        return f"https://localhost:{self.app.facts()['https']}"

    @property
    def operator(self) -> str:
        return f"http://127.0.0.1:{self.app.facts()['operator']}"

    def token(self, room: str, identity: str, **grants: Any) -> str:
        return call_token(room, identity, **grants)


def call_token(room: str, identity: str, life: float = 600, **grants: Any) -> str:
    video = VideoGrant(room=room, room_join=True, **grants)
    claims = Claims(key=KEY, identity=identity, video=video, has_video=True)
    now = datetime.now(UTC).timestamp()
    return issue(ApiKeys({KEY: SECRET}), claims, now, life)


@contextlib.asynccontextmanager
async def serving(
    state: Path, flags: Mapping[str, str] | None = None, *, development: bool = True
) -> AsyncIterator[Running]:
    files = ensure(state / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC))
    config = load(None, {}, list((flags or {}).items()), base(state, files))
    media = House()
    media.engine.data = {"workers": []}
    app = App(config, media.server, state, development=development)
    await app.start()
    trust = ssl.create_default_context(cafile=str(files.authority))
    connector = aiohttp.TCPConnector(ssl=trust)
    try:
        async with aiohttp.ClientSession(connector=connector) as client:
            yield Running(app, media.engine, client, trust, config, state)
    finally:
        await app.stop()
