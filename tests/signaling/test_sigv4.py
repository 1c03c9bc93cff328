"""Signature Version 4: the same requests, signed by AWS's own library, which moto brings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from signaling.secret import Secret
from signaling.sigv4 import Credentials, Request, Scope, sign

NOW, STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "20260102T030405Z"
REQUESTS = {
    "kms": Request(
        "POST", "kms.eu-west-1.amazonaws.com", payload=b"{}",
        headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Encrypt"
        },
    ),
    "s3": Request("GET", "s3.example", "/b/sotto/ab/cd.e_f-g"),
    "s3 with a query": Request("GET", "s3.example", "/b", query="list-type=2&prefix=sotto%2F"),
    "s3 with a body": Request("PUT", "s3.example:9000", "/b/a%20name", b"\x00\xff" * 100),
    "sqs": Request(
        "POST", "sqs.eu-west-1.amazonaws.com", payload=b'{"QueueUrl":"x"}',
        headers={"content-type": "application/x-amz-json-1.0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("token", [None, "session+token/="])
@pytest.mark.parametrize("kind", REQUESTS, ids=str)
def test_a_request_is_signed_as_aws_signs_it(kind: str, token: str | None) -> None:
    from botocore.auth import S3SigV4Auth, SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials as Theirs  # type: ignore[import-untyped]

    request, service = REQUESTS[kind], kind.split(maxsplit=1)[0]
    ours = Credentials("AKIDEXAMPLE", Secret("secret/+key"), Secret(token) if token else None)
    headers = sign(ours, Scope("eu-west-1", service), request, NOW)
    query = f"?{request.query}" if request.query else ""
    asked = AWSRequest(
        request.method, f"https://{request.host}{request.path}{query}", data=request.payload,
        headers={name: value for name, value in headers.items() if name != "authorization"},
    )  # fmt: skip
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    theirs = signer(Theirs("AKIDEXAMPLE", "secret/+key", token), service, "eu-west-1")
    asked.context["timestamp"] = STAMP
    canonical = theirs.canonical_request(asked)
    signature = theirs.signature(theirs.string_to_sign(asked, canonical), asked)
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert headers["x-amz-date"] == STAMP
    assert "secret/+key" not in str(headers)


def test_anything_that_changes_changes_the_signature() -> None:
    credentials, scope = Credentials("AKID", Secret("secret")), Scope("eu-west-1", "s3")
    same = Request("PUT", "s3.example", "/b/k", b"x")
    tried = [
        same, Request("GET", "s3.example", "/b/k", b"x"), Request("PUT", "other", "/b/k", b"x"),
        Request("PUT", "s3.example", "/b/j", b"x"), Request("PUT", "s3.example", "/b/k", b"y"),
        Request("PUT", "s3.example", "/b/k", b"x", query="a=1"),
        Request("PUT", "s3.example", "/b/k", b"x", headers={"range": "bytes=0-1"}),
    ]  # fmt: skip
    found = {sign(credentials, scope, request, NOW)["authorization"] for request in tried}
    assert len(found) == len(tried)
    assert sign(credentials, scope, same, NOW)["authorization"] in found
