"""Who is asking: sessions, tokens and tickets."""

from __future__ import annotations

from aiohttp import web

from signaling.accounts.principal import Principal


class Nobody:
    """The `Authenticator` of a server without accounts: everybody is a stranger."""

    def __init__(self, app: str) -> None:
        self._app = app

    async def authenticate(self, request: web.Request) -> Principal:
        return Principal(app=self._app)
