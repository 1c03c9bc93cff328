"""What a room declares about one operation of the HTTP API, and what its handler gets and gives.

Pure data: routes, OpenAPI, TypeScript, audit, rate limits and the endpoint by role table all follow
from these objects. A room exports `operations(deps) -> list[Operation]`; `app` collects them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web

from signaling.accounts.principal import Principal, Role
from signaling.errors import ClientError, Code

B = TypeVar("B")
PREFIX = "/api/v1"
PARAMETER = re.compile(r"\{([a-z_]+)\}")


class Auth(StrEnum):
    """Who may call. What else decides (whose object it is, say) is the handler's."""

    NONE = "none"  # nobody is asked; a credential is not even looked at
    OPTIONAL = "optional"  # anybody, but a credential that is there must be good
    EITHER = "either"  # who is signed in, and whoever has an access token
    TICKET = "ticket"  # as EITHER, or whoever has a one-time ticket; its handler asks
    MANAGED = "managed"  # as EITHER, but its handler asks the Access Manager, whose no is 403
    ACCESS = "access"  # as MANAGED, but an access token alone will do
    SIGNED = "signed"  # whoever signs with a key set's secret; its handler looks
    SESSION = "session"  # anybody who is signed in
    ROLE = "role"  # one of `roles`


class Recording(StrEnum):
    """How an operation enters the audit log."""

    NOTE = "note"  # soon; the answer does not wait
    DURABLE = "durable"  # before the answer: acts that change rights, keys or accounts
    OWN = "own"  # the handler records it itself


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every request body: fields that it does not name are refused (ASVS 15.3.3)."""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every set of query parameters; each may come once."""


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Which page of a list is wanted: the items after `after`, or before `before`."""

    after: str | None = None
    before: str | None = None
    limit: int = 50


@dataclass(slots=True)
class Page:
    """What a `paged` operation answers.

    `next` and `prev` are plain positions (for the handler's own reading later), None at an end; the
    framework seals them into cursors.
    """

    items: Sequence[Any]
    next: str | None = None
    prev: str | None = None


@dataclass(slots=True)
class Reply:
    """An answer with more than a body. bytes go out as they are, an iterator is streamed."""

    body: msgspec.Struct | Page | bytes | AsyncIterator[bytes] | None = None
    status: int | None = None
    headers: Sequence[tuple[str, str]] = ()
    etag: str | None = None
    content_type: str = "application/json"


@dataclass(slots=True)
class AuditNote:
    """What only the handler knows about an act. Never a token, a body or a secret."""

    target: str = ""
    actor: str = ""
    app: str = ""
    token: str = ""
    details: dict[str, str] = field(default_factory=dict)


class Call(msgspec.Struct, Generic[B]):
    """One request, checked. Owned by its handler. A struct, since nothing is made as often."""

    principal: Principal
    body: B
    query: Any
    path: Mapping[str, str]
    request_id: str
    now: float
    if_match: tuple[str, ...] | None  # entity tags, or ("*",); None without the header
    client_address: str  # truncated to its network: may be kept
    throttle_address: str  # of one host: for throttling only, never kept nor logged
    page: PageAsk
    idempotency_key: str | None
    request: web.Request  # for what only HTTP knows: cookies, sockets, the raw query
    raw: bytes = b""  # the body as it came, for signatures over it
    fields: dict[str, str] = {}  # the framework's own of the answer
    noted: AuditNote | None = None

    @property
    def note(self) -> AuditNote:
        """Made for those who have something to say, which most have not."""
        if self.noted is None:
            self.noted = AuditNote()
        return self.noted

    def expect(self, etag: str) -> None:
        """Raises 412 unless `If-Match` names this version (RFC 9110 section 13.1.1)."""
        if self.if_match is not None and self.if_match != ("*",) and etag not in self.if_match:
            raise ClientError(
                Code.PRECONDITION_FAILED, 412, "It was changed by somebody else in the meantime."
            )


Answer = msgspec.Struct | Page | Reply | None
Handler = Callable[[Call[Any]], Awaitable[Answer]]
RawHandler = Callable[[Call[Any]], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. Everything about it that a client or an auditor may know."""

    method: str
    path: str  # below `base`; parameters as {account_id}, one segment each
    id: str  # lowerCamelCase; the generated clients' function name
    summary: str
    handler: Handler | RawHandler
    body: type[Any] | None = None
    query: type[Any] | None = None
    answer: Any = None  # of a paged operation: the type of an item
    status: int = 200
    again: int = 0  # the status of the same answer where what was asked for is there already
    auth: Auth = Auth.SESSION
    roles: Sequence[Role] = ()
    scope: str | None = None
    reauth: bool = False
    rate: str = "default"
    idempotent: bool = True  # a POST obeys Idempotency-Key; off where an answer must not be kept
    paged: bool = False
    if_match: bool = False  # without If-Match: 428
    errors: tuple[Code, ...] = ()  # besides those that every such operation may answer
    base: str = PREFIX  # "" for protocols that fix their own paths
    max_body: int = 64 * 1024
    form: bool = False  # the body is a form (RFC 6749), not JSON
    raw: bool = False  # the handler reads the body itself and answers a web.StreamResponse
    any_origin: bool = False  # pages of other origins may call; no cookie is read then
    problem_type: str = "application/problem+json"
    answer_type: str = "application/json"
    recording: Recording = Recording.NOTE
    tag: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if self.auth is Auth.ROLE and not self.roles:
            raise ValueError(f"{self.id}: a role is asked for, but none is named")
        kinds: tuple[Any, ...] = (self.body, self.query)
        for kind in kinds:
            if kind is not None and not self.raw and not refuses_unknown(kind):
                raise ValueError(f"{self.id}: {kind.__name__} takes fields that it does not know")

    @property
    def route(self) -> str:
        return self.base + self.path

    @property
    def parameters(self) -> list[str]:
        return PARAMETER.findall(self.path)

    @property
    def ours(self) -> bool:
        """Is its path of our own choosing, or does a protocol fix it?"""
        return self.base == PREFIX

    @property
    def reads_credentials(self) -> bool:
        """Is a session or a token of whoever calls looked at?"""
        return self.auth not in (Auth.NONE, Auth.SIGNED)

    @property
    def unsafe(self) -> bool:
        """May it change anything? (RFC 9110 section 9.2.1)"""
        return self.method not in ("GET", "HEAD")


@functools.cache  # of types alone, and each process asks about hundreds of them
def refuses_unknown(kind: Any) -> bool:
    """True when every struct in the type forbids unknown fields."""
    return all(struct.__struct_config__.forbid_unknown_fields for struct in _structs(kind, set()))


def _structs(kind: Any, seen: set[int]) -> list[Any]:
    if id(kind) in seen:
        return []
    seen.add(id(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        found: list[Any] = [kind]
        for part in msgspec.structs.fields(kind):
            found += _structs(part.type, seen)
        return found
    return [s for part in getattr(kind, "__args__", ()) for s in _structs(part, seen)]


def administered(tag: str) -> Callable[..., Operation]:
    """Makes operations of owners and administrators: what changes something asks for a fresh proof
    of who they are, and is on record before it is answered.
    """

    def op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
        if method != "GET":
            more = {"recording": Recording.DURABLE, "reauth": True, **more}
        if "{" in path:
            more["errors"] = (Code.NOT_FOUND, *more.get("errors", ()))
        return Operation(
            method, path, name, summary, handler, auth=Auth.ROLE,
            roles=(Role.OWNER, Role.ADMINISTRATOR), scope="admin", tag=tag, **more,
        )  # fmt: skip

    return op
