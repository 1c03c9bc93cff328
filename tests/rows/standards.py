"""Rows of what others wrote down: the Access Manager's matrix (1.D), conventions of APIs (4), OWASP
and NIST (5.A to 5.C).
"""

from __future__ import annotations

from tests.rows.promise import Promise, tests_in

STANDARDS = (
    Promise(
        "1.D",
        "The acceptance matrix of the Access Manager",
        missing="By access token there is no signal, message count, push, presence state, where-now"
        " or time, no metadata of users (get, set, remove), no memberships of a uuid and no list of"
        " all users or rooms: sessions have what there is of those; here their cells are decided"
        " alone",
        elsewhere=(
            "tests/signaling/access/test_matrix.py::test_b22_every_cell",
            "tests/signaling/access/test_wire.py::test_b22_every_cell_over_http",
        ),
    ),
    Promise(
        "4",
        "Conventions of the API",
        missing="Spans of our own (OpenTelemetry): a trace is named in answer, log and audit, no"
        " further: what leaves later (webhooks, push, routes) and frames of sockets name none."
        " `Deprecation` and `Sunset`: nothing is deprecated yet. A problem's `instance`: its"
        " `request_id` says that. Libraries in Kotlin and Swift: only TypeScript's are generated."
        " schemathesis: two of its checks are left out, as `tests/signaling/http/test_fuzzed.py`"
        " says why, and `make test` runs its coverage phase alone, `make test-long PART=media` what"
        " chance adds",
    ),
    Promise("5.A", "OWASP ASVS 5.0, as far as accounts, sessions and the API go"),
    Promise(
        "5.B",
        "OWASP: WebSocket and API top ten",
        missing="Ten thousand that come back at once: two thousand are row F16. A bomb of 1 GB: "
        "here of 50 MB, which is refused packed. API6: matching of contacts is not built. API10: "
        "there are no previews of links",
        elsewhere=(
            *tests_in(
                "signaling/sessions/test_two_servers",
                "8_3_2_a_changed_role_reaches_open_sockets_of_the_other",
            ),
            *tests_in(
                "signaling/sessions/test_call_rights",
                "8_3_2_a_lowered_role_takes_its_rights_from_a_running_call",
            ),
            *tests_in(
                "signaling/sync/test_socket", "5b_a_slow_reader_is_cut_and_the_buffer_is_bounded"
            ),
            *tests_in(
                "signaling/http/test_listener", "a_crowd_is_let_in_a_few_for_each_step_of_the_loop"
            ),
            *tests_in(
                "signaling/http/api/test_access", "a_burst_is_told_to_wait_and_obeying_helps"
            ),
            *tests_in("signaling/http/api/test_documents", "every_operation_has_a_published_rate"),
            *tests_in("signaling/accounts/test_oidc", "hostile_documents_are_refused"),
            *tests_in("signaling/delivery/push/test_rules", "a_hostile_answer_has_no_reason"),
            *tests_in(
                "signaling/test_egress",
                "no_spelling_of_loopback_is_called",
                "a_name_that_changes_its_mind_is_refused_on_connecting",
                "a_redirect_inwards_is_refused",
                "a_huge_answer_is_cut_off",
                "a_compressed_answer_is_refused",
                "a_slow_answer_is_given_up",
            ),
        ),
    ),
    Promise(
        "5.C",
        "NIST SP 800-63B-4",
        elsewhere=(
            "tests/signaling/accounts/test_load.py::test_two_hundred_sign_ins_do_not_stall_a_socket",
            *tests_in(
                "signaling/accounts/test_passwords",
                "hashing_is_argon2id_with_its_cost_and_a_fresh_salt",
            ),
            *tests_in(
                "signaling/accounts/test_sign_in",
                "a_hash_at_another_cost_is_made_anew",
                "a_hundred_wrong_in_a_row_close_the_password_to_strangers_only",
            ),
            *tests_in(
                "signaling/accounts/test_administration",
                "mail_is_told_of_every_change_to_the_ways_in",
            ),
            *tests_in(
                "signaling/accounts/test_passkeys",
                "a_counter_that_does_not_grow_is_refused_and_audited",
            ),
        ),
    ),
)
