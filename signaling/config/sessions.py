"""The sections `sessions`, `oauth` and `sync` of the configuration tree. `tree` imports them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section


class Sessions(Section, frozen=True):
    """How long people stay signed in."""

    idle_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=90 * 86400,
            description=(
                "A session without use ends after this time. An open sync socket is use:"
                " a messenger that signs people out while it lies open is not used."
            ),
        ),
    ] = 7200
    absolute_seconds: Annotated[
        int,
        Meta(ge=60, le=365 * 86400, description="Every session ends after this time, used or not."),
    ] = 30 * 86400
    guest_seconds: Annotated[
        int,
        Meta(ge=60, le=30 * 86400, description="A guest's session, and the guest with it."),
    ] = 86400
    phi_idle_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=90 * 86400,
            description=(
                "As `idle_seconds`, for who is in a room that holds health data (`phi`): the "
                "shorter of the two."
            ),
        ),
    ] = 900
    ticket_seconds: Annotated[
        int, Meta(ge=1, le=60, description="Life of a one-time ticket for a socket.")
    ] = 20


class OAuth(Section, frozen=True):
    """The OAuth 2.0 server: lifetimes of what other programs are given."""

    access_seconds: Annotated[
        int, Meta(ge=60, le=86400, description="Life of an access token.")
    ] = 3600
    refresh_idle_seconds: Annotated[
        int,
        Meta(ge=60, le=365 * 86400, description="A refresh token that is not used ends."),
    ] = 30 * 86400
    refresh_absolute_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=365 * 86400,
            description="What a client was granted ends after this time, refreshed or not.",
        ),
    ] = 90 * 86400
    code_seconds: Annotated[
        int, Meta(ge=5, le=60, description="Life of an authorization code, a minute at most.")
    ] = 60
    device_code_seconds: Annotated[
        int, Meta(ge=60, le=1800, description="Time to type the code of a device.")
    ] = 600


class Sync(Section, frozen=True):
    """The door of the sync socket, `/sync`."""

    origins: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Further origins whose pages may open the socket with a cookie, such as"
                " `https://chat.example.org`. The server's own is always allowed."
            )
        ),
    ] = ()
    ping_seconds: Annotated[
        float, Meta(gt=0, le=300, description="A ping goes out this often.")
    ] = 15.0
    pong_seconds: Annotated[
        float,
        Meta(gt=0, le=300, description="A socket that answers no ping for this time is closed."),
    ] = 10.0
    background_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=300,
            description="The longest time between pings that a client in the background may ask.",
        ),
    ] = 300.0
    frame_bytes: Annotated[
        int, Meta(ge=1024, le=1_048_576, description="Largest message of a client.")
    ] = 65536
    messages_per_second: Annotated[
        float, Meta(gt=0, description="Messages of one socket, sustained.")
    ] = 50.0
    messages_burst: Annotated[int, Meta(ge=1, description="... and how many at once.")] = 200
    outbox_bytes: Annotated[
        int,
        Meta(
            ge=65536,
            description="What may wait for a slow reader before it is cut off.",
        ),
    ] = 1_048_576
    sockets_per_account: Annotated[
        int, Meta(ge=1, description="Open sync sockets of one account on this process.")
    ] = 50
