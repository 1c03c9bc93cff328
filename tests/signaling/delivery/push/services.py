"""Push services on loopback, over TLS: Web Push that decrypts, APNs over HTTP/2, FCM with OAuth.

They check what real ones check and answer what a test tells them to. The Web Push receiver opens
bodies with `http_ece`, which shares no code with ours; APNs is h2 as a server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import http_ece
import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.signaling.compliance.certificates import Pki

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def context(pki: Pki, *protocols: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pki.certificate, pki.key)
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def allow(pki: Pki, *ports: int) -> str:
    """The operator's exceptions, for a configuration file."""
    listed = ", ".join(
        f'{{ network = "127.0.0.1/32", port = {port}, ca_file = "{pki.authority}" }}'
        for port in ports
    )
    return f"[egress]\nallow = [{listed}]\n"


@dataclass
class Told:
    """A notification that arrived: what it says, and the fields of its request."""

    said: dict[str, Any]
    headers: Mapping[str, str]
    path: str = ""
    size: int = 0


@dataclass
class Arrivals:
    """`answers` are used up one by one; after them everything is taken."""

    answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    told: list[Told] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    tries: int = 0

    def take(self, told: Told) -> None:
        self.told.append(told)
        self.came.set()

    async def until(self, count: int, seconds: float = 60.0) -> list[Told]:
        async with asyncio.timeout(seconds):
            while len(self.told) < count:
                self.came.clear()
                await self.came.wait()
        return self.told

    async def nothing(self, seconds: float = 0.7) -> None:
        """As long as nothing comes for so long, nothing comes."""
        before = self.tries
        await asyncio.sleep(seconds)
        assert self.tries == before, [one.said for one in self.told]


class Browser:
    """A device with Web Push: its keys, and what reached it."""

    def __init__(self, path: str, service: WebPushService) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.path, self.service, self.arrivals = path, service, Arrivals()

    @property
    def point(self) -> bytes:
        kind, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        return self.key.public_key().public_bytes(kind, form)

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.service.port}{self.path}"

    def wish(self, kind: str = "web_push", **more: Any) -> dict[str, Any]:
        """As it registers with us."""
        keys = {"p256dh": b64url(self.point), "auth": b64url(self.auth)}
        return {"kind": kind, "endpoint": self.endpoint, **keys, **more}

    def open(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"
        )
        found: dict[str, Any] = json.loads(plain)
        return found


class WebPushService:
    """RFC 8030's push service, with RFC 8292's check of who sends. `public_key` is the server's."""

    def __init__(self) -> None:
        self.port = 0
        self.browsers: dict[str, Browser] = {}
        self.public_key = ""
        self.faults: list[str] = []

    def browser(self, name: str) -> Browser:
        made = Browser(f"/wp/{name}", self)
        self.browsers[made.path] = made
        return made

    async def push(self, request: web.Request) -> web.Response:
        browser = self.browsers.get(request.path)
        if browser is None:
            return web.Response(status=404)
        browser.arrivals.tries += 1
        if fault := self._fault(request):
            self.faults.append(fault)
            return web.Response(status=400, text=fault)
        if browser.arrivals.answers:
            status, headers = browser.arrivals.answers.popleft()
            if status >= 300:
                return web.Response(status=status, headers=headers)
        body = await request.read()
        if len(body) > 4096:
            return web.Response(status=413)
        headers = {name.lower(): value for name, value in request.headers.items()}
        browser.arrivals.take(Told(browser.open(body), headers, request.path, len(body)))
        return web.Response(status=201, headers={"Location": f"{browser.endpoint}/message"})

    def _fault(self, request: web.Request) -> str:
        headers = request.headers
        if not headers.get("TTL", "").isdecimal():
            return "no TTL"
        if headers.get("Content-Encoding") != "aes128gcm":
            return "not encrypted"
        if headers.get("Urgency", "normal") not in ("very-low", "low", "normal", "high"):
            return "urgency"
        topic = headers.get("Topic", "")
        if len(topic) > 32 or not topic.replace("-", "").replace("_", "").isalnum():
            return "topic"
        scheme, _, rest = headers.get("Authorization", "").partition(" ")
        if scheme != "vapid":
            return "no vapid"
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if self.public_key and parts.get("k") != self.public_key:
            return "another sender's key"
        point = unb64url(parts["k"])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        try:
            claims = jwt.decode(
                parts["t"], key, algorithms=["ES256"], audience=f"https://127.0.0.1:{self.port}"
            )
        except jwt.InvalidTokenError as error:
            return f"token: {error}"
        return "" if str(claims["sub"]).startswith(("mailto:", "https:")) else "subject"


@contextlib.asynccontextmanager
async def web_push(pki: Pki) -> AsyncIterator[WebPushService]:
    made = WebPushService()
    app = web.Application()
    app.router.add_post("/{rest:.*}", made.push)
    async with serving(app, pki) as made.port:
        yield made


@contextlib.asynccontextmanager
async def serving(app: web.Application, pki: Pki) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context(pki))
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


# FCM


class FcmService:
    """Gives tokens for good assertions only, and takes messages that bring one."""

    def __init__(self) -> None:
        self.port = 0
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.arrivals = Arrivals()
        self.tokens: list[str] = []
        self.errors: deque[tuple[int, str]] = deque()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def account(self) -> str:
        """The service account's file."""
        pem = self.key.private_bytes(PEM, PKCS8, PLAIN).decode()
        return json.dumps(
            {
                "type": "service_account", "project_id": "tea-house", "private_key_id": "one",
                "private_key": pem, "client_email": "sotto@tea-house.example",
                "token_uri": f"{self.url}/token",
            }
        )  # fmt: skip

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        claims = jwt.decode(
            str(form["assertion"]), self.key.public_key(), algorithms=["RS256"],
            audience=f"{self.url}/token", issuer="sotto@tea-house.example",
        )  # fmt: skip
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        self.tokens.append(f"ya29.{len(self.tokens)}")
        return web.json_response({"access_token": self.tokens[-1], "expires_in": 3599})

    async def send(self, request: web.Request) -> web.Response:
        self.arrivals.tries += 1
        if request.headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
            return self._error(401, "UNAUTHENTICATED")
        if self.errors:
            return self._error(*self.errors.popleft())
        message = (await request.json())["message"]
        said = json.loads(message["data"]["sotto"])
        told = Told(said, {**message["android"], "token": message["token"]}, request.path)
        self.arrivals.take(told)
        return web.json_response({"name": "projects/tea-house/messages/1"})

    def _error(self, status: int, code: str) -> web.Response:
        error = {"code": status, "status": "X", "details": [{"errorCode": code}]}
        headers = {"Retry-After": "7"} if status == 429 else {}
        return web.json_response({"error": error}, status=status, headers=headers)


@contextlib.asynccontextmanager
async def fcm(pki: Pki) -> AsyncIterator[FcmService]:
    made = FcmService()
    app = web.Application()
    app.router.add_post("/token", made.token)
    app.router.add_post("/v1/projects/tea-house/messages:send", made.send)
    async with serving(app, pki) as made.port:
        yield made


# APNs


class ApnsService:
    """One of Apple's two environments. `goodbye`: says GOAWAY instead of an answer, so often."""

    def __init__(self) -> None:
        self.port = 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.arrivals = Arrivals()
        self.errors: deque[tuple[int, str]] = deque()
        self.goodbye = 0
        self.silent = False
        self.flood = 0
        self.connections = 0
        self.streams = 100
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def pem(self) -> str:
        return self.key.private_bytes(PEM, PKCS8, PLAIN).decode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        wire = h2.connection.H2Connection(config)
        code = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
        wire.local_settings = h2.settings.Settings(
            client=False, initial_values={code: self.streams}
        )
        wire.initiate_connection()
        writer.write(wire.data_to_send())
        asked: dict[int, tuple[dict[str, str], bytearray]] = {}
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            while data := await reader.read(65536):
                for event in wire.receive_data(data):
                    self._take(wire, event, asked)
                writer.write(wire.data_to_send())
                await writer.drain()
        writer.close()

    def _take(
        self,
        wire: h2.connection.H2Connection,
        event: h2.events.Event,
        asked: dict[int, tuple[dict[str, str], bytearray]],
    ) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = {str(name): str(value) for name, value in event.headers or ()}
            asked[event.stream_id or 0] = (fields, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            asked[event.stream_id or 0][1].extend(event.data or b"")
            wire.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = event.stream_id or 0
            self._answer(wire, stream, *asked.pop(stream))

    def _answer(
        self, wire: h2.connection.H2Connection, stream: int, fields: dict[str, str], body: bytearray
    ) -> None:
        self.arrivals.tries += 1
        if self.silent:
            return
        if self.flood:
            wire.send_headers(stream, [(":status", "500")])
            for _ in range(self.flood):
                size = min(16384, wire.local_flow_control_window(stream))
                wire.send_data(stream, bytes(size))
            return
        if self.goodbye:
            self.goodbye -= 1
            wire.close_connection()
            return
        fault = self._fault(fields) or (self.errors.popleft() if self.errors else None)
        if fault is not None:
            status, why = fault
            after = [("retry-after", "7")] if status == 429 else []
            wire.send_headers(stream, [(":status", str(status)), *after])
            wire.send_data(stream, json.dumps({"reason": why}).encode(), end_stream=True)
            return
        told = Told(json.loads(bytes(body)), fields, fields[":path"], len(body))
        self.arrivals.take(told)
        wire.send_headers(stream, [(":status", "200"), ("apns-id", "x")], end_stream=True)

    def _fault(self, fields: Mapping[str, str]) -> tuple[int, str] | None:
        token = fields.get("authorization", "").removeprefix("bearer ")
        try:
            claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"])
        except jwt.InvalidTokenError:
            return 403, "InvalidProviderToken"
        if claims["iss"] != "TEAMTEAM12" or jwt.get_unverified_header(token)["kid"] != "KEYKEYKEY1":
            return 403, "InvalidProviderToken"
        topic, kind = fields.get("apns-topic", ""), fields.get("apns-push-type")
        if topic != ("org.example.tea.voip" if kind == "voip" else "org.example.tea"):
            return 400, "TopicDisallowed"
        if kind == "background" and fields.get("apns-priority") != "5":
            return 400, "BadPriority"
        return None


@contextlib.asynccontextmanager
async def apns(pki: Pki) -> AsyncIterator[ApnsService]:
    made = ApnsService()
    server = await asyncio.start_server(
        made.serve, "127.0.0.1", 0, ssl=context(pki, "h2"), ssl_shutdown_timeout=0.2
    )
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for writer in made.writers:
            writer.transport.abort()
