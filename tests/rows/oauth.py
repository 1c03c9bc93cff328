"""A program that has somebody's consent, in front of the house's OAuth server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.rows.house import Answer, Visit
from tests.signaling.oauth.conftest import CHALLENGE, VERIFIER, basic

BACK = "https://app.example/back?keep=1"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Program:
    """One registered client."""

    there: Visit
    id: str
    secret: str = ""

    @classmethod
    async def registered(cls, there: Visit, name: str, **more: Any) -> Program:
        body = {
            "name": name, "scopes": ["account:read", "messages:read"], "redirect_uris": [BACK],
            **more,
        }  # fmt: skip
        made = await there.ask("POST", "/oauth/clients", body, await there.owner())
        assert made.status in (200, 201), made.text
        return cls(there, made.body["id"], made.body["secret"] or "")

    async def post(self, path: str, **form: str) -> Answer:
        headers = {"Content-Type": FORM}
        if self.secret:
            headers["Authorization"] = basic(self.id, self.secret)
        else:
            form = {"client_id": self.id, **form}
        return await self.there.send("POST", path, data=urlencode(form), headers=headers)

    async def code(self, cookie: str, **changes: str | None) -> tuple[str, str]:
        """What the redirect says: the code, or the error."""
        wanted: dict[str, str | None] = {
            "response_type": "code", "client_id": self.id, "redirect_uri": BACK, "state": "s",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            "scope": "messages:read", **changes,
        }  # fmt: skip
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        headers = {"Cookie": f"__Host-sotto={cookie}"}
        answer = await self.there.send("GET", f"/oauth/authorize?{query}", headers=headers)
        if answer.status == 200:
            found = re.search(r'name="request" value="([^"]*)"', answer.text)
            assert found is not None
            form = urlencode({"request": unescape(found[1]), "decision": "allow"})
            headers |= {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
            answer = await self.there.send("POST", "/oauth/authorize", data=form, headers=headers)
        assert answer.status == 303, answer.text
        said = parse_qs(urlsplit(answer.headers["Location"]).query)
        return said.get("code", [""])[0], said.get("error", [""])[0]

    async def exchange(self, code: str, **changes: str) -> Answer:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
            "code_verifier": VERIFIER, **changes,
        }  # fmt: skip
        return await self.post("/oauth/token", **form)

    async def tokens(self, cookie: str, **changes: str) -> Any:
        code, error = await self.code(cookie, **changes)
        assert not error
        answer = await self.exchange(code)
        assert answer.status == 200, answer.text
        return answer.body

    async def refresh(self, token: str) -> Answer:
        return await self.post("/oauth/token", grant_type="refresh_token", refresh_token=token)
