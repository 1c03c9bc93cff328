"""The rows of this room, over the Store port: which are sealed, and what they are found by."""

from __future__ import annotations

from hashlib import sha256

from signaling.accounts.model import (
    Account,
    App,
    Claim,
    Device,
    Failures,
    Link,
    Pending,
    Purpose,
)
from signaling.accounts.oidc import Flow
from signaling.keys.port import INSTALLATION, Sealer
from signaling.storage.port import Store
from signaling.storage.table import Table
from signaling.storage.untold import Untold, untold_terms

DEFAULT_APP = "default"


class Tables:
    """Owned by the composition root; everybody in this room borrows it."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self.sealer = sealer
        self.apps = Table(store, "app", App)
        self.accounts = Table(
            store,
            "account",
            Account,
            sealer,
            scope=lambda app, key, value: account_scope(key),
            terms=lambda account: (*account.tag_terms, *untold_terms(account)),
        )
        self.untold = Untold(store, sealer, "account", self.accounts)
        self.claims = Table(store, "account_claim", Claim, sealer)
        self.links = Table(store, "account_link", Link, sealer, terms=_link_terms)
        self.devices = Table(
            store,
            "account_device",
            Device,
            sealer,
            scope=lambda app, key, value: account_scope(value.account),
            terms=lambda device: (device.account,),
        )
        self.pending = Table(store, "account_pending", Pending, sealer)
        self.erasures = Table(store, "account_erasure", Claim)
        self.flows = Table(store, "account_flow", Flow, sealer)
        self.failures = Table(store, "account_failures", Failures)

    def login_key(self, app: str, canonical: str) -> str:
        return self.sealer.blind(app, f"login\0{canonical}")

    def identity_key(self, app: str, issuer: str, subject: str) -> str:
        """An identity is (issuer, subject) and nothing else (ASVS 6.8.1)."""
        return self.sealer.blind(app, f"identity\0{issuer}\0{subject}")

    def external_key(self, app: str, external_id: str) -> str:
        return self.sealer.blind(app, f"external\0{external_id}")

    def tag_term(self, app: str, tag: str) -> str:
        return self.sealer.blind(app, f"tag\0{tag}")


def account_scope(account: str) -> str:
    """Destroying this data key leaves nothing of the account to be read, backups included."""
    return f"account:{account}"


def app_row(app: str) -> tuple[str, str]:
    """Where an app's own row lies."""
    return INSTALLATION, app


def secret_key(secret: str) -> str:
    """Rows that a secret opens lie under its hash: at least 192 random bits, so SHA-256 will do."""
    return sha256(secret.encode()).hexdigest()


def _link_terms(link: Link) -> tuple[str, ...]:
    terms = [link.purpose.value, f"id:{link.id}"]
    if link.purpose in (Purpose.RESET, Purpose.MAIL):
        terms.append(f"account:{link.account}")
    return tuple(terms)
