"""Which scanner the configuration asks for. Called by the composition root."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from signaling.config.files import Files
from signaling.errors import ConfigError
from signaling.files.port import Scanner
from signaling.files.scan.clamd import Clamd
from signaling.files.scan.icap import Icap

KEY = "files.scanner"
CLAMD_PORT, ICAP_PORT, ICAPS_PORT = 3310, 1344, 11344


def open_scanner(settings: Files) -> Scanner | None:
    """Raises ConfigError. Scanners see files in the clear: on this machine, or over TLS."""
    if not settings.scanner:
        return None
    seconds = float(settings.scan_seconds)
    try:
        parts = urlsplit(settings.scanner)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(KEY, f"{settings.scanner!r} is not a URL") from error
    if parts.scheme == "clamd" and not host and parts.path:
        return Clamd(path=parts.path, seconds=seconds)
    if parts.scheme == "clamd" and host:
        return Clamd(host=host, port=port or CLAMD_PORT, seconds=seconds)
    service = parts.path.lstrip("/")
    if parts.scheme in ("icap", "icaps") and host and service:
        if parts.scheme == "icap":
            return Icap(host, port or ICAP_PORT, service, seconds=seconds)
        tls = ssl.create_default_context()
        return Icap(host, port or ICAPS_PORT, service, tls=tls, seconds=seconds)
    raise ConfigError(KEY, "write clamd:///path, clamd://host:port or icap://host:port/service")
