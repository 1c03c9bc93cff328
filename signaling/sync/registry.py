"""Which messages the socket understands: each type with its handler. Others add theirs here.

A room that lives on the socket (chat) registers its frames at start, before the first socket opens;
it is told when a socket closes by `on_close`. Owned by the composition root.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from signaling.accounts.principal import require_scope
from signaling.sync.errors import Action, Close, Fault, SyncCode
from signaling.sync.frames import Peek, peek

if TYPE_CHECKING:
    from signaling.sync.connection import Connection

T = TypeVar("T", bound=msgspec.Struct)
Handler = Callable[["Connection", T], Awaitable[None]]
Closed = Callable[["Connection"], None]
When = Callable[["Connection", Peek], bool]
"""Whether a message of a type that two rooms share is this one's."""


class Entry(Generic[T]):
    """One type of message. `shown` is what the document says of it, when that differs."""

    __slots__ = ("decode", "handler", "kind", "scope", "summary", "when")

    def __init__(
        self,
        kind: type[T],
        handler: Handler[T],
        scope: str | None,
        summary: str,
        when: When | None = None,
        shown: type[msgspec.Struct] | None = None,
    ) -> None:
        self.kind: type[msgspec.Struct] = shown or kind
        self.handler = handler
        self.scope = scope
        self.summary = summary
        self.when = when
        self.decode = msgspec.json.Decoder(kind).decode


class Registry:
    """See the module."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry[Any]]] = {}
        self._closed: list[Closed] = []
        self._sent: list[tuple[type[msgspec.Struct], str]] = []

    def sends(self, kind: type[msgspec.Struct], summary: str) -> None:
        """For the document: a frame that only the server sends."""
        self._sent.append((kind, summary))

    def sent(self) -> list[tuple[type[msgspec.Struct], str]]:
        return list(self._sent)

    def register(
        self,
        kind: type[T],
        handler: Handler[T],
        *,
        scope: str | None = None,
        summary: str = "",
        when: When | None = None,
        shown: type[msgspec.Struct] | None = None,
    ) -> None:
        """`kind` is a struct with a string tag, its `type` on the wire. The handler may raise
        ClientError, Unavailable or Fault. `scope` is what the sender must have, at that moment.
        One type may have several handlers when all but one say by `when` which are theirs."""
        tag = kind.__struct_config__.tag
        if not isinstance(tag, str):
            raise ValueError(f"{kind.__name__} has no tag")
        entries = self._entries.setdefault(tag, [])
        if when is None and any(entry.when is None for entry in entries):
            raise ValueError(f"{kind.__name__} has no tag of its own")
        made = Entry(kind, handler, scope, summary, when, shown)
        entries.insert(0 if when is not None else len(entries), made)

    def on_close(self, callback: Closed) -> None:
        self._closed.append(callback)

    def entries(self) -> list[Entry[Any]]:
        return [entry for entries in self._entries.values() for entry in entries]

    def knows(self, kind: str) -> bool:
        return kind in self._entries

    async def dispatch(self, connection: Connection, data: str) -> None:
        """Raises Fault for what cannot be read, and whatever the handler raises."""
        connection.answering = None
        try:
            seen = peek(data)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise _bad_syntax() from error
        entry = self._choose(connection, seen)
        if entry is None:
            raise Fault(SyncCode.UNKNOWN_MESSAGE, "A message of this type is not known here.")
        try:
            message = entry.decode(data)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise _bad_syntax() from error
        connection.answering = getattr(message, "id", None)
        if entry.scope is not None:
            require_scope(connection.principal, entry.scope)
        await entry.handler(connection, message)

    def _choose(self, connection: Connection, seen: Peek) -> Entry[Any] | None:
        for entry in self._entries.get(seen.type, ()):
            if entry.when is None or entry.when(connection, seen):
                return entry
        return None

    def closed(self, connection: Connection) -> None:
        for callback in self._closed:
            callback(connection)


def _bad_syntax() -> Fault:
    return Fault(
        SyncCode.BAD_SYNTAX,
        "A message could not be read.",
        action=Action.APPLICATION_BUG,
        close=Close.BAD_SYNTAX,
    )
