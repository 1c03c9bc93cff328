"""What the rest of the server uses of key management: sealing, and the KMS behind it.

ClientError
├── KeyDestroyed     410 key_destroyed: nobody reads this any more, and that was meant
├── UnknownKey       422 key_unknown: this installation has no such key
├── KeyInactive      409 key_inactive: disabled, scheduled for destruction, not yet active
└── IntegrityError   500 integrity_error: the sealed bytes or the wrapped key were changed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from signaling.errors import ClientError, Code

INSTALLATION = "installation"
"""The app under which lies what belongs to no app: master keys, signing keys, the list of apps."""


class KeyDestroyed(ClientError):  # noqa: N818 - names what happened
    def __init__(self, message: str = "The key of this was destroyed.") -> None:
        super().__init__(Code.KEY_DESTROYED, 410, message)


class UnknownKey(ClientError):  # noqa: N818 - names what happened
    def __init__(self, message: str = "No such key.") -> None:
        super().__init__(Code.KEY_UNKNOWN, 422, message)


class KeyInactive(ClientError):  # noqa: N818 - names what happened
    def __init__(self, message: str = "The key of this is not in use.") -> None:
        super().__init__(Code.KEY_INACTIVE, 409, message)


class IntegrityError(ClientError):
    """Nobody's request is to blame, so the status is 500; a ClientError in form, so that every
    adapter's one translation gives it its own code. Whoever raises it has told the audit.
    """

    def __init__(self, message: str = "What is stored was changed by somebody else.") -> None:
        super().__init__(Code.INTEGRITY_ERROR, 500, message)


class Sealer(Protocol):
    """Seals fields with a data key of their scope. Every call may raise Unavailable (503)."""

    async def seal(self, app: str, scope: str, aad: bytes, plaintext: bytes) -> bytes:
        """`scope` names the data key: `meta`, `account:<id>`, `room:<id>`. `aad` from `bind`.

        Raises KeyDestroyed for a scope that was shredded, KeyInactive for a disabled key.
        """
        ...

    async def open(self, app: str, aad: bytes, sealed: bytes) -> bytes:
        """Raises IntegrityError, KeyDestroyed, KeyInactive, UnknownKey."""
        ...

    def blind(self, app: str, text: str) -> str:
        """A keyed digest to find equal texts by; differs between apps. 43 characters, URL-safe."""
        ...

    async def shred(self, app: str, scope: str) -> None:
        """Destroys the scope's data keys: what they sealed is gone, here at once, in another
        process at the latest when its cached keys have lived their time. The scope stays dead.
        """
        ...


Context = Mapping[str, str]
"""Bound into a wrapped key, not secret: unwrapping under another context fails."""


class Kms(Protocol):
    """Holds key-encryption keys that never leave it; wraps data keys of 32 bytes under them.

    `reference` is what the provider calls a key: a file's name, an ARN, a label.
    Every call may raise Unavailable. `unwrap` raises IntegrityError for changed bytes or context;
    wrap and unwrap raise KeyInactive, KeyDestroyed, UnknownKey as the provider's key stands.
    """

    @property
    def provider(self) -> str: ...

    async def create(self, name: str) -> str:
        """Makes a key and returns its reference. ClientError when the operator must make it."""
        ...

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes: ...

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes: ...

    async def destroy(self, reference: str) -> None:
        """For ever, or as soon as the provider's own waiting time allows."""
        ...

    async def close(self) -> None: ...


def bind(app: str, kind: str, key: str, schema: int = 1) -> bytes:
    """The `aad` of one stored value: moved to another app, kind, key or schema it opens nowhere.

    The sealer adds the data key's id and version. Lengths come first, so that no two differ only
    in where one part ends.
    """
    parts = [part.encode() for part in (app, kind, key)]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return framed + schema.to_bytes(2, "big")
