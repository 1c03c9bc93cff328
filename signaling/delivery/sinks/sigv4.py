"""AWS Signature Version 4 over a request with an empty query. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Signer:
    """As whom, for which service."""

    service: str
    region: str
    access_key: str
    secret_key: str

    def signed(
        self, method: str, host: str, path: str, headers: Mapping[str, str], body: bytes,
        now: datetime,
    ) -> dict[str, str]:  # fmt: skip
        """`headers` in lower case, with those that sign them; `path` is encoded."""
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        fields = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(sorted(fields))
        lines = "".join(f"{name}:{fields[name]}\n" for name in sorted(fields))
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{day}/{self.region}/{self.service}/aws4_request"
        key = b"AWS4" + self.secret_key.encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        fields["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
        )
        return fields
