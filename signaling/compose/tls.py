"""The https listeners' certificates: from files, or from an ACME authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from signaling.clock import Clock
from signaling.config import Config
from signaling.http.middleware import Middleware
from signaling.http.tls import CertificateWatch, server_context
from signaling.http.tls_accept import ContextOf
from signaling.storage.port import Meta

if TYPE_CHECKING:
    from signaling.http.acme.challenges import Pending
    from signaling.http.acme.keeper import Keeper


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a listener needs, and what keeps it fresh. `challenges` and `keeper`: with ACME only."""

    context: ssl.SSLContext
    watch: CertificateWatch
    challenges: ContextOf | None = None
    keeper: Keeper | None = None
    pending: Pending | None = None


def make_certificates(
    config: Config, state: Path, clock: Clock, meta: Meta | None = None
) -> Certificates:
    """`meta`: of the store, by which nodes answer each other's challenges. Raises ConfigError for
    files that cannot be used.
    """
    if not config.acme.directory:
        context = server_context(config.tls)
        return Certificates(context, CertificateWatch(context, config.tls))
    # Here and not above: `acme` and what it stands on take a tenth of a second to load.
    from signaling.http.acme.challenges import Pending, utc
    from signaling.http.acme.keeper import Keeper, ensure_placeholder, files_of
    from signaling.http.acme.shared import SharedTexts

    tls = files_of(config.tls, state)
    ensure_placeholder(tls, config.acme.domains, utc(clock.unix()))
    context = server_context(tls)
    watch = CertificateWatch(context, tls)
    pending = Pending(None if meta is None else SharedTexts(meta, clock))
    keeper = Keeper(config.acme, state, tls, pending, clock, watch.look)
    return Certificates(context, watch, pending.context_of, keeper, pending)


def challenge_application(pending: Pending, middleware: Middleware) -> web.Application:
    """Of the http-01 listener: challenges, and a refusal for all else."""
    from signaling.http.acme.challenges import PATH

    app = web.Application(middlewares=middleware.chain())
    app.on_response_prepare.append(middleware.finish)
    app.router.add_get(PATH + "{token}", pending.answer)
    app.router.add_route("*", "/{path:.*}", pending.answer)
    return app
