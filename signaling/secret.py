"""A secret value whose every printed form is `***`, and where secrets may come from.

Driven by the configuration loader. In TOML a secret is `{ file = "/path" }` or `{ env = "NAME" }`,
never the text itself.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from pathlib import Path


class Secret:
    """Compare with `matches`; read with `reveal`, as late as possible."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def matches(self, other: str) -> bool:
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")


HOW = 'write { file = "/path" } or { env = "NAME" }, not the secret itself'


def read_secret(source: object, environ: Mapping[str, str] = os.environ) -> Secret:
    """Turn the written form into the value. ValueError says what is wrong, never the value."""
    if isinstance(source, Secret):
        return source
    if not isinstance(source, dict) or len(source) != 1:
        raise ValueError(HOW)
    ((kind, where),) = source.items()
    if kind == "env" and isinstance(where, str):
        if where not in environ:
            raise ValueError(f"the environment variable {where} is not set")
        return Secret(environ[where])
    if kind == "file" and isinstance(where, str):
        try:
            return Secret(Path(where).read_text(encoding="utf-8").strip())
        except OSError as error:
            raise ValueError(f"cannot read {where}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"cannot read {where}: it is not UTF-8") from error
    raise ValueError(HOW)
