"""The tables of key management: which KMS wraps data keys, and how each is reached."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class Kms(Section, frozen=True):
    """Where master keys are. Everything stored is sealed with data keys that these wrap."""

    provider: Annotated[
        Literal["local", "aws", "vault", "pkcs11"],
        Meta(
            description=(
                "Where a new master key is made. Older ones stay where they are until a rewrap, "
                "as long as their provider is configured too."
            )
        ),
    ] = "local"
    key: Annotated[
        str,
        Meta(
            description=(
                "A key that you made there, for the first master key: a file's or credential's "
                "name, a key id or ARN, a transit key, a label. Empty: the provider makes one."
            )
        ),
    ] = ""
    directory: Annotated[
        str,
        Meta(
            description=(
                "`local`: directory of the key files, 32 bytes each, mode 0600. Not on the "
                "volume of the store, nor in its backups. Empty: `keys` below "
                "`process.state_dir`."
            )
        ),
    ] = ""
    cache_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description=(
                "How long an unwrapped data key serves without the KMS; then 503. Also how long a "
                "destroyed key may still open something in another process."
            ),
        ),
    ] = 300.0
    renew_days: Annotated[
        int, Meta(ge=1, le=3650, description="A data key is replaced after this time.")
    ] = 90
    destroy_wait_hours: Annotated[
        int,
        Meta(
            ge=0,
            le=8760,
            description="Between the wish to destroy a key and its end, besides the second person.",
        ),
    ] = 168
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=60, description="How long one call of AWS KMS or Vault may take.")
    ] = 5.0


class KmsAws(Section, frozen=True):
    """AWS KMS. Used as soon as `region` is set."""

    region: Annotated[str, Meta(description="For example `eu-central-1`.")] = ""
    access_key_id: Annotated[Secret | None, Meta(description="Of the IAM user or role.")] = None
    secret_access_key: Annotated[Secret | None, Meta(description="Its secret.")] = None
    session_token: Annotated[
        Secret | None, Meta(description="For temporary credentials, with the two before.")
    ] = None
    endpoint: Annotated[
        str, Meta(description="https address of a VPC endpoint. Empty: that of the region.")
    ] = ""
    ca: Annotated[str, Meta(description="PEM file of the authority to believe there.")] = ""


class KmsVault(Section, frozen=True):
    """The transit engine of HashiCorp Vault or OpenBao. Used as soon as `url` is set."""

    url: Annotated[str, Meta(description="https address of the server.")] = ""
    token: Annotated[
        Secret | None,
        Meta(description="A token that may encrypt, decrypt and, if it shall make keys, create."),
    ] = None
    mount: Annotated[str, Meta(description="Where the transit engine is mounted.")] = "transit"
    namespace: Annotated[str, Meta(description="Namespace, where there are some.")] = ""
    ca: Annotated[str, Meta(description="PEM file of the authority to believe there.")] = ""


class KmsPkcs11(Section, frozen=True):
    """A hardware security module behind PKCS#11. Used as soon as `module` is set."""

    module: Annotated[
        str, Meta(description="Path of its library, such as `/usr/lib/softhsm/libsofthsm2.so`.")
    ] = ""
    token: Annotated[str, Meta(description="Label of the token.")] = ""
    pin: Annotated[Secret | None, Meta(description="PIN of the token's user.")] = None
