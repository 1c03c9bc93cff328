"""`sotto dev`: a server on this machine that needs no configuration."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from signaling import dev
from signaling.commands import common
from signaling.config import Config
from signaling.config.rules import check_any
from signaling.service import write_ready

if TYPE_CHECKING:
    from signaling.app import App

HELP = "run a server on this machine; nothing to configure"
ABOUT = """Run a server for development: https and wss on localhost:7443 with a certificate made
at the first start, http and ws on 127.0.0.1:7880 with the API key `devkey` and the secret
`secret`, as LiveKit's --dev. Prints the URL to open. Starts coturn when it is installed."""

# Flag, key of the configuration, how a port becomes its value.
_PORTS = (
    ("--https-port", "http.listen", 7443),
    ("--http-port", "http.plain", 7880),
    ("--operator-port", "operator.listen", 7889),
    ("--udp-port", "media.udp_port", 7882),
    ("--tcp-port", "media.tcp_port", 7881),
    ("--turn-port", "turn.port", 3478),
    ("--turns-port", "turn.tls_port", 5349),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lan",
        action="store_true",
        help="also serve this network: certificate for its addresses, QR code",
    )
    for flag, key, default in _PORTS:
        parser.add_argument(
            flag, metavar="N", type=int, help=f"{key} (default {default}; 0: any free port)"
        )
    parser.add_argument("--no-turn", action="store_true", help="do not start coturn")
    parser.add_argument(
        "--state-dir", metavar="DIR", type=Path, help="default ~/.local/share/sotto"
    )
    common.store_arguments(parser)
    common.ready_argument(parser)
    common.config_arguments(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    state = (arguments.state_dir or common.default_state()).resolve()
    made = dev.profile(state, lan=arguments.lan, want_turn=not arguments.no_turn)
    config = common.read(arguments, made.base, _flags(arguments, lan=arguments.lan))
    common.refuse(check_any(config))
    common.allow_development_key()

    def ready(app: App) -> None:
        facts = _facts(app, config, made)
        dev.announce(sys.stdout, config, made, facts, qr=arguments.lan)
        if arguments.ready_file is not None:
            write_ready(arguments.ready_file, facts)

    return common.serve(config, ready, authority=made.files.authority)


def _flags(arguments: argparse.Namespace, *, lan: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for flag, key, _ in _PORTS:
        port = getattr(arguments, flag.removeprefix("--").replace("-", "_"))
        if port is None:
            continue
        host = "0.0.0.0" if lan and key == "http.listen" else dev.LOOPBACK  # noqa: S104 - --lan
        if key.startswith("turn."):
            # coturn cannot say which port it took, so one that is free now is chosen for it.
            port = port or _free_port()
        found.append((key, str(port) if key[:5] in ("media", "turn.") else f"{host}:{port}"))
    return found


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((dev.LOOPBACK, 0))
        return int(sock.getsockname()[1])


def _facts(app: App, config: Config, made: dev.Profile) -> dict[str, object]:
    facts = app.facts()
    return {
        **facts,
        "pid": os.getpid(),
        "url": f"https://localhost:{facts['https']}/",
        "http_url": f"http://{dev.LOOPBACK}:{facts['http']}/" if facts["http"] else "",
        "lan_urls": [f"https://{address}:{facts['https']}/" for address in made.lan],
        "authority": str(made.files.authority),
        "turn_host": config.turn.host,
    }
