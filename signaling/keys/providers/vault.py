"""The transit engine of HashiCorp Vault or OpenBao over HTTP.

Keys are `aes256-gcm96`; the context goes along as associated data, so the engine itself refuses a
wrapped key in another's place. A sealed or throttling server is Unavailable.
"""

from __future__ import annotations

import base64
import logging
import re
from typing import Any

import msgspec

from signaling.errors import Unavailable
from signaling.keys.port import Context, IntegrityError, KeyInactive, UnknownKey
from signaling.keys.providers.http import Answer, KmsHttp, patiently
from signaling.keys.providers.local import canonical
from signaling.secret import Secret

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class VaultKms:
    """`mount`: where the transit engine is. A reference is the key's name there."""

    provider = "vault"

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        mount: str = "transit",
        namespace: str = "",
        authority: str = "",
        seconds: float = 5.0,
    ) -> None:
        self._http = KmsHttp(url, seconds, authority)
        self._mount = mount.strip("/")
        self._headers = {"X-Vault-Token": token.reveal(), "X-Vault-Request": "true"}
        if namespace:
            self._headers["X-Vault-Namespace"] = namespace

    async def create(self, name: str) -> str:
        await self._ask("POST", f"keys/{_checked(name)}", {"type": "aes256-gcm96"})
        return name

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes:
        answer = await self._ask(
            "POST",
            f"encrypt/{_checked(reference)}",
            {
                "plaintext": base64.b64encode(plaintext).decode(),
                "associated_data": base64.b64encode(canonical(context)).decode(),
            },
        )
        return _text(answer, "ciphertext").encode()

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes:
        try:
            ciphertext = wrapped.decode("ascii")
        except UnicodeDecodeError:
            raise IntegrityError("A wrapped key was changed.") from None
        answer = await self._ask(
            "POST",
            f"decrypt/{_checked(reference)}",
            {
                "ciphertext": ciphertext,
                "associated_data": base64.b64encode(canonical(context)).decode(),
            },
        )
        return base64.b64decode(_text(answer, "plaintext"))

    async def destroy(self, reference: str) -> None:
        path = f"keys/{_checked(reference)}"
        await self._ask("POST", f"{path}/config", {"deletion_allowed": True})
        await self._ask("DELETE", path, None)

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        payload = b"" if body is None else msgspec.json.encode(body)

        async def attempt() -> Answer:
            answer = await self._http.send(
                method, f"/v1/{self._mount}/{path}", self._headers, payload
            )
            # 412: a standby that lags; 472, 473: a standby; 503: sealed.
            if answer.status >= 500 or answer.status in (412, 429, 472, 473):
                raise Unavailable(f"Vault answers {answer.status}.", 5)
            return answer

        answer = await patiently(attempt)
        if answer.status in (200, 204):
            data = answer.body.get("data")
            return data if isinstance(data, dict) else {}
        raise _refusal(answer)


def _checked(name: str) -> str:
    """It becomes part of a path."""
    if NAME.fullmatch(name) is None:
        raise IntegrityError("The register names a key that cannot be a transit key's name.")
    return name


def _refusal(answer: Answer) -> Exception:
    """Vault has texts for errors, no codes; they are the same in OpenBao."""
    errors = answer.body.get("errors")
    text = " ".join(str(error) for error in errors) if isinstance(errors, list) else ""
    if answer.status == 404 or "encryption key not found" in text:
        return UnknownKey("Vault has no such master key.")
    if answer.status == 400:
        if "disallowed by policy" in text or "version is disallowed" in text or "deleted" in text:
            return KeyInactive("The version of the master key is not allowed in Vault.")
        return IntegrityError("A wrapped key was changed, or its context was.")
    log.error("Vault refuses us: status %d", answer.status)
    return Unavailable("The KMS refuses this server.", 60)


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise Unavailable("Vault answered something else.", 60)
    return value
