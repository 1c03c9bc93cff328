"""What the operator decides about accounts, as this room reads it; made from the configuration.

Pure. The defaults are those of `signaling.config.accounts`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from signaling.accounts.model import Account
from signaling.accounts.passwords.rules import MIN_ALONE, MIN_WITH_SECOND, Policy
from signaling.accounts.roles import STAFF


class SignUp(StrEnum):
    INVITE = "invite"
    OPEN = "open"
    CLOSED = "closed"


class SecondFactor(StrEnum):
    OPTIONAL = "optional"
    STAFF = "staff"
    REQUIRED = "required"


class Settings(Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    sign_up: SignUp = SignUp.INVITE
    second_factor: SecondFactor = SecondFactor.OPTIONAL
    words: tuple[str, ...] = ()
    product: str = "Sotto"
    public_url: str = "http://localhost"
    rp_id: str = "localhost"
    origins: tuple[str, ...] = ("http://localhost",)
    ticket: float = 600.0
    invite: float = 7 * 86400.0
    reset: float = 1800.0
    admin_reset: float = 86400.0
    guest: float = 86400.0
    setup: float = 86400.0
    letter_delay: float = 1.0  # so that writing a reset's letter is no part of its answer
    tries_per_address: int = 60
    tries_window: float = 900.0

    def password_policy(self, app_name: str) -> Policy:
        enforced = self.second_factor is SecondFactor.REQUIRED
        words = (*self.words, app_name) if app_name else self.words
        return Policy(shortest=MIN_WITH_SECOND if enforced else MIN_ALONE, words=words)

    def requires_second(self, account: Account) -> bool:
        if self.second_factor is SecondFactor.STAFF:
            return not STAFF.isdisjoint(account.roles)
        return self.second_factor is SecondFactor.REQUIRED
