"""AWS KMS over its JSON protocol, signed with Signature Version 4; no SDK.

The encryption context goes into AWS's own log (CloudTrail), so it names ids only. What AWS calls
disabled or pending deletion is our KeyInactive; throttling and time-outs are Unavailable.
"""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.keys.port import Context, IntegrityError, KeyInactive, UnknownKey
from signaling.keys.providers.http import Answer, KmsHttp, patiently
from signaling.sigv4 import Credentials, Request, Scope, sign

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-amz-json-1.1"
# The shortest that AWS allows; our own waiting time has passed before.
PENDING_DAYS = 7
_INACTIVE = frozenset({"DisabledException", "KMSInvalidStateException"})
_UNKNOWN = frozenset({"NotFoundException", "InvalidArnException"})
_BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_PASSING = frozenset(
    {
        "ThrottlingException", "LimitExceededException", "KMSInternalException",
        "DependencyTimeoutException", "KeyUnavailableException", "RequestTimeoutException",
        "ServiceUnavailableException",
    }
)  # fmt: skip


class AwsKms:
    """`endpoint` only for a VPC endpoint or a test; else it follows from the region."""

    provider = "aws"

    def __init__(
        self,
        region: str,
        credentials: Credentials,
        clock: Clock,
        *,
        endpoint: str = "",
        authority: str = "",
        seconds: float = 5.0,
    ) -> None:
        url = endpoint or f"https://kms.{region}.amazonaws.com"
        self._http = KmsHttp(url, seconds, authority)
        self._host = urlsplit(url).netloc
        self._scope = Scope(region, "kms")
        self._credentials = credentials
        self._clock = clock

    async def create(self, name: str) -> str:
        made = await self._ask("CreateKey", {"Description": f"Sotto master key {name}"})
        metadata = made.get("KeyMetadata")
        return _text(metadata if isinstance(metadata, dict) else {}, "KeyId")

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes:
        answer = await self._ask(
            "Encrypt",
            {
                "KeyId": reference,
                "Plaintext": base64.b64encode(plaintext).decode(),
                "EncryptionContext": dict(context),
            },
        )
        return _bytes(answer, "CiphertextBlob")

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes:
        answer = await self._ask(
            "Decrypt",
            {
                "KeyId": reference,
                "CiphertextBlob": base64.b64encode(wrapped).decode(),
                "EncryptionContext": dict(context),
            },
        )
        return _bytes(answer, "Plaintext")

    async def destroy(self, reference: str) -> None:
        await self._ask(
            "ScheduleKeyDeletion", {"KeyId": reference, "PendingWindowInDays": PENDING_DAYS}
        )

    async def close(self) -> None:
        await self._http.close()

    async def _ask(self, target: str, body: dict[str, Any]) -> dict[str, Any]:
        payload = msgspec.json.encode(body)
        said = {"content-type": CONTENT_TYPE, "x-amz-target": f"TrentService.{target}"}
        request = Request("POST", self._host, payload=payload, headers=said)

        async def attempt() -> Answer:
            # Signed for each attempt: AWS refuses a stamp that is five minutes old.
            now = datetime.fromtimestamp(self._clock.unix(), UTC)
            headers = sign(self._credentials, self._scope, request, now)
            answer = await self._http.send("POST", "/", headers, payload)
            if answer.status >= 500 or answer.status == 429 or _error(answer) in _PASSING:
                raise Unavailable(f"AWS KMS: {_error(answer) or answer.status}.", 5)
            return answer

        answer = await patiently(attempt)
        if answer.status == 200:
            return answer.body
        raise _refusal(_error(answer), answer.status)


def _error(answer: Answer) -> str:
    """`__type` may carry a namespace before `#`."""
    kind = answer.body.get("__type", "")
    return kind.rpartition("#")[2] if isinstance(kind, str) and answer.status != 200 else ""


def _refusal(error: str, status: int) -> Exception:
    if error in _INACTIVE:
        return KeyInactive("The master key is not enabled in AWS KMS.")
    if error in _UNKNOWN:
        return UnknownKey("AWS KMS has no such master key.")
    if error in _BROKEN:
        return IntegrityError("A wrapped key was changed, or its context was.")
    # Access denied, expired credentials, a skewed clock: for the operator, not for whoever asked.
    log.error("AWS KMS refuses us: %s (%d)", error or "no reason given", status)
    return Unavailable("The KMS refuses this server.", 60)


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise Unavailable("AWS KMS answered something else.", 60)
    return value


def _bytes(answer: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(answer, name), validate=True)
    except ValueError:
        raise Unavailable("AWS KMS answered something else.", 60) from None
