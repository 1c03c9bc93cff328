"""LiveKit signaling: rooms and participants, their WebSockets, the server API, webhooks.

How `app.py` puts it together (all names are exported here):

    hooks = Webhooks(targets: Sequence[WebhookTarget], keys: Mapping[str, str | Secret])
    rooms = Rooms(
        media: mediaserver.api.MediaServer,
        keys: Mapping[str, str | Secret],                # API key -> secret
        settings: RtcSettings | None = None,             # limits, times, auto_create, ...
        *,
        ice_servers: Callable[[str], Sequence[IceServer]] = ...,  # by participant sid
        hooks: Hooks | None = None,                      # `hooks` above
    )
    add_routes(app: aiohttp.web.Application, rooms: Rooms)       # /rtc..., /twirp/...
    web.AppRunner(app, max_line_size=REQUEST_LINE_BYTES, ...)   # join_request is long
    await hooks.start(); ...; await rooms.drain(); await hooks.stop()

WHIP and WHEP use the same rooms:

    claims = rooms.claims(bearer_token)                              # Refused (401)
    claims = await rooms.cleared(claims, room_name)                  # taken back: Refused (401)
    entry = plain_entry(claims, room_name, publish=True, subscribe=False)      # Refused
    participant = rooms.enter(entry)                                 # ClientError, Unavailable
    participant.subscribing.want([p.sid for p in participant.room.publications()], True)  # WHEP
    participant.room.joined(participant)
    answer = await participant.negotiate(rtc.SessionDescription(type="offer", sdp=offer))
    # None: the offer was refused; `participant.refusal` holds the media server's error, it has left
    participant.media.candidate(Target.PUBLISHER, "candidate:...")   # trickle
    participant.on_left = lambda p: ...                              # forget the resource
    participant.leave(models.DisconnectReason.CLIENT_INITIATED)      # DELETE

ICE restart of a plain session is another `negotiate` with the new offer. Operators' live view:
`rooms.all()`, `room.participants()`, `participant.media.stats()`,
`rooms.services.counters.values`.
"""

from signaling.rtc.admission import Admission
from signaling.rtc.connection import Connections
from signaling.rtc.entry import Entry, plain_entry
from signaling.rtc.limits import REQUEST_LINE_BYTES, RtcLimits, RtcSettings, RtcTimes
from signaling.rtc.participant import Participant
from signaling.rtc.room import Room
from signaling.rtc.rooms import Rooms
from signaling.rtc.routes import add_routes
from signaling.rtc.services import Hooks, IceServer
from signaling.rtc.tokens import Binding, Claims
from signaling.rtc.webhooks import Webhooks, WebhookTarget

__all__ = [
    "REQUEST_LINE_BYTES",
    "Admission",
    "Binding",
    "Claims",
    "Connections",
    "Entry",
    "Hooks",
    "IceServer",
    "Participant",
    "Room",
    "Rooms",
    "RtcLimits",
    "RtcSettings",
    "RtcTimes",
    "WebhookTarget",
    "Webhooks",
    "add_routes",
    "plain_entry",
]
