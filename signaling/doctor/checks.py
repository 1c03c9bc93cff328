"""One STUN check to a media address, over UDP or TCP, with the credentials of a real session
(RFC 8445).

Driven by `hops`. ICE-TCP frames each message with its length (RFC 4571, RFC 6544 section 7).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct

from aioice import stun

from signaling.doctor.probe import Candidate, Session
from turn.check import RESENDS, CheckFailed, Step, connect, reason

PATIENCE = 4.0


def binding(session: Session) -> stun.Message:
    """What a controlling client sends to nominate the pair (RFC 8445 section 7.1)."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{session.ufrag}:{session.own_ufrag}"
    request.attributes["PRIORITY"] = 1853824767  # peer reflexive, as libwebrtc computes it
    request.attributes["ICE-CONTROLLING"] = secrets.randbits(63)
    request.add_message_integrity(session.password.encode())
    return request


def answers(session: Session, request: stun.Message, data: bytes) -> bool:
    """A success response to this request, signed with the session's password."""
    try:
        message = stun.parse_message(data)
    except ValueError:
        return False
    return (
        message.transaction_id == request.transaction_id
        and message.message_class == stun.Class.RESPONSE
        and message.check_message_integrity(session.password.encode())
    )


async def check_udp(session: Session, candidate: Candidate) -> None:
    """Raises CheckFailed."""
    request = binding(session)
    async with connect(candidate.address, candidate.port, "udp") as wire:
        for wait in RESENDS[1:]:
            wire.send(bytes(request))
            try:
                async with asyncio.timeout(wait):
                    while not answers(session, request, await wire.receive()):
                        pass
                    return
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                raise CheckFailed(Step.CONNECT, "nothing listens there") from None
            except OSError as error:
                raise CheckFailed(Step.CONNECT, reason(error)) from error
    raise CheckFailed(Step.ANSWER, "no answer")


async def check_tcp(session: Session, candidate: Candidate) -> None:
    """Raises CheckFailed."""
    request = binding(session)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(candidate.address, candidate.port)
            data = bytes(request)
            writer.write(struct.pack("!H", len(data)) + data)
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                if answers(session, request, await reader.readexactly(length)):
                    return
    except TimeoutError:
        step = Step.CONNECT if writer is None else Step.ANSWER
        raise CheckFailed(step, "no answer") from None
    except asyncio.IncompleteReadError:
        raise CheckFailed(Step.ANSWER, "the connection was closed") from None
    except ConnectionRefusedError:
        raise CheckFailed(Step.CONNECT, "nothing listens there") from None
    except OSError as error:
        raise CheckFailed(Step.CONNECT, reason(error)) from error
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
