"""Serves the built web client: hashed files for a year, the page itself always asked for again.

Any other path that a browser opens as a page gets the page (the client routes itself). Without a
build it
says how to make one. Driven by `app`.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

import signaling
from signaling.errors import ClientError, Code
from signaling.http.middleware import is_secure, page_policy

FOREVER = "public, max-age=31536000, immutable"
ASK = "no-cache"
# Vite puts a digest into every name below this folder.
HASHED = "assets"

_MISSING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sotto</title>
<h1>The web client is not built</h1>
<p>The server runs: LiveKit clients, WHIP and WHEP can use it. For the page, run
<code>npm ci &amp;&amp; npm run build</code> in <code>web/</code> (<code>make run</code> does it),
then load this page again.</p>
<p>Looked in <code>{where}</code>.</p>
</html>
"""


def find_client(configured: str) -> Path:
    """The folder named by the configuration, or `web/dist` beside the installed packages."""
    if configured:
        return Path(configured)
    return Path(signaling.__file__).resolve().parent.parent / "web" / "dist"


class Client:
    """Files are looked up at each request, so that a new build needs no restart."""

    def __init__(
        self,
        root: Path,
        public_url: str = "",
        authority: Path | None = None,
        files: Callable[[web.Request], str] = lambda request: "",
    ) -> None:
        """`files`: the origin of what people send, for who asked by this request."""
        self._root = root.resolve()
        self._public_url = public_url
        self._authority = authority
        self._files = files

    def add_routes(self, app: web.Application) -> None:
        if self._authority is not None:
            app.router.add_get("/ca.crt", self._get_authority)
        app.router.add_route("*", "/api/{rest:.*}", _no_such_api)
        # Last: everything that no other route took.
        app.router.add_get("/{path:.*}", self.get)

    async def _get_authority(self, request: web.Request) -> web.StreamResponse:
        """The development authority: phones offer to install what has this type."""
        assert self._authority is not None
        headers = {"Cache-Control": ASK, "Content-Type": "application/x-x509-ca-cert"}
        return web.FileResponse(self._authority, headers=headers)

    async def get(self, request: web.Request) -> web.StreamResponse:
        relative = request.match_info["path"]
        file = self._find(relative)
        if file is not None and relative != "index.html":
            hashed = relative.startswith(HASHED + "/")
            return web.FileResponse(file, headers={"Cache-Control": FOREVER if hashed else ASK})
        if relative and not _wants_page(request):
            raise ClientError(Code.NOT_FOUND, 404, "There is nothing at this path.")
        return self._page(request)

    def _page(self, request: web.Request) -> web.StreamResponse:
        secure = is_secure(request, self._public_url)
        headers = {"Cache-Control": ASK, **page_policy(request.host, secure, self._files(request))}
        index = self._root / "index.html"
        if index.is_file():
            return web.FileResponse(index, headers=headers)
        text = _MISSING.format(where=html.escape(str(self._root)))
        return web.Response(status=503, text=text, content_type="text/html", headers=headers)

    def _find(self, relative: str) -> Path | None:
        """A file inside the folder. Links and `..` that lead out of it are not found."""
        if not relative or "\0" in relative or relative.startswith("."):
            return None
        file = (self._root / relative).resolve()
        return file if file.is_relative_to(self._root) and file.is_file() else None


async def _no_such_api(request: web.Request) -> web.StreamResponse:
    raise ClientError(Code.NOT_FOUND, 404, "There is nothing at this path.")


def _wants_page(request: web.Request) -> bool:
    last = request.path.rsplit("/", 1)[-1]
    return "text/html" in request.headers.get("Accept", "") and "." not in last
