"""Time-limited TURN credentials, as coturn's REST API defines them (draft-uberti-behave-turn-
rest-00).

The user name is the second it expires and a name, the password HMAC-SHA1 of it under a shared
secret; coturn
holds the same secret and keeps no list. Pure: time is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

# One credential is enough to begin an allocation; a longer life only helps whoever stole it.
MAX_TTL = 600


@dataclass(frozen=True, slots=True)
class Credential:
    username: str
    password: str
    expires: int

    def __repr__(self) -> str:
        return f"Credential(expires={self.expires})"


def issue(secret: str, name: str, now: float, ttl: int = MAX_TTL) -> Credential:
    """`name` should be an opaque id: coturn logs it. A colon would end it early (it is refused)."""
    if not 0 < ttl <= MAX_TTL:
        raise ValueError(f"a credential lives at most {MAX_TTL} s")
    if ":" in name or not secret:
        raise ValueError("the name has a colon or the secret is empty")
    expires = int(now) + ttl
    username = f"{expires}:{name}"
    return Credential(username, password(secret, username), expires)


def password(secret: str, username: str) -> str:
    # SHA-1 is what the draft and coturn speak; HMAC does not lean on its collision resistance.
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def urls(host: str, port: int, tls_port: int) -> tuple[str, ...]:
    """In the order a client should prefer them (RFC 7065). Port 0 leaves that kind out."""
    if ":" in host:
        host = f"[{host}]"
    plain = (f"turn:{host}:{port}?transport=udp", f"turn:{host}:{port}?transport=tcp")
    secure = (f"turns:{host}:{tls_port}?transport=tcp",)
    return (plain if port else ()) + (secure if tls_port else ())
