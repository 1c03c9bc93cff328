"""The `ringing` section: how long a call of a room rings, and when it ends by itself."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section


class Ringing(Section, frozen=True):
    """Calls of rooms: how long they ring, wait and are remembered."""

    ring_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="So long a call rings; then it was missed."),
    ] = 45.0
    setup_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="A call that nobody has joined ends after this time, unless it rings.",
        ),
    ] = 60.0
    empty_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description=(
                "A call whose last participant was cut off waits so long for somebody to come "
                "back. Who hangs up ends it at once."
            ),
        ),
    ] = 10.0
    lobby_seconds: Annotated[
        float,
        Meta(gt=0, le=86400, description="So long somebody waits in a lobby to be let in."),
    ] = 600.0
    busy: Annotated[
        bool,
        Meta(
            description=(
                "Who is in another call is busy and is not rung. Off: their devices ring all "
                "the same."
            )
        ),
    ] = True
    history_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days that a call stays in the history.")
    ] = 30
