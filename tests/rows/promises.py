"""The rows that have a test, in a few words each, and what of them cannot be shown on this machine.

A new row: one `Promise` here and tests named after it below tests/rows. `elsewhere` names tests
in other folders that show it: those of calls start real servers and clients of their own.
"""

from __future__ import annotations

from tests.rows.compared import COMPARED
from tests.rows.endured import ENDURED
from tests.rows.promise import Promise
from tests.rows.standards import STANDARDS

PROMISES = (
    Promise("A2", "A security page, a security contact and a table of what is kept, and how"),
    Promise(
        "A3",
        "Data on encrypted volumes, and attachments sealed by the server as well",
        missing="An encrypted disk itself: a machine with LUKS; here a recorded device tree",
        elsewhere=(
            "tests/signaling/files/test_stripped.py::test_a03_nothing_of_them_lies_on_a_disk",
        ),
    ),
    Promise(
        "A4",
        "Every datastore is treated alike: SQLite or MongoDB, Redis, files, backups",
        elsewhere=(
            "tests/proofs/test_dump.py::test_embedded_store_logs_temporary_files_cores_and_backups",
            "tests/proofs/test_dump.py::test_mongodb_redis_and_readable_logs",
        ),
    ),
    Promise(
        "A5",
        "Sensitive fields are sealed one by one; a changed byte is an error, never text",
        missing="Telephone numbers: none is ever asked for or kept (B32)",
        elsewhere=(
            "tests/proofs/test_dump.py::test_embedded_store_logs_temporary_files_cores_and_backups",
            "tests/proofs/test_dump.py::test_mongodb_redis_and_readable_logs",
        ),
    ),
    Promise("A6", "TLS 1.2 and 1.3 with AEAD and forward secrecy; AES-256-GCM bound to its place"),
    Promise(
        "A7",
        "A room that holds health data tells nothing of it to anybody outside; sessions rest less",
        missing="The mark for a whole app (tenant): not built, each room has its own",
        elsewhere=(
            "tests/signaling/delivery/push/test_said.py::test_encrypted_rooms_and_rooms_with_health_data_say_ids_alone",
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
        missing="AWS itself: an account there; moto stands in for it. Vault itself: a server, or "
        "its Go modules and half an hour to build one; here a fake of its transit API",
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
    Promise("A17", "Sessions on partitions: many on one socket, each refusal with its number"),
    Promise("A18", "The key of the handshake opens a connection that goes both ways"),
    Promise("A19", "The server gives each file an ident of its own, with a secret salt"),
    Promise(
        "A20",
        "A file goes on under its ident after a new connection, and after a new start",
        elsewhere=(
            "tests/sync/test_transcripts.py::test_the_python_client_does_what_the_transcript_says",
        ),
    ),
    Promise(
        "A21",
        "A file says how far it came and gets the rest; one of another history begins anew",
    ),
    Promise(
        "A22",
        "Both ways at once after IDENT; what was done offline is applied once",
        elsewhere=(
            "tests/sync/test_python_client.py::test_what_was_written_while_away_arrives_once",
            "tests/sync/test_typescript_client.py::test_what_was_written_while_away_arrives_once_after_every_cut",
        ),
    ),
    Promise(
        "A23",
        "An upload counts once, never comes back to its author, and is refused as a whole",
        missing="Error 104 for too large a frame: it is not read, so the socket ends with 1009",
    ),
    Promise(
        "A24",
        "All devices come to one end, whatever was done at once and in whatever order it came",
        elsewhere=(
            "tests/sync/test_machine.py::test_whatever_goes_wrong_everybody_has_the_same_in_the_end",
        ),
    ),
    Promise("A26", "Downloads in order without a gap, in batches, packed, with what is left"),
    Promise("A27", "Uploads are taken until UNBIND; after UNBOUND the session is silent"),
    Promise(
        "A28",
        "MARK, PING, errors that say what to do; floods and the dead are cut",
        elsewhere=(
            "tests/signaling/sync/test_socket.py::test_a28_who_answers_no_ping_is_dropped",
            "tests/signaling/sync/test_socket.py::test_a28_who_answers_stays_and_learns_the_round_trip",
        ),
    ),
    Promise(
        "A25",
        "Rooms as documents in a MongoDB of the operator's; documents in its inbox become posts",
        missing="Change streams of a replica set, UTF-8 that is none: `SOTTO_TEST_MONGODB`. Within "
        "2 s, both ways, is the median of five, of which none may take more than 30 s: on a machine"
        " that others use too, a process waits for its turn",
    ),
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
    Promise("B10", "A readable envelope and an opaque body, bound to their place"),
    Promise("B11", "A record of every call"),
    Promise(
        "B12",
        "A client keeps a log without secrets; its person reads it and sends it by consent",
        missing="Its screen: with the page of chat",
        elsewhere=(
            "tests/signaling/accounts/test_diagnostics.py::test_what_looks_like_a_credential_is_not_kept",
            "tests/signaling/accounts/test_diagnostics.py::test_one_account_has_at_most_so_many_there",
        ),
    ),
    Promise(
        "B13",
        "Auditors read, filter, export; records are forwarded in order",
        missing="An outage of ten minutes: `make test-long`",
        elsewhere=(
            "tests/signaling/compliance/test_forwarding.py::test_b13_a_webhook_is_signed_and_tried_until_it_answers",
            "tests/signaling/compliance/test_forwarding.py::test_b13_a_collector_gets_logs_that_its_own_definition_accepts",
        ),
    ),
    Promise(
        "B15",
        "Events to the operator's own systems: at least once, in order, signed, nowhere private",
        missing="An outage of ten minutes: `make test-long`",
        elsewhere=(
            "tests/signaling/delivery/test_served.py::test_b15_an_outage_and_a_kill_lose_nothing_and_keep_the_order",
            "tests/signaling/delivery/test_served.py::test_b15_a_kill_right_after_an_act_leaves_nobody_untold",
            "tests/signaling/delivery/test_untold.py::test_b15_an_account_is_told_if_and_only_if_it_was_made",
            "tests/signaling/delivery/test_untold.py::test_b15_changes_of_an_account_are_told_in_their_order",
            "tests/signaling/delivery/test_untold.py::test_b15_a_removal_is_told_once_the_account_is_gone",
            "tests/signaling/delivery/test_untold.py::test_b15_a_file_is_told_as_it_became_and_that_it_went",
            "tests/signaling/delivery/test_untold.py::test_b15_a_push_error_is_told_under_one_id",
            "tests/signaling/delivery/test_kafka.py::test_b15_accounts_of_one_batch_have_their_own_key_and_order",
            "tests/signaling/delivery/test_routes.py::test_b15_every_system_gets_everything_in_order_through_an_outage_and_a_kill",
            "tests/signaling/test_egress.py::test_a_name_that_changes_its_mind_is_refused_on_connecting",
            "tests/signaling/delivery/test_batches.py::test_b15_ten_thousand_items_are_one_batch",
            "tests/signaling/delivery/test_batches.py::test_b15_a_batch_has_no_more_bytes_than_it_may",
            "tests/signaling/delivery/test_paths.py::test_b15_no_path_takes_long",
            "tests/signaling/test_redirects.py::test_a_redirect_of_the_public_stays_public_and_encrypted",
            "tests/signaling/test_redirects.py::test_a_redirect_to_a_name_that_changes_its_mind_is_refused_on_connecting",
            "tests/signaling/test_redirects.py::test_a_signature_stays_with_its_origin",
        ),
    ),
    Promise("B16", "After thirty days nothing of a message is left"),
    Promise("B17", "The shortest time wins, null keeps, a legal hold stands above"),
    Promise(
        "B18",
        "Erasure of messages, rooms and people, certified; in no byte, nor in backups",
    ),
    Promise(
        "B20",
        "Rooms that keep nothing: no store, no log, no search, no route, nothing for who is away",
        missing="The mark for a whole app (tenant) or for one message: not built, a room has it",
        elsewhere=(
            "tests/proofs/test_dump.py::test_mongodb_redis_and_readable_logs",
            "tests/signaling/delivery/test_routes.py::test_b20_a_route_of_a_transient_room_is_refused_unless_allowed",
            "tests/signaling/delivery/push/test_said.py::test_transient_rooms_only_wake_and_leave_nothing",
        ),
    ),
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
    Promise(
        "B31",
        "Each device for itself: signed out and wiped from another, and nobody else disturbed",
        missing="A browser that drops its IndexedDB, and a policy against downloads: with the page"
        " of chat; here the header that makes it do so",
    ),
    Promise("B32", "No telephone number, no address book, nobody is looked up"),
    Promise(
        "B33",
        "Nothing of where, from where or with what beside what was said",
        elsewhere=(
            "tests/signaling/files/test_stripped.py::test_b33_no_place_and_no_tag_in_any_form",
            "tests/signaling/files/test_stripped.py::test_b33_jpeg_xl_is_refused",
            "tests/signaling/files/test_stripped.py::test_b33_the_place_is_kept_only_when_the_sender_chose_so",
        ),
    ),
    Promise("C1", "HTTPS for the API"),
    Promise("C2", "TLS for everything in real time; there is no long polling"),
    Promise(
        "C3",
        "SRTP, SCTP and DTLS for calls",
        elsewhere=(
            "tests/network/test_on_the_wire.py::test_c03_c09_a_recorded_call_is_stun_dtls_and_srtp_and_nothing_else",
            "tests/attacks/test_05_srtp.py::test_replayed_forged_and_plain_packets_are_not_forwarded",
            "tests/attacks/test_09_dtls.py::test_another_certificate_than_announced",
            "tests/attacks/test_09_dtls.py::test_weak_suites_are_refused",
            "tests/attacks/test_10_sctp.py::test_malformed_chunks",
            "tests/attacks/test_11_sdp.py::test_bad_offers_are_refused_quickly",
        ),
    ),
    Promise("C4", "A unique OAuth 2.0 token authenticates each request"),
    Promise(
        "C5",
        "Tokens are opaque, bound to user and application, and end",
        missing="A token of app A on app B of one installation: it has one app, and no way to make"
        " another yet; here the token of another installation",
    ),
    Promise("C6", "Scopes"),
    Promise("C7", "What was said is found again, by who may read it, as it stands now"),
    Promise(
        "C8",
        "A room becomes end-to-end encrypted for what follows, and never turns back",
        missing="What the page says of search then: with the page of chat",
    ),
    Promise(
        "C9",
        "Media of calls over SRTP, SCTP and DTLS",
        elsewhere=(
            "tests/network/test_on_the_wire.py::test_c03_c09_a_recorded_call_is_stun_dtls_and_srtp_and_nothing_else",
            "tests/attacks/test_05_srtp.py::test_replayed_forged_and_plain_packets_are_not_forwarded",
            "tests/attacks/test_09_dtls.py::test_weak_suites_are_refused",
        ),
    ),
    Promise("C11", "A second factor: TOTP, recovery codes, passkeys"),
    Promise(
        "C12",
        "An outage is a refusal that says when; clients come back by themselves, nothing is lost",
        missing="Elections of a real MongoDB: `SOTTO_TEST_MONGODB`; several media servers",
        elsewhere=(
            "tests/signaling/bus/test_sentinel.py::test_c24_the_bus_follows_the_leader_that_sentinels_name",
            "tests/proofs/test_kills.py::test_three_kills_under_load",
            "tests/signaling/storage/test_mongo.py::test_c12_a_write_concern_that_is_not_met_acknowledges_nothing",
        ),
    ),
    Promise(
        "C18",
        "What one shows of oneself, and who may write, add and call; nobody is listed anywhere",
    ),
    Promise(
        "C19",
        "Consent to a text, with versions, withdrawn as easily; 403 without it",
        missing="Recordings: with recording",
        elsewhere=(
            "tests/signaling/delivery/push/test_peace.py::test_c19_who_withdrew_is_not_woken",
        ),
    ),
    Promise(
        "C20",
        "Pseudonyms with a key that can be replaced; who was erased is not found; statistics of "
        "nobody",
    ),
    Promise("C24", "Confidential and whole in transit and at rest"),
    Promise(
        "C25",
        "Calls, chat and files on one's own machines with no other in reach",
        missing="The install from one bundle, and the pages of administration",
        elsewhere=(
            "tests/network/test_nothing_leaves.py::test_call_without_an_outside",
            "tests/network/test_nothing_leaves.py::test_chat_search_and_files_without_an_outside",
            "tests/cli/test_silence.py::test_nothing_tries_to_leave",
        ),
    ),
    Promise("C27", "Only what is necessary is stored, and every kind of it is written down"),
    Promise(
        "C28",
        "What is kept and why, for everybody to read before there is an account",
        missing="On the page at sign-up and in the settings, in several languages: with the page",
    ),
    Promise(
        "C29",
        "Retention by class of data, and for accounts that nobody uses; dry runs that count",
        missing="Backups stay as long as the operator keeps them",
        elsewhere=(
            "tests/rows/test_b17_retention.py::test_b16_after_thirty_days_nothing_of_it_is_left",
            "tests/rows/test_b17_retention.py::test_b17_files_may_go_before_their_messages",
            "tests/rows/test_c04_session_tokens.py::test_c05_a_session_has_an_absolute_end",
            "tests/rows/test_c04_session_tokens.py::test_c05_a_guest_lives_a_day_and_is_then_removed",
            "tests/signaling/compliance/test_audit_log.py::test_b11_retention_keeps_the_rest_verifiable",
        ),
    ),
    Promise(
        "C30",
        "Access, correction and erasure of what is one's own within minutes; restrict and object; "
        "thirty days for what people have to answer; recipients are told",
        elsewhere=(
            "tests/signaling/delivery/push/test_peace.py::test_who_had_processing_restricted_wakes_nobody_and_is_not_woken",
        ),
    ),
    *STANDARDS,
    *COMPARED,
    *ENDURED,
)
