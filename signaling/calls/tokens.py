"""How a callee says no without a session: a token for one ring of one account, made, not kept.

`<call>.<account>.<keyed digest>`; the digest is over the end of the ring too, so a later ring has
another one. It is spent with the ring: who was answered for once has an outcome.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from signaling.calls.call import Call
from signaling.errors import Code, Refused
from signaling.keys.port import Sealer

MOST = 512


class Read(NamedTuple):
    """What a token says; `fits` whether it is true."""

    call: str
    account: str
    digest: str


def make(sealer: Sealer, app: str, call: Call, account: str) -> str:
    return f"{call.id}.{account}.{_digest(sealer, app, call, account)}"


def read(token: str) -> Read:
    """Raises Refused (401)."""
    call, _, rest = token.partition(".")
    account, _, digest = rest.rpartition(".")
    if not call or not account or not digest or len(token) > MOST:
        raise bad()
    return Read(call, account, digest)


def check(sealer: Sealer, app: str, call: Call, token: Read) -> None:
    """Raises Refused (401)."""
    if token.account not in call.callees:
        raise bad()
    ours = _digest(sealer, app, call, token.account)
    if not hmac.compare_digest(ours.encode(), token.digest.encode()):
        raise bad()


def bad() -> Refused:
    return Refused(Code.TOKEN_INVALID, 401, "This token is for no ring.")


def _digest(sealer: Sealer, app: str, call: Call, account: str) -> str:
    until = int(call.callees[account].until * 1000)
    return sealer.blind(app, f"call.reject:{call.id}:{account}:{until}")
