"""Routes that are no operations of ours: protocols that others specified, pages, and the client.

Part of the specification all the same: the OpenAPI document lists them (`x-sotto-other-routes`) and
a test compares the list with the router, so nothing is served that is not written down.
"""

from __future__ import annotations

from collections.abc import Mapping

LIVEKIT = "LiveKit's protocol: docs/operations/livekit.md"
WHIP = "WHIP (RFC 9725) and WHEP: docs/operations/whip-whep.md"
PAGE = "A page for people"
PREFLIGHT = "What a page of another origin may send (Fetch standard, CORS preflight)"

# Pattern -> methods and what it is. HEAD comes with GET; "*" answers every other method with 405.
OTHER: Mapping[str, tuple[frozenset[str], str]] = {
    "/rtc": (frozenset({"GET"}), LIVEKIT),
    "/rtc/validate": (frozenset({"GET"}), LIVEKIT),
    "/rtc/v1": (frozenset({"GET"}), LIVEKIT),
    "/rtc/v1/validate": (frozenset({"GET"}), LIVEKIT),
    "/twirp/{service}/{method}": (frozenset({"POST", "OPTIONS"}), LIVEKIT),
    "/whip": (frozenset({"POST", "OPTIONS", "*"}), WHIP),
    "/whip/{room}": (frozenset({"POST", "OPTIONS", "*"}), WHIP),
    "/whip/{room}/{session}": (frozenset({"PATCH", "DELETE", "OPTIONS", "*"}), WHIP),
    "/whep": (frozenset({"POST", "OPTIONS", "*"}), WHIP),
    "/whep/{room}": (frozenset({"POST", "OPTIONS", "*"}), WHIP),
    "/whep/{room}/{session}": (frozenset({"PATCH", "DELETE", "OPTIONS", "*"}), WHIP),
    "/oauth/authorize": (frozenset({"GET", "POST"}), PAGE),
    "/oauth/device": (frozenset({"GET", "POST"}), PAGE),
    "/oauth/token": (frozenset({"OPTIONS"}), PREFLIGHT),
    "/oauth/revoke": (frozenset({"OPTIONS"}), PREFLIGHT),
    "/oauth/device_authorization": (frozenset({"OPTIONS"}), PREFLIGHT),
    "/.well-known/oauth-authorization-server": (frozenset({"OPTIONS"}), PREFLIGHT),
    "/.well-known/oauth-protected-resource": (frozenset({"OPTIONS"}), PREFLIGHT),
    "/ca.crt": (frozenset({"GET"}), "The authority of `sotto dev`, and there only"),
    "/api/{rest}": (frozenset({"*"}), "404 for every other path of the API"),
    "/{path}": (frozenset({"GET"}), "The web client"),
}
