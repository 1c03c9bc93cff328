"""Who may subscribe to a publisher's tracks: the publisher's `SubscriptionPermission`.

Holds what the publisher said last, by identity. The subscribers' side (`subscribing`) asks `allows`
whenever it decides, and is asked to decide again when this changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.protocol import rtc

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant


class SubscriptionPermissions:
    """None means that everybody may; otherwise identity -> track sids, or None for all tracks."""

    def __init__(self, publisher: Participant) -> None:
        self._publisher = publisher
        self._by_identity: dict[str, frozenset[str] | None] | None = None

    def allows(self, track_sid: str, subscriber: Participant) -> bool:
        # Recorders are set up by the operator, who has no way to be listed by each publisher.
        if self._by_identity is None or subscriber.recorder:
            return True
        if subscriber.identity not in self._by_identity:
            return False
        sids = self._by_identity[subscriber.identity]
        return sids is None or track_sid in sids

    def update(self, request: rtc.SubscriptionPermission) -> None:
        limit = self._publisher.services.settings.limits.permission_entries
        if request.all_participants:
            self._by_identity = None
        elif len(request.track_permissions) > limit:
            # Nothing is opened by a message that we will not read; nothing is closed either.
            self._publisher.services.counters.add("permissions_refused")
            return
        else:
            self._by_identity = self._read(request)
        room = self._publisher.room
        for publication in self._publisher.publishing.published():
            room.reconsider(publication)
        self._publisher.data_tracks.permissions_changed()

    def _read(self, request: rtc.SubscriptionPermission) -> dict[str, frozenset[str] | None]:
        entries: dict[str, frozenset[str] | None] = {}
        for permission in request.track_permissions:
            identity = permission.participant_identity
            if not identity:
                subscriber = self._publisher.room.by_sid(permission.participant_sid)
                if subscriber is None:
                    continue
                identity = subscriber.identity
            entries[identity] = None if permission.all_tracks else frozenset(permission.track_sids)
        return entries
