"""Redirect URIs: which may be registered, and when one is the registered one. Pure.

Compared character by character (RFC 9700 section 2.1). The one exception it makes: the port of a
native app that listens on a loopback address is chosen when it asks (RFC 8252 section 7.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MOST = 16
LONGEST = 1024
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+", re.ASCII)  # RFC 8252, 7.1
_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_LOOPBACK = ("127.0.0.1", "::1")


def problem(uri: str) -> str:
    """Why it may not be registered; empty when it may."""
    if len(uri) > LONGEST or not _PRINTABLE.fullmatch(uri) or "\\" in uri:
        return "It is too long or has characters that a URI has not."
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "It is not a URI."
    if "#" in uri:
        return "It has a fragment (RFC 6749 section 3.1.2)."
    if parts.username is not None or parts.password is not None:
        return "It has a user name or password."
    if parts.scheme == "https":
        return "" if host else "It has no host."
    if parts.scheme == "http":
        return "" if host in _LOOPBACK else "Plain http is for 127.0.0.1 and [::1] only."
    if _PRIVATE_SCHEME.fullmatch(parts.scheme):
        return ""
    return "Its scheme is neither https nor a reversed domain name such as com.example.app."


def is_open(uri: str) -> bool:
    """Whether another program of the device could answer there (RFC 8252 sections 8.3 and 8.6)."""
    return urlsplit(uri).scheme != "https"


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    return any(uri == known or _same_but_port(uri, known) for known in registered)


def _same_but_port(uri: str, known: str) -> bool:
    try:
        asked, listed = urlsplit(uri), urlsplit(known)
        if listed.scheme != "http" or listed.hostname not in _LOOPBACK:
            return False
        if problem(uri):
            return False
        host = f"[{listed.hostname}]" if ":" in (listed.hostname or "") else listed.hostname
        port = asked.port
    except ValueError:
        return False
    at = host if port is None else f"{host}:{port}"
    return asked.netloc == at and asked._replace(netloc="") == listed._replace(netloc="")


def with_answer(uri: str, answer: Mapping[str, str]) -> str:
    """The redirect URI with the answer in its query, beside what is there already."""
    parts = urlsplit(uri)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *answer.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))
