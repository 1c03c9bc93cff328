"""What people are told when a verb comes too late, or is not theirs: the one translation."""

from __future__ import annotations

from signaling.calls.verbs import Late, Why
from signaling.errors import ClientError, Code, Refused

_SAID: dict[Why, tuple[Code, int, str]] = {
    Why.OVER: (Code.CONFLICT, 409, "That call or ring is over."),
    Why.ELSEWHERE: (Code.CONFLICT, 409, "It was answered on another device."),
    Why.NOT_RUNG: (Code.NOT_FOUND, 404, "Nobody rang you in this call."),
    Why.NOT_YOURS: (Code.NOT_PERMITTED, 403, "Only who rang, or a moderator, gives it up."),
    Why.DENIED: (Code.NOT_PERMITTED, 403, "You were not let in."),
    Why.NOT_WAITING: (Code.NOT_FOUND, 404, "Nobody of that name waits."),
}


def refusal(late: Late) -> ClientError:
    """`outcome`, a member of the problem: what became of the callee before."""
    code, status, message = _SAID[late.why]
    members = {} if late.outcome is None else {"outcome": late.outcome.value}
    family = Refused if status == 403 else ClientError
    return family(code, status, message, members=members)


def no_call() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such call.")
