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
    Promise(
        "A3",
        "Data on encrypted volumes, and attachments sealed by the server as well",
        missing="An encrypted disk itself: a machine with LUKS; here a recorded device tree",
        elsewhere=("tests/signaling/files/test_stripped.py::test_nothing_of_them_lies_on_a_disk",),
    ),
    Promise(
        "A4",
        "Every datastore is treated alike: SQLite or MongoDB, Redis, files, backups",
        elsewhere=(
            "tests/proofs/test_dump.py::test_embedded_store_logs_temporary_files_cores_and_backups",
            "tests/proofs/test_dump.py::test_mongodb_redis_and_readable_logs",
        ),
    ),
    Promise("A5", "Sensitive fields are sealed one by one; a changed byte is an error, never text"),
    Promise("A6", "TLS 1.2 and 1.3 with AEAD and forward secrecy; AES-256-GCM bound to its place"),
    Promise(
        "A7",
        "A room that holds health data tells nothing of it to anybody outside; sessions rest less",
        elsewhere=(
            "tests/signaling/delivery/push/test_server.py::test_encrypted_rooms_and_rooms_with_health_data_say_ids_alone",
        ),
    ),
    Promise(
        "A8",
        "Production refuses a MongoDB without sign-in and TLS; bad credentials are 503",
        missing="Database roles that cannot drop or change: a real MongoDB, which has roles",
    ),
    Promise("A9", "Nodes speak to each other over mutual TLS"),
    Promise("A10", "MongoDB over TLS, checked, or behind stunnel"),
    Promise("A11", "Redis over TLS with an ACL user, or behind spiped"),
    Promise(
        "A12",
        "Keys in a KMS, with a life cycle, rotation, rewrapping and an end",
        missing="AWS itself: an account there; moto stands in for it",
        elsewhere=(
            "tests/signaling/keys/test_providers.py::test_a12_a_provider_wraps_under_a_key_and_a_context",
            "tests/signaling/keys/test_providers.py::test_a12_softhsm_keeps_its_keys_in_and_the_session_comes_back",
        ),
    ),
    Promise(
        "A13", "Generating, using and revoking keys are three permissions; destroying needs two"
    ),
    Promise("A15", "The sync socket over TLS 1.3"),
    Promise("A16", "The upgrade of the sync socket: version, key, token, origin"),
    Promise(
        "B1",
        "No third party is called, ever, by default",
        elsewhere=("tests/cli/test_silence.py::test_nothing_tries_to_leave",),
    ),
    Promise("B2", "A privacy notice with versions, for everybody to read"),
    Promise("B3", "A register of processing; no purpose without a legal basis"),
    Promise("B4", "No listener without TLS but on loopback"),
    Promise(
        "B5",
        "Certificates are checked on every outbound connection; HSTS",
        elsewhere=(
            "tests/signaling/compliance/test_forwarding.py::test_b13_a_receiver_whose_certificate_is_not_trusted_gets_nothing",
        ),
    ),
    Promise("B11", "A record of every call"),
    Promise(
        "B13",
        "Auditors read, filter, export; records are forwarded in order",
        missing="An outage of ten minutes: `make test-long`",
        elsewhere=(
            "tests/signaling/compliance/test_forwarding.py::test_b13_a_webhook_is_signed_and_tried_until_it_answers",
            "tests/signaling/compliance/test_forwarding.py::test_b13_a_collector_gets_logs_that_its_own_definition_accepts",
        ),
    ),
    Promise("B16", "After thirty days nothing of a message is left"),
    Promise("B17", "The shortest time wins, null keeps, a legal hold stands above"),
    Promise("B18", "Erasure of messages, rooms and people, certified, backups included"),
    Promise(
        "B21",
        "What is mine as one archive of documented JSON; others' data by two people; imports of "
        "such archives, and of Slack's and Mattermost's",
        elsewhere=(
            "tests/signaling/compliance/test_import_fuzzed.py::test_any_archive_is_read_or_refused",
            "tests/signaling/compliance/test_import_fuzzed.py::test_changed_bytes_are_read_or_refused",
            "tests/signaling/compliance/test_import_sources.py::test_spoilt_archives_are_refused",
        ),
    ),
    Promise("B22", "Access tokens by user, channel and key"),
    Promise("B23", "Nothing without a token"),
    Promise("B24", "An invalid token is 403, whatever is wrong with it"),
    Promise("B25", "Whoever has the secret key is the authority; requests are signed"),
    Promise("B26", "Grant, revoke, list and parse tokens; their time"),
    Promise("B27", "The secret key is never in a client's hands"),
    Promise("B28", "An account needs a login name and a password or passkey, nothing more"),
    Promise("C1", "HTTPS for the API"),
    Promise("C2", "TLS for everything in real time; there is no long polling"),
    Promise(
        "C3",
        "SRTP, SCTP and DTLS for calls",
        elsewhere=(
            "tests/attacks/test_05_srtp.py::test_replayed_forged_and_plain_packets_are_not_forwarded",
            "tests/attacks/test_09_dtls.py::test_another_certificate_than_announced",
            "tests/attacks/test_09_dtls.py::test_weak_suites_are_refused",
            "tests/attacks/test_10_sctp.py::test_malformed_chunks",
            "tests/attacks/test_11_sdp.py::test_bad_offers_are_refused_quickly",
        ),
    ),
    Promise("C4", "A unique OAuth 2.0 token authenticates each request"),
    Promise("C5", "Tokens are opaque, bound to user and application, and end"),
    Promise("C6", "Scopes"),
    Promise(
        "C9",
        "Media of calls over SRTP, SCTP and DTLS",
        elsewhere=(
            "tests/attacks/test_05_srtp.py::test_replayed_forged_and_plain_packets_are_not_forwarded",
            "tests/attacks/test_09_dtls.py::test_weak_suites_are_refused",
        ),
    ),
    Promise("C11", "A second factor: TOTP, recovery codes, passkeys"),
    Promise(
        "C19",
        "Consent to a text, with versions, withdrawn as easily",
        missing="A feature that waits for consent: nothing of today's rests on it",
    ),
    Promise("C20", "Pseudonyms with a key that can be replaced; who was erased is not found"),
    Promise("C24", "Confidential and whole in transit and at rest"),
    Promise(
        "C25",
        "Calls on one's own machines with no other in reach; uploads follow with chat",
        elsewhere=(
            "tests/network/test_nothing_leaves.py::test_call_without_an_outside",
            "tests/cli/test_silence.py::test_nothing_tries_to_leave",
        ),
    ),
    Promise("C29", "Retention by class of data, and for accounts that nobody uses"),
    Promise(
        "C30",
        "Restrict and object: what is kept and not processed",
        missing="The tracker of the thirty days in which a request on paper is answered; an event "
        "that tells receivers of a restriction",
        elsewhere=(
            "tests/signaling/delivery/push/test_server.py::test_who_had_processing_restricted_wakes_nobody_and_is_not_woken",
        ),
    ),
    Promise(
        "1.D",
        "The acceptance matrix of the Access Manager",
        missing="Messages and files through the server: with chat; their cells are decided already",
        elsewhere=(
            "tests/signaling/access/test_matrix.py::test_b22_every_cell",
            "tests/signaling/access/test_wire.py::test_b22_every_cell_over_http",
        ),
    ),
    Promise("4", "Conventions of the API"),
    Promise("5.A", "OWASP ASVS 5.0, as far as accounts, sessions and the API go"),
    Promise("5.B", "OWASP: WebSocket and API top ten"),
    Promise(
        "5.C",
        "NIST SP 800-63B-4",
        elsewhere=(
            "tests/signaling/accounts/test_load.py::test_two_hundred_sign_ins_do_not_stall_a_socket",
        ),
    ),
)
