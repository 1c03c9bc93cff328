"""The short way from a request to the handler of a path without parameters.

aiohttp looks through its resources for each request and hands it from coroutine to coroutine: a
twelfth of what a small one costs. Here the paths that are known to the letter are found in one
dictionary; everything else, and whoever asks in an unusual way, goes aiohttp's own. What a handler
sees of the request is the same. Driven by `listener`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

Ask = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Direct:
    """What a server calls with each request. Made when all routes are there."""

    def __init__(self, app: web.Application, other: Ask) -> None:
        """`other` is the application's own way."""
        self._other = other
        # A path without parameters matches in one way only, so all its requests share the match.
        self._known: dict[tuple[str, str], tuple[web.UrlMappingMatchInfo, Handler]] = {}
        closed: set[str] = set()
        for resource in app.router.resources():
            path = resource.canonical
            if not isinstance(resource, web.PlainResource) or path in closed:
                continue
            for route in resource:
                if route.method == hdrs.METH_ANY:
                    closed.add(path)  # what comes later is never reached there
                    continue
                handler = route.handler
                for middleware in reversed(app.middlewares):
                    handler = partial(middleware, handler=handler)
                self._known.setdefault((route.method, path), (_match(app, route), handler))

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        found = self._known.get((request.method, request.raw_path.partition("?")[0]))
        if found is None or hdrs.EXPECT in request.headers or not isinstance(request, web.Request):
            return self._other(request)
        request._match_info, handler = found
        return handler(request)


def _match(app: web.Application, route: web.AbstractRoute) -> web.UrlMappingMatchInfo:
    match = web.UrlMappingMatchInfo({}, route)
    match.add_app(app)
    match.freeze()
    return match
