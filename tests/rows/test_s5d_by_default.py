"""Row 5.D 25 (GDPR 25): what a fresh installation and a fresh account show and keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.rows.house import House, visiting
from tests.rows.rightful import owner, people
from tests.signaling.files import samples

DAY = 86400


async def test_s5d_25_little_is_shown_and_kept_where_nobody_said_anything(
    housed: Callable[..., House], tmp_path: Path
) -> None:
    async with visiting(housed()) as there:
        ann, bob, stranger = await people(there, 3)
        # Nothing of what is said is in a notice, unless room and person both want it.
        assert (await ann.must("GET", "/push/settings"))["previews"] is False
        room = await ann.room(bob)
        shown = await ann.must("GET", f"/rooms/{room}")
        assert not shown["settings"].get("preview")
        # Thirty days.
        assert (await ann.must("GET", f"/rooms/{room}/retention"))["messages"] == 30 * DAY
        # Nobody is found: there is no list of people for people.
        assert (await ann.ask("GET", "/accounts")).status == 403
        assert (await stranger.ask("GET", f"/rooms/{room}/members")).status == 404
        # Who shares no room is told nothing of whether somebody is there, nor when they were.
        wishes = await ann.must("GET", "/preferences")
        assert (wishes["presence"], wishes["last_seen"]) == ("contacts", "contacts")
        # A picture loses where it was taken.
        path = samples.picture("jpg", tmp_path)
        info = await ann.uploaded(room, path.read_bytes(), path.name)
        form = tmp_path / "form.jpg"
        form.write_bytes(await ann.fetched(info))
        assert not samples.place_of(form)
        # Nobody signs up by themselves.
        body = {"login": "some.body", "password": "four other words that nobody guesses"}
        refused = await there.ask("POST", "/sign-up", body)
        assert refused.status == 403, refused.text
        assert (await (await owner(there)).must("GET", "/statistics"))["least"] >= 5
