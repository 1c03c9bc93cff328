"""Bytes of a request into the types that an operation declared; what does not fit raises.

The one validation model: msgspec types. Beyond them: no parameter or JSON member twice, bounded
depth, strict UTF-8, and no member names that other languages or query languages would obey. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from signaling.errors import ClientError, Code, FieldError

# Our own requests nest three deep; free-form metadata gets the rest.
MAX_DEPTH = 16
# More parameters than any operation has.
MAX_PARAMETERS = 64
# What JavaScript obeys in an object that is copied (prototype pollution).
PROTOTYPE = frozenset({"__proto__", "constructor", "prototype"})

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
# Nothing encoded, nothing odd: most requests.
_PLAIN_PATH = re.compile(r"[!$&-;=@-Z_a-z~]*")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


def json_body(data: bytes, kind: Any) -> Any:
    """Raises ClientError: 400 for what is not JSON, 422 for JSON of another shape."""
    _check_depth(data)
    try:
        value = msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        _refuse_fields(str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ClientError(Code.BAD_REQUEST, 400, "The body is not JSON in UTF-8.") from None
    _check_members(data)
    return value


def form_body(data: bytes, kind: Any) -> Any:
    """An OAuth form (RFC 6749 section 3.2): no parameter twice."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise ClientError(Code.BAD_REQUEST, 400, "The form is not percent-encoded.") from None
    return _convert(_pairs(text), kind)


def query(
    text: str, kind: Any | None, also: frozenset[str] = frozenset()
) -> tuple[Any, dict[str, str]]:
    """The query as `kind`, and the values of `also` (what the framework itself reads)."""
    if not text and kind is None:
        return None, {}
    pairs = _pairs(text)
    ours = {name: pairs.pop(name) for name in also & pairs.keys()}
    if kind is not None:
        return _convert(pairs, kind), ours
    if pairs:
        name = min(pairs)
        errors = [FieldError("/" + _escape(name), "unknown", "There is no such parameter.")]
        message = "A parameter is unknown here."
        raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
    return None, ours


def check_path(raw: str) -> None:
    """Percent-encoded bytes must be UTF-8 without control characters (RFC 3986 section 2.5)."""
    if _PLAIN_PATH.fullmatch(raw):
        return
    data = unquote_to_bytes(raw.partition("?")[0])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ClientError(Code.BAD_REQUEST, 400, "The path is not UTF-8.") from None
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ClientError(Code.BAD_REQUEST, 400, "The path has control characters.")


def _pairs(text: str) -> dict[str, str]:
    try:
        listed = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except (ValueError, UnicodeDecodeError):
        raise ClientError(
            Code.BAD_REQUEST, 400, "The parameters are not UTF-8, or too many."
        ) from None
    found: dict[str, str] = {}
    for name, value in listed:
        if name in found:
            errors = [FieldError("/" + _escape(name), "duplicated", "It may come once.")]
            message = "A parameter comes more than once."
            raise ClientError(Code.PARAMETER_DUPLICATED, 400, message, errors=errors)
        found[name] = value
    return found


def _convert(pairs: dict[str, str], kind: Any) -> Any:
    try:
        return msgspec.convert(pairs, kind, strict=False)
    except msgspec.ValidationError as error:
        _refuse_fields(str(error))


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for mark in re.findall(rb"[\[{\]}]", _STRINGS.sub(b"", data)):
        depth += 1 if mark in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ClientError(Code.BAD_REQUEST, 400, f"JSON may nest {MAX_DEPTH} deep.")


def _check_members(data: bytes) -> None:
    try:
        json.loads(data, object_pairs_hook=_members, parse_int=str, parse_float=str)
    except RecursionError:
        raise ClientError(Code.BAD_REQUEST, 400, "The body is not JSON in UTF-8.") from None


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 section 4: what a name that comes twice means is anybody's guess."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            _refuse_member(name, "duplicated", "It may come once.")
        if name in PROTOTYPE or name.startswith("$") or "\0" in name:
            _refuse_member(name, "reserved", "No member may have this name.")
        found[name] = value
    return found


def _refuse_member(name: str, code: str, message: str) -> NoReturn:
    errors = [FieldError("/" + _escape(name), code, message)]
    raise ClientError(
        Code.FIELDS_INVALID, 422, "The body has a member that is not taken.", errors=errors
    )


def _refuse_fields(text: str) -> NoReturn:
    errors = [field_error(text)]
    message = "A field of the request is missing, unknown or not of the right form."
    raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors) from None


def field_error(text: str) -> FieldError:
    """msgspec's sentence as a pointer, a code and the sentence without the path."""
    found = _AT.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    steps = [name or index for name, index in _STEP.findall(path)]
    for pattern, code in ((_UNKNOWN, "unknown"), (_MISSING, "missing")):
        if named := pattern.fullmatch(what):
            return FieldError(_pointer([*steps, named["name"]]), code, what)
    return FieldError(_pointer(steps), "invalid", what)


def _pointer(steps: list[str]) -> str:
    return "".join("/" + _escape(step) for step in steps)


def _escape(step: str) -> str:
    """RFC 6901 section 3. Control characters of a stranger's name do not travel back."""
    shown = "".join(c if c.isprintable() else "?" for c in step[:64])
    return shown.replace("~", "~0").replace("/", "~1")
