"""AWS Signature Version 4: the headers that S3, KMS, SQS and what speaks like them ask for. Pure.

The canonical request, the string to sign and the key follow "Signature Version 4 for API requests"
of the IAM User Guide. No SDK: one hash over the request, and four HMACs.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from signaling.secret import Secret

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Credentials:
    """`session_token` with those that are lent for a while."""

    access_key: str
    secret_key: Secret
    session_token: Secret | None = None


@dataclass(frozen=True)
class Scope:
    """What a signature holds for, beside its day."""

    region: str
    service: str


@dataclass(frozen=True)
class Request:
    """What is signed. `path` and `query` are encoded already, the query's parts sorted by name;
    `headers` have names in lower case, without `host` and those that signing adds.
    """

    method: str
    host: str
    path: str = "/"
    payload: bytes = b""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def sign(credentials: Credentials, scope: Scope, request: Request, now: datetime) -> dict[str, str]:
    """All headers to send. AWS takes them for five minutes from `now`."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(request.payload).hexdigest()
    headers = {**request.headers, "host": request.host, "x-amz-date": stamp}
    if scope.service == "s3":
        headers["x-amz-content-sha256"] = digest
    if credentials.session_token is not None:
        headers["x-amz-security-token"] = credentials.session_token.reveal()
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    asked = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{names}\n{digest}"
    where = f"{day}/{scope.region}/{scope.service}/aws4_request"
    hashed = hashlib.sha256(asked.encode()).hexdigest()
    key = b"AWS4" + credentials.secret_key.reveal().encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"{ALGORITHM}\n{stamp}\n{where}\n{hashed}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{where}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers
