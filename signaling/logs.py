"""Logging: ids bound to the context, readable or JSON lines, nothing private in either.

Not an access log: addresses, tokens, names and texts are never written. Whoever must pass one to a
log call
wraps it in `Private`; the formatter masks addresses and tokens that slip through in somebody
else's message.
Driven by the commands (`setup`) and by every adapter (`bind`).
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

_bound: contextvars.ContextVar[tuple[tuple[str, str], ...]] = contextvars.ContextVar(
    "bound", default=()
)


class Private:
    """An address, name or token on its way through a log call: prints as `[what]`."""

    __slots__ = ("_what", "value")

    def __init__(self, value: object, what: str = "private") -> None:
        self.value = value
        self._what = what

    def __repr__(self) -> str:
        return f"[{self._what}]"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


@contextlib.contextmanager
def bind(
    *, room: str = "", call: str = "", participant: str = "", trace_id: str = ""
) -> Iterator[None]:
    """Every line logged inside, tasks started inside included, carries these ids: the server's, and
    that of a trace (32 hexadecimal digits).
    """
    given = (("room", room), ("call", call), ("participant", participant), ("trace_id", trace_id))
    merged = {**dict(_bound.get()), **{key: value for key, value in given if value}}
    token = _bound.set(tuple(merged.items()))
    try:
        yield
    finally:
        _bound.reset(token)


# Three dots inside numbers of at most 255, or at least two colons between hex groups: wide nets on
# purpose. A version number that is masked costs nothing, an address that is not costs trust.
_MASKS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]*\.?[\w-]*"), "[token]"),
    (re.compile(r"(?i)((?:access_token|join_request|authorization)[=:]\s*)\S+"), r"\1[token]"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"), "[address]"),
    (re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])"), "[address]"),
)
_CLOCK = re.compile(r"^\d{1,2}:\d{2}:\d{2}$")


def mask(text: str) -> str:
    """Replace what looks like a token or an address."""
    for pattern, instead in _MASKS:
        text = pattern.sub(
            lambda found, instead=instead: (  # type: ignore[misc]  # mypy infers no default type
                found.group() if _CLOCK.match(found.group()) else found.expand(instead)
            ),
            text,
        )
    return text


class _Lines(logging.Formatter, abc.ABC):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        ids = dict(_bound.get())
        text = mask(record.getMessage())
        trace = mask(self.formatException(record.exc_info)) if record.exc_info else ""
        return self.line(when.replace("+00:00", "Z"), record, text, ids, trace)

    @abc.abstractmethod
    def line(
        self, when: str, record: logging.LogRecord, text: str, ids: dict[str, str], trace: str
    ) -> str: ...


class Readable(_Lines):
    """One line for people; the traceback of our own bugs follows it."""

    def line(
        self, when: str, record: logging.LogRecord, text: str, ids: dict[str, str], trace: str
    ) -> str:
        bound = "".join(f" {key}={value}" for key, value in ids.items())
        line = f"{when} {record.levelname.lower():7} {record.name}: {_one_line(text)}{bound}"
        return f"{line}\n{trace}" if trace else line


class Json(_Lines):
    """One object a line, for collectors."""

    def line(
        self, when: str, record: logging.LogRecord, text: str, ids: dict[str, str], trace: str
    ) -> str:
        fields = {"time": when, "level": record.levelname.lower(), "logger": record.name}
        fields |= {"message": text, **ids}
        if trace:
            fields["traceback"] = trace
        return json.dumps(fields, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Nobody writes a second log line through a value of theirs."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


# Their debug and info lines print peers' addresses or whole messages and commands.
_QUIET = ("aiohttp.access", "aioice", "aiortc", "asyncio", "pymongo", "websockets")


def setup(format_: str, level: str, stream: TextIO | None = None) -> None:
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json() if format_ == "json" else Readable())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
