"""What is kept about devices that may be woken, and what goes to them. Pure types.

A `Subscription` is one way to one device; it belongs to a session and ends with it. A `Parcel` is
the body of an outbox item: what to say, and what decides when it is sent whether to say it at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from signaling.delivery.notify import NoticeKind, Urgency

ITEM_KIND = "push"
"""Of the outbox's items."""


class PushKind(StrEnum):
    """Whose service wakes the device. UnifiedPush speaks Web Push (RFC 8030, RFC 8291)."""

    WEB_PUSH = "web_push"
    UNIFIED_PUSH = "unified_push"
    APNS = "apns"
    FCM = "fcm"


class ApnsEnvironment(StrEnum):
    """Of APNs: an app from the store, or one that its developer runs."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"


class Subscription(Struct, frozen=True, kw_only=True):
    """`endpoint`, `p256dh` (an uncompressed point of P-256) and `auth` of Web Push and UnifiedPush;
    `token` of the others. `voip`: rings through PushKit, and takes nothing else. `withdrawals`:
    may be told what shows nothing.
    """

    id: str
    account: str
    session: str
    device: str
    kind: PushKind
    created: float
    endpoint: str = ""
    p256dh: bytes = b""
    auth: bytes = b""
    token: str = ""
    environment: ApnsEnvironment = ApnsEnvironment.PRODUCTION
    voip: bool = False
    withdrawals: bool = True

    @property
    def place(self) -> str:
        """One device of one app: whoever registers it later has it."""
        return self.endpoint or f"{self.kind.value}:{self.voip}:{self.token}"

    @property
    def whereabouts(self) -> str:
        """As presence names the device; a session without one stands for it."""
        return self.device or self.session


Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Quiet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every day, or on those `days` (0 is Monday) on which it begins. With `calls` somebody may
    ring all the same.
    """

    start: Clock
    end: Clock
    days: Annotated[tuple[Annotated[int, Meta(ge=0, le=6)], ...], Meta(max_length=7)] = ()
    calls: bool = False


class PushSettings(Struct, frozen=True, kw_only=True):
    """Of one account, for all its devices. `previews`: may show what was written, where the room
    allows it too.
    """

    previews: bool = False
    reactions: bool = False
    invites: bool = True
    calls: bool = True
    time_zone: str = "UTC"
    quiet: Quiet | None = None


class Parcel(Struct, frozen=True, kw_only=True):
    """`content` is the JSON for the device. `seq` (with `parent`) is what reading goes up to."""

    account: str
    kind: NoticeKind
    content: str
    urgency: Urgency
    tag: str
    room: str = ""
    seq: int = 0
    parent: str | None = None
    shown: bool = True
    title: str = ""
    text: str = ""
