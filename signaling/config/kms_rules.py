"""What key management and the audit's forwarding need beyond types. Pure; driven by `rules`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from signaling.config.tree import Config
from signaling.errors import ConfigError

# As for every other key that signs (`rules.MIN_SECRET`).
MIN_SECRET = 32


def check_kms(config: Config) -> Iterator[ConfigError]:
    aws, vault, pkcs11 = config.kms_aws, config.kms_vault, config.kms_pkcs11
    if aws.region and not (aws.access_key_id and aws.secret_access_key):
        yield ConfigError("kms_aws", "access_key_id and secret_access_key are needed")
    if vault.url and vault.token is None:
        yield ConfigError("kms_vault.token", "is needed")
    if pkcs11.module and (not pkcs11.token or pkcs11.pin is None):
        yield ConfigError("kms_pkcs11", "token and pin are needed")
    configured = {
        "local": True,
        "aws": bool(aws.region),
        "vault": bool(vault.url),
        "pkcs11": bool(pkcs11.module),
    }
    if not configured[config.kms.provider]:
        missing = {"aws": "region", "vault": "url", "pkcs11": "module"}[config.kms.provider]
        yield ConfigError(f"kms_{config.kms.provider}.{missing}", "is needed for this provider")
    for path, url in (("kms_aws.endpoint", aws.endpoint), ("kms_vault.url", vault.url)):
        yield from _https(path, url)


def check_audit(config: Config) -> Iterator[ConfigError]:
    webhook, syslog = config.audit_webhook, config.audit_syslog
    yield from _https("audit_webhook.url", webhook.url)
    yield from _https("audit_otlp.url", config.audit_otlp.url)
    if webhook.url and (webhook.secret is None or len(webhook.secret) < MIN_SECRET):
        yield ConfigError("audit_webhook.secret", f"needs at least {MIN_SECRET} characters")
    host, colon, port = syslog.address.rpartition(":")
    if syslog.address and not (host and colon and port.isdecimal() and int(port) <= 65535):
        yield ConfigError("audit_syslog.address", "is HOST:PORT")
    if bool(syslog.certificate) != bool(syslog.key):
        yield ConfigError("audit_syslog.certificate", "certificate and key come together")


def _https(path: str, url: str) -> Iterator[ConfigError]:
    from signaling.config.rules import is_loopback  # which drives this module

    parts = urlsplit(url)
    if url and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        yield ConfigError(path, "must be https")
