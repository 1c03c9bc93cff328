"""How somebody asks to join: `/rtc` query parameters or `/rtc/v1`'s `join_request`, made into an
`Entry`.

Pure: given verified claims and the query, it applies what the grants allow or raises ClientError
with the status and plain reason that the client's validate request shows. It knows no socket and
no room.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from mediaserver.api import Mode
from signaling.errors import ClientError, Code, Refused
from signaling.rtc.limits import RtcLimits
from signaling.rtc.tokens import Claims

_SDKS = {
    "js": models.ClientInfo.SDK.JS,
    "ios": models.ClientInfo.SDK.SWIFT,
    "swift": models.ClientInfo.SDK.SWIFT,
    "android": models.ClientInfo.SDK.ANDROID,
    "flutter": models.ClientInfo.SDK.FLUTTER,
    "go": models.ClientInfo.SDK.GO,
    "unity": models.ClientInfo.SDK.UNITY,
    "reactnative": models.ClientInfo.SDK.REACT_NATIVE,
    "rust": models.ClientInfo.SDK.RUST,
    "python": models.ClientInfo.SDK.PYTHON,
    "cpp": models.ClientInfo.SDK.CPP,
    "unityweb": models.ClientInfo.SDK.UNITY_WEB,
    "node": models.ClientInfo.SDK.NODE,
    "esp32": models.ClientInfo.SDK.ESP32,
}
_CAPABILITIES = {
    "CAP_PACKET_TRAILER": models.ClientInfo.Capability.CAP_PACKET_TRAILER,
    "CAP_COMPRESSION_DEFLATE_RAW": models.ClientInfo.Capability.CAP_COMPRESSION_DEFLATE_RAW,
}
_CURRENT_PROTOCOL = 17


@dataclass(frozen=True, slots=True)
class Entry:
    """One wish to join or to resume. `claims` already hold the metadata that the client added."""

    claims: Claims
    room: str
    mode: Mode
    client: models.ClientInfo = field(default_factory=models.ClientInfo)
    auto_subscribe: bool = True
    auto_subscribe_data: bool = True
    reconnect: bool = False
    participant_sid: str = ""
    sync_state: rtc.SyncState | None = None
    add_tracks: Sequence[rtc.AddTrackRequest] = ()
    offer: rtc.SessionDescription | None = None
    plain: bool = False
    """A WHIP or WHEP session: no socket, leaves by silence, publishes what its offer sends."""

    @property
    def identity(self) -> str:
        return self.claims.identity


def plain_entry(claims: Claims, room: str, *, publish: bool, subscribe: bool) -> Entry:
    """WHIP (publish) or WHEP (subscribe). Raises Refused when the grants do not allow it."""
    video = claims.video
    if not video.room_join or (video.room and video.room != room):
        raise Refused(Code.NOT_PERMITTED, 401, "permission denied")
    if (publish and not video.can_publish) or (subscribe and not video.can_subscribe):
        raise Refused(Code.NOT_PERMITTED, 403, "permission denied")
    narrowed = replace(video, room=room, publish=publish, subscribe=subscribe, publish_data=False)
    return Entry(
        claims=replace(claims, video=narrowed),
        room=room,
        mode=Mode.SINGLE,
        client=models.ClientInfo(protocol=_CURRENT_PROTOCOL),
        auto_subscribe=False,
        auto_subscribe_data=False,
        plain=True,
    )


def read_entry(
    claims: Claims,
    query: Mapping[str, str],
    limits: RtcLimits,
    *,
    needs_join_request: bool,
    strict: bool,
) -> Entry:
    """`strict` refuses attributes that cannot be decoded, as the validate path does."""
    if not claims.has_video:
        raise _denied()
    wrapped = query.get("join_request", "")
    if wrapped:
        # The mode follows the presence of join_request, not the path.
        entry = _from_join_request(claims, _unwrap(wrapped, limits))
    elif needs_join_request:
        raise _bad("join_request is required")
    else:
        entry = _from_query(claims, query, strict=strict)
    _check(entry, limits)
    return entry


def _denied() -> Refused:
    return Refused(Code.NOT_PERMITTED, 401, "permission denied")


def _bad(message: str) -> ClientError:
    return ClientError(Code.BAD_REQUEST, 400, message)


def _check(entry: Entry, limits: RtcLimits) -> None:
    claims = entry.claims
    if not claims.video.room_join:
        raise _denied()
    if not claims.identity:
        raise _bad("identity cannot be empty")
    if len(claims.identity) > limits.identity_chars:
        raise _bad(f"identity exceeds the limit of {limits.identity_chars} characters")
    if not entry.room:
        raise _bad("no room name")
    if len(entry.room) > limits.room_name_chars:
        raise _bad(f"room name exceeds the limit of {limits.room_name_chars} characters")
    if len(claims.name) > limits.name_chars:
        raise _bad(f"name exceeds the limit of {limits.name_chars} characters")
    if len(claims.metadata.encode()) > limits.metadata_bytes:
        raise _bad(f"metadata exceeds the limit of {limits.metadata_bytes} bytes")
    if attributes_size(claims.attributes) > limits.attributes_bytes:
        raise _bad(f"attributes exceed the limit of {limits.attributes_bytes} bytes")


def attributes_size(attributes: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())


def _unwrap(text: str, limits: RtcLimits) -> rtc.JoinRequest:
    try:
        # Clients pad; accept those that do not.
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("cannot base64 decode wrapped join request") from error
    wrapped, request = rtc.WrappedJoinRequest(), rtc.JoinRequest()
    try:
        wrapped.ParseFromString(raw)
    except DecodeError as error:
        raise _bad("cannot unmarshal wrapped join request") from error
    inner = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP:
        inner = _gunzip(inner, limits.join_request_bytes)
    if len(inner) > limits.join_request_bytes:
        raise _bad("join request too large")
    try:
        request.ParseFromString(inner)
    except DecodeError as error:
        raise _bad("cannot unmarshal join request") from error
    return request


def _gunzip(data: bytes, bound: int) -> bytes:
    """Never yields more than `bound` bytes, whatever the input claims."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        out = inflate.decompress(data, bound + 1)
    except zlib.error as error:
        raise _bad("cannot read decompressed join request") from error
    if len(out) > bound:
        raise _bad("join request too large")
    if not inflate.eof:
        raise _bad("cannot read decompressed join request")
    return out


def _from_join_request(claims: Claims, request: rtc.JoinRequest) -> Entry:
    settings = request.connection_settings
    data = settings.auto_subscribe_data_track
    return Entry(
        claims=_with_own(claims, request.metadata, dict(request.participant_attributes)),
        room=claims.video.room,
        mode=Mode.SINGLE,
        client=request.client_info,
        # On v1 absent means false; clients always say.
        auto_subscribe=settings.auto_subscribe,
        auto_subscribe_data=data,
        reconnect=request.reconnect,
        participant_sid=request.participant_sid,
        sync_state=request.sync_state if request.HasField("sync_state") else None,
        add_tracks=tuple(request.add_track_requests),
        offer=request.publisher_offer if request.HasField("publisher_offer") else None,
    )


def _from_query(claims: Claims, query: Mapping[str, str], *, strict: bool) -> Entry:
    publish = query.get("publish", "")
    if publish:
        # A second connection of the same person that only publishes (old clients' screen share).
        if not claims.video.can_publish:
            raise _denied()
        claims = replace(
            claims,
            identity=f"{claims.identity}#{publish}",
            video=replace(claims.video, subscribe=False),
        )
    attributes = _attributes(query.get("attributes", ""), strict=strict)
    return Entry(
        claims=_with_own(claims, "", attributes),
        room=claims.video.room,
        mode=Mode.DUAL,
        client=_client(query),
        auto_subscribe=_flag(query, "auto_subscribe", default=True),
        # Unlike media: clients of this form ask for each data track that they want.
        auto_subscribe_data=_flag(query, "auto_subscribe_data_track", default=False),
        reconnect=_flag(query, "reconnect", default=False),
        participant_sid=query.get("sid", ""),
    )


def _flag(query: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = query.get(name, "")
    return default if value == "" else value in ("1", "true")


def _attributes(text: str, *, strict: bool) -> dict[str, str]:
    if not text:
        return {}
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        decoded = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        decoded = None
    if isinstance(decoded, dict) and all(isinstance(v, str) for v in decoded.values()):
        return decoded
    if strict:
        raise _bad("cannot decode attributes")
    return {}


def _with_own(claims: Claims, metadata: str, attributes: Mapping[str, str]) -> Claims:
    """What the client adds about itself; only with `canUpdateOwnMetadata`."""
    if not metadata and not attributes:
        return claims
    if not claims.video.can_update_own_metadata:
        raise _denied()
    merged = dict(claims.attributes)
    merged.update({key: value for key, value in attributes.items() if value})
    return replace(claims, metadata=metadata or claims.metadata, attributes=merged)


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _client(query: Mapping[str, str]) -> models.ClientInfo:
    info = models.ClientInfo(
        sdk=_SDKS.get(query.get("sdk", ""), models.ClientInfo.SDK.UNKNOWN),
        protocol=_number(query, "protocol"),
        client_protocol=_number(query, "client_protocol"),
        version=query.get("version", "")[:64],
        os=query.get("os", "")[:64],
        os_version=query.get("os_version", "")[:64],
        browser=query.get("browser", "")[:64],
        browser_version=query.get("browser_version", "")[:64],
        device_model=query.get("device_model", "")[:64],
        network=query.get("network", "")[:64],
    )
    for name in query.get("capabilities", "").split(","):
        capability = _CAPABILITIES.get(name.strip())
        if capability is not None:
            info.capabilities.append(capability)
    return info
