"""What a token allows in a call: LiveKit's video grants, and their form on the wire.

Pure. `VideoGrant` is immutable; `UpdateParticipant` replaces it. Unset permissions mean what
LiveKit documents: publish, subscribe and data are allowed, changing one's own metadata is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from livekit.protocol import models

SOURCES: dict[str, models.TrackSource] = {
    "unknown": models.TrackSource.UNKNOWN,
    "camera": models.TrackSource.CAMERA,
    "microphone": models.TrackSource.MICROPHONE,
    "screen_share": models.TrackSource.SCREEN_SHARE,
    "screen_share_audio": models.TrackSource.SCREEN_SHARE_AUDIO,
}

_FLAGS = {
    "roomCreate": "room_create",
    "roomList": "room_list",
    "roomRecord": "room_record",
    "roomAdmin": "room_admin",
    "roomJoin": "room_join",
    "ingressAdmin": "ingress_admin",
    "hidden": "hidden",
    "recorder": "recorder",
    "agent": "agent",
}
_TRISTATES = {
    "canPublish": "publish",
    "canSubscribe": "subscribe",
    "canPublishData": "publish_data",
    "canUpdateOwnMetadata": "update_own_metadata",
    "canSubscribeMetrics": "subscribe_metrics",
    "canManageAgentSession": "manage_agent_session",
}

# What an account's rights in a room decide, with how each is read. A moderator may take some of it
# from one participant, or give it.
_RIGHTS = {
    "room_admin": "room_admin",
    "publish": "can_publish",
    "subscribe": "can_subscribe",
    "publish_data": "can_publish_data",
    "update_own_metadata": "can_update_own_metadata",
}


@dataclass(frozen=True, slots=True)
class VideoGrant:
    """The `video` claim. The tri-state fields are None when the token does not say."""

    room: str = ""
    destination_room: str = ""
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    room_admin: bool = False
    room_join: bool = False
    ingress_admin: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    publish: bool | None = None
    subscribe: bool | None = None
    publish_data: bool | None = None
    update_own_metadata: bool | None = None
    subscribe_metrics: bool | None = None
    manage_agent_session: bool | None = None
    publish_sources: frozenset[int] = frozenset()

    @property
    def can_publish(self) -> bool:
        return self.publish is not False

    @property
    def can_subscribe(self) -> bool:
        return self.subscribe is not False

    @property
    def can_publish_data(self) -> bool:
        return self.can_publish if self.publish_data is None else self.publish_data

    @property
    def can_update_own_metadata(self) -> bool:
        return self.update_own_metadata is True

    @property
    def can_subscribe_metrics(self) -> bool:
        return self.subscribe_metrics is True

    def can_publish_source(self, source: int) -> bool:
        """A list of sources, when there is one, narrows `canPublish` to it."""
        return self.can_publish and (not self.publish_sources or source in self.publish_sources)

    def to_permission(self) -> models.ParticipantPermission:
        return models.ParticipantPermission(
            can_subscribe=self.can_subscribe,
            can_publish=self.can_publish,
            can_publish_data=self.can_publish_data,
            can_publish_sources=cast("list[models.TrackSource]", sorted(self.publish_sources)),
            hidden=self.hidden,
            recorder=self.recorder,
            agent=self.agent,
            can_update_metadata=self.can_update_own_metadata,
            can_subscribe_metrics=self.can_subscribe_metrics,
            can_manage_agent_session=self.manage_agent_session is True,
        )

    def with_permission(self, permission: models.ParticipantPermission) -> VideoGrant:
        return replace(
            self,
            publish=permission.can_publish,
            subscribe=permission.can_subscribe,
            publish_data=permission.can_publish_data,
            publish_sources=frozenset(permission.can_publish_sources),
            update_own_metadata=permission.can_update_metadata,
            subscribe_metrics=permission.can_subscribe_metrics,
            manage_agent_session=permission.can_manage_agent_session,
            hidden=permission.hidden,
            recorder=permission.recorder,
            agent=permission.agent,
        )

    def under(self, rights: VideoGrant) -> VideoGrant:
        """What a token still gives whose owner has these rights now: no more than either. Whether
        they moderate is theirs alone to say, so that it can be given back as well.
        """
        less: dict[str, Any] = {
            name: False
            for name, read in _RIGHTS.items()
            if getattr(self, read) and not getattr(rights, read)
        }
        return replace(self, **{**less, "room_admin": rights.room_admin})

    def after(self, before: VideoGrant, now: VideoGrant) -> VideoGrant:
        """A participant's, whose owner's rights were `before`: what changed, changes here too."""
        changed: dict[str, Any] = {
            name: getattr(now, read)
            for name, read in _RIGHTS.items()
            if getattr(now, read) != getattr(before, read)
        }
        return replace(self, **changed)

    def to_claim(self) -> dict[str, object]:
        """The JSON of the `video` claim; what is unset or false is left out."""
        claim: dict[str, object] = {}
        for name, attribute in _FLAGS.items():
            if getattr(self, attribute):
                claim[name] = True
        for name, attribute in _TRISTATES.items():
            value = getattr(self, attribute)
            if value is not None:
                claim[name] = value
        if self.room:
            claim["room"] = self.room
        if self.destination_room:
            claim["destinationRoom"] = self.destination_room
        if self.publish_sources:
            claim["canPublishSources"] = [
                n for n, s in SOURCES.items() if s in self.publish_sources
            ]
        return claim


def grant_from_claim(claim: object) -> VideoGrant:
    """Read the `video` claim. Raises ValueError on a value of the wrong type; unknown keys pass."""
    if not isinstance(claim, Mapping):
        raise ValueError("video is not an object")
    values: dict[str, object] = {}
    for names in (_FLAGS, _TRISTATES):
        for name, attribute in names.items():
            value = claim.get(name)
            if value is None:
                continue
            if not isinstance(value, bool):
                raise ValueError(f"{name} is not a boolean")
            values[attribute] = value
    for name, attribute in (("room", "room"), ("destinationRoom", "destination_room")):
        text = claim.get(name) or ""
        if not isinstance(text, str):
            raise ValueError(f"{name} is not a string")
        values[attribute] = text
    values["publish_sources"] = _sources(claim.get("canPublishSources") or [])
    return VideoGrant(**values)  # type: ignore[arg-type]  # each value's type was checked above


def _sources(listed: object) -> frozenset[int]:
    if not isinstance(listed, list) or not all(isinstance(s, str) for s in listed):
        raise ValueError("canPublishSources is not a list of strings")
    # A source that we do not know grants UNKNOWN, as in LiveKit: it never widens to everything.
    return frozenset(SOURCES.get(s.lower(), models.TrackSource.UNKNOWN) for s in listed)
