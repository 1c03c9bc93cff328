"""The `imports` section: what an archive of another server may come to."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section

GIGABYTE = 1024 * 1024 * 1024


class Imports(Section, frozen=True):
    """Archives that administrators bring from another Sotto, Slack or Mattermost."""

    max_bytes: Annotated[int, Meta(ge=1024, description="Largest archive.")] = 20 * GIGABYTE
    max_unpacked_bytes: Annotated[
        int, Meta(ge=1024, description="What an archive may come to when it is unpacked.")
    ] = 100 * GIGABYTE
    unfinished_seconds: Annotated[
        int,
        Meta(ge=60, description="An archive that nobody goes on with is removed after this time."),
    ] = 7 * 86400
