"""How a MongoDB is reached: the same keys wherever one may be named (store, keys, mirror)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class Mongo(Section, frozen=True):
    """The part of a table that says where a MongoDB is and how we sign in."""

    url: Annotated[
        str,
        Meta(
            description=(
                "`mongodb://` or `mongodb+srv://`, with the options of its driver; name and "
                "password belong in `user` and `password`."
            )
        ),
    ] = ""
    database: Annotated[
        str,
        Meta(min_length=1, max_length=38, description="Name of the database in MongoDB."),
    ] = "sotto"
    user: Annotated[str, Meta(description="MongoDB user. Empty: as the URL says.")] = ""
    password: Annotated[Secret | None, Meta(description="Its password.")] = None
    ca: Annotated[
        str,
        Meta(description="PEM file of the authorities that sign MongoDB's certificate."),
    ] = ""
    certificate: Annotated[
        str,
        Meta(description="PEM file with our certificate and key, where MongoDB asks for one."),
    ] = ""
    insecure_without_auth: Annotated[
        bool,
        Meta(
            description=(
                "Accept a MongoDB without TLS and without sign-in, on loopback only; "
                "`/readyz` shows it. For tests and stand-ins."
            )
        ),
    ] = False
    sidecar: Annotated[
        bool,
        Meta(
            description=(
                "A sidecar on this machine (stunnel) carries the connection over TLS: the URL is "
                "plain and names loopback only; sign-in is still needed."
            )
        ),
    ] = False
    timeout_seconds: Annotated[
        float,
        Meta(gt=0, le=60, description="How long one call may wait for MongoDB before 503."),
    ] = 10.0


class Lasting(Mongo, frozen=True):
    """A store of ours: one SQLite file in a directory, or a database of MongoDB."""

    directory: Annotated[str, Meta(description="Directory of the SQLite file.")] = ""
