"""How MongoDB is reached, and how its errors become ours.

Writes are acknowledged by a majority, journalled; reads come from the primary, of what a majority
has. The driver repeats reads once and writes never: a write's error has one path, ours, the same on
every deployment.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)

from signaling.config.mongo import Mongo as Settings
from signaling.config.store_rules import mongodb_tls
from signaling.errors import Unavailable

T = TypeVar("T")
Row = dict[str, Any]

RETRY_AFTER = 5
DUPLICATE = 11000
# Server errors after which the same write may succeed: elections, shutting down, stale routing.
# From the specification "Retryable Writes" of the drivers, section "Determining retryable errors".
PASSING = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 64, 50})


def arguments(settings: Settings) -> dict[str, Any]:
    """Of the driver's client. Certificate and host name are always checked."""
    wait = int(settings.timeout_seconds * 1000)
    found: dict[str, Any] = {
        "host": settings.url,
        "appname": "sotto",
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "readPreference": "primary",
        "retryWrites": False,
        "retryReads": True,
        "serverSelectionTimeoutMS": wait // 2,
        "connectTimeoutMS": wait // 2,
        "socketTimeoutMS": wait,
        "waitQueueTimeoutMS": wait,
        "heartbeatFrequencyMS": 5000,
    }
    if settings.user and settings.password is not None:
        found |= {"username": settings.user, "password": settings.password.reveal()}
    if mongodb_tls(urlsplit(settings.url)):
        found["tls"] = True
        if settings.ca:
            found["tlsCAFile"] = settings.ca
        if settings.certificate:
            found["tlsCertificateKeyFile"] = settings.certificate
    return found


def is_passing(error: PyMongoError) -> bool:
    """Whether the outcome is unknown or the same call may work soon."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError | WriteConcernError):
        return True
    return isinstance(error, OperationFailure) and error.code in PASSING


def is_duplicate(error: PyMongoError) -> bool:
    """A unique key was taken already."""
    if isinstance(error, DuplicateKeyError):
        return True
    details = getattr(error, "details", None) or {}
    return any(one.get("code") == DUPLICATE for one in details.get("writeErrors", ()))


def unavailable(error: PyMongoError) -> Unavailable:
    """Names the class only: the driver's text may hold addresses and user names."""
    code = getattr(error, "code", None)
    what = type(error).__name__ if code is None else f"{type(error).__name__} {code}"
    return Unavailable(f"MongoDB cannot be used ({what})", RETRY_AFTER)


async def asked(work: Awaitable[T]) -> T:
    """The result of one call that needs no second try of ours, or `Unavailable`."""
    try:
        return await work
    except PyMongoError as error:
        raise unavailable(error) from error
