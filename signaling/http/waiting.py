"""What the listeners answer while the server waits for its store or its KMS: alive, not ready, 503.

No route is there yet: whoever asks for anything is told to come back.
"""

from __future__ import annotations

from aiohttp import web

from signaling.errors import Unavailable
from signaling.http.middleware import Handler, Middleware, in_chain
from signaling.http.problem import from_exception


class Waiting:
    """`reason` is what `/readyz` says."""

    def __init__(self, reason: str, retry_after: int) -> None:
        self.reason = reason
        self._retry_after = retry_after

    def public(self, middleware: Middleware) -> web.Application:
        app = web.Application(middlewares=middleware.chain())
        app.on_response_prepare.append(middleware.finish)
        app.router.add_route("*", "/{path:.*}", self._refuse)
        return app

    def operator(self) -> web.Application:
        app = web.Application(middlewares=[in_chain(_errors)])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        return app

    async def _refuse(self, request: web.Request) -> web.StreamResponse:
        raise Unavailable("The server waits for its store.", self._retry_after)

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        headers = {"Retry-After": str(self._retry_after)}
        return web.Response(status=503, text=f"{self.reason}\n", headers=headers)


async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Exception as error:
        return from_exception(error)
    return response
