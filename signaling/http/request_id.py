"""The id of a request: made once, told in its answer, its problem, its audit record and our log."""

from __future__ import annotations

from aiohttp import web

from signaling.clock import SystemClock
from signaling.ids import Ids, SystemIds

HEADER = "X-Request-Id"
_KEY = web.RequestKey("request_id", str)
_IDS: Ids = SystemIds(SystemClock())


def name_request(request: web.Request) -> str:
    """First of all: asking before it has an id costs more."""
    made = request[_KEY] = _IDS.new()
    return made


def request_id_of(request: web.Request) -> str:
    """A client's own id is not taken: it could carry anything into logs (ASVS 16.4.1)."""
    try:
        return request[_KEY]
    except KeyError:
        return name_request(request)
