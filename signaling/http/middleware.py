"""What every request passes.

Its address, the rate of that address, errors, and headers of the answer.

Decides nothing about rooms or tokens. `RtcPath`s are LiveKit's: they answer their own errors and
any origin.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from functools import lru_cache, partial

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware as AiohttpMiddleware
from multidict import CIMultiDict, istr

from signaling.compliance.audit.port import truncated
from signaling.config import Config
from signaling.errors import ClientError, Code
from signaling.http.problem import from_exception
from signaling.http.rates import Buckets, Refusals, host_of
from signaling.http.ready import Ready, lines
from signaling.http.request_id import HEADER as REQUEST_ID
from signaling.http.request_id import name_request, request_id_of
from signaling.http.trace_context import HEADER as TRACE
from signaling.http.trace_context import take_trace, trace_of
from signaling.logs import bind

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Limited = Callable[[web.Request, str, int], None]
"""A request whose address came too often, its route, and how many of that network it stands for."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Browsers of other origins call LiveKit's paths, WHIP and WHEP with a bearer token; no cookie is
# ever read there.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, Link, ETag, Accept-Post, Accept-Patch",
}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, X-Lk-Test-Err",
    "Access-Control-Max-Age": "86400",
}
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "sotto",
}
# What is no page renders nothing and belongs to nobody else's page (ASVS 3.4.3, 3.5.8).
DATA_POLICY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
# The same with names that need no folding: these go into every answer.
_ALWAYS = CIMultiDict({istr(name): value for name, value in ALWAYS.items()})
_DATA_POLICY = CIMultiDict({istr(name): value for name, value in DATA_POLICY.items()})
_REQUEST_ID, _PERMISSIONS = istr(REQUEST_ID), istr("Permissions-Policy")
_HSTS = istr("Strict-Transport-Security")
HSTS = "max-age=31536000; includeSubDomains"
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:]{2,45}\](:\d{1,5})?")


_OPEN = ("/rtc", "/twirp", "/whip", "/whep")


def is_open(path: str) -> bool:
    # The first look is cheap, and enough for most.
    return path.startswith(_OPEN) and _below(path, _OPEN)


def is_livekit(path: str) -> bool:
    return _below(path, ("/rtc", "/twirp"))


def _below(path: str, bases: Sequence[str]) -> bool:
    return any(path == base or path.startswith(base + "/") for base in bases)


def page_policy(host: str, secure: bool, files: str = "") -> dict[str, str]:
    """Headers of the page itself. `host` is the Host header; one that is malformed is left out.
    `files` is the origin of what people send, which the page shows.
    """
    # Older Firefox does not count a WebSocket of the same host as 'self'.
    socket = f" {'wss' if secure else 'ws'}://{host}" if _HOST.fullmatch(host) else ""
    files = f" {files}" if _HOST.fullmatch(files.partition("://")[2]) else ""
    directives = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' data: blob:{files}",
        f"media-src 'self' blob: mediastream:{files}",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self' blob:",
        f"connect-src 'self'{socket}{files}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
    features = ("camera", "microphone", "display-capture", "fullscreen", "autoplay")
    allowed = [f"{name}=(self)" for name in (*features, "screen-wake-lock", "speaker-selection")]
    denied = [f"{name}=()" for name in ("geolocation", "payment", "usb", "serial", "midi")]
    return {
        "Content-Security-Policy": "; ".join(directives),
        "Permissions-Policy": ", ".join(allowed + denied),
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def in_chain(method: AiohttpMiddleware) -> AiohttpMiddleware:
    """aiohttp marks its middleware by an attribute, which a bound method cannot carry."""
    return web.middleware(partial(method))


def is_secure(request: web.Request, public_url: str) -> bool:
    """Did it leave the browser over TLS? A proxy may have ended it."""
    return request.secure or public_url.startswith("https:")


class Middleware:
    """Every request passes it once: rate, the handler, errors; then the headers of its answer."""

    def __init__(
        self,
        config: Config,
        *,
        hsts: bool,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,  # noqa: TID251 - the adapter that reads it
    ) -> None:
        self._buckets = Buckets(config.limits.requests_per_second, config.limits.requests_burst)
        self._refusals = Refusals()
        self.limited: Limited = _untold
        self._proxies = parse_networks(config.http.trusted_proxies)
        self._hsts = hsts
        self._public_url = config.http.public_url
        self._clock = clock
        self._unix = unix
        self._second, self._leads = 0, ("", "")
        self.requests: Counter[tuple[str, int]] = Counter()

    def chain(self) -> list[AiohttpMiddleware]:
        return [in_chain(self._pass)]

    async def finish(self, request: web.Request, response: web.StreamResponse) -> None:
        """`on_response_prepare`: also reaches answers that a handler prepared itself."""
        headers = response.headers
        headers.update(_ALWAYS)
        headers[_REQUEST_ID] = ident = request_id_of(request)
        if (trace := trace_of(request)) is not None:
            headers[TRACE] = trace.answer(ident)
        if hdrs.CONTENT_SECURITY_POLICY not in headers:
            headers.update(_DATA_POLICY)
        elif _PERMISSIONS not in headers:
            headers[_PERMISSIONS] = DATA_POLICY["Permissions-Policy"]
        if is_open(request.path):
            headers.update(PREFLIGHT if request.method == "OPTIONS" else CORS)
        if self._hsts and is_secure(request, self._public_url):
            headers[_HSTS] = HSTS

    def _pass(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """No coroutine itself, which every request would pay for."""
        if TRACE in request.headers:
            return self._traced(request, handler)
        return self._answered(request, handler)

    async def _traced(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        trace = take_trace(request)
        if trace is None:
            return await self._answered(request, handler)
        with bind(trace_id=trace.id):
            response = await self._answered(request, handler)
        if type(response) is Ready and response.lead is not None:
            response.lead += lines({TRACE: trace.answer(request_id_of(request))})
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        ident = name_request(request)
        try:
            self._take(request)
            if request.method == "OPTIONS" and _is_preflight(request):
                response: web.StreamResponse = web.Response(status=204)
            else:
                response = await handler(request)
        except Exception as error:
            response = from_exception(error, ident)
        if type(response) is Ready:
            response.lead = self._lead(request, ident)
        self.requests[(_route(request), response.status)] += 1
        return response

    def _lead(self, request: web.Request, ident: str) -> str:
        """What `finish` says of an answer of the API, as text, with the date of this second."""
        second = int(self._unix())
        if second != self._second:
            fields = {**ALWAYS, **DATA_POLICY, hdrs.DATE: formatdate(second, usegmt=True)}
            plain = lines(fields)
            self._second, self._leads = second, (plain, plain + lines({_HSTS: HSTS}))
        secure = self._hsts and is_secure(request, self._public_url)
        return f"{self._leads[secure]}{REQUEST_ID}: {ident}\r\n"

    def _take(self, request: web.Request) -> None:
        address = client_address(request, self._proxies)
        now = self._clock()
        if is_loopback(address) or self._buckets.take(host_of(address), now):
            return
        if count := self._refusals.count(truncated(address), now):
            self.limited(request, _route(request), count)
        raise ClientError(Code.RATE_LIMITED, 429, "Too many requests; wait a second.")


def _untold(request: web.Request, route: str, count: int) -> None:
    """Before there is an audit."""


def _is_preflight(request: web.Request) -> bool:
    """Of LiveKit's clients; other pages are not answered."""
    return "Access-Control-Request-Method" in request.headers and is_livekit(request.path)


def _route(request: web.Request) -> str:
    """The route's pattern, never the path: paths hold room names."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def parse_networks(listed: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(item, strict=False) for item in listed)


def client_address(request: web.Request, proxies: Sequence[Network]) -> str:
    """The last address of `X-Forwarded-For` that no trusted proxy wrote about itself."""
    address = request.remote or ""
    if not proxies:
        return address
    hops = [h.strip() for h in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    while hops and is_within(address, proxies):
        hop = hops.pop()
        if not hop:
            break
        address = hop
    return address


def is_proxy(config: Config) -> Callable[[str], bool]:
    """Loopback and the trusted proxies: many people come through each."""
    proxies = parse_networks(config.http.trusted_proxies)
    return lambda address: is_loopback(address) or is_within(address, proxies)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
