"""Files over the core: where chunks lie, who scans, who works, from where they are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from aiohttp import web

from signaling.compose.attachments import ChatRooms, join
from signaling.compose.core import Core
from signaling.compose.people import People
from signaling.config import Config, parse_address
from signaling.config.files import MEGABYTE
from signaling.errors import ConfigError
from signaling.files.completing import Parts
from signaling.files.links import Links
from signaling.files.operations import Deps, operations
from signaling.files.origin import Origin, embed_policy
from signaling.files.port import AnyRoom
from signaling.files.quota import Quotas
from signaling.files.register import Register
from signaling.files.scan.open import open_scanner
from signaling.files.service import Files
from signaling.files.sweep import Sweep
from signaling.files.tus_operations import tus_operations
from signaling.files.uploads import Uploads
from signaling.files.vault import Vault
from signaling.files.work.pool import Bounds, Workers
from signaling.http.api.operation import Operation
from signaling.http.api.secret import shared_secret
from signaling.http.edge import origin_of, own_origins
from signaling.http.middleware import client_address, parse_networks
from signaling.storage.port import Blobs
from signaling.storage.s3 import Bucket, S3Blobs


@dataclass(frozen=True, slots=True)
class Filing:
    """Started by the app; `stop` it."""

    files: Files
    sweep: Sweep
    listed: Sequence[Operation]
    origin: Origin
    s3: S3Blobs | None = None

    def operations(self) -> list[Operation]:
        return list(self.listed)

    def add_routes(self, app: web.Application) -> None:
        self.origin.add_routes(app)

    async def run(self) -> None:
        await self.sweep.run()

    async def stop(self) -> None:
        await self.files.stop()
        if self.s3 is not None:
            await self.s3.close()


def open_s3(core: Core) -> S3Blobs | None:
    """Raises ConfigError."""
    settings = core.config.files_s3
    if not settings.endpoint:
        return None
    parts = urlsplit(settings.endpoint)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ConfigError("files_s3.endpoint", "write https://..., plain http only on loopback")
    if settings.secret_key is None or not settings.access_key or not settings.bucket:
        raise ConfigError("files_s3", "bucket, access_key and secret_key are needed")
    bucket = Bucket(
        settings.endpoint, settings.bucket, settings.region, settings.access_key,
        settings.secret_key, settings.prefix, settings.ca_file, settings.timeout_seconds,
    )  # fmt: skip
    return S3Blobs(bucket, core.clock)


def make_parts(core: Core, blobs: Blobs) -> Parts:
    """Raises ConfigError for a scanner that is no URL."""
    settings = core.config.files
    register = Register(core.store, core.sealer)
    vault = Vault(blobs, register.pages, core.entropy)
    bounds = Bounds(
        settings.worker_bytes,
        settings.worker_seconds,
        # A picture may grow when it is written anew, and gets smaller forms beside it.
        4 * settings.max_bytes + 64 * MEGABYTE,
    )
    return Parts(
        settings=settings,
        register=register,
        vault=vault,
        uploads=Uploads(register, vault),
        quotas=Quotas(register.used, settings.account_bytes, settings.room_bytes, settings.uploads),
        workers=Workers(settings.workers, bounds),
        scanner=open_scanner(settings),
        audit=core.audit,
        clock=core.clock,
        entropy=core.entropy,
        process=core.ids.new(),
        alone=not core.config.store.url,
    )


async def make_filing(core: Core, people: People, origin: Callable[[web.Request], str]) -> Filing:
    config = core.config
    s3 = open_s3(core)
    chat = people.chatting.chat
    rooms = ChatRooms(chat, people.chatting.later)
    files = Files(make_parts(core, s3 or core.store.blobs), core.ids, rooms)
    join(chat, files)
    secret = await shared_secret(core.store, core.sealer, core.entropy, "file-links")
    links, door = Links(secret, core.entropy), people.access.door
    proxies = parse_networks(config.http.trusted_proxies)
    served = Origin(
        files,
        door,
        links,
        people.door.look_again,
        _origins(config),
        lambda request: client_address(request, proxies),
        embed_policy(_host(config.http.public_url), _host(config.files.origin)),
    )
    deps = Deps(files, door, links, origin, config.files.link_seconds)
    listed = [*operations(deps), *tus_operations(files, door)]
    return Filing(files, Sweep(files, core.app), listed, served, s3)


def described_files(core: Core, people: People) -> list[Operation]:
    """For the documents: handlers that nobody calls."""
    files = Files(make_parts(core, core.store.blobs), core.ids, AnyRoom())
    links = cast("Links", None)
    deps = Deps(files, people.access.door, links, lambda request: "", 600)
    return [*operations(deps), *tus_operations(files, people.access.door)]


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "") if url else ""


def _origins(config: Config) -> Callable[[web.Request], frozenset[str]]:
    """Whose pages show files: the server's own. On this listener the request's own host is that of
    files, so without a public URL it is the same host on the port of the page.
    """
    known = own_origins(config.http.public_url, config.api.origins)
    if config.http.public_url:
        return known
    ports = [parse_address(text, "http.listen")[1] for text in config.http.listen]

    def origins(request: web.Request) -> frozenset[str]:
        host = request.host.rpartition(":")[0] or request.host
        pages = {origin_of(f"https://{host}:{port}") for port in ports}
        return known(request) | pages

    return origins


def listeners(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Addresses of the https and the http listener: given, or those of the page, at the next port
    that nothing else of ours has.
    """
    files, http = config.files, config.http
    taken = {config.media.tcp_port} if config.media.tcp else set()
    for text in (*http.listen, *http.plain, config.operator.listen, *files.listen, *files.plain):
        if text:
            taken.add(parse_address(text, "http.listen")[1])
    listen = files.listen or tuple(_higher(text, "http.listen", taken) for text in http.listen)
    plain = files.plain or tuple(_higher(text, "http.plain", taken) for text in http.plain)
    return listen, plain


def _higher(text: str, key: str, taken: set[int]) -> str:
    """Takes the port that it finds. Any free one above a page at any free one."""
    host, port = parse_address(text, key)
    name = f"[{host}]" if ":" in host else host
    if port:
        port = next((one for one in range(port + 1, 65536) if one not in taken), 0)
        taken.add(port)
    return f"{name}:{port}"


def origin_for(
    config: Config, ports: Callable[[], dict[str, list[int]]]
) -> Callable[[web.Request], str]:
    """`files.origin`, or the host that was asked with the port of the files' listener."""

    def origin(request: web.Request) -> str:
        if config.files.origin:
            return config.files.origin.rstrip("/")
        bound = ports()
        public = urlsplit(config.http.public_url) if config.http.public_url else None
        secure = public.scheme == "https" if public else request.secure
        host = public.hostname if public else request.url.host or "localhost"
        found = bound["files"] if secure and bound["files"] else bound["files_plain"]
        shown = f"[{host}]" if host and ":" in host else host
        scheme = "https" if found is bound["files"] else "http"
        return f"{scheme}://{shown}:{found[0]}" if found else ""

    return origin
