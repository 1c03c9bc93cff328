"""Rows of what comparable products offer and where they fail their people: 1.E, 2 and 3.

Of section 2 the rows marked M that concern chat, sync, files and the rights of people. Most are
shown by the tests that docs/features.md is made of. Long because it is one table.
"""

from __future__ import annotations

from tests.rows.promise import Promise, tests_in

FEATURES = "features/test_"
CHAT = "signaling/chat/test_"


def noun(file: str, *names: str) -> tuple[str, ...]:
    """Tests of nouns of docs/features.md."""
    return tests_in(FEATURES + file, *names)


BEHAVIOURS = (
    Promise(
        "1.E Session",
        "By name and password, passkey, link of a guest or provider; nobody is made on the fly",
        missing="By e-mail address or telephone number: nobody has to have one (B32). A callback "
        "that retries: clients say that they were signed out",
        elsewhere=(
            *tests_in(
                "signaling/accounts/test_joining",
                "by_default_nobody_signs_up_without_an_invitation",
                "a_guest_comes_by_link_and_is_forgotten_with_the_session",
            ),
            *tests_in(
                "signaling/accounts/test_provider", "a_provider_makes_no_account_where_it_may_not"
            ),
            *tests_in(
                "rows/test_c04_session_tokens",
                "c05_two_idle_hours_end_a_session_and_use_prolongs_it",
            ),
            *tests_in("sync/test_verdicts", "it_signs_out_wherever_the_server_says_so"),
        ),
    ),
    Promise(
        "1.E Users",
        "A profile of one's own, a password changed with the old one, an end by oneself; lists of "
        "people are closed to people; an id of the operator's own and tags, by which, by login and "
        "by age administrators find accounts",
        missing="Filters of the administrators' list by role, by state and by last use: not built",
        elsewhere=(
            *tests_in(
                "signaling/accounts/test_administration",
                "a_new_password_needs_the_old_one_and_ends_other_sessions",
            ),
            *tests_in(
                "signaling/accounts/test_operations",
                "resets_answer_alike_and_send_letters_beside",
                "accounts_are_paged_and_hold_no_secret",
                "deleting_an_account_frees_its_name",
            ),
            *tests_in(
                "rows/test_c18_privacy",
                "b32_nobody_looks_people_up_and_no_operation_takes_a_number",
            ),
            *tests_in(
                "rows/test_c30_my_data", "c30_access_correct_and_erase_by_oneself_within_minutes"
            ),
        ),
    ),
    Promise(
        "1.E Dialogs",
        "Rooms of each kind with owner, moderators and members; one for a pair, begun by its first "
        "message too; left, emptied and ended; custom fields; a wish to be told of each; a look at "
        "the newest messages of a public room before joining, where its owner allows it",
        elsewhere=(
            *noun(
                "rooms",
                "direct_room",
                "group_room",
                "public_room",
                "announcement_room",
                "owner",
                "moderators",
                "members",
            ),
            *tests_in(CHAT + "rooms", "public_room_is_listed_and_joined"),
            *tests_in("signaling/delivery/push/test_peace", "muted_rooms_and_rooms_for_mentions"),
            *tests_in(
                "rows/test_b18_erasure",
                "b18_a_stretch_is_for_moderators",
                "b18_a_room_is_its_owners_to_end",
            ),
        ),
    ),
    Promise(
        "1.E Messages",
        "Receipts, edits, deletions for oneself and for all, reactions, silent and expiring "
        "messages, custom fields, files with their measures, counts, posts over REST",
        elsewhere=(
            *noun(
                "messages",
                "posts_with_an_envelope_and_a_body",
                "edits_with_history",
                "delete_for_me",
                "delete_for_everyone",
                "reactions",
                "silent_posts",
                "per_message_expiry",
                "custom_data",
            ),
            *noun("own", "read_receipts", "delivered_receipts", "unread_counts"),
            *noun("files", "complete"),
            *tests_in(CHAT + "messages", "posting_twice_with_one_key_is_one_message"),
        ),
    ),
    Promise(
        "1.E Search",
        "Messages are found without naming an end date",
        missing="Rooms by name: a member has the list of rooms, and public rooms are listed",
        elsewhere=(
            *tests_in(
                "rows/test_c07_search",
                "c07_by_word_and_phrase_in_any_language",
                "c07_by_sender_date_and_file",
            ),
            *noun("rooms", "public_room"),
        ),
    ),
    Promise(
        "1.E Push",
        "APNs with its token for rings, FCM, Web Push and UnifiedPush, for each device",
        missing="Notices with words of the operator's own: only what happened in a room is told",
        elsewhere=(
            *noun("push", "web_push", "unifiedpush", "apns", "fcm"),
            *tests_in("signaling/delivery/push/test_rules", "a_ring_goes_to_the_token_that_rings"),
            *tests_in(
                "signaling/delivery/push/test_ways",
                "apns_takes_alerts_rings_and_silence_over_one_connection",
            ),
        ),
    ),
    Promise(
        "1.E Calls",
        "Ring, accept, reject (by plain HTTP too), busy, cancel, hang up; a device that cannot",
        missing="The verbs of the media themselves are LiveKit's: docs/operations/livekit.md",
        elsewhere=(
            *noun(
                "calls",
                "ring",
                "accept",
                "reject",
                "reject_by_plain_http",
                "busy",
                "cancel",
                "timeout",
                "answered_elsewhere",
            ),
            *tests_in(
                "signaling/calls/test_machine",
                "busy_is_an_answer_and_not_supported_of_one_device_leaves_the_others_ringing",
            ),
        ),
    ),
    Promise(
        "1.E Realtime",
        "Acknowledged and resumed, on all devices of an account, quieter in the background; last "
        "seen; blocks",
        elsewhere=(
            *tests_in(
                "sync/test_python_client",
                "what_was_written_while_away_arrives_once",
                "an_accounts_own_data_is_on_all_its_devices",
            ),
            *tests_in("signaling/sync/test_socket", "a_client_in_the_background_is_pinged_less"),
            *tests_in(
                "rows/test_c18_privacy",
                "c18_presence_last_seen_and_status_are_shown_as_wished",
                "c18_who_is_blocked_reaches_nobody",
            ),
        ),
    ),
    Promise(
        "1.E Storage",
        "Create, upload, declare complete; private, over links that end",
        missing="A flag that makes a file public: there is none",
        elsewhere=(
            *noun(
                "files", "create", "resumable_upload_tus_1_0", "complete", "an_origin_of_its_own"
            ),
            *tests_in(
                "signaling/files/test_rights", "a_link_ends_with_the_session_and_with_its_time"
            ),
        ),
    ),
    Promise(
        "1.E Admin API",
        "Statistics by day, and an account's end by an administrator",
        missing="Reading rooms and messages: only as an export that two people ask for and that "
        "is told (B21). Letters with words of the operator's own: they are fixed",
        elsewhere=(
            *tests_in("rows/test_c20_statistics", "c20_statistics_name_nobody_and_count_no_few"),
            *tests_in("rows/test_b18_erasure", "b18_deleting_an_account_erases_the_person_too"),
            *tests_in("rows/test_b21_export", "b21_others_data_takes_two_people_and_is_told"),
        ),
    ),
)

MESSAGING = (
    Promise(
        "2 Rooms",
        "Public and private rooms",
        elsewhere=noun("rooms", "public_room", "private_room"),
    ),
    Promise("2 Direct messages", "Two people, one room", elsewhere=noun("rooms", "direct_room")),
    Promise("2 Groups", "Messages to several people", elsewhere=noun("rooms", "group_room")),
    Promise(
        "2 Threads", "Answers aside, counted and read there", elsewhere=noun("messages", "threads")
    ),
    Promise("2 Quote-replies", "An answer that quotes", elsewhere=noun("messages", "replies")),
    Promise(
        "2 Edit",
        "One's own message, with what it said before",
        elsewhere=noun("messages", "edits_with_history"),
    ),
    Promise(
        "2 Delete",
        "For me and for everyone",
        elsewhere=noun("messages", "delete_for_me", "delete_for_everyone"),
    ),
    Promise("2 Reactions", "Emoji, once each", elsewhere=noun("messages", "reactions")),
    Promise(
        "2 Mentions",
        "Of somebody and of everybody",
        elsewhere=noun("messages", "mentions"),
        missing="Of groups of people: a room has no groups",
    ),
    Promise(
        "2 Typing",
        "Told while it lasts, by those who like it told",
        elsewhere=(
            *noun("own", "typing"),
            *tests_in("rows/test_c18_privacy", "c18_typing_is_told_of_who_shows_it"),
        ),
    ),
    Promise(
        "2 Presence",
        "Here, away, last seen, as wished",
        elsewhere=(
            *noun("own", "presence_with_privacy"),
            *tests_in(
                "rows/test_c18_privacy", "c18_presence_last_seen_and_status_are_shown_as_wished"
            ),
        ),
    ),
    Promise("2 Read receipts", "Who read how far", elsewhere=noun("own", "read_receipts")),
    Promise("2 Delivered receipts", "Whom it reached", elsewhere=noun("own", "delivered_receipts")),
    Promise(
        "2 Unread counts",
        "Of rooms and threads, marked unread, always able to reach zero",
        elsewhere=(
            *noun("own", "unread_counts"),
            *tests_in(CHAT + "own", "unread_counts_and_always_reaches_zero"),
        ),
    ),
    Promise(
        "2 Search",
        "The whole history of readable rooms",
        elsewhere=tests_in(
            "rows/test_c07_search",
            "c07_by_word_and_phrase_in_any_language",
            "c07_a_message_is_jumped_to_and_read_around",
        ),
    ),
    Promise("2 Pins", "Pinned messages", elsewhere=noun("messages", "pins")),
    Promise(
        "2 Files",
        "Attached to messages",
        elsewhere=noun("files", "create", "complete", "files_on_disk", "files_in_s3"),
    ),
    Promise("2 Previews", "Pictures in small", elsewhere=noun("files", "thumbnails_and_previews")),
    Promise(
        "2 Stripping",
        "No place and no tag of the camera is left",
        elsewhere=(
            *noun(
                "files",
                "images_re_encoded_and_stripped",
                "video_metadata_stripped",
                "location_only_by_choice",
            ),
            *tests_in("signaling/files/test_stripped", "b33_no_place_and_no_tag_in_any_form"),
        ),
    ),
    Promise(
        "2 Expiry",
        "Messages that end by themselves",
        elsewhere=noun("messages", "per_message_expiry"),
    ),
    Promise(
        "2 Transient rooms",
        "Rooms that keep nothing",
        elsewhere=tests_in("rows/test_b20_transient", "b20_of_a_transient_room_nothing_is_kept"),
    ),
    Promise(
        "2 Reports",
        "To the moderators of a room",
        elsewhere=noun("own", "report_and_moderators_queue"),
    ),
    Promise("2 Blocks", "Of people", elsewhere=noun("own", "block")),
)

DEVICES = (
    Promise(
        "2 Push",
        "APNs and FCM by keys of the operator's own, without anybody's quota",
        missing="Apple and Google themselves: accounts there; here stand-ins that check tokens and "
        "protocol",
        elsewhere=noun(
            "push", "apns", "fcm", "content_by_room_mode", "never_a_body_for_e2ee_and_phi"
        ),
    ),
    Promise(
        "2 Web Push", "With a key of the server's own (VAPID)", elsewhere=noun("push", "web_push")
    ),
    Promise(
        "2 Several devices",
        "Of one account, each for itself and all alike",
        elsewhere=(
            *noun("own", "drafts_across_devices"),
            *noun("calls", "answered_elsewhere"),
            *tests_in("sync/test_python_client", "an_accounts_own_data_is_on_all_its_devices"),
            *tests_in(
                "rows/test_b31_devices", "b31_one_device_is_signed_out_from_another_and_wiped"
            ),
        ),
    ),
    Promise(
        "2 Offline",
        "Read, written and resumed without a gap",
        elsewhere=(
            *tests_in("sync/test_python_client", "what_was_written_while_away_arrives_once"),
            *tests_in(
                "sync/test_typescript_client",
                "what_was_written_while_away_arrives_once_after_every_cut",
            ),
            *tests_in("sync/test_convergence", "everybody_has_everything_after_kills_on_sqlite"),
        ),
    ),
)

ADMINISTRATION = (
    Promise(
        "2 Permissions",
        "Roles, parts in a room, and tokens for single rooms and verbs",
        elsewhere=(
            *noun("rooms", "owner", "moderators"),
            *tests_in("signaling/access/test_matrix", "b22_every_cell"),
            *tests_in("rows/test_s5_hostile", "s5b_members_call_no_administrators_route"),
        ),
    ),
    Promise(
        "2 Invites",
        "Links with an end by time and by uses",
        elsewhere=(
            *noun("rooms", "invites_with_expiry_and_uses"),
            *tests_in("rows/test_s5_hostile", "s5a_a_hundred_joins_on_one_use"),
        ),
    ),
    Promise(
        "2 OIDC",
        "Signing in by a provider of the operator's choice",
        elsewhere=tests_in(
            "signaling/accounts/test_provider",
            "a_real_provider_makes_and_finds_an_account",
            "over_http_from_the_page_to_the_session",
        ),
    ),
    Promise(
        "2 TOTP",
        "A second factor",
        elsewhere=tests_in(
            "rows/test_c11_second_factor", "c11_a_code_counts_once_and_within_one_step"
        ),
    ),
    Promise(
        "2 Passkeys",
        "Instead of a password, or beside it",
        elsewhere=(
            *tests_in("rows/test_c11_second_factor", "c11_s5c_passkeys_are_the_better_option"),
            *tests_in(
                "signaling/accounts/test_passkeys",
                "sign_up_with_a_passkey_alone_and_sign_in_without_a_name",
            ),
        ),
    ),
    Promise(
        "2 Retention",
        "By room and class of data",
        elsewhere=tests_in(
            "rows/test_b17_retention",
            "b17_the_shortest_time_wins_and_null_keeps",
            "b17_files_may_go_before_their_messages",
        ),
    ),
    Promise(
        "2 Audit",
        "Read by auditors, with filters",
        elsewhere=tests_in(
            "rows/test_b11_audit",
            "b13_only_auditors_read_and_nobody_writes",
            "b13_filters_cursors_and_bad_ones",
        ),
    ),
    Promise(
        "2 Forwarding",
        "Of the audit, to syslog, a webhook, OTLP or a file",
        elsewhere=(
            *tests_in(
                "rows/test_b11_audit",
                "b13_rsyslog_over_tls_gets_everything_in_order_through_an_outage",
                "b13_a_file_gets_every_record_and_the_chain_verifies",
            ),
            *tests_in(
                "signaling/compliance/test_forwarding",
                "b13_a_webhook_is_signed_and_tried_until_it_answers",
                "b13_a_collector_gets_logs_that_its_own_definition_accepts",
            ),
        ),
    ),
    Promise(
        "2 Export",
        "Of one's own data, as JSON",
        elsewhere=tests_in(
            "rows/test_b21_export", "b21_my_own_archive_has_what_is_mine_and_nothing_of_others"
        ),
    ),
    Promise(
        "2 Erasure",
        "True, with files and in backups",
        elsewhere=tests_in(
            "rows/test_b18_erasure",
            "b18_a_person_goes_and_nobody_elses_things_do",
            "b18_the_backup_of_the_night_before_does_not_bring_an_erased_person_back",
        ),
    ),
    Promise(
        "2 Bots and webhooks",
        "In and out, and accounts of programs",
        elsewhere=noun(
            "delivery", "incoming_webhooks", "outgoing_webhooks", "bots_with_scoped_tokens"
        ),
    ),
    Promise(
        "2 Signed webhooks",
        "By the published standard",
        elsewhere=(
            *noun("delivery", "outgoing_webhooks"),
            *tests_in(
                "signaling/delivery/test_webhooks",
                "a_signature_is_that_of_the_published_example",
                "a_rotated_secret_overlaps_with_the_one_before",
            ),
        ),
    ),
    Promise(
        "2 Rate limits",
        "Published, and told when they are met",
        elsewhere=(
            *tests_in("rows/test_s4_conventions", "s4_rates_are_published_and_429_says_when"),
            *tests_in("signaling/http/api/test_documents", "every_operation_has_a_published_rate"),
        ),
    ),
    Promise(
        "2 Install",
        "One command",
        missing="A package of a distribution and an image: a release",
        elsewhere=(
            *tests_in("cli/test_commands", "dev_needs_nothing_and_says_what_to_open"),
            *tests_in("cli/test_quick_start", "the_quick_start_of_the_readme"),
        ),
    ),
    Promise(
        "2 Metrics",
        "For Prometheus, without names",
        missing="Traces by OpenTelemetry: not built",
        elsewhere=tests_in(
            "signaling/http/test_operator", "metrics_are_prometheus_text_without_names"
        ),
    ),
)

COMPLAINTS = (
    Promise(
        "3.10",
        "A database that was started anew stops nothing for good",
        missing="A real MongoDB: `SOTTO_TEST_MONGODB`; here a stand-in that speaks its protocol",
        elsewhere=(
            *tests_in(
                "signaling/storage/test_mongo",
                "losing_the_store_is_said_and_healed",
                "an_absent_server_does_not_stop_the_start",
            ),
            *tests_in("sync/test_convergence", "everybody_has_everything_after_kills_on_mongodb"),
        ),
    ),
    Promise(
        "3.11",
        "A server that idles, or holds a thousand silent sockets, is small",
        missing="Megabytes say as much of the machine as of the server, so no test asserts them: "
        "`make bench WHAT=idle` and `WHAT=sockets` measure (docs/performance.md: 121 MB idle, "
        "47.5 kB for each idle socket over TLS)",
        elsewhere=tests_in(
            "signaling/sync/test_socket", "5b_a_slow_reader_is_cut_and_the_buffer_is_bounded"
        ),
    ),
    Promise(
        "3.19",
        "Who is erased is nowhere any more, and not only for those who come later",
        elsewhere=(
            *tests_in("rows/test_b18_erasure", "b18_a_person_goes_and_nobody_elses_things_do"),
            *tests_in("sync/test_erased_copies", "what_is_taken_back_is_in_no_file_of_any_device"),
        ),
    ),
    Promise(
        "3.20",
        "Erasing a person takes what they wrote in every room, not in direct ones alone",
        elsewhere=tests_in("rows/test_b18_erasure", "b18_a_person_goes_and_nobody_elses_things_do"),
    ),
    Promise(
        "3.23",
        "Phones without Google sleep: UnifiedPush, payloads that only wake, few pings",
        missing="A battery: a phone. Typing and presence are held back by the client that is in "
        "the background, not by the server",
        elsewhere=(
            *noun("push", "unifiedpush", "wake_only", "collapsing"),
            *tests_in("signaling/sync/test_socket", "a_client_in_the_background_is_pinged_less"),
        ),
    ),
    Promise(
        "3.24",
        "No number of notices a month is too many",
    ),
    Promise("3.25", "No message is hidden behind a limit that has to be paid for"),
    Promise(
        "3.29",
        "Unread always reaches zero, whatever was done before",
        elsewhere=(
            *noun("own", "unread_counts"),
            *tests_in(CHAT + "own", "unread_counts_and_always_reaches_zero"),
            *tests_in(
                CHAT + "unread",
                "counts_are_what_is_shown_and_not_read",
                "reading_everything_leaves_nothing",
                "reading_the_room_and_each_thread_leaves_nothing",
            ),
        ),
    ),
    Promise(
        "3.30",
        "Nobody is found by what their camera wrote into a picture",
        elsewhere=(
            *tests_in(
                "rows/test_b33_no_metadata", "b33_a_photo_and_a_film_lose_where_they_were_taken"
            ),
            *tests_in(
                "signaling/files/test_stripped",
                "b33_no_place_and_no_tag_in_any_form",
                "b33_jpeg_xl_is_refused",
            ),
        ),
    ),
    Promise(
        "3.34",
        "Calls without chat: LiveKit's clients with tokens of the operator's own",
        missing="Chat with another's media server: calls of rooms are of the media server that is "
        "built in",
        elsewhere=(
            *tests_in("interop/test_livekit_api", "room_service"),
            *tests_in("signaling/calls/test_ears", "rooms_of_other_names_are_none_of_chat"),
        ),
    ),
)

COMPARED = (*BEHAVIOURS, *MESSAGING, *DEVICES, *ADMINISTRATION, *COMPLAINTS)
