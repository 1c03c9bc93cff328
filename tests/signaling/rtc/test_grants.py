"""Grants after their owner's rights: never more than those, and what else was said of one stays."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from signaling.rtc.grants import VideoGrant

FLAGS = st.sampled_from([None, True, False])
GRANTS = st.builds(
    VideoGrant,
    room=st.just("r"),
    room_join=st.just(True),
    room_admin=st.booleans(),
    publish=FLAGS,
    subscribe=FLAGS,
    publish_data=FLAGS,
    update_own_metadata=FLAGS,
)
READ = ("can_publish", "can_subscribe", "can_publish_data", "can_update_own_metadata")


@given(GRANTS, GRANTS)
def test_a_token_gives_no_more_than_it_says_and_than_its_owner_may(
    token: VideoGrant, rights: VideoGrant
) -> None:
    now = token.under(rights)
    for name in READ:
        assert getattr(now, name) <= (getattr(token, name) and getattr(rights, name)), name
    assert now.room_admin == rights.room_admin
    assert (now.room, now.room_join, now.hidden) == ("r", True, False)
    assert now.under(rights) == now


@given(GRANTS)
def test_a_token_of_unchanged_rights_is_as_it_was(rights: VideoGrant) -> None:
    assert rights.under(rights) == rights


@given(GRANTS, GRANTS, GRANTS)
def test_what_changed_changes_and_nothing_else_does(
    grant: VideoGrant, before: VideoGrant, now: VideoGrant
) -> None:
    after = grant.after(before, now)
    for name in (*READ, "room_admin"):
        changed = getattr(before, name) != getattr(now, name)
        follows_publish = name == "can_publish_data" and grant.publish_data is None
        if changed:
            assert getattr(after, name) == getattr(now, name), name
        elif not follows_publish:
            assert getattr(after, name) == getattr(grant, name), name
    assert grant.after(now, now) == grant


def test_every_cell_of_a_right_that_is_taken_and_given_back() -> None:
    """For a participant with it, and for one from whom a moderator took it."""
    for has, before, now in itertools.product((True, False), repeat=3):
        rights = VideoGrant(publish=before, publish_data=before)
        grant = VideoGrant(publish=has, publish_data=has)
        after = grant.after(rights, VideoGrant(publish=now, publish_data=now))
        expected = has if before == now else now
        assert (after.can_publish, after.can_publish_data) == (expected, expected)
