"""The list of operations as routes of an aiohttp application, and the documents about them.

Every path of the API answers every method: those that it does not have with 405 and `Allow`. Driven
by `app`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from signaling.errors import ClientError, Code
from signaling.http.api.endpoint import Endpoint, Ports
from signaling.http.api.operation import Operation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check(operations: Sequence[Operation]) -> None:
    """Raises ValueError for two operations of one id, or of one method and path."""
    for what, names in (
        ("id", [operation.id for operation in operations]),
        ("route", [f"{operation.method} {operation.route}" for operation in operations]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two operations have one {what}: {', '.join(sorted(twice))}")


def add_routes(app: web.Application, operations: Sequence[Operation], ports: Ports) -> None:
    """Before the catch-all of the client; paths without parameters before those with them."""
    check(operations)
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.route, []).append(operation)
    for path in sorted(by_path, key=lambda path: (path.count("{"), path)):
        resource = app.router.add_resource(path)
        methods: set[str] = set()
        for operation in by_path[path]:
            endpoint = Endpoint(operation, ports).serve
            resource.add_route(operation.method, endpoint)
            methods.add(operation.method)
            if operation.method == "GET" and not operation.raw:
                resource.add_route("HEAD", endpoint)
                methods.add("HEAD")
        resource.add_route("*", _refuse_method(", ".join(sorted(methods))))


def _refuse_method(allowed: str) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        message = f"This path takes {allowed}."
        raise ClientError(Code.METHOD_NOT_ALLOWED, 405, message, headers={"Allow": allowed})

    return refuse
