"""Reads the configuration.

TOML file, then `SOTTO_SECTION__KEY` variables, then flags; the later wins.

Unknown keys and wrong types are fatal and named by their path. Decides nothing about values: see
`rules`.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from signaling.config.section import Section
from signaling.config.tree import Config
from signaling.errors import ConfigError
from signaling.secret import Secret, read_secret

PREFIX = "SOTTO_"


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Iterable[tuple[str, str]] = (),
    base: Mapping[str, Any] | None = None,
) -> Config:
    """`base` is the profile beneath the file (what `sotto dev` presumes).

    `flags` are (path, text).
    """
    environ = environ or {}
    tree: dict[str, Any] = {}
    _merge(tree, base or {})
    if file is not None:
        _merge(tree, _read_toml(file))
    for where, text in _from_environment(environ):
        _put(tree, where, text)
    for path, text in flags:
        _put(tree, tuple(path.split(".")), text)
    return _convert(tree, environ)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("", f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("", f"{file} is not TOML: {error}") from error


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Tables merge key by key, `keys` too; everything else is replaced."""
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict) and not _is_secret(value):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _is_secret(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("file", "env")


def _from_environment(environ: Mapping[str, str]) -> Iterable[tuple[tuple[str, ...], str]]:
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and "__" in name:
            section, _, key = name[len(PREFIX) :].partition("__")
            section = section.lower()
            yield (section, key if section == "keys" else key.lower()), text


def _put(tree: dict[str, Any], path: tuple[str, ...], text: str) -> None:
    name = ".".join(path)
    if len(path) != 2:
        raise ConfigError(name, "a key is written section.key")
    section, key = path
    try:
        value = _parse(text, _type_of(section, key))
    except KeyError:
        raise ConfigError(name, "unknown key") from None
    except msgspec.ValidationError as error:
        raise ConfigError(name, str(error)) from None
    table = tree.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(section, "is a table")
    table[key] = value


def _type_of(section: str, key: str) -> Any:
    if section == "keys":
        return Secret
    kind = get_type_hints(Config)[section]
    if not is_table(kind):
        raise KeyError(section)
    return get_type_hints(kind, include_extras=True)[key]


def is_table(kind: Any) -> bool:
    """Our own sections, and the bounds that other rooms define as dataclasses."""
    return isinstance(kind, type) and (issubclass(kind, Section) or dataclasses.is_dataclass(kind))


def _refuse_unknown(tree: Mapping[str, Any]) -> None:
    """msgspec forbids unknown keys in structs only."""
    for section, kind in get_type_hints(Config).items():
        table = tree.get(section)
        if dataclasses.is_dataclass(kind) and isinstance(table, dict):
            for key in table.keys() - {field.name for field in dataclasses.fields(kind)}:
                raise ConfigError(f"{section}.{key}", "unknown key")


def _parse(text: str, kind: Any) -> Any:
    """A value written as text.

    Lists by commas, numbers and truth values leniently, secrets verbatim.
    """
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if plain is Secret or Secret in get_args(plain):
        return Secret(text)
    if get_origin(plain) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return msgspec.convert(text, plain, strict=False)


def _convert(tree: dict[str, Any], environ: Mapping[str, str]) -> Config:
    def hook(kind: type, value: Any) -> Any:
        if kind is Secret:
            return read_secret(value, environ)
        raise TypeError(kind)

    _refuse_unknown(tree)
    keys = tree.get("keys")
    if isinstance(keys, dict):
        tree = {**tree, "keys": {name: _key(name, value, environ) for name, value in keys.items()}}
    try:
        return msgspec.convert(tree, Config, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


def _key(name: str, source: object, environ: Mapping[str, str]) -> Secret:
    try:
        return read_secret(source, environ)
    except ValueError as error:
        raise ConfigError(f"keys.{name}", str(error)) from None


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`")


def _explain(text: str) -> ConfigError:
    """msgspec's sentence, with the path first as operators write it."""
    found = _AT.match(text)
    what = found["what"] if found else text
    path = ((found["path"] if found else "") or "").lstrip(".")
    unknown = _UNKNOWN.fullmatch(what)
    if unknown:
        return ConfigError(".".join(filter(None, (path, unknown["key"]))), "unknown key")
    return ConfigError(path, what)
