"""Master keys in a hardware security module, or in anything else behind PKCS#11.

Keys are AES-256, sensitive and not extractable: they wrap inside the module. Wraps with CKM_AES_GCM
(PKCS#11 2.40, section 2.12), the context authenticated. The module blocks, so its calls run in one
thread of their own, one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Entropy
from signaling.keys.port import Context, IntegrityError, UnknownKey
from signaling.keys.providers.local import canonical
from signaling.secret import Secret

log = logging.getLogger(__name__)

T = TypeVar("T")
NONCE_BYTES = 12
TAG_BITS = 128
# A module that hangs must not hang whoever waits for it.
SECONDS = 10.0


class Pkcs11Kms:
    """A session is opened at the first call and again after the module lost it. A reference is a
    key's label; two keys of one label are refused.
    """

    provider = "pkcs11"

    def __init__(self, module: str, token: str, pin: Secret, entropy: Entropy) -> None:
        self._module = module
        self._token = token
        self._pin = pin
        self._entropy = entropy
        self._thread = ThreadPoolExecutor(1, "pkcs11")
        self._session: Any = None

    async def create(self, name: str) -> str:
        def make() -> str:
            session, label, number = self._open(), name, 1
            while list(session.get_objects(_template(label))):
                number += 1
                label = f"{name}-{number}"
            session.generate_key(
                KeyType.AES,
                256,
                label=label,
                store=True,
                template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.ENCRYPT: True,
                    Attribute.DECRYPT: True,
                },
            )
            return label

        return await self._run(make)

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes:
        nonce = self._entropy.token(NONCE_BYTES)

        def work() -> bytes:
            return _encrypt(self._key(reference), nonce, plaintext, context)

        return nonce + await self._run(work)

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes:
        nonce, body = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        if len(body) <= TAG_BITS // 8:
            raise IntegrityError("A wrapped key was changed.")

        def work() -> bytes:
            key = self._key(reference)
            try:
                return _decrypt(key, nonce, body, context)
            except _REFUSED as error:
                # Modules tell a bad tag in different words, SoftHSM as a general error: it is the
                # wrapped key's fault when the same key does its work otherwise.
                self._probe(key)
                raise IntegrityError("A wrapped key was changed, or its context was.") from error

        return await self._run(work)

    async def destroy(self, reference: str) -> None:
        await self._run(lambda: self._key(reference).destroy())

    async def close(self) -> None:
        try:
            await self._run(self._drop)
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        """In the thread; once more with a new session when the old one was lost."""

        def attempt() -> T:
            try:
                return work()
            except _LOST:
                self._drop()
                return work()

        try:
            async with asyncio.timeout(SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._thread, attempt)
        except TimeoutError:
            raise Unavailable("The PKCS#11 module does not answer.", 5) from None
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            log.error("PKCS#11: %s", type(error).__name__)
            self._thread.submit(self._drop)
            raise Unavailable(f"The PKCS#11 module fails: {type(error).__name__}.", 5) from error

    def _open(self) -> Any:
        if self._session is None:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            try:
                self._session = token.open(rw=True, user_pin=self._pin.reveal())
            except pkcs11.UserAlreadyLoggedIn:
                # Signing in holds for the whole process (PKCS#11 2.40, section 6.7.4).
                self._session = token.open(rw=True)
        return self._session

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(pkcs11.PKCS11Error):
                session.close()

    def _probe(self, key: Any) -> None:
        nonce = self._entropy.token(NONCE_BYTES)
        _decrypt(key, nonce, _encrypt(key, nonce, b"probe", {}), {})

    def _key(self, reference: str) -> Any:
        found = list(self._open().get_objects(_template(reference)))
        if not found:
            raise UnknownKey("The PKCS#11 token has no such master key.")
        if len(found) > 1:
            raise ClientError(Code.CONFLICT, 409, "Several keys of the token have this label.")
        return found[0]


_LOST = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.DeviceRemoved,
)
_REFUSED = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.DataInvalid,
    pkcs11.DataLenRange,
    pkcs11.SignatureInvalid,
    pkcs11.GeneralError,
)


def _encrypt(key: Any, nonce: bytes, plaintext: bytes, context: Context) -> bytes:
    params = GCMParams(nonce, canonical(context), TAG_BITS)
    return bytes(key.encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=params))


def _decrypt(key: Any, nonce: bytes, body: bytes, context: Context) -> bytes:
    params = GCMParams(nonce, canonical(context), TAG_BITS)
    return bytes(key.decrypt(body, mechanism=Mechanism.AES_GCM, mechanism_param=params))


def _template(label: str) -> dict[Attribute, Any]:
    return {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label}
