"""The operations that the server has about itself: its documents, problem pages and `.well-known`.

Everybody may read them and they hold nothing secret. What OAuth says of itself comes from its owner
(`signaling.accounts.oauth`); the rest is made here. Driven by `app`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from signaling.errors import ClientError, Code
from signaling.http import plain
from signaling.http.api import asyncapi, classification, native, openapi
from signaling.http.api.explanations import explanation_of, page
from signaling.http.api.operation import Auth, Call, Operation, Reply

# RFC 9116 section 2.5.5 recommends less than a year; each answer renews it.
CONTACT_DAYS = 180
CHANGE_PASSWORD = "/settings/password"  # noqa: S105 - a path
_HOUR = ("Cache-Control", "public, max-age=3600")
_PAGE_POLICY = ("Content-Security-Policy", plain.policy())


@dataclass(frozen=True, slots=True)
class Facts:
    """What the documents tell of this installation."""

    public_url: str = ""
    contact: str = ""
    related_origins: Sequence[str] = ()
    apple_apps: Sequence[str] = ()
    android_apps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    sync_versions: Sequence[str] = ()


class Versions(msgspec.Struct, frozen=True):
    """Versions of a protocol that this server speaks, newest first."""

    api: tuple[str, ...]
    sync: tuple[str, ...]
    livekit: tuple[str, ...]


class Sotto(msgspec.Struct, frozen=True):
    """What a client needs to begin: where things are, and which versions they speak."""

    api: str
    socket: str
    livekit: str
    openapi: str
    asyncapi: str
    versions: Versions
    features: dict[str, bool]


class Documents:
    """Makes the operations; `operations` and `channels` are asked when a document is first read."""

    def __init__(
        self,
        facts: Facts,
        operations: Callable[[], Sequence[Operation]],
        channels: Callable[[], Sequence[asyncapi.Channel]],
    ) -> None:
        self._facts = facts
        self._operations = operations
        self._channels = channels
        self._openapi = cache(self._make_openapi)
        self._asyncapi = cache(self._make_asyncapi)

    def operations(self) -> list[Operation]:
        return [
            _document("/api/openapi.json", "readOpenApi", "This API (OpenAPI 3.1)", self._get_api),
            _document(
                "/api/asyncapi.json", "readAsyncApi", "The sockets (AsyncAPI 3)", self._get_sockets
            ),
            _document(
                "/problems/{code}",
                "readProblem",
                "What an error code means",
                _get_problem,
                kind="text/html",
                errors=(Code.NOT_FOUND,),
            ),
            _document(
                "/security",
                "readSecurity",
                "What is kept, by what it is protected, and how to report a vulnerability",
                _get_security,
                kind="text/html",
            ),
            *self._well_known(),
        ]

    def _well_known(self) -> list[Operation]:
        """RFC 8615."""
        return [
            _document(
                "/.well-known/security.txt",
                "readSecurityContact",
                "Where to report a vulnerability (RFC 9116)",
                self._get_contact,
                kind="text/plain",
            ),
            _document(
                "/.well-known/change-password",
                "findPasswordChange",
                "Leads to where a password is changed",
                _to_password_change,
                status=302,
            ),
            _document(
                "/.well-known/webauthn",
                "readRelatedOrigins",
                "Origins that may use this server's passkeys (WebAuthn, section 5.11)",
                self._get_related,
            ),
            _document(
                "/.well-known/apple-app-site-association",
                "readAppleApps",
                "The operator's own apps for iOS, which open links to rooms",
                self._get_apple,
                errors=(Code.NOT_FOUND,),
            ),
            _document(
                "/.well-known/assetlinks.json",
                "readAndroidApps",
                "The operator's own apps for Android, which open links to rooms",
                self._get_android,
                errors=(Code.NOT_FOUND,),
            ),
            _document(
                "/.well-known/sotto",
                "readServer",
                "Where everything is, and which versions it speaks",
                self._get_sotto,
                answer=Sotto,
            ),
        ]

    def _make_openapi(self) -> bytes:
        made = openapi.document(self._operations(), self._facts.public_url or "/")
        return msgspec.json.encode(made)

    def _make_asyncapi(self) -> bytes:
        host = self._facts.public_url.partition("://")[2].rstrip("/")
        return msgspec.json.encode(asyncapi.document(self._channels(), host or "localhost"))

    async def _get_api(self, call: Call[None]) -> Reply:
        return Reply(self._openapi(), headers=[_HOUR])

    async def _get_sockets(self, call: Call[None]) -> Reply:
        return Reply(self._asyncapi(), headers=[_HOUR])

    async def _get_contact(self, call: Call[None]) -> Reply:
        expires = datetime.fromtimestamp(call.now, UTC) + timedelta(days=CONTACT_DAYS)
        lines = [
            # Without a contact of its own: the page that says how to report.
            f"Contact: {self._facts.contact or _base(call) + '/security'}",
            f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
            "Preferred-Languages: en",
        ]
        if self._facts.public_url:
            there = self._facts.public_url.rstrip("/")
            lines.append(f"Canonical: {there}/.well-known/security.txt")
        kind = [("Content-Type", "text/plain; charset=utf-8"), _HOUR]
        return Reply(("\n".join(lines) + "\n").encode(), headers=kind)

    async def _get_related(self, call: Call[None]) -> Reply:
        origins = {"origins": list(self._facts.related_origins)}
        return Reply(msgspec.json.encode(origins), headers=[_HOUR])

    async def _get_apple(self, call: Call[None]) -> Reply:
        if not self._facts.apple_apps:
            raise _no_apps()
        return Reply(native.apple(self._facts.apple_apps), headers=[_HOUR])

    async def _get_android(self, call: Call[None]) -> Reply:
        if not self._facts.android_apps:
            raise _no_apps()
        return Reply(native.android(self._facts.android_apps), headers=[_HOUR])

    async def _get_sotto(self, call: Call[None]) -> Sotto:
        base = self._facts.public_url.rstrip("/") or _base(call)
        return Sotto(
            api=base + "/api/v1",
            socket=base.replace("http", "ws", 1) + "/sync",
            livekit=base.replace("http", "ws", 1),
            openapi=base + "/api/openapi.json",
            asyncapi=base + "/api/asyncapi.json",
            versions=Versions(("1",), tuple(self._facts.sync_versions), ("17", "16", "15")),
            features=dict(self._facts.features),
        )


def _no_apps() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "This server has no such apps of its own.")


def _base(call: Call[Any]) -> str:
    scheme = "https" if call.request.secure else "http"
    return f"{scheme}://{call.request.host}"


async def _get_problem(call: Call[None]) -> Reply:
    found = explanation_of(call.path["code"])
    if found is None:
        raise ClientError(Code.NOT_FOUND, 404, "There is no such code.")
    kind = [("Content-Type", "text/html; charset=utf-8"), _HOUR, _PAGE_POLICY]
    return Reply(page(call.path["code"], found), headers=kind)


async def _get_security(call: Call[None]) -> Reply:
    kind = [("Content-Type", "text/html; charset=utf-8"), _HOUR, _PAGE_POLICY]
    return Reply(classification.page(), headers=kind)


async def _to_password_change(call: Call[None]) -> Reply:
    """https://w3c.github.io/webappsec-change-password-url/"""
    return Reply(headers=[("Location", CHANGE_PASSWORD)])


def _document(
    path: str,
    name: str,
    summary: str,
    handler: Any,
    *,
    kind: str = "application/json",
    status: int = 200,
    answer: Any = None,
    errors: tuple[Code, ...] = (),
) -> Operation:
    return Operation(
        method="GET",
        path=path,
        id=name,
        summary=summary,
        handler=handler,
        answer=answer,
        answer_type=kind,
        status=status,
        auth=Auth.NONE,
        rate="public",
        base="",
        tag="documents",
        errors=errors,
    )
