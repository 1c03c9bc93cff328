"""Where everything is: authorization server metadata (RFC 8414), protected resource (RFC 9728).

Pure. What is not listed is not there: no implicit grant, no password grant, no `plain` challenge.
"""

from __future__ import annotations

from typing import Any

from signaling.accounts.oauth.clients import GrantType
from signaling.accounts.oauth.dpop import ALGORITHMS
from signaling.accounts.oauth.pkce import METHOD
from signaling.accounts.sessions.scopes import SCOPES

AUTHORIZE = "/oauth/authorize"
TOKEN = "/oauth/token"  # noqa: S105 - a path
INTROSPECT = "/oauth/introspect"
REVOKE = "/oauth/revoke"
DEVICE_AUTHORIZATION = "/oauth/device_authorization"
DEVICE = "/oauth/device"
SERVER_METADATA = "/.well-known/oauth-authorization-server"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_SECRETS = ["client_secret_basic", "client_secret_post"]


def server(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "token_endpoint": issuer + TOKEN,
        "introspection_endpoint": issuer + INTROSPECT,
        "revocation_endpoint": issuer + REVOKE,
        "device_authorization_endpoint": issuer + DEVICE_AUTHORIZATION,
        "scopes_supported": sorted(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [kind.value for kind in GrantType],
        "token_endpoint_auth_methods_supported": [*_SECRETS, "none"],
        "introspection_endpoint_auth_methods_supported": _SECRETS,
        "revocation_endpoint_auth_methods_supported": [*_SECRETS, "none"],
        "code_challenge_methods_supported": [METHOD],
        "authorization_response_iss_parameter_supported": True,  # RFC 9207
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
    }


def resource(issuer: str) -> dict[str, Any]:
    return {
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": sorted(SCOPES),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
    }
