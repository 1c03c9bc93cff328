"""The short way to a handler: what it finds, what it leaves to aiohttp, and that both are alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from signaling.http.direct import Direct

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PASSED = web.RequestKey("passed", str)


def saying(what: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        resource = request.match_info.route.resource
        assert resource is not None
        seen = [what, resource.canonical, dict(request.match_info), request.get(PASSED)]
        assert request.app is request.match_info.current_app
        return web.json_response(seen)

    return handler


@web.middleware
async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[PASSED] = "outer"
    return await handler(request)


@web.middleware
async def inner(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[PASSED] += ", inner"
    return await handler(request)


def application() -> web.Application:
    app = web.Application(middlewares=[outer, inner])
    session = app.router.add_resource("/api/v1/session")
    session.add_route("GET", saying("get"))
    session.add_route("DELETE", saying("delete"))
    session.add_route("*", saying("any other"))
    # aiohttp never comes as far as this one.
    again = app.router.add_resource("/api/v1/session/", name="other")
    again.add_route("GET", saying("slash"))
    app.router.add_resource("/api/v1/rooms/{room}").add_route("GET", saying("room"))
    app.router.add_resource("/api/v1/rooms/mine").add_route("GET", saying("mine"))
    app.router.add_route("*", "/{path:.*}", saying("catch-all"))
    app.freeze()
    return app


ASKED = [
    ("GET", "/api/v1/session", {}, True),
    ("GET", "/api/v1/session?a=1", {}, True),
    ("DELETE", "/api/v1/session", {}, True),
    ("GET", "/api/v1/session/", {}, True),
    ("GET", "/api/v1/rooms/mine", {}, True),
    ("GET", "/api/v1/session", {"Expect": "100-continue"}, False),
    ("POST", "/api/v1/session", {}, False),
    ("*", "/api/v1/session", {}, False),
    ("HEAD", "/api/v1/session", {}, False),
    ("GET", "/api/v1/%73ession", {}, False),
    ("GET", "http://localhost/api/v1/session", {}, False),
    ("GET", "/api/v1/rooms/r1", {}, False),
    ("GET", "//api/v1/session", {}, False),
    ("GET", "/elsewhere", {}, False),
]


@pytest.mark.parametrize(("method", "path", "headers", "short"), ASKED)
async def test_both_ways_lead_to_the_same(
    method: str, path: str, headers: dict[str, str], short: bool
) -> None:
    app = application()
    usual: list[web.BaseRequest] = []

    async def other(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        usual.append(request)
        return await app._handle(request)

    direct = Direct(app, other)
    answers = []
    for way in (direct, other):
        request = make_mocked_request(method, path, headers, app=app)
        request._match_info = None
        answer = await way(request)
        assert isinstance(answer, web.Response)
        answers.append(answer.text)
    assert answers[0] == answers[1]
    assert len(usual) == (1 if short else 2)


async def test_what_an_earlier_resource_answers_is_not_taken_over() -> None:
    app = web.Application()
    app.router.add_resource("/x", name="one").add_route("*", saying("first"))
    app.router.register_resource(later := web.PlainResource("/x"))
    later.add_route("GET", saying("second"))
    app.freeze()
    direct = Direct(app, app._handle)  # type: ignore[arg-type]  # it is given requests of its own
    answer = await direct(make_mocked_request("GET", "/x", app=app))
    assert isinstance(answer, web.Response)
    assert "first" in (answer.text or "")
