"""No route outside the specification, and nothing in it that is not served (API9)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from signaling.http.api.other_routes import OTHER
from signaling.http.api.role_table import operations_of
from tests.signaling.house import Running, serving


async def test_the_router_serves_what_the_specification_says(house: Running) -> None:
    async with house.client.get(house.https + "/api/openapi.json") as answer:
        document = await answer.json()
    wanted: dict[str, set[str]] = defaultdict(set)
    for method, path, _ in operations_of(document):
        # A path of the API answers the methods that it does not have, too: 405 and `Allow`.
        wanted[path] |= {method, "*"} | ({"HEAD"} if method == "GET" else set())
    for path, (methods, _) in OTHER.items():
        if path != "/ca.crt":  # `sotto dev` alone has it
            wanted[path] |= set(methods) | ({"HEAD"} if "GET" in methods else set())
    for method, path, operation in operations_of(document):
        if "x-sotto-raw" in operation and method == "GET":
            wanted[path].discard("HEAD")  # sockets and the like answer for themselves
    served: dict[str, set[str]] = defaultdict(set)
    assert house.app.router is not None
    for route in house.app.router.routes():
        resource = route.resource
        assert resource is not None
        served[resource.canonical].add(route.method)
    assert dict(served) == dict(wanted)
    listed = document["x-sotto-other-routes"]
    assert {path: set(shown["methods"]) for path, shown in listed.items()} == {
        path: set(methods) for path, (methods, _) in OTHER.items()
    }


async def test_only_the_development_server_gives_out_its_authority(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, development=False) as house,
        house.client.get(house.https + "/ca.crt") as answer,
    ):
        assert answer.status == 404
