"""The rows that have a test, in a few words each, and what of them cannot be shown on this machine.

A new row: one `Promise` here and tests named after it below tests/rows. `elsewhere` names tests
in other folders that show it: those of calls start real servers and clients of their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """`missing`: what is not shown here, and what it would need."""

    row: str
    words: str
    missing: str = ""
    elsewhere: tuple[str, ...] = ()


PROMISES = (
    Promise("A2", "A security page, a security contact and a table of what is kept, and how"),
    Promise("A3", "Data on encrypted volumes, and attachments sealed by the server as well"),
    Promise("A4", "Every datastore is treated alike: SQLite or MongoDB, Redis, files, backups"),
    Promise("A5", "Sensitive fields are sealed one by one; a changed byte is an error, never text"),
    Promise("A6", "TLS 1.2 and 1.3 with AEAD and forward secrecy; AES-256-GCM bound to its place"),
    Promise("A8", "Production refuses a MongoDB without sign-in and TLS; bad credentials are 503"),
    Promise("A9", "Nodes speak to each other over mutual TLS"),
    Promise("A10", "MongoDB over TLS, checked, or behind stunnel"),
    Promise("A11", "Redis over TLS with an ACL user, or behind spiped"),
    Promise("A12", "Keys in a KMS, with a life cycle, rotation, rewrapping and an end"),
    Promise(
        "A13", "Generating, using and revoking keys are three permissions; destruction needs two"
    ),
    Promise("A15", "The sync socket over TLS 1.3"),
    Promise("A16", "The upgrade of the sync socket: version, key, token, origin"),
    Promise("B1", "No third party is called, ever, by default"),
    Promise("B4", "No listener without TLS but on loopback"),
    Promise("B5", "Certificates are checked on every outbound connection; HSTS"),
    Promise("B11", "A record of every call"),
    Promise("B13", "Auditors read, filter, export; records are forwarded in order"),
    Promise("B22", "Access tokens by user, channel and key"),
    Promise("B23", "Nothing without a token"),
    Promise("B24", "An invalid token is 403, whatever is wrong with it"),
    Promise("B25", "Whoever has the secret key is the authority; requests are signed"),
    Promise("B26", "Grant, revoke, list and parse tokens; their time"),
    Promise("B27", "The secret key is never in a client's hands"),
    Promise("B28", "An account needs a login name and a password or passkey, nothing more"),
    Promise("C1", "HTTPS for the API"),
    Promise("C2", "TLS for everything in real time; there is no long polling"),
    Promise("C3", "SRTP, SCTP and DTLS for calls"),
    Promise("C4", "A unique OAuth 2.0 token authenticates each request"),
    Promise("C5", "Tokens are opaque, bound to user and application, and end"),
    Promise("C6", "Scopes"),
    Promise("C9", "Media of calls over SRTP, SCTP and DTLS"),
    Promise("C11", "A second factor: TOTP, recovery codes, passkeys"),
    Promise("C24", "Confidential and whole in transit and at rest"),
    Promise("C25", "Runs on one's own machines without any other"),
    Promise("1.D", "The acceptance matrix of the Access Manager"),
    Promise("4", "Conventions of the API"),
    Promise("5.A", "OWASP ASVS 5.0, as far as accounts, sessions and the API go"),
    Promise("5.B", "OWASP: WebSocket and API top ten"),
    Promise("5.C", "NIST SP 800-63B-4"),
)
