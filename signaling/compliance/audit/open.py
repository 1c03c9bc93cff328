"""The audit's parts for one process, as the configuration names them: its receivers, its retention.

Called by the composition root. The log itself is opened there, since everything else notes in it.
"""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from signaling.clock import Clock
from signaling.compliance.audit.forward.file import FileSink
from signaling.compliance.audit.forward.forwarder import Forwarder
from signaling.compliance.audit.forward.http import OtlpSink, WebhookSink
from signaling.compliance.audit.forward.port import Sink
from signaling.compliance.audit.forward.syslog import SyslogSink, SyslogTarget, client_context
from signaling.compliance.audit.port import Audit
from signaling.compliance.audit.reader import Reader
from signaling.compliance.audit.retention import Retention
from signaling.config import Config
from signaling.errors import ConfigError
from signaling.storage.port import Store

DAY = 86400.0


def sinks(config: Config, clock: Clock) -> list[Sink]:
    """Raises ConfigError for files that cannot be used."""
    found: list[Sink] = []
    if config.audit_syslog.address:
        found.append(SyslogSink(_syslog(config)))
    if (webhook := config.audit_webhook).url and webhook.secret is not None:
        found.append(WebhookSink(webhook.url, webhook.secret, clock, webhook.ca))
    if (otlp := config.audit_otlp).url:
        found.append(OtlpSink(otlp.url, otlp.token, otlp.ca))
    if config.audit_file.path:
        found.append(FileSink(Path(config.audit_file.path)))
    return found


def forwarders(
    config: Config, store: Store, reader: Reader, audit: Audit, clock: Clock, holder: str
) -> list[Forwarder]:
    """`holder` names this process among those that share the store."""
    return [
        Forwarder(sink, store.meta, reader, audit, clock, holder) for sink in sinks(config, clock)
    ]


def retention(config: Config, store: Store, audit: Audit, clock: Clock) -> Retention | None:
    days = config.audit.retention_days
    return Retention(store.meta, store.log, audit, clock, days * DAY) if days else None


def _syslog(config: Config) -> SyslogTarget:
    settings = config.audit_syslog
    host, _, port = settings.address.rpartition(":")
    try:
        context = client_context(settings.ca, settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("audit_syslog", f"its certificates cannot be read: {error}") from error
    return SyslogTarget(
        host.strip("[]"),
        int(port),
        context,
        server_name=settings.server_name,
        facility=settings.facility,
        host_name=settings.host_name or socket.gethostname(),
        process=str(os.getpid()),
        overlap=settings.overlap_seconds,
    )
