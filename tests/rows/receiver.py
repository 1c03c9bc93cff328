"""Whoever takes the audit over HTTPS from a served instance: a webhook or an OTLP collector.

`down` is an outage: nobody listens. `refuses` counts the batches that are then answered 503, and
`drops` those that are kept and not answered, as when a receiver dies between the two.
"""

from __future__ import annotations

import base64
import hmac
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.ports import free_port
from tests.signaling.compliance import certificates

SECRET = "a-secret-of-the-audit-webhook-that-is-long"
TOKEN = "a-token-of-the-collector"


class Taken(NamedTuple):
    """What is looked at of a record."""

    id: str
    request: str
    action: str


def webhook(headers: dict[str, str], body: bytes) -> list[Taken]:
    """Lines of JSON under a signature that holds."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    lines = [json.loads(line) for line in body.splitlines()]
    assert headers["webhook-id"] == f"{lines[0]['id']}.{lines[-1]['id']}"
    return [Taken(line["id"], line.get("request_id", ""), line["action"]) for line in lines]


def otlp(headers: dict[str, str], body: bytes) -> list[Taken]:
    """Logs that OpenTelemetry's own definition accepts, with the collector's token."""
    assert headers["authorization"] == f"Bearer {TOKEN}"
    logs = json_format.Parse(body, ExportLogsServiceRequest())
    found = []
    for record in logs.resource_logs[0].scope_logs[0].log_records:
        named = {one.key: one.value.string_value for one in record.attributes}
        request = named.get("audit.request_id", "")
        found.append(Taken(named["audit.id"], request, record.body.string_value))
    return found


@dataclass
class Receiver:
    """States: down, up. On a port that stays."""

    home: Path
    read: Callable[[dict[str, str], bytes], list[Taken]]
    port: int = field(default_factory=free_port)
    taken: list[Taken] = field(default_factory=list)
    refuses: int = 0
    drops: int = 0
    faults: list[str] = field(default_factory=list)
    runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self.files = certificates.make(self.home)

    @property
    def toml(self) -> str:
        """Its table in the configuration of `sotto serve`."""
        word = "secret" if self.read is webhook else "token"
        kept = self.home / word
        kept.write_text(SECRET if self.read is webhook else TOKEN)
        return (
            f'[audit_{self.read.__name__}]\nurl = "https://127.0.0.1:{self.port}/audit"\n'
            f'{word} = {{ file = "{kept}" }}\nca = "{self.files.authority}"\n'
        )

    async def up(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.files.certificate, self.files.key)
        application = web.Application(client_max_size=2**24)
        application.router.add_post("/audit", self._handle)
        self.runner = web.AppRunner(application, shutdown_timeout=0)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=context).start()

    async def down(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        try:
            self.taken += self.read({k.lower(): v for k, v in request.headers.items()}, body)
        except Exception as error:
            self.faults.append(repr(error))
        if self.drops and request.transport is not None:
            self.drops -= 1
            request.transport.abort()
        return web.json_response({})

    def first_of_each(self, wanted: dict[str, Any]) -> list[str]:
        """Ids of the records of these requests, each where it came first."""
        return list(dict.fromkeys(one.id for one in self.taken if one.request in wanted))
