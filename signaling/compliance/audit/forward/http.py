"""Receivers that take batches over HTTP and acknowledge them: a webhook and an OTLP collector.

A webhook gets NDJSON, signed as Standard Webhooks 1.0 describes; a collector gets OTLP/HTTP logs
in JSON. Anything but 2xx is tried again later; redirects are not followed.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from signaling.clock import Clock
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.export import COLUMNS, json_line
from signaling.errors import Unavailable
from signaling.secret import Secret

log = logging.getLogger(__name__)

SECONDS = 15.0
MAX_ANSWER = 64 * 1024
# OTLP's severity numbers of INFO, WARN and ERROR.
SEVERITY = {"allowed": (9, "INFO"), "denied": (13, "WARN"), "failed": (17, "ERROR")}


class Poster:
    """One URL, and one session to it. Owned by a sink."""

    def __init__(self, url: str, authority: str) -> None:
        self._url = url
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The body of a 2xx answer. Raises Unavailable for everything else."""
        try:
            async with self._open().post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.content.read(MAX_ANSWER)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise Unavailable(f"it answers {status}")
        return answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=self._authority or None)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                trust_env=False,
            )
        return self._session


class WebhookSink:
    """`webhook-id` is the same when a batch is sent again."""

    name = "webhook"
    overlap = 0.0

    def __init__(self, url: str, secret: Secret, clock: Clock, authority: str = "") -> None:
        self._poster = Poster(url, authority)
        self._secret = secret
        self._clock = clock

    async def send(self, app: str, records: Sequence[Record]) -> None:
        body = b"".join(json_line(record) for record in records)
        ident, stamp = f"{records[0].id}.{records[-1].id}", str(int(self._clock.unix()))
        signed = f"{ident}.{stamp}.".encode() + body
        digest = hmac.digest(self._secret.reveal().encode(), signed, "sha256")
        headers = {
            "content-type": "application/x-ndjson",
            "webhook-id": ident,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        await self._poster.post(body, headers)

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        await self._poster.close()


class OtlpSink:
    """OpenTelemetry Protocol 1.x, logs over HTTP with JSON encoding."""

    name = "otlp"
    overlap = 0.0

    def __init__(self, url: str, token: Secret | None, authority: str = "") -> None:
        self._poster = Poster(url, authority)
        self._token = token

    async def send(self, app: str, records: Sequence[Record]) -> None:
        headers = {"content-type": "application/json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.reveal()}"
        body = json.dumps(otlp_logs(records), separators=(",", ":")).encode()
        answer = await self._poster.post(body, headers)
        if rejected := _rejected(answer):
            # Sending them again is forbidden (OTLP, partial success): the operator must look.
            log.error("the OTLP collector rejected %s audit records", rejected)

    async def check(self) -> None:
        return None

    async def close(self) -> None:
        await self._poster.close()


def otlp_logs(records: Sequence[Record]) -> dict[str, Any]:
    scope = {"scope": {"name": "sotto.audit"}, "logRecords": [_otlp_record(r) for r in records]}
    resource = {"attributes": [_attribute("service.name", "sotto")]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def _otlp_record(record: Record) -> dict[str, Any]:
    number, text = SEVERITY[record.result]
    named = {
        f"audit.{name}": str(getattr(record, name))
        for name in COLUMNS
        if name not in ("at", "details") and getattr(record, name)
    }
    details = {f"audit.details.{name}": value for name, value in record.details.items()}
    return {
        "timeUnixNano": str(int(record.at * 1_000_000) * 1000),
        "severityNumber": number,
        "severityText": text,
        **_trace(record),
        "eventName": "sotto.audit",
        "body": {"stringValue": record.action},
        "attributes": [_attribute(name, value) for name, value in {**named, **details}.items()],
    }


def _trace(record: Record) -> dict[str, Any]:
    """Collectors join records with the spans of whoever called by this."""
    trace = record.details.get("trace_id")
    return {} if trace is None else {"traceId": trace}


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": value}}


def _rejected(answer: bytes) -> str:
    try:
        said = json.loads(answer or b"{}")
        partial = said.get("partialSuccess") or {}
        rejected = str(partial.get("rejectedLogRecords", "0"))
    except (ValueError, AttributeError):
        return ""
    return "" if rejected == "0" else rejected
