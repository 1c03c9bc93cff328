"""Row C4: the OAuth 2.0 session token that each request is authenticated by."""

from __future__ import annotations

from tests.rows.house import Visit


async def test_c04_two_logins_give_two_tokens(there: Visit) -> None:
    first, login = await there.joined()
    second = await there.sign_in(login)
    assert first != second
    assert (await there.ask("GET", "/session", token=first)).status == 200
