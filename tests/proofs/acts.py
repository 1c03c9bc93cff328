"""One act of every kind, with a canary in every field: accounts, second factors, links, providers.

Each act leaves what it leaves in the store, the bus, the logs. `Stage` is what they share; the
acts of OAuth, the Access Manager and calls are in `more_acts`. Driven by the dump test.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pyotp
from cryptography.hazmat.primitives.asymmetric import ec

from signaling.delivery.push.webpush import public_point
from tests.proofs.canaries import Canaries
from tests.proofs.outside import Provider
from tests.proofs.server import Answered, Api
from tests.signaling.accounts.authenticator import Authenticator, b64
from tests.signaling.accounts.rig import secret_of
from tests.signaling.accounts.test_mail import Box

# Of answers: what opens something, or says what only its owner may know. What the server gives
# under these names is learnt and searched for; everything else is listed as harmless: names and
# texts that were sent in as canaries, ids, states and kinds, times.
_SECRET = """
access_token refresh_token device_token ticket secret uri recovery_codes secret_key token url
credential challenge device_code user_code reject_token
"""
_HARMLESS = """
name label login mail room rooms identity details network target actor address text message meta
pattern patterns resources authorized_uuid who redirect_uris username

id account account_id session session_id device client client_id app kind state status role roles
scope scopes grants factors features versions version sync operation allowed listing enabled
disabled service data result action reason explicit bound parts needs has gives enough master
provider providers reference wraps key keys subscribe_key publish_key key_set secrets public_key
chain signature head seq request_id token_id items next next_cursor prev_cursor good records heads
signed_to unsigned findings moved failed second_factor password totp passkeys synced
recovery_codes_left current ended mfa used uses requested_by approved_by confidential trusted
introspects dpop sign_up password_reset password_shortest password_longest path api socket livekit
openapi asyncapi qr urls ice_servers code options location tokens grant revoked

created_at used_at retires_at last_used_at seen_at at made_at expires_at expires_in expires
authenticated_at changed_at due_at granted_at timestamp ttl until

blurhash salt unsigned
"""
SECRET, HARMLESS = frozenset(_SECRET.split()), frozenset(_HARMLESS.split())
# A new name in an answer that sounds like this is placed in one of the two.
SOUNDS_SECRET = re.compile(
    r"token|secret|key|code|ticket|password|credential|link|ur[il]|seed|private|salt|nonce|hash"
)
# Words that an invitation, a key or a document has under a secret's name and that open nothing.
OPEN = re.compile(r"(https?|wss?)://[^#]*|(public-key|required|preferred|discouraged|none)")


@dataclass
class Stage:
    """`api` learns from every answer. `person` and `owner` are tokens; `login` is the person's."""

    api: Api
    canaries: Canaries
    provider: Provider
    box: Box
    sent: set[tuple[str, str]] = field(default_factory=set)
    owner: str = ""
    person: str = ""
    account: str = ""
    totp: pyotp.TOTP | None = None
    codes: list[str] = field(default_factory=list)
    keyset: dict[str, Any] = field(default_factory=dict)

    def new(self, what: str) -> str:
        return self.canaries.new(what)

    @property
    def login(self) -> str:
        return self.new("account.login")

    @property
    def password(self) -> str:
        return self.new("account.password")

    def learn(self, method: str, path: str, answer: Answered) -> None:
        if answer.status >= 300 or path.startswith(("/api/openapi", "/api/asyncapi")):
            return  # refusals have codes and locations of their own
        for name, value in secrets_in(answer.body):
            self.canaries.learn(name, value)


def secrets_in(body: Any, under: str = "") -> list[tuple[str, str]]:
    if isinstance(body, dict):
        return [
            pair
            for name, value in body.items()
            for pair in secrets_in(value, name if name in SECRET else under)
        ]
    if isinstance(body, list):
        return [pair for value in body for pair in secrets_in(value, under)]
    if not isinstance(body, str) or not under or OPEN.fullmatch(body) or len(body) < 8:
        return []
    return [(under, secret_of(body))] if "#" in body else [(under, body)]


async def people(stage: Stage) -> None:
    """The first administrator, a person by invitation, a profile."""
    api, new = stage.api, stage.new
    stage.owner = await api.owner(new("owner.login"), new("owner.password"))
    wish = {"roles": ["member"], "label": new("invitation.label"), "uses": 2}
    made = await api.must("POST", "/invitations", wish, stage.owner)
    body = {
        "login": stage.login, "password": stage.password, "name": new("account.name"),
        "device_name": new("device.name"), "link": secret_of(made["url"]),
    }  # fmt: skip
    stage.person = (await api.must("POST", "/sign-up", body))["access_token"]
    me = await api.must("GET", "/account", token=stage.person)
    stage.account = me["id"]
    await api.must("PATCH", "/account", {"name": new("account.second_name")}, stage.person)
    again = {"login": stage.login, "password": new("wrong.password")}
    assert (await api.ask("POST", "/sign-in/password", again)).status == 401
    for path in ("/account/devices", "/sessions", f"/accounts/{stage.account}", "/accounts"):
        await api.ask("GET", path, token=stage.owner if "accounts" in path else stage.person)


async def letters(stage: Stage) -> None:
    """An address is confirmed by what its letter says; a reset is asked for."""
    mail = f"{stage.new('account.mail')}@example.org"
    await stage.api.must("POST", "/account/mail", {"mail": mail}, stage.person)
    link = await letter(stage, 0)
    await stage.api.must("POST", "/account/mail/confirmation", {"link": link}, stage.person)
    assert (await stage.api.must("GET", "/account", token=stage.person))["mail"] == mail
    await stage.api.must("POST", "/password-resets", {"login": stage.login})
    await letter(stage, 1)


async def letter(stage: Stage, number: int) -> str:
    """The link of the letter that comes after so many with one."""
    async with asyncio.timeout(180):
        while True:
            text = "".join(stage.box.letters).replace("=\r\n", "")
            links = [str(link) for link in re.findall(r"#([A-Za-z0-9_-]{32})", text)]
            if len(links) > number:
                stage.canaries.learn("link of a letter", links[number])
                return links[number]
            await asyncio.sleep(0.02)


async def second_factors(stage: Stage) -> None:
    api, totp_path = stage.api, "/account/totp"
    offer = await api.must("POST", totp_path, token=stage.person)
    stage.canaries.learn("totp.seed", offer["secret"])
    stage.totp = pyotp.TOTP(offer["secret"])
    code = {"code": stage.totp.at(int(time.time()))}
    done = await api.must("POST", f"{totp_path}/confirmation", code, stage.person)
    stage.codes = done["recovery_codes"]
    for text in stage.codes:
        stage.canaries.learn("recovery code", text.replace("-", ""))
    first = await api.must(
        "POST", "/sign-in/password", {"login": stage.login, "password": stage.password}
    )
    step = {"ticket": first["ticket"], "code": stage.codes[0]}
    await api.must("POST", "/sign-in/code", {**step, "device_name": stage.new("device.two")})
    device = Authenticator(origin=api.installation.url)
    begun = await api.must("POST", "/account/passkeys/options", token=stage.person)
    made = device.create(begun["options"])
    stage.canaries.learn("passkey.id", b64(device.held[0].id))
    body = {"ticket": begun["ticket"], "credential": made, "name": stage.new("passkey.name")}
    await api.must("POST", "/account/passkeys", body, stage.person)
    begun = await api.must("POST", "/sign-in/passkey/options", {})
    step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
    await api.must("POST", "/sign-in/passkey", step)
    # One that is never finished stays until it expires.
    await api.must("POST", "/sign-in/passkey/options", {})


async def links(stage: Stage) -> None:
    """An administrator's reset link, a guest and what is left unused."""
    api, new = stage.api, stage.new
    made = await api.must("POST", f"/accounts/{stage.account}/password-links", token=stage.owner)
    wish = {
        "room": new("guest.room"), "label": new("guest.label"), "uses": 2,
    }  # fmt: skip
    door = await api.must("POST", "/guest-links", wish, stage.owner)
    step = {"link": secret_of(door["url"]), "name": new("guest.name")}
    guest = await api.must("POST", "/guests", step)
    await api.must("GET", "/account", token=guest["access_token"])
    await api.must("GET", "/guest-links", token=stage.owner)
    await api.must("GET", "/invitations", token=stage.owner)
    other = await api.invited(stage.owner, new("other.login"), password=new("other.password"))
    them = (await api.must("GET", "/account", token=other["access_token"]))["id"]
    made = await api.must("POST", f"/accounts/{them}/password-links", token=stage.owner)
    body = {"link": secret_of(made["url"]), "password": new("other.new_password")}
    await api.must("POST", "/password-resets/completion", body)


async def provider(stage: Stage) -> None:
    """Sign-in through an outside provider; a second trip is left unfinished."""
    begun = await stage.api.must("POST", "/sign-in/providers/outside", {})
    back = stage.provider.came_back(begun["location"])
    step = {"ticket": begun["ticket"], **back}
    done = await stage.api.must("POST", "/sign-in/provider", step)
    assert done["state"] == "done"
    begun = await stage.api.must("POST", "/sign-in/providers/outside", {})
    stage.provider.came_back(begun["location"])


async def addresses(stage: Stage) -> None:
    """Again from another address: a good sign-in, a wrong one, a guest."""
    body = {"login": stage.new("owner.login"), "password": stage.new("owner.password")}
    await stage.api.must("POST", "/sign-in/password", body)
    body["password"] = stage.new("wrong.again")
    await stage.api.ask("POST", "/sign-in/password", body)
    await stage.api.ask("GET", "/account/devices", token=stage.person)


async def push(stage: Stage) -> None:
    """A device that may be woken; what is sent to it waits, since nobody has that address."""
    api, auth = stage.api, stage.new("push.auth")[:16].encode()
    key = ec.generate_private_key(ec.SECP256R1())
    wish = {
        "kind": "web_push", "auth": b64(auth), "p256dh": b64(public_point(key)),
        "endpoint": f"https://push.example/{stage.new('push.endpoint')}",
    }  # fmt: skip
    stage.canaries.learn("push.key", wish["p256dh"])
    made = await api.must("POST", "/push/subscriptions", wish, stage.person)
    quiet = {"start": "22:00", "end": "07:00"}
    await api.must("PUT", "/push/settings", {"previews": True, "quiet": quiet}, stage.person)
    await api.must("GET", "/push/subscriptions", token=stage.person)
    await api.must("POST", f"/push/subscriptions/{made['id']}/test", token=stage.person)
