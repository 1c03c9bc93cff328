"""Row C20: statistics without names, of which no figure is of fewer than five people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, owner, people

DAY = 86400
CANARY = "canary-20anon"


async def test_c20_statistics_name_nobody_and_count_no_few(housed: Callable[..., House]) -> None:
    async with visiting(housed(clock=True)) as there:
        day = at_noon(there.house)
        crowd, few = await people(there, 8), await people(there, 2)
        *six, shy, bound = crowd
        room = await six[0].room(*crowd[1:], name=CANARY)
        await shy.must("PUT", "/account/objections/statistics")
        await bound.must("PUT", "/account/restriction")
        for one in crowd:
            for number in range(2):
                await one.post(room, f"{CANARY} {number}")
        await six[0].sent(room, b"x" * 500, CANARY)
        health = await six[0].room(*crowd[1:], settings={"phi": True}, kind="private")
        board = await few[0].room(few[1], kind="announcement")
        for one in six:
            await one.post(health, CANARY)
        await few[0].post(board, CANARY)
        root = await owner(there)
        today = await root.must("GET", "/statistics")
        assert today["messages_by_mode"] == {"groups": {}, "withheld": 0}
        there.house.move_on(DAY)
        root = await owner(there)
        found = await root.must("GET", "/statistics")
        assert (found["least"], found["until"]) == (5, str(day + timedelta(days=1)))
        assert found["since"] == str(day - timedelta(days=6))
        # Thirteen of the six and one of the board's; two asked not to be counted.
        fourteen = {"count": 14, "people": 7}
        assert found["messages_by_day"] == {"groups": {str(day): fourteen}, "withheld": 0}
        assert found["messages_by_mode"] == {"groups": {"searchable": fourteen}, "withheld": 0}
        # One alone would be the sum without the other: both are withheld.
        assert found["messages_by_kind"] == {"groups": {}, "withheld": 2}
        assert found["files_by_day"] == {"groups": {}, "withheld": 1}
        await nobody_is_named(there, [*crowd, *few], room)
        month = await root.must("GET", "/statistics", params={"window": "month"})
        assert month["messages_by_day"] == found["messages_by_day"]


async def test_c19_c20_where_statistics_rest_on_consent_nobody_else_is_counted(
    housed: Callable[..., House],
) -> None:
    async with visiting(housed(clock=True)) as there:
        day = at_noon(there.house)
        crowd, root = await people(there, 7), await owner(there)
        room = await crowd[0].room(*crowd[1:])
        wish = {"basis": "consent", "title": "Statistics", "text": "We count you."}
        made = await root.must("PUT", "/processing-register/statistics", wish)
        agree = {"version": made["version"], "sha256": made["sha256"]}
        for one in crowd[:6]:
            await one.must("PUT", "/account/consents/statistics", agree)
        await crowd[5].must("DELETE", "/account/consents/statistics")
        for one in crowd:
            await one.post(room, CANARY)
        there.house.move_on(DAY)
        found = await (await owner(there)).must("GET", "/statistics")
        five = {"count": 5, "people": 5}
        assert found["messages_by_day"] == {"groups": {str(day): five}, "withheld": 0}


async def nobody_is_named(there: Visit, everybody: list[Person], room: str) -> None:
    root = await owner(there)
    text = (await root.ask("GET", "/statistics")).text
    secrets = [CANARY, room, *(word for one in everybody for word in (one.id, one.login))]
    assert not [word for word in secrets if word in text]
    for params in ({"window": "day"}, {"days": "1"}):
        refused = await root.ask("GET", "/statistics", params=params)
        assert (refused.status, refused.code) == (422, "fields_invalid"), params
    token = await there.sign_in(everybody[0].login)
    assert (await there.ask("GET", "/statistics", token=token)).status == 403
    assert (await there.ask("GET", "/statistics")).status == 401


def at_noon(house: House) -> date:
    """No day ends while this goes on."""
    now = datetime.now(UTC)
    noon = now.replace(hour=12, minute=0, second=0) + timedelta(days=1)
    house.move_on(int((noon - now).total_seconds()))
    return noon.date()
