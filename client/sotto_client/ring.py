"""The client's own log: the last lines, without secrets or what people wrote. Row B12.

The person may read it, and send it; nothing is sent by itself.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

LEVELS = ("debug", "info", "warning", "error")
KEPT = 2000
_SECRETS = (
    re.compile(
        r"(?i)\b(bearer|ticket|token|password|salt|secret|cookie)(\"?\s*[=: ]\s*\"?)[^\s\",}]+"
    ),
    re.compile(r"\b[A-Za-z0-9_-]{32,}\b"),
)
# What people wrote, where a frame or an error quotes it.
_SAID = re.compile(
    r"(\"(?:text|body|name|topic|ct|caption)\"\s*:\s*)(\"(?:[^\"\\]|\\.)*\"|\{[^{}]*\})"
)
_MAIL = re.compile(r"[^\s\"<>]+@[^\s\"<>]+")


def redact(text: str) -> str:
    text = _SAID.sub(r'\1"***"', text)
    text = _SECRETS[0].sub(r"\1\2***", text)
    text = _SECRETS[1].sub("***", text)
    return _MAIL.sub("***", text)


class LogRing:
    """Redacted as they come in: what is not kept cannot leak."""

    def __init__(self, now: Callable[[], float], kept: int = KEPT) -> None:
        self._now = now
        self._lines: deque[tuple[float, str, str]] = deque(maxlen=kept)

    def write(self, level: str, text: str) -> None:
        self._lines.append((self._now(), level, redact(text)[:500]))

    def read(self, level: str = "debug") -> list[str]:
        """Lines from `level` up, oldest first."""
        least = LEVELS.index(level)
        return [
            f"{at:.3f} {name} {text}"
            for at, name, text in self._lines
            if LEVELS.index(name) >= least
        ]

    def lines(self) -> list[tuple[float, str, str]]:
        """Time, level and text of each, oldest first."""
        return list(self._lines)

    def clear(self) -> None:
        self._lines.clear()
