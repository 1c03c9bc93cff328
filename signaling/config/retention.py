"""The `retention` section: how long things are kept where nobody said anything else."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section


class Retention(Section, frozen=True):
    """How long messages and files are kept.

    The API narrows it for the installation and for each room; the shortest time wins, and a legal
    hold stands above all of them. Audit records have a time of their own (`audit.retention_days`).
    """

    messages_days: Annotated[
        int, Meta(ge=0, le=36500, description="Messages with all about them. 0: for good.")
    ] = 30
    files_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36500,
            description="Files, where they go before their messages do. 0: as long as those.",
        ),
    ] = 0
    dormant_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36500,
            description="An account that nobody signed in to for so long is erased. 0: never.",
        ),
    ] = 0
    sweep_seconds: Annotated[
        float,
        Meta(ge=1, le=86400, description="How often is looked for what is older than that."),
    ] = 60.0
