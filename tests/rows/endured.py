"""Rows of GDPR's articles (5.D), and of reliability.md: faults (2.2) and classes of attack (3.4).

Of the faults and classes those that concern messages, files and pages; those of media are in
docs/operations/faults.md.
"""

from __future__ import annotations

from tests.rows.promise import Promise, tests_in

STATEMENT = "rows/test_c30_my_data"
EVERYBODY = "c28_b02_everybody_reads_before_an_account_what_is_kept_and_why"

ARTICLES = (
    Promise(
        "5.D 5, 6",
        "Every purpose has a legal basis and a time",
        elsewhere=tests_in(
            "rows/test_c19_consent", "b03_a_purpose_has_a_basis_and_everybody_may_read_the_register"
        ),
    ),
    Promise(
        "5.D 7, 8",
        "Consent by version and text, withdrawn as easily",
        missing="Asking for an age: not built",
        elsewhere=tests_in(
            "rows/test_c19_consent",
            "c19_consent_is_to_a_text_and_ends_as_easily_as_it_began",
            "c19_without_consent_is_403_where_a_purpose_rests_on_it",
        ),
    ),
    Promise(
        "5.D 13, 14",
        "What is kept and why, readable before there is an account, in versions",
        missing="In several languages, and shown to who is added by somebody else: with the page",
        elsewhere=(
            *tests_in("rows/test_c19_consent", "b02_the_notice_has_versions"),
            *tests_in(STATEMENT, EVERYBODY),
        ),
    ),
    Promise(
        "5.D 15",
        "A copy of all that is about oneself, at once",
        elsewhere=tests_in(
            "rows/test_b21_export", "b21_my_own_archive_has_what_is_mine_and_nothing_of_others"
        ),
    ),
    Promise(
        "5.D 16",
        "What is wrong is corrected, and recipients hear of it",
        elsewhere=(
            *tests_in(STATEMENT, "c30_access_correct_and_erase_by_oneself_within_minutes"),
            *tests_in(
                "rows/test_c30_notices",
                "c30_recipients_are_told_of_correction_restriction_and_erasure",
            ),
            *tests_in(
                "rows/test_c07_search", "c07_what_was_deleted_edited_away_or_expired_is_never_found"
            ),
        ),
    ),
    Promise(
        "5.D 17",
        "Erasure, in backups too, and recipients hear of it",
        elsewhere=(
            *tests_in(
                "rows/test_b18_erasure",
                "b18_a_person_goes_and_nobody_elses_things_do",
                "b18_the_backup_of_the_night_before_does_not_bring_an_erased_person_back",
            ),
            *tests_in(
                "rows/test_c30_notices",
                "c30_recipients_are_told_of_correction_restriction_and_erasure",
            ),
        ),
    ),
    Promise(
        "5.D 18",
        "Restricted is kept and not processed",
        elsewhere=(
            *tests_in(
                "rows/test_c30_restriction",
                "c30_restricted_is_kept_and_not_processed",
                "c30_nothing_restricted_leaves_by_a_webhook",
            ),
            *tests_in(
                "signaling/delivery/push/test_peace",
                "who_had_processing_restricted_wakes_nobody_and_is_not_woken",
            ),
        ),
    ),
    Promise(
        "5.D 19",
        "Recipients are told of correction, restriction and erasure",
        elsewhere=tests_in(
            "rows/test_c30_notices", "c30_recipients_are_told_of_correction_restriction_and_erasure"
        ),
    ),
    Promise(
        "5.D 20",
        "JSON that another installation reads",
        missing="From one installation to the other without the person between them: not built",
        elsewhere=(
            *tests_in(
                "rows/test_b21_export", "b21_my_own_archive_has_what_is_mine_and_nothing_of_others"
            ),
            *tests_in("rows/test_b21_import", "b21_a_person_moves_into_another_sotto"),
        ),
    ),
    Promise(
        "5.D 21",
        "An objection is honoured by the server",
        elsewhere=tests_in(
            "rows/test_c30_restriction", "c30_objections_are_honoured_by_the_server"
        ),
    ),
    Promise(
        "5.D 22",
        "Nothing is decided about anybody by a program alone: moderators read reports",
        elsewhere=tests_in("features/test_own", "report_and_moderators_queue"),
    ),
    Promise("5.D 25", "A fresh installation shows little and keeps little"),
    Promise(
        "5.D 28",
        "A contract for who processes for others, and their list",
        missing="The templates: with the pages of compliance",
    ),
    Promise(
        "5.D 30",
        "The register of processing as JSON and as CSV, true from the first start",
        elsewhere=(
            *tests_in(
                "rows/test_c19_consent",
                "b03_a_purpose_has_a_basis_and_everybody_may_read_the_register",
            ),
            *tests_in(STATEMENT, EVERYBODY),
        ),
    ),
    Promise(
        "5.D 32",
        "Sealed, by pseudonyms, restored and tried",
        missing="One archive of evidence: with the pages of compliance",
        elsewhere=(
            *tests_in(
                "rows/test_a05_sealed_fields", "a04_a05_c24_a_dump_of_each_store_shows_no_canary"
            ),
            *tests_in(
                "rows/test_b18_erasure", "c20_the_audit_shows_who_was_erased_by_a_pseudonym_alone"
            ),
            *tests_in("proofs/test_restore", "a_backup_is_restored_in_a_fresh_root"),
        ),
    ),
    Promise(
        "5.D 33, 34",
        "The clock of a breach, its report and who is told",
        missing="Row B14, with incidents",
    ),
    Promise(
        "5.D 35",
        "An assessment that is filled in from the flow of data",
        missing="The template: with the pages of compliance",
    ),
    Promise(
        "5.D 44-49", "What leaves a region, and the log of it", missing="Row B19, with residency"
    ),
)

FAULTS = (
    Promise(
        "F2",
        "The server is killed while people write: nothing acknowledged is lost or doubled",
        missing="Sockets back within 2 s: not measured on a machine that does nothing else. "
        "Calls that outlive the signalling: roles are not split yet. A hundred runs: "
        "`make test-long PART=sync-sqlite-1` has twenty on each store",
        elsewhere=(
            *tests_in(
                "sync/test_convergence",
                "everybody_has_everything_after_kills_on_sqlite",
                "everybody_has_everything_after_kills_on_mongodb",
            ),
            *tests_in(
                "sync/test_contests",
                "f02_one_order_explains_markers_and_ownership_on_sqlite",
                "f02_one_order_explains_markers_and_ownership_on_mongodb",
            ),
            *tests_in("proofs/test_kills", "three_kills_under_load"),
            *tests_in("sync/test_f02_sockets_back", "f02_sockets_are_back_after_a_kill"),
        ),
    ),
    Promise(
        "F3",
        "The database is cut off or started anew: nothing acknowledged is lost",
        missing="Elections, and their seconds: three MongoDB of the operator's, "
        "`SOTTO_TEST_MONGODB`; here a stand-in that is started anew and a link that is cut",
        elsewhere=(
            *tests_in("sync/test_convergence", "everybody_has_everything_after_kills_on_mongodb"),
            *tests_in("signaling/storage/test_mongo", "losing_the_store_is_said_and_healed"),
            *tests_in(
                "signaling/storage/test_mongo_faults",
                "appends_at_every_byte",
                "documents_at_every_byte",
            ),
        ),
    ),
    Promise(
        "F4",
        "Redis is killed, or its leader is: live delivery goes on, nothing is lost",
        missing="A leader that is cut off with its clients: three machines; here all on one",
        elsewhere=(
            *tests_in(
                "signaling/bus/test_sentinel", "c24_the_bus_follows_the_leader_that_sentinels_name"
            ),
            *tests_in(
                "signaling/sync/test_feed", "a_killed_redis_loses_nothing_and_slows_to_the_poll"
            ),
            *tests_in("signaling/bus/test_redis", "a_hanging_redis_delays_nobody"),
            *tests_in(
                "network/test_f04_sentinel_failover",
                "f04_live_delivery_survives_the_leader_of_redis",
            ),
        ),
    ),
    Promise(
        "F5",
        "Who reads slowly or not at all costs the others nothing and is cut",
        elsewhere=(
            *tests_in("network/test_f05_stalled_reader", "stalled_readers_cost_the_others_nothing"),
            *tests_in(
                "network/test_f05_sync_readers", "f05_stalled_devices_cost_the_others_nothing"
            ),
            *tests_in(
                "signaling/sync/test_socket", "5b_a_slow_reader_is_cut_and_the_buffer_is_bounded"
            ),
            *tests_in(
                "rows/test_a26_sync_order",
                "a26_a_slow_reader_misses_nothing_and_nothing_comes_twice",
            ),
        ),
    ),
    Promise(
        "F6",
        "A full disk acknowledges nothing, reads go on, and it heals with the room",
        missing="An alert at 85 %: with monitoring",
        elsewhere=(
            *tests_in("sync/test_f06_full_disk", "f06_a_full_disk_acknowledges_nothing_and_heals"),
            *tests_in("signaling/storage/test_embedded", "a_full_disk_is_an_outage_that_heals"),
            *tests_in(
                "signaling/files/test_endured", "a_full_disk_never_acknowledges_and_recovers"
            ),
            *tests_in(
                "signaling/compliance/test_forwarding", "b13_a_full_disk_leaves_no_half_line"
            ),
        ),
    ),
    Promise(
        "F7",
        "The clock jumps by an hour and by a month: nobody is cut off, order stays",
        elsewhere=tests_in(
            "sync/test_f07_clocks",
            "f07_a_jump_of_the_servers_clock_cuts_nobody_off",
            "f07_a_call_token_may_be_a_minute_off",
            "f07_a_device_whose_clock_is_off_is_one_like_the_others",
        ),
    ),
    Promise(
        "F16",
        "Two thousand clients come at once and are let in a few at a time",
        missing="How long it takes, and others' messages meanwhile: `make bench WHAT=crowd` "
        "(docs/performance.md), since seconds say as much of the machine",
        elsewhere=(
            *tests_in(
                "signaling/http/test_turns", "others_messages_pass_quickly_while_a_crowd_comes"
            ),
            *tests_in(
                "signaling/http/test_listener", "a_crowd_is_let_in_a_few_for_each_step_of_the_loop"
            ),
        ),
    ),
)

ATTACKS = (
    Promise(
        "Class 22",
        "No address that is private is called, in any spelling, by any detour",
        missing="Previews of links: the server makes none",
        elsewhere=(
            *tests_in("features/test_delivery", "ssrf_guard", "egress_allow"),
            *tests_in(
                "signaling/test_egress",
                "no_spelling_of_loopback_is_called",
                "a_name_that_changes_its_mind_is_refused_on_connecting",
                "a_redirect_inwards_is_refused",
                "thirty_redirects_are_too_many",
                "a_huge_answer_is_cut_off",
                "a_compressed_answer_is_refused",
                "a_slow_answer_is_given_up",
                "other_schemes_and_users_are_refused",
            ),
        ),
    ),
    Promise(
        "Class 23",
        "Uploads: bombs, pixels, scripts, polyglots, names, quotas by parallel pieces",
        elsewhere=(
            *tests_in(
                "features/test_files",
                "decompression_and_pixel_bombs",
                "an_origin_of_its_own",
                "images_re_encoded_and_stripped",
            ),
            *tests_in(
                "signaling/files/test_checked",
                "5_2_6_a_picture_of_too_many_pixels",
                "5_2_3_an_archive_that_explodes",
                "5_4_what_a_browser_would_run_is_never_shown",
                "polyglots_lose_their_other_half",
            ),
            *tests_in(
                "signaling/files/test_rights",
                "5_4_1_names",
                "5_2_4_quotas_hold_against_parallel_uploads",
            ),
            *tests_in("signaling/files/test_tus", "two_patches_at_once_cannot_both_count"),
        ),
    ),
    Promise(
        "Class 24",
        "Names and texts are text wherever they are shown; policies of pages",
        missing="Messages in the page: with the page of chat, and with it a collector of what the "
        "policy stopped",
        elsewhere=(
            *tests_in(
                "signaling/http/test_page",
                "the_page_has_a_strict_policy",
                "a_strange_host_does_not_enter_the_policy",
            ),
            *tests_in("signaling/oauth/test_code_grant", "names_of_clients_are_escaped"),
            *tests_in("rows/test_s5_hostile", "s5a_headers_of_pages_and_answers"),
            *tests_in("attacks/test_11_sdp", "line_breaks_do_not_reach_others"),
            *tests_in("signaling/accounts/test_parsers", "a_display_name_prints_or_is_refused"),
        ),
    ),
)

ENDURED = (*ARTICLES, *FAULTS, *ATTACKS)
