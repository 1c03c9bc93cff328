"""The documents say what is served, no more and no less, and what is generated is fresh."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from signaling.accounts.principal import Role
from signaling.compose.described import described
from signaling.errors import Code
from signaling.http.api import Auth, Operation, asyncapi, openapi
from signaling.http.api.explanations import EXPLANATIONS
from signaling.http.api.openapi import codes_of
from signaling.http.api.pages import files, fill, unrepeated
from signaling.http.api.rates import RATES
from signaling.http.api.router import check
from signaling.http.api.typescript import types
from tests.signaling.http.api.shop import Open, Shop, operations

ROOT = Path(__file__).resolve().parents[4]


def schemas_of(node: Any) -> list[Any]:
    if isinstance(node, dict):
        inner = [s for value in node.values() for s in schemas_of(value)]
        return [node["schema"], *inner] if "schema" in node else inner
    return [s for value in node for s in schemas_of(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("which", ["shop", "server"])
def test_the_openapi_document_is_valid(which: str) -> None:
    listed = operations(Shop()) if which == "shop" else described()
    check(listed)
    made = json.loads(msgspec.json.encode(openapi.document(listed)))
    OpenAPIV31SpecValidator(made).validate()
    ids = [o["operationId"] for methods in made["paths"].values() for o in methods.values()]
    assert sorted(ids) == sorted(o.id for o in listed)
    assert schemas_of(made)
    for name, schema in made["components"]["schemas"].items():
        used = json.dumps(made["paths"]) + json.dumps(made["components"])
        assert f"#/components/schemas/{name}" in used, f"{name} is described but not used"
        if name.endswith("Body"):
            assert schema.get("additionalProperties") is False


def test_bodies_say_that_they_take_no_other_fields() -> None:
    made = openapi.document(operations(Shop()))
    assert made["components"]["schemas"]["NewThing"]["additionalProperties"] is False
    create = made["paths"]["/api/v1/things"]["post"]
    assert create["x-sotto-access"]["auth"] == "session"
    assert [p["name"] for p in create["parameters"]] == ["Idempotency-Key"]
    admin = made["paths"]["/api/v1/admin"]["post"]
    assert admin["x-sotto-access"]["roles"] == ["administrator"]
    assert "reauthentication_required" in admin["responses"]["403"]["description"]
    form = made["paths"]["/oauth/token"]["post"]["requestBody"]["content"]
    assert list(form) == ["application/x-www-form-urlencoded"]


def test_every_code_is_explained_and_every_status_of_it() -> None:
    assert set(EXPLANATIONS) == set(Code), "explain new codes in signaling/http/api/explanations.py"
    for operation in described():
        for code, status in codes_of(operation).items():
            assert status in EXPLANATIONS[Code(code)].statuses, (operation.id, code, status)


def test_every_operation_has_a_published_rate() -> None:
    for operation in described():
        assert operation.rate in RATES, operation.id


def test_two_operations_never_share_a_name_or_a_route() -> None:
    one = Operation("GET", "/x", "x", "X", Shop().nothing, auth=Auth.NONE)
    other = Operation("GET", "/y", "x", "X", Shop().nothing, roles=(Role.OWNER,))
    with pytest.raises(ValueError, match="one id"):
        check([one, other])
    with pytest.raises(ValueError, match="one route"):
        check([one, Operation("GET", "/x", "z", "Z", Shop().nothing)])


def test_what_is_generated_is_fresh() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in files(ROOT, described()).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run python -m signaling.http.api.pages"
    listed = {path.stem for path in (ROOT / "docs" / "problems").glob("*.md")}
    assert listed == {str(code) for code in EXPLANATIONS}


def test_only_what_must_not_be_kept_ignores_an_idempotency_key() -> None:
    """Acts on keys, bots, webhooks, imports and mail are done once."""
    ignoring = set(re.findall(r"`(\w+)`", unrepeated(described())))
    once = {
        "rotateKey", "generateKeyVersion", "rewrapKeys", "createBot", "beginMail", "confirmMail",
        "linkProvider", "testRoute", "replayRoute", "testWebhook", "replayWebhook", "createImport",
        "startImport", "rotatePseudonyms", "addPushSubscription", "testPushSubscription",
    }  # fmt: skip
    assert not ignoring & once
    shown_once = {
        "createWebhook", "rotateWebhookSecret", "createRoute", "createBotToken", "rotateBotToken",
        "createKeySet", "rotateKeySet", "createOAuthClient", "renewOAuthClientSecret", "beginTotp",
        "confirmTotp", "renewRecoveryCodes", "addPasskey", "beginPasskey", "createInvitation",
        "createGuestLink", "createPasswordLink", "createIncomingWebhook", "beginProviderLink",
    }  # fmt: skip
    assert shown_once <= ignoring


def test_marks_that_are_missing_are_noticed() -> None:
    with pytest.raises(ValueError, match="no marks for rates"):
        fill("no marks", {"rates": "x"})


def test_the_types_are_typescript(tmp_path: Path) -> None:
    compiler = ROOT / "web" / "node_modules" / ".bin" / "tsc"
    node = shutil.which("node")
    assert node is not None, "node is missing"
    for name, listed in (("shop", operations(Shop())), ("server", described())):
        made = json.loads(msgspec.json.encode(openapi.document(listed)))
        (tmp_path / f"{name}.ts").write_text(types(made))
    (tmp_path / "use.ts").write_text(
        "import type { NewThing, Operations } from './shop';\n"
        "export const good: NewThing = { name: 'a', tags: ['x'] };\n"
        "// @ts-expect-error a field that the server refuses\n"
        "export const bad: NewThing = { name: 'a', role: 'owner' };\n"
        "export const path: Operations['getThing']['path'] = '/api/v1/things/{thing_id}';\n"
    )
    names = [str(path) for path in sorted(tmp_path.glob("*.ts"))]
    words = [str(compiler), "--strict", "--noEmit", "--target", "es2022", *names]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


class Ping(msgspec.Struct, tag="ping"):
    number: int


class Pong(msgspec.Struct, tag="pong"):
    number: int


def test_frames_become_an_asyncapi_document() -> None:
    channel = asyncapi.Channel(
        id="sync",
        path="/sync",
        title="Sync",
        description="The socket.",
        frames=(
            asyncapi.Frame(Ping, asyncapi.Sender.BOTH, "Are you there"),
            asyncapi.Frame(Pong, asyncapi.Sender.SERVER, "Yes"),
        ),
        subprotocols=("sotto.sync/1",),
        close_codes=(asyncapi.CloseCode(4403, "The token was revoked."),),
    )
    made = asyncapi.document([channel], "meet.example")
    assert made["asyncapi"] == "3.0.0"
    assert made["channels"]["sync"]["address"] == "/sync"
    assert made["operations"]["receive_sync"]["messages"] == [
        {"$ref": "#/channels/sync/messages/ping"}
    ]
    assert len(made["operations"]["send_sync"]["messages"]) == 2
    assert made["components"]["messages"]["pong"]["payload"]["$ref"].endswith("/Pong")
    tag = made["components"]["schemas"]["Ping"]["properties"]["type"]
    assert tag == {"enum": ["ping"]}


async def test_problem_pages_are_where_problems_lead(shop: Open) -> None:
    _, problem, _ = await shop.ask("GET", "/things/none")
    assert problem["type"] == "/problems/not_found"
