"""The reverse proxies of docs/operations/ports-firewall-proxy.md, run as that page says.

What the page shows is taken from it; changed are only addresses, names and paths of this machine,
and each of them must be in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.rows.house import ROOT, House
from tests.signaling.http.scanners import program
from tests.signaling.http.test_sidecars import running

PAGE = ROOT / "docs" / "operations" / "ports-firewall-proxy.md"
NAME = "meet.example.org"
BEHIND = "127.0.0.1:7880"


def shown(name: str) -> str:
    """The block of that heading."""
    found = re.search(rf"^### {name}\n+```\w*\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert found is not None, name
    return found[1]


def changed(text: str, **places: str) -> str:
    for before, after in places.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


@dataclass(frozen=True)
class Site:
    """Where a proxy listens, what stands behind it, and its certificate."""

    folder: Path
    port: int
    behind: str
    certificate: Path
    key: Path


def nginx(site: Site) -> tuple[str, ...]:
    text = changed(shown("nginx"), **{
        "listen 443 ssl": f"listen 127.0.0.1:{site.port} ssl", NAME + ";": "localhost;",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(site.certificate),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(site.key),
        BEHIND: site.behind,
    })  # fmt: skip
    folder, kinds = site.folder, ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    path = folder / "nginx.conf"
    path.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{own}{text}}}\n")
    log = str(folder / "error.log")
    return (
        program("nginx", "nginx"),
        "-e",
        log,
        "-c",
        str(path),
        "-g",
        "daemon off; master_process off;",
    )


def haproxy(site: Site) -> tuple[str, ...]:
    both = site.folder / "both.pem"
    both.write_bytes(site.certificate.read_bytes() + site.key.read_bytes())
    text = changed(shown("HAProxy"), **{
        "bind :443": f"bind 127.0.0.1:{site.port}", f"/etc/haproxy/{NAME}.pem": str(both),
        BEHIND: site.behind,
    })  # fmt: skip
    path = site.folder / "haproxy.cfg"
    path.write_text(text)
    return program("haproxy", "haproxy"), "-db", "-q", "-f", str(path)


def caddy(site: Site) -> tuple[str, ...]:
    text = changed(shown("Caddy"), **{
        NAME + " {": f"https://localhost:{site.port} {{\n  bind 127.0.0.1\n"
        f"  tls {site.certificate} {site.key}",
        BEHIND: site.behind,
    })  # fmt: skip
    path = site.folder / "Caddyfile"
    own = f"admin off\n  auto_https disable_redirects\n  storage file_system {site.folder}/caddy"
    path.write_text(f"{{\n  {own}\n}}\n{text}")
    return program("caddy", "caddy"), "run", "--config", str(path), "--adapter", "caddyfile"


KINDS: dict[str, Callable[[Site], tuple[str, ...]]] = {
    "nginx": nginx, "haproxy": haproxy, "caddy": caddy,
}  # fmt: skip


@contextlib.asynccontextmanager
async def in_front(kind: str, folder: Path, port: int, house: House) -> AsyncIterator[None]:
    certificate, key = house.authority.issue("proxy")
    site = Site(folder, port, f"127.0.0.1:{house.facts['http']}", certificate, key)
    async with running(*KINDS[kind](site), port=port):
        yield


@contextlib.asynccontextmanager
async def connection(house: House, port: int) -> AsyncIterator[Raw]:
    """Over TLS, for bytes that no client would send."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=house.trust, server_hostname="localhost"
    )
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@dataclass
class Raw:
    """`got` is all that has come."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    got: bytes = b""

    async def read(self, silent: float = 1.0) -> bool:
        """Until nothing came for so long. False: it is over."""
        try:
            while data := await asyncio.wait_for(self.reader.read(65536), silent):
                self.got += data
        except TimeoutError:
            return True
        except OSError:
            pass
        return False

    @property
    def answers(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.got)]
