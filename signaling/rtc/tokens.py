"""Call tokens: LiveKit's JWTs, HS256 only, and the claims in them.

`verify` answers every bad token with 401 and the class of the reason, never which part failed.
Time and keys are arguments; the HTTP adapters and WHIP call this, and rooms call `issue`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import jwt
from google.protobuf import json_format
from livekit.protocol import room as room_pb

from signaling.errors import Code, Refused
from signaling.rtc.grants import VideoGrant, grant_from_claim
from signaling.secret import Secret

LEEWAY = 60.0
"""Clocks of token makers may be this far off; LiveKit allows the same."""
TOKEN_CHARS = 64 * 1024
BINDING = "sotto"
"""The claim that names a session of this server. Only its holder and we see it."""
_NO_GRANT = VideoGrant()


class ApiKeys:
    """API key -> secret. Also signs, with the key that a participant joined by."""

    def __init__(self, keys: Mapping[str, str | Secret]) -> None:
        self._secrets = {
            key: value if isinstance(value, Secret) else Secret(value)
            for key, value in keys.items()
        }

    def secret(self, key: str) -> Secret | None:
        return self._secrets.get(key)

    def first(self) -> str:
        """The key that signs what belongs to no caller (webhooks without a key of their own)."""
        return next(iter(self._secrets))


@dataclass(frozen=True, slots=True)
class Binding:
    """Whom a token was issued to by this server: it ends with that session. `id` is its own."""

    id: str
    app: str
    account: str
    device: str
    session: str


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token."""

    key: str
    identity: str = ""
    name: str = ""
    kind: str = ""
    kind_details: tuple[str, ...] = ()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    video: VideoGrant = _NO_GRANT
    has_video: bool = False
    sip_admin: bool = False
    sip_call: bool = False
    room_config: room_pb.RoomConfiguration | None = None
    room_preset: str = ""
    sha256: str = ""
    not_before: float = 0.0
    expires_at: float = 0.0
    binding: Binding | None = None


def verify(keys: ApiKeys, token: str, now: float) -> Claims:
    """Check a token at Unix time `now`. Raises Refused (401)."""
    if not token:
        raise Refused(Code.TOKEN_MISSING, 401, "no token")
    if len(token) > TOKEN_CHARS:
        raise _invalid()
    payload = _payload(keys, token)
    expires, not_before = _times(payload)
    if expires + LEEWAY <= now:
        raise Refused(Code.TOKEN_EXPIRED, 401, "token expired")
    if not_before - LEEWAY > now:
        raise _invalid()
    try:
        return _claims(payload, expires, not_before)
    except (ValueError, json_format.ParseError) as error:
        raise _invalid() from error


def _invalid() -> Refused:
    return Refused(Code.TOKEN_INVALID, 401, "invalid token")


def _payload(keys: ApiKeys, token: str) -> dict[str, object]:
    """The signed payload. The algorithm is ours, never the header's; so is the key, by `iss`."""
    try:
        unverified = jwt.decode(token, options={"verify_signature": False})
        issuer = unverified.get("iss")
        secret = keys.secret(issuer) if isinstance(issuer, str) else None
        if secret is None:
            raise _invalid()
        payload: dict[str, object] = jwt.decode(
            token,
            secret.reveal(),
            algorithms=["HS256"],
            options={
                "verify_exp": False,  # checked against the given time
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _invalid() from error
    return payload


def _times(payload: Mapping[str, object]) -> tuple[float, float]:
    expires, not_before = payload.get("exp"), payload.get("nbf", 0)
    for value in (expires, not_before):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _invalid()
    return float(expires), float(not_before)  # type: ignore[arg-type]  # checked in the loop


def _text(payload: Mapping[str, object], name: str) -> str:
    value = payload.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string")
    return value


def _claims(payload: Mapping[str, object], expires: float, not_before: float) -> Claims:
    video = payload.get("video")
    sip = payload.get("sip") or {}
    attributes = payload.get("attributes") or {}
    details = payload.get("kindDetails") or []
    if not isinstance(attributes, dict) or not isinstance(sip, dict):
        raise ValueError("attributes or sip is not an object")
    if not all(isinstance(value, str) for value in attributes.values()):
        raise ValueError("an attribute is not a string")
    if not isinstance(details, list) or not all(isinstance(d, str) for d in details):
        raise ValueError("kindDetails is not a list of strings")
    return Claims(
        key=_text(payload, "iss"),
        identity=_text(payload, "sub") or _text(payload, "identity"),
        name=_text(payload, "name"),
        kind=_text(payload, "kind"),
        kind_details=tuple(details),
        metadata=_text(payload, "metadata"),
        attributes=dict(attributes),
        video=VideoGrant() if video is None else grant_from_claim(video),
        has_video=video is not None,
        sip_admin=sip.get("admin") is True,
        sip_call=sip.get("call") is True,
        room_config=_room_config(payload.get("roomConfig")),
        room_preset=_text(payload, "roomPreset"),
        sha256=_text(payload, "sha256"),
        not_before=not_before,
        expires_at=expires,
        binding=_binding(payload.get(BINDING)),
    )


def _binding(claim: object) -> Binding | None:
    if claim is None:
        return None
    names = Binding.__slots__
    if not isinstance(claim, dict) or claim.keys() != set(names):
        raise ValueError("the binding is not an object of five texts")
    if not all(isinstance(value, str) and value for value in claim.values()):
        raise ValueError("the binding has something other than texts")
    return Binding(**claim)


def _room_config(claim: object) -> room_pb.RoomConfiguration | None:
    if claim is None:
        return None
    config = room_pb.RoomConfiguration()
    json_format.Parse(json.dumps(claim), config, ignore_unknown_fields=True)
    return config


def issue(keys: ApiKeys, claims: Claims, now: float, life: float) -> str:
    """Sign claims again, by the key they came from, for `life` seconds."""
    secret = keys.secret(claims.key)
    if secret is None:  # the key was withdrawn while its participant was connected
        raise _invalid()
    payload: dict[str, object] = {
        "iss": claims.key,
        "nbf": int(now),
        "exp": int(now + life),
    }
    optional: dict[str, object] = {
        "sub": claims.identity,
        "name": claims.name,
        "kind": claims.kind,
        "kindDetails": list(claims.kind_details),
        "metadata": claims.metadata,
        "attributes": dict(claims.attributes),
        "sha256": claims.sha256,
        "roomPreset": claims.room_preset,
    }
    payload.update({name: value for name, value in optional.items() if value})
    if claims.has_video:
        payload["video"] = claims.video.to_claim()
    if claims.binding is not None:
        payload[BINDING] = asdict(claims.binding)
    if claims.room_config is not None:
        payload["roomConfig"] = json_format.MessageToDict(claims.room_config)
    return jwt.encode(payload, secret.reveal(), algorithm="HS256")


def bearer(authorization: str | None, query_token: str | None) -> str:
    """The token of a request: `Authorization: Bearer` wins over `access_token`."""
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _invalid()
        return token.strip()
    return query_token or ""
