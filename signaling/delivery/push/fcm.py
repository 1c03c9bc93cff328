"""Firebase Cloud Messaging, HTTP v1: data messages, with a service account's access token.

Data only, so that the app words what is shown, and one field of ours in it. The token is asked for
with a signed assertion (RFC 7523) and kept until it is about to end.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from signaling.clock import Clock
from signaling.delivery.port import Dead, Delivered, Gone, Outcome, Retry
from signaling.delivery.push.model import Parcel, Subscription
from signaling.delivery.push.ways import wait_of
from signaling.egress import Answer, Egress, EgressFailed, EgressRefused
from signaling.secret import Secret

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600
# Before its end, so that no request goes out with one that ends on the way.
EARLY = 300.0
GONE = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class ServiceAccount(Struct, frozen=True):
    """What the operator downloads as JSON; unknown fields are left alone."""

    project_id: str
    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    private_key_id: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.project_id})"


class _Token(Struct, frozen=True):
    access_token: str
    expires_in: float = 3600.0


class _NoToken(Exception):  # noqa: N818 - carries an outcome
    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def read_account(text: Secret) -> ServiceAccount:
    """Raises ValueError, which never says what is in it."""
    try:
        return msgspec.json.decode(text.reveal(), type=ServiceAccount)
    except msgspec.MsgspecError:
        raise ValueError("this is not a service account in JSON") from None


class Fcm:
    """A `Way`."""

    def __init__(self, account: ServiceAccount, url: str, egress: Egress, clock: Clock) -> None:
        """Raises ValueError for a key that cannot be used."""
        key = load_pem_private_key(account.private_key.encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the service account's key is no RSA key")
        self._key, self._account, self._clock, self._egress = key, account, clock, egress
        self._url = f"{url.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        self._token, self._until = "", 0.0
        self._asking = asyncio.Lock()

    async def send(self, one: Subscription, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        try:
            token = await self._access()
            answer = await self._egress.fetch(
                "POST",
                self._url,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                body=json.dumps(message(one, parcel, ttl), ensure_ascii=False).encode(),
                most=65536,
            )
        except _NoToken as error:
            return error.outcome
        except EgressRefused as error:
            return Dead(f"FCM may not be called: {error}")
        except EgressFailed as error:
            return Retry(0.0, f"FCM: {error}")
        return self._outcome(answer, token)

    async def _access(self) -> str:
        async with self._asking:
            now = self._clock.unix()
            if self._token and now < self._until:
                return self._token
            account = self._account
            claims = {
                "iss": account.client_email, "scope": SCOPE, "aud": account.token_uri,
                "iat": int(now), "exp": int(now) + ASSERTION_SECONDS,
            }  # fmt: skip
            signed = jwt.encode(
                claims, self._key, algorithm="RS256", headers={"kid": account.private_key_id}
            )
            form = f"grant_type={GRANT.replace(':', '%3A')}&assertion={signed}"
            answer = await self._egress.fetch(
                "POST", account.token_uri, headers=FORM, body=form.encode(), most=65536
            )
            if answer.status != 200:
                raise _NoToken(Retry(self._wait(answer), f"FCM gave no token: {answer.status}"))
            try:
                given = msgspec.json.decode(answer.body, type=_Token)
            except msgspec.MsgspecError:
                raise _NoToken(Retry(0.0, "FCM gave no token that can be read")) from None
            self._token = given.access_token
            self._until = now + max(0.0, given.expires_in - EARLY)
            return self._token

    def _wait(self, answer: Answer) -> float:
        return wait_of(answer.headers, self._clock.unix())

    def _outcome(self, answer: Answer, token: str) -> Outcome:
        if answer.status == 200:
            return Delivered()
        why = reason(answer.body)
        said = f"FCM answered {answer.status} {why}".rstrip()
        if why in GONE or answer.status == 404:
            return Gone(said)
        if answer.status == 401 and token == self._token:
            self._token = ""
        if answer.status in (401, 403, 408, 429) or answer.status >= 500:
            return Retry(self._wait(answer), said)
        return Dead(said)

    async def close(self) -> None:
        return None


def message(one: Subscription, parcel: Parcel, ttl: int) -> dict[str, Any]:
    android = {
        "priority": "HIGH" if parcel.urgency == "high" else "NORMAL",
        "ttl": f"{ttl}s",
        "collapse_key": parcel.tag,
    }
    return {"message": {"token": one.token, "data": {"sotto": parcel.content}, "android": android}}


def reason(body: bytes) -> str:
    """The service's own code (`details[].errorCode`), else the general one."""
    try:
        error = json.loads(body)["error"]
        codes = [detail.get("errorCode", "") for detail in error.get("details", ())]
        found = next((code for code in codes if code), error.get("status", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    safe = isinstance(found, str) and found.replace("_", "").isalpha() and len(found) < 64
    return found if safe else ""
