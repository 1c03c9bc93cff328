"""Which apps for telephones belong to this server: Apple's and Google's documents of that. Pure.

They may open links to rooms, and use the passwords and passkeys of this server's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

# Rooms are what links lead to; the rest of the page stays in the browser.
ROOMS = "/r/*"
ANDROID_MAY = (
    "delegate_permission/common.handle_all_urls",
    "delegate_permission/common.get_login_creds",
)


def apple(apps: Sequence[str]) -> bytes:
    """https://developer.apple.com/documentation/xcode/supporting-associated-domains"""
    links = {"appIDs": list(apps), "components": [{"/": ROOMS}]}
    said = {"applinks": {"details": [links]}, "webcredentials": {"apps": list(apps)}}
    return msgspec.json.encode(said)


def android(apps: Mapping[str, Sequence[str]]) -> bytes:
    """Fingerprints of certificates by package: https://developers.google.com/digital-asset-links"""
    return msgspec.json.encode(
        [
            {
                "relation": ANDROID_MAY,
                "target": {
                    "namespace": "android_app",
                    "package_name": package,
                    "sha256_cert_fingerprints": list(fingerprints),
                },
            }
            for package, fingerprints in apps.items()
        ]
    )
