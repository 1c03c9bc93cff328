"""The `push` section: whose services may wake devices, and with which keys of the operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section
from signaling.errors import ConfigError
from signaling.secret import Secret


class Push(Section, frozen=True):
    """Notifications for devices that sleep. Web Push and UnifiedPush need nothing of the operator;
    APNs and FCM need what Apple and Google give out with an app of your own.
    """

    subject: Annotated[
        str,
        Meta(
            description=(
                "Where a push service writes to when something is wrong: `mailto:` or `https:`. "
                "Empty: `http.public_url`."
            )
        ),
    ] = ""
    previews: Annotated[
        bool,
        Meta(
            description=(
                "May notifications say what was written, where room and recipient allow it too."
            )
        ),
    ] = True
    ttl_seconds: Annotated[
        int, Meta(ge=60, le=28 * 86400, description="A device that sleeps longer is not told.")
    ] = 3 * 86400
    grace_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Who is at another device has so long to read it there first.",
        ),
    ] = 5.0
    apns_key: Annotated[
        Secret | None, Meta(description="Apple's signing key, the `.p8` file. None: no APNs.")
    ] = None
    apns_key_id: Annotated[str, Meta(description="Its ten characters.")] = ""
    apns_team: Annotated[str, Meta(description="The developer team's ten characters.")] = ""
    apns_topic: Annotated[str, Meta(description="The app's bundle id.")] = ""
    apns_url: Annotated[str, Meta(description="APNs for apps from the store.")] = (
        "https://api.push.apple.com"
    )
    apns_sandbox_url: Annotated[str, Meta(description="APNs for apps in development.")] = (
        "https://api.sandbox.push.apple.com"
    )
    fcm_account: Annotated[
        Secret | None,
        Meta(description="Google's service account, the JSON file. None: no FCM."),
    ] = None
    fcm_url: Annotated[str, Meta(description="FCM's HTTP v1 interface.")] = (
        "https://fcm.googleapis.com"
    )


def check_push(push: Push) -> Iterator[ConfigError]:
    """What types cannot say."""
    if push.subject and not push.subject.startswith(("mailto:", "https://")):
        yield ConfigError("push.subject", "begins with mailto: or https://")
    for name in ("apns_key_id", "apns_team", "apns_topic"):
        if push.apns_key is not None and not getattr(push, name):
            yield ConfigError(f"push.{name}", "is needed with push.apns_key")
        if push.apns_key is None and getattr(push, name):
            yield ConfigError("push.apns_key", f"is needed with push.{name}")
    for name in ("apns_url", "apns_sandbox_url", "fcm_url"):
        if not getattr(push, name).startswith("https://"):
            yield ConfigError(f"push.{name}", "is no https URL")
