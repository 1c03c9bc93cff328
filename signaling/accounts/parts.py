"""What the services of this room are made of, given by the composition root; nothing is global."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from msgspec import Struct

from signaling.accounts.passwords.breaches import Breaches
from signaling.accounts.passwords.hashing import HashPool
from signaling.accounts.settings import Settings
from signaling.accounts.tables import Tables
from signaling.bus.port import Bus
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.ids import Entropy, Ids

MailHook = Callable[[str, str, str, str], None]
"""`(app, address, what, detail)`: hand a letter over; never waits, never raises."""


def no_mail(app: str, address: str, what: str, detail: str) -> None:
    """Without a mail server nobody is written to."""


@dataclass(frozen=True, slots=True)
class Parts:
    tables: Tables
    bus: Bus
    hashes: HashPool
    clock: Clock
    ids: Ids
    entropy: Entropy
    audit: Audit
    settings: Settings
    blocked: Container[str]
    breaches: Breaches | None = None
    mail: MailHook = field(default=no_mail)
    mail_works: bool = False

    def note(
        self, app: str, account: str, action: str, *, denied: bool = False, **more: str
    ) -> None:
        """For what the framework's own record of an operation does not tell."""
        self.audit.note(
            AuditEvent(
                at=self.clock.unix(),
                app=app,
                actor=f"account:{account}" if account else "anonymous",
                action=f"account.{action}",
                target=f"account:{account}" if account else "",
                result="denied" if denied else "allowed",
                details=more,
            )
        )


class Where(Struct, frozen=True, kw_only=True):
    """Whence a request comes. `address` of one host, for throttling only; `network` may be kept."""

    address: str
    network: str
    device_token: str = ""
    device_name: str = ""
