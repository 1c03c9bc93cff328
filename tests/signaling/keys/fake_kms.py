"""Two small servers that stand in for AWS KMS and for Vault's transit engine, with their bad days:
disabled keys, throttling, silence. Shape and words as the real ones answer.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Any request goes to the handler; gives the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class FakeAws:
    """`mood`: `fine`, `throttling`, `silent`, `broken`, or the error that it answers with."""

    def __init__(self) -> None:
        self.mood = "fine"
        self.asked = 0
        self.states: dict[str, str] = {}
        self._keys: dict[str, AESGCM] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.mood == "silent":
            await asyncio.sleep(30)
        if self.mood == "broken":
            return web.Response(status=500, text="<html>")
        if self.mood == "throttling":
            return _aws_error("ThrottlingException", 400)
        if self.mood != "fine":
            return _aws_error(self.mood, 400)
        body = json.loads(await request.read())
        verb = request.headers["X-Amz-Target"].removeprefix("TrentService.")
        if verb == "CreateKey":
            made = secrets.token_hex(8)
            self._keys[made], self.states[made] = AESGCM(secrets.token_bytes(32)), "Enabled"
            arn = f"arn:aws:kms:eu-test-1:1:key/{made}"
            return _aws({"KeyMetadata": {"Arn": arn, "KeyId": made}})
        key = body["KeyId"]
        if key not in self._keys:
            return _aws_error("com.amazonaws.kms#NotFoundException", 400)
        if self.states[key] == "Disabled":
            return _aws_error("DisabledException", 400)
        if self.states[key] != "Enabled":
            return _aws_error("KMSInvalidStateException", 400)
        return self._work(verb, key, body)

    def _work(self, verb: str, key: str, body: dict[str, Any]) -> web.Response:
        aad = json.dumps(body.get("EncryptionContext", {}), sort_keys=True).encode()
        if verb == "Encrypt":
            nonce = secrets.token_bytes(12)
            blob = nonce + self._keys[key].encrypt(nonce, _decoded(body["Plaintext"]), aad)
            return _aws({"CiphertextBlob": _encoded(blob)})
        if verb == "Decrypt":
            blob = _decoded(body["CiphertextBlob"])
            try:
                plain = self._keys[key].decrypt(blob[:12], blob[12:], aad)
            except (InvalidTag, ValueError):
                return _aws_error("InvalidCiphertextException", 400)
            return _aws({"Plaintext": _encoded(plain)})
        self.states[key] = "PendingDeletion"
        return _aws({"KeyId": key})


class FakeVault:
    """`mood`: `fine`, `sealed`, `throttling`, `silent`, `denied`."""

    def __init__(self, token: str) -> None:
        self.mood = "fine"
        self._token = token
        self._keys: dict[str, AESGCM] = {}
        self._deletable: set[str] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.mood == "silent":
            await asyncio.sleep(30)
        if self.mood == "sealed":
            return _vault_error("Vault is sealed", 503)
        if self.mood == "throttling":
            return _vault_error("request path rate limit quota exceeded", 429)
        if self.mood == "denied" or request.headers.get("X-Vault-Token") != self._token:
            return _vault_error("permission denied", 403)
        verb, _, name = request.path.removeprefix("/v1/transit/").partition("/")
        body = json.loads(await request.read() or b"{}")
        if verb == "keys":
            return self._manage(request.method, name, body)
        if name not in self._keys:
            return _vault_error("encryption key not found", 400)
        return self._work(verb, self._keys[name], body)

    def _manage(self, method: str, name: str, body: dict[str, Any]) -> web.Response:
        name, _, config = name.partition("/")
        if config:
            self._deletable.add(name)
            return web.Response(status=204)
        if method == "DELETE":
            if name not in self._deletable:
                return _vault_error("deletion is not allowed for this key", 400)
            del self._keys[name]
            return web.Response(status=204)
        assert body["type"] == "aes256-gcm96"
        self._keys.setdefault(name, AESGCM(secrets.token_bytes(32)))
        return web.Response(status=204)

    def _work(self, verb: str, key: AESGCM, body: dict[str, str]) -> web.Response:
        aad = _decoded(body["associated_data"])
        if verb == "encrypt":
            nonce = secrets.token_bytes(12)
            blob = nonce + key.encrypt(nonce, _decoded(body["plaintext"]), aad)
            return web.json_response({"data": {"ciphertext": f"vault:v1:{_encoded(blob)}"}})
        try:
            head, version, text = body["ciphertext"].split(":")
            blob = _decoded(text)
            assert (head, version) == ("vault", "v1")
            plain = key.decrypt(blob[:12], blob[12:], aad)
        except (ValueError, AssertionError):
            return _vault_error("invalid ciphertext: no prefix", 400)
        except InvalidTag:
            return _vault_error("cipher: message authentication failed", 400)
        return web.json_response({"data": {"plaintext": _encoded(plain)}})


def _aws(body: dict[str, Any], status: int = 200) -> web.Response:
    data = json.dumps(body).encode()
    return web.Response(status=status, body=data, content_type="application/x-amz-json-1.1")


def _aws_error(kind: str, status: int) -> web.Response:
    return _aws({"__type": kind, "message": "as it is"}, status)


def _vault_error(text: str, status: int) -> web.Response:
    return web.json_response({"errors": [text]}, status=status)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
