"""A connection that ends in the middle of a request or of its answer: its client's doing, not ours.

Put around what reads from the client or writes to it, and around nothing else: an error of the same
kind from a store or a bus is no client's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from signaling.errors import ClientError, Code, Left


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Raises Left, 408 for a client that was too slow, and 400 for chunks that are none."""
    try:
        yield
    except TimeoutError:
        raise ClientError(Code.BAD_REQUEST, 408, "The body took too long.") from None
    except OSError:
        raise Left from None
    except (HttpProcessingError, web.RequestPayloadError):
        # The exception has the bytes: they are in no answer or log.
        raise ClientError(Code.BAD_REQUEST, 400, "The body is malformed.") from None


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Raises Left."""
    try:
        yield
    except ConnectionError:
        raise Left from None
