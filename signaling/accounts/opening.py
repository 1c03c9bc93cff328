"""From the configuration to the parts of this room; the composition root calls these in order."""

from __future__ import annotations

import ipaddress
import os

from signaling.accounts.mail import Mailer, MailServer, Smtp
from signaling.accounts.oidc import Provider, Registration
from signaling.accounts.passwords.breaches import Breaches
from signaling.accounts.passwords.hashing import Cost, HashPool, workers_for
from signaling.accounts.settings import SecondFactor, Settings, SignUp
from signaling.clock import Clock
from signaling.config import Config
from signaling.config.accounts import site_of
from signaling.config.egress import EgressAllow
from signaling.egress import Allow, Egress
from signaling.errors import ConfigError
from signaling.ids import Entropy


def settings_of(config: Config, public_url: str = "") -> Settings:
    """`public_url` where the configuration has none (`sotto dev` knows its port when it listens).

    Raises ConfigError where passkeys could never work.
    """
    accounts = config.accounts
    host, origin = site_of(config.http.public_url or public_url)
    rp_id = accounts.rp_id or host
    origins = accounts.origins or (origin,)
    for one in origins:
        found, _ = site_of(one)
        # WebAuthn section 5.1.3: the relying party's id is a suffix of the page's domain.
        if found != rp_id and not found.endswith("." + rp_id):
            raise ConfigError("accounts.origins", f"{one} is not within {rp_id} (accounts.rp_id)")
    return Settings(
        sign_up=SignUp(accounts.sign_up),
        second_factor=SecondFactor(accounts.second_factor),
        words=accounts.words,
        public_url=origin,
        rp_id=rp_id,
        origins=tuple(origins),
        invite=float(accounts.invitation_seconds),
        guest=float(accounts.guest_seconds),
        tries_per_address=accounts.tries_per_address,
    )


def hash_pool(config: Config, entropy: Entropy) -> HashPool:
    """`close` it."""
    accounts = config.accounts
    cost = Cost(memory_kib=accounts.hash_memory_kib, passes=accounts.hash_passes)
    workers = accounts.hash_workers or workers_for(os.cpu_count())
    return HashPool(cost, entropy, workers, accounts.hash_waiting)


def egress(config: Config) -> Egress:
    """Inside a running loop. Raises ConfigError."""
    return Egress([_allow(place, one) for place, one in enumerate(config.egress.allow)])


def _allow(place: int, one: EgressAllow) -> Allow:
    try:
        network = ipaddress.ip_network(one.network)
    except ValueError as error:
        raise ConfigError(f"egress.allow[{place}].network", str(error)) from None
    return Allow(network=network, port=one.port, ca_file=one.ca_file)


def providers(config: Config, through: Egress, clock: Clock) -> list[Provider]:
    """Raises ConfigError."""
    found: dict[str, Provider] = {}
    for one in config.accounts.providers:
        if one.id in found:
            raise ConfigError("accounts.providers", f"{one.id} is there twice")
        if "openid" not in one.scopes:
            raise ConfigError("accounts.providers", f"{one.id}: the scopes need openid")
        known = Registration(
            id=one.id,
            name=one.name,
            issuer=one.issuer,
            client_id=one.client_id,
            client_secret=one.client_secret,
            scopes=one.scopes,
            sign_up=one.sign_up,
            trust_mfa=one.trust_mfa,
        )
        found[one.id] = Provider(known, through, clock)
    return list(found.values())


def breaches(config: Config, through: Egress) -> Breaches | None:
    """None unless the operator names a service. Raises ConfigError."""
    url = config.accounts.breach_list_url
    if not url:
        return None
    if not url.startswith("https://") or not url.endswith("/"):
        raise ConfigError("accounts.breach_list_url", "an https URL that ends in a slash")
    return Breaches(url, through)


def mailer(config: Config, product: str) -> Mailer | None:
    """None without a mail server. Raises ConfigError."""
    mail = config.mail
    if not mail.host:
        return None
    if not mail.sender:
        raise ConfigError("mail.sender", "an address for `From` is needed")
    server = MailServer(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        implicit_tls=mail.tls == "tls",
        ca_file=mail.ca_file,
        user=mail.user,
        password=mail.password,
    )
    return Mailer(Smtp(server), mail.sender, product)
