"""What a receiver of the audit is to the forwarder, and what it is sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from signaling.compliance.audit.entry import Record, SignedHead


class Sink(Protocol):
    """Raises Unavailable for everything that went wrong on the way; the forwarder tries again.

    `overlap` in seconds: 0 when `send` returns after the receiver has taken the records; else the
    time from which a lost connection may have lost them.
    """

    @property
    def name(self) -> str: ...

    @property
    def overlap(self) -> float: ...

    async def send(self, app: str, records: Sequence[Record]) -> None: ...

    async def check(self) -> None:
        """Between sends: raises Unavailable when the connection was lost."""
        ...

    async def close(self) -> None: ...


def head_record(head: SignedHead) -> Record:
    """A signed head for the receivers: there it is out of reach of whoever changes the log."""
    return Record(
        id=f"head:{head.app}:{head.seq}",
        at=head.at,
        app=head.app,
        actor="system:audit",
        action="audit.head",
        details={
            "seq": str(head.seq),
            "at": repr(head.at),
            "chain": head.chain.hex(),
            "key": head.key,
            "signature": head.signature.hex(),
        },
    )


def head_from(shown: dict[str, object]) -> SignedHead:
    """A forwarded head's JSON back. Raises ValueError."""
    details = shown.get("details")
    if shown.get("action") != "audit.head" or not isinstance(details, dict):
        raise ValueError("not a forwarded head")
    try:
        return SignedHead(
            app=str(shown["app"]),
            seq=int(details["seq"]),
            chain=bytes.fromhex(details["chain"]),
            at=float(details["at"]),
            key=str(details["key"]),
            signature=bytes.fromhex(details["signature"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("not a forwarded head") from error
