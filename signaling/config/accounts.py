"""The `accounts` and `mail` sections, and what is made of them for the room of accounts."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class OidcProvider(Section, frozen=True):
    """An outside provider that people may sign in with (OpenID Connect)."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")]
    name: str
    issuer: Annotated[str, Meta(description="Exactly as the provider's documents say it.")]
    client_id: str
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    sign_up: bool = False
    trust_mfa: bool = False


class Accounts(Section, frozen=True):
    """Who may have an account here, and how they prove who they are."""

    sign_up: Annotated[
        Literal["invite", "open", "closed"],
        Meta(
            description=(
                "New accounts: by invitation; for anybody, who then gets a login name that ends "
                "in digits; or not at all."
            )
        ),
    ] = "invite"
    second_factor: Annotated[
        Literal["optional", "staff", "required"],
        Meta(
            description=(
                "Who must have a second factor. `staff`: owners, administrators, auditors and "
                "compliance officers. `required`: everybody, and 8 characters of password suffice."
            )
        ),
    ] = "optional"
    words: Annotated[
        tuple[str, ...],
        Meta(description="Your own names: no password may be made of them."),
    ] = ()
    breach_list_url: Annotated[
        str,
        Meta(
            description=(
                "A service that new passwords are looked up in, by the first five digits of their "
                "SHA-1: `https://api.pwnedpasswords.com/range/`. Empty: no service; the list that "
                "ships with the server is always asked."
            )
        ),
    ] = ""
    rp_id: Annotated[
        str,
        Meta(
            description=(
                "The domain that passkeys belong to. Empty: the host of `http.public_url`. "
                "Changing it voids every passkey."
            )
        ),
    ] = ""
    origins: Annotated[
        tuple[str, ...],
        Meta(description="Where pages that use passkeys are served. Empty: `http.public_url`."),
    ] = ()
    invitation_seconds: Annotated[
        int, Meta(ge=60, le=90 * 86400, description="Life of an invitation.")
    ] = 7 * 86400
    guest_seconds: Annotated[
        int, Meta(ge=60, le=30 * 86400, description="The longest that a guest stays.")
    ] = 86400
    tries_per_address: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Sign-ins of one address in a quarter of an hour, from devices that are not "
                "known; its network has four times as many."
            ),
        ),
    ] = 60
    hash_memory_kib: Annotated[
        int, Meta(ge=19456, le=4_194_304, description="argon2id: memory of one hash, in KiB.")
    ] = 65536
    hash_passes: Annotated[int, Meta(ge=1, le=16, description="argon2id: passes.")] = 3
    hash_workers: Annotated[
        int, Meta(ge=0, le=64, description="Hashes at once. 0: half of the cores.")
    ] = 0
    hash_waiting: Annotated[
        int, Meta(ge=1, le=10_000, description="Sign-ins that may wait for one; others get 503.")
    ] = 512
    providers: Annotated[
        tuple[OidcProvider, ...],
        Meta(
            description=(
                "Outside providers (OpenID Connect), each a table: `id`, `name`, `issuer`, "
                "`client_id`, `client_secret`, `scopes`, `sign_up` (may it make accounts), "
                "`trust_mfa` (is its second factor ours)."
            )
        ),
    ] = ()


class Mail(Section, frozen=True):
    """The mail server for password resets and warnings. Without one nobody is written to."""

    host: Annotated[str, Meta(description="Empty: no mail.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="587, or 465 with `tls`.")] = 587
    tls: Annotated[
        Literal["starttls", "tls"], Meta(description="Mail never travels in the clear.")
    ] = "starttls"
    ca_file: Annotated[str, Meta(description="PEM file. Empty: the machine's own CAs.")] = ""
    user: Annotated[str, Meta(description="Empty: no authentication.")] = ""
    password: Annotated[Secret | None, Meta(description="Its password.")] = None
    sender: Annotated[str, Meta(description="The address in `From`.")] = ""


def site_of(public_url: str) -> tuple[str, str]:
    """Host and origin of the public URL; loopback for a server that has none."""
    parts = urlsplit(public_url or "http://localhost")
    return parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}"
