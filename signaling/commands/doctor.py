"""`sotto doctor`: tests a running server hop by hop."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from signaling.commands import common
from signaling.config import DEV_KEY, DEV_SECRET, Config, parse_address
from signaling.doctor import fixes
from signaling.doctor.hops import Target, new_room, walk
from signaling.doctor.report import (
    Finding,
    Hop,
    as_json,
    as_text,
    broken,
    healthy,
    ok,
    skipped,
)
from signaling.errors import ConfigError
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret
from signaling.storage.volume import data_directories, is_encrypted

HELP = "test a running server hop by hop, as a client would"
ABOUT = """Test a running server through real sockets: https, wss, media over UDP and TCP, TURN over
UDP, TCP and TLS with a datagram relayed there and back. Names the hop that is broken and the
fix. Run it where clients are, or on the server itself. Without --config it tests `sotto dev`.

Exit code: 0 when every hop that the server offers works, 1 when one is broken."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="what clients open (default: http.public_url or localhost)")
    parser.add_argument("--trust", metavar="FILE", help="PEM file of an authority to believe")
    parser.add_argument("--token", metavar="FILE", type=Path, help="file with a call token to use")
    parser.add_argument("--room", help="the room of that token")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    common.config_arguments(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    findings = asyncio.run(_walk(_target(arguments)))
    if arguments.config is not None:
        findings += _volumes(common.read(arguments))
    sys.stdout.write(as_json(findings) if arguments.json else as_text(findings))
    return 0 if healthy(findings) else 1


def _volumes(config: Config) -> list[Finding]:
    """Of this machine, so only where the server's own configuration is."""
    plain = [
        str(path)
        for path in data_directories(config, common.state_path(config))
        if not is_encrypted(path)
    ]
    if not plain:
        return [ok(Hop.VOLUME, "state, store and keys lie on encrypted devices")]
    detail = f"not encrypted, or not visible from here: {', '.join(plain)}"
    if config.store.require_encrypted_volume:
        return [broken(Hop.VOLUME, detail, fixes.VOLUME)]
    return [skipped(Hop.VOLUME, detail)]


async def _walk(target: Target) -> list[Finding]:
    return [finding async for finding in walk(target)]


def _target(arguments: argparse.Namespace) -> Target:
    development = arguments.config is None
    config = Config(keys={DEV_KEY: Secret(DEV_SECRET)})
    if development:
        common.allow_development_key()
    else:
        config = common.read(arguments)
    trust = arguments.trust or ""
    if development and not trust:
        made = common.default_state() / "tls" / "authority.crt"
        trust = str(made) if made.exists() else ""
    if arguments.token is not None:
        if not arguments.room:
            raise ConfigError("sotto doctor", "--token needs --room")
        token = arguments.token.read_text(encoding="utf-8").strip()
        return Target(_url(arguments.url, config), arguments.room, token, trust)
    room = new_room()
    return Target(_url(arguments.url, config), room, _token(config, room), trust)


def _url(given: str | None, config: Config) -> str:
    if given or config.http.public_url:
        return given or config.http.public_url
    if not config.http.listen:
        raise ConfigError("sotto doctor", "say what clients open with --url")
    _, port = parse_address(config.http.listen[0], "http.listen")
    return f"https://localhost:{port}/"


def _token(config: Config, room: str) -> str:
    """Hidden, and for a room that nobody knows: nobody's call notices."""
    if not config.keys:
        raise ConfigError("keys", "an API key is needed to join a call of our own")
    key = next(iter(config.keys))
    grant = VideoGrant(room=room, room_join=True, hidden=True)
    claims = Claims(key=key, identity="sotto-doctor", video=grant, has_video=True)
    now = time.time()  # noqa: TID251 - a command, not domain code
    return issue(ApiKeys(config.keys), claims, now, 300)
