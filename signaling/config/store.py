"""The tables of the store and the bus."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.mongo import Lasting
from signaling.config.section import Section
from signaling.secret import Secret


class Store(Lasting, frozen=True):
    """Where everything lasting is kept: one SQLite file, or MongoDB."""

    url: Annotated[
        str,
        Meta(
            description=(
                "Empty: SQLite in `directory`. `mongodb://` or `mongodb+srv://`: MongoDB, with the "
                "options of its driver; name and password belong in `user` and `password`. "
                "`memory:` keeps nothing (not in production)."
            )
        ),
    ] = ""
    directory: Annotated[
        str,
        Meta(
            description=(
                "Directory of the SQLite file and of attachments. Empty: `store` below "
                "`process.state_dir`."
            )
        ),
    ] = ""
    require_encrypted_volume: Annotated[
        bool,
        Meta(
            description=(
                "Refuse to start when the state directory, `directory`, that of `key_store` or the "
                "local keys do not lie on an encrypted device (LUKS, dm-crypt). What a cloud "
                "encrypts outside of the machine is not visible here: leave it off there."
            )
        ),
    ] = False


class Bus(Section, frozen=True):
    """How several processes tell each other to look; the store stays the truth."""

    url: Annotated[
        str,
        Meta(
            description=(
                "Empty: this process only. `rediss://host:6379/0`: Redis 6.2 or later, over TLS."
            )
        ),
    ] = ""
    sentinels: Annotated[
        tuple[str, ...],
        Meta(
            max_length=16,
            description=(
                "`host:port` of each Redis Sentinel: they are asked who leads, at every "
                "connecting, and `url` says the scheme and the database only. TLS, user and "
                "password as for Redis itself."
            ),
        ),
    ] = ()
    leader: Annotated[
        str, Meta(min_length=1, max_length=64, description="Its name among the sentinels.")
    ] = "sotto"
    user: Annotated[str, Meta(description="The ACL user of Redis.")] = ""
    password: Annotated[Secret | None, Meta(description="Its password.")] = None
    ca: Annotated[
        str, Meta(description="PEM file of the authorities that sign Redis's certificate.")
    ] = ""
    certificate: Annotated[
        str, Meta(description="PEM file of our certificate, where Redis asks for one.")
    ] = ""
    key: Annotated[str, Meta(description="Its private key.")] = ""
    prefix: Annotated[
        str,
        Meta(max_length=64, description="Before every key and channel; an ACL can name it."),
    ] = "sotto:"
    insecure_plaintext: Annotated[
        bool,
        Meta(
            description=(
                "Accept a Redis without TLS or without sign-in, on loopback only; `/readyz` "
                "shows it."
            )
        ),
    ] = False
    sidecar: Annotated[
        bool,
        Meta(
            description=(
                "A sidecar on this machine (spiped, stunnel) carries the connection: the URL is "
                "plain and names loopback only; sign-in is still needed."
            )
        ),
    ] = False
    timeout_seconds: Annotated[
        float,
        Meta(gt=0, le=10, description="How long one call may wait for Redis."),
    ] = 0.5
