"""Blobs as objects of an S3 bucket: the REST API signed with Signature Version 4, without an SDK.

The key is `<prefix><app digest>/<two letters>/<name>`, as on disk. What S3 says it stored is
durable. Only the operator's configuration names the endpoint, so no egress guard stands before it.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.secret import Secret
from signaling.sigv4 import Credentials, Request, Scope, sign
from signaling.storage import checks

log = logging.getLogger(__name__)

RETRY_AFTER = 5
# A throttled or restarting server is asked again, in all for about as long as a client waits.
PAUSES = (0.1, 0.5, 1.0)
PASSING = frozenset({429, 500, 502, 503, 504})
CONNECTIONS = 64
UNRESERVED = "-_.~/"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where, and as whom."""

    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: Secret
    prefix: str = ""
    ca_file: str = ""
    seconds: float = 10.0


class S3Blobs:
    """`Blobs` in a bucket, by path (`endpoint/bucket/key`), which every server understands. Made
    inside a running loop; `close` it.
    """

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket, self._clock = bucket, clock
        self._host = urlsplit(bucket.endpoint).netloc
        self._credentials = Credentials(bucket.access_key, bucket.secret_key)
        self._scope = Scope(bucket.region, "s3")
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=self._bucket.ca_file or None)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=self._bucket.seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def put(self, app: str, name: str, data: bytes) -> None:
        checks.check_blob(app, name, data)
        status, _ = await self._ask("PUT", self._path(app, name), data)
        if status not in (200, 201, 204):
            raise self._refused("PUT", status)

    async def get(self, app: str, name: str) -> bytes | None:
        if not checks.is_blob(app, name):
            return None
        status, data = await self._ask("GET", self._path(app, name))
        if status == 404:
            return None
        if status != 200:
            raise self._refused("GET", status)
        return data

    async def delete(self, app: str, name: str) -> bool:
        if not checks.is_blob(app, name):
            return False
        path = self._path(app, name)
        # DELETE answers the same for what was never there.
        found, _ = await self._ask("HEAD", path)
        if found == 404:
            return False
        status, _ = await self._ask("DELETE", path)
        if status not in (200, 204, 404):
            raise self._refused("DELETE", status)
        return status != 404

    async def ready(self) -> None:
        """Raises Unavailable unless the bucket is there and ours."""
        status, _ = await self._ask("HEAD", f"/{self._bucket.bucket}")
        if status != 200:
            raise self._refused("HEAD", status)

    def _path(self, app: str, name: str) -> str:
        house = hashlib.sha256(app.encode()).hexdigest()[:32]
        shelf = hashlib.sha256(name.encode()).hexdigest()[:2]
        key = f"{self._bucket.prefix}{house}/{shelf}/{name}"
        return "/" + quote(f"{self._bucket.bucket}/{key}", safe=UNRESERVED)

    async def _ask(self, method: str, path: str, data: bytes = b"") -> tuple[int, bytes]:
        for pause in (*PAUSES, None):
            try:
                status, body = await self._once(method, path, data)
                if status not in PASSING:
                    return status, body
                why = str(status)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                why = type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        log.warning("S3: %s failed: %s", method, why)
        raise Unavailable(f"blobs cannot be used (S3: {why})", RETRY_AFTER)

    async def _once(self, method: str, path: str, data: bytes) -> tuple[int, bytes]:
        bucket = self._bucket
        now = datetime.fromtimestamp(self._clock.unix(), UTC)
        request = Request(method, self._host, path, data)
        headers = sign(self._credentials, self._scope, request, now)
        url = URL(bucket.endpoint.rstrip("/") + path, encoded=True)
        body = io.BytesIO(data) if method == "PUT" else None
        async with self._open().request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as response:
            return response.status, await response.read()

    @staticmethod
    def _refused(method: str, status: int) -> Unavailable:
        # A wrong key, a missing bucket, a skewed clock: for the operator to mend.
        log.error("S3 refuses %s with %d", method, status)
        return Unavailable("the S3 bucket refuses this server", 60)
