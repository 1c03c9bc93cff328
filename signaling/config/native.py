"""The `[native]` table: the operator's own apps for telephones, which this server vouches for."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section

AppleApp = Annotated[str, Meta(pattern=r"^[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,155}$")]
Package = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$")]
Fingerprint = Annotated[str, Meta(pattern=r"^[0-9A-F]{2}(:[0-9A-F]{2}){31}$")]


class AndroidApp(Section, frozen=True):
    """One package, and what it is signed with."""

    package: Annotated[Package, Meta(description="`org.example.talk`.")]
    fingerprints: Annotated[
        tuple[Fingerprint, ...],
        Meta(
            min_length=1,
            description="SHA-256 of each signing certificate, as `keytool -list -v` prints it.",
        ),
    ]


class Native(Section, frozen=True):
    """The operator's own apps for telephones.

    They open links to rooms, and use passwords and passkeys of this server's name.
    """

    apple: Annotated[
        tuple[AppleApp, ...],
        Meta(
            description=(
                "Ids of apps (team, dot, bundle: `9JA89QQLNQ.org.example.talk`), told in "
                "`/.well-known/apple-app-site-association`. None: 404."
            )
        ),
    ] = ()
    android: Annotated[
        tuple[AndroidApp, ...],
        Meta(
            description=(
                'Apps, each `{ package = "org.example.talk", fingerprints = ["14:6D:..."] }`, '
                "told in `/.well-known/assetlinks.json`. None: 404."
            )
        ),
    ] = ()
