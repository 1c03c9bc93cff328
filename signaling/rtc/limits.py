"""What one client may ask of the call domain, and how long we wait: documented defaults.

Built by the configuration; read by everything in this package. Sizes are bytes, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_LINE_BYTES = 96 * 1024
"""aiohttp's request line limit must be raised to this (`AppRunner(app, max_line_size=...)`):
`join_request` carries 2.1 to 2.6 kB, with an offer and metadata up to 64 kB."""


@dataclass(frozen=True, slots=True)
class RtcLimits:
    """Bounds on what one participant or API caller may send."""

    room_name_chars: int = 256
    """Name of a room, in characters."""
    identity_chars: int = 256
    """Who somebody is within a call, in characters."""
    name_chars: int = 256
    """What others see of a participant, in characters."""
    metadata_bytes: int = 64_000
    """Metadata of a room or a participant."""
    attributes_bytes: int = 64_000
    """Keys and values together, as LiveKit counts them."""
    signal_message_bytes: int = 1_048_576
    """One WebSocket message; an offer with 100 sections is about 300 kB."""
    signal_messages_per_second: int = 200
    """Sustained; `signal_burst` may come at once. Beyond both the socket closes with 1008."""
    signal_burst: int = 2_000
    """Signal messages that one socket may send at once."""
    outbox_bytes: int = 1024 * 1024
    """Signal messages waiting for a socket that does not drain; beyond it the socket closes."""
    socket_buffer_bytes: int = 256 * 1024
    """The kernel's part of that; left alone it takes 4 MB before anybody sees a stalled reader."""
    join_request_bytes: int = 1_048_576
    """What the gzip of a `join_request` may expand to."""
    pending_tracks: int = 64
    """AddTrack that was answered, for a track that no offer brought yet."""
    queued_tracks: int = 4
    """AddTrack for a cid that is in use waits; at most this many for one cid."""
    published_tracks: int = 100
    """Tracks of one participant at a time; more are answered with LIMIT_EXCEEDED."""
    wanted_tracks: int = 10_000
    """Track sids that a subscriber may have asked for or about, known to us or not."""
    track_name_chars: int = 256
    """Name of a track, and of the stream that it is part of, in characters each."""
    permission_entries: int = 10_000
    """Entries of one SubscriptionPermission; one with more changes nothing and is counted."""
    data_packet_bytes: int = 128 * 1024
    """One packet of data; larger ones are dropped and counted, SendData's refused."""
    data_packets_per_second: int = 20_000
    """From one participant, sustained; twice that at once. Beyond it lossy packets and those of
    data tracks are dropped and counted; one that floods with reliable data has to leave."""
    early_data_bytes: int = 1_048_576
    """Reliable data held for a participant whose data channel is not open yet."""
    data_tracks: int = 64
    """Data tracks of one participant at a time."""
    data_track_name_chars: int = 256
    """Name of a data track, in characters."""
    data_track_packet_bytes: int = 64 * 1024
    """One packet of a data track."""
    data_track_encoding_chars: int = 32
    """Schema or encoding that a data track names, in characters."""
    blob_key_chars: int = 256
    """Key of a blob that a participant stores, in characters."""
    blob_bytes: int = 50_000
    """One blob."""
    blobs_total_bytes: int = 500_000
    """All blobs of one participant."""
    rpc_payload_bytes: int = 15_360
    """Request or answer of PerformRpc; LiveKit's clients keep the same bound."""
    api_body_bytes: int = 1_048_576
    """Body of a Twirp request."""
    rooms: int = 100_000
    """Rooms that are open at a time; beyond it joining answers 503."""
    plain_sessions: int = 20_000
    """WHIP and WHEP sessions, of the whole server; beyond it 503."""
    rpc_calls_waiting: int = 1_000
    """PerformRpc calls without an answer, of the whole server."""


@dataclass(frozen=True, slots=True)
class RtcTimes:
    """How long things may take, and how long we remember."""

    ping_interval: int = 5
    """How often clients are told to ping."""
    ping_timeout: int = 15
    """A socket that says nothing for this long counts as closed."""
    stalled_reader: float = 10.0
    """A socket that took nothing for this long is cut; its client may resume."""
    packet_silence: float = 4.0
    """After its socket closed, a participant leaves once its ICE pair was silent this long."""
    resume_window: float = 30.0
    """... and in any case after this long without a resume."""
    plain_silence: float = 25.0
    """A WHIP or WHEP session, which has no socket, ends after this much silence."""
    join_timeout: float = 60.0
    """A participant whose media never connects leaves after this long."""
    empty_timeout: int = 300
    """A room that nobody joined closes after this long (`CreateRoom` overrides)."""
    departure_timeout: int = 20
    """A room closes this long after the last participant left (`CreateRoom` overrides)."""
    token_refresh: float = 300.0
    """How often a fresh token is pushed to each client."""
    token_life: float = 600.0
    """Life of the tokens that are pushed; never shorter than what the client holds."""
    room_update_delay: float = 0.5
    """Counts in RoomUpdate are gathered this long: a storm of joins sends few updates."""
    track_not_found: float = 10.0
    """Wait before telling a subscriber that the track it asked for does not exist."""
    rpc_ack: float = 7.0
    """PerformRpc fails when the participant has not acknowledged it after this long."""
    rpc_response: float = 15.0
    """... and when it has not answered after this long, unless the request says."""
    simulated_disconnect: float = 30.0
    """A disconnect that SimulateScenario asked for is forgotten when nobody resumed by then."""


@dataclass(frozen=True, slots=True)
class RtcSettings:
    """Everything of this package that configuration may set."""

    limits: RtcLimits = RtcLimits()
    times: RtcTimes = RtcTimes()
    auto_create: bool = True
    """Rooms come into being when somebody joins; otherwise only by CreateRoom."""
    max_participants: int = 0
    """For rooms that do not say; 0 is no limit."""
    remote_unmute: bool = False
    """May `MutePublishedTrack` switch somebody's microphone on?"""
    region: str = ""
    node_id: str = "ND_sotto"
    top_audio: int = 0
    """Forward only the N loudest speakers of a call; 0 forwards all."""
    publish_codecs: tuple[str, ...] = (
        "audio/opus",
        "audio/red",
        "audio/PCMU",
        "audio/PCMA",
        "video/VP8",
        "video/H264",
        "video/VP9",
        "video/AV1",
        "video/H265",
    )
