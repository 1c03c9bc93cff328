"""What happens in a room, as webhook events and as log lines.

The log carries ids and reasons only; names, identities and metadata go to webhooks alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from livekit.protocol import models, webhook

from signaling.logs import bind
from signaling.rtc.ids import Prefix

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.room import Room

log = logging.getLogger(__name__)


def announce(
    room: Room,
    event: str,
    participant: Participant | None = None,
    track: models.TrackInfo | None = None,
    *,
    reason: models.DisconnectReason | None = None,
) -> None:
    """Tell the webhooks and the log. `event` is LiveKit's name for it."""
    services = room.services
    message = webhook.WebhookEvent(
        event=event,
        room=room.info(),
        id=services.ids.make(Prefix.EVENT),
        created_at=int(services.clock.unix()),
    )
    if participant is not None:
        message.participant.CopyFrom(room.info_of(participant))
    if track is not None:
        message.track.CopyFrom(track)
    services.hooks.notify(message)
    with bind(**room.ids(), participant=participant.sid if participant is not None else ""):
        if reason is None:
            log.info("%s", event)
        else:
            log.info("%s: %s", event, str(models.DisconnectReason.Name(reason)).lower())
