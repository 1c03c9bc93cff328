"""Who may make which op in a room: from the Access Manager's decision and the room's own rules.

Pure. On both planes the mask of the holder decides first (channel = room; the rows of the Access
Manager's table); then what the room itself says: who posts, who pins, the order of ranks. A ban
stands above every token.
"""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from signaling.access.evaluate import ALLOWED, Ask, Decision, Reason, evaluate
from signaling.access.permissions import Operation
from signaling.access.wire import refusal, session_refusal
from signaling.chat import checks
from signaling.chat.ops import (
    ClientOp,
    Close,
    Delete,
    Edit,
    Join,
    Kind,
    Member,
    Part,
    Pin,
    Post,
    React,
    Set,
    ToE2ee,
    Who,
    attachments_of,
)
from signaling.chat.ports import Actor
from signaling.chat.room import Room
from signaling.chat.state import RANK, RoomState
from signaling.errors import ClientError, Code, Refused

# What a room's state holds in memory; larger audiences read by access token or as a public room.
MOST_MEMBERS = 10_000
MOST_PINS = 500
_ANYBODY_MANAGING = frozenset({"name", "topic", "avatar"})


def decide(actor: Actor, room: str, operation: Operation, now: float) -> Decision:
    uuids = (actor.account,) if operation.needs.uuid else ()
    return evaluate(actor.holder, Ask(operation, (room,), (), uuids), actor.who, now)


def allowed(actor: Actor, room: str, operation: Operation, now: float) -> bool:
    return decide(actor, room, operation, now) is ALLOWED


def require(actor: Actor, room: str, operation: Operation, now: float) -> None:
    """Raises Refused (403, 401) as the actor's plane does."""
    decision = decide(actor, room, operation, now)
    if decision is not ALLOWED:
        raise refusal(decision) if actor.token else session_refusal(decision, operation.scope)


def scope_fault(actor: Actor, operation: Operation) -> Refused | None:
    """What a session's token lacks for this anywhere."""
    decision = evaluate(actor.holder, Ask(operation, ("",)), actor.who, 0.0)
    if decision.reason in (Reason.NOT_GRANTED, Reason.ALLOWED):
        return None
    return session_refusal(decision, operation.scope)


def knows(actor: Actor, name: str, room: Room, now: float) -> bool:
    """Whether the room's existence is no secret to this session."""
    if room.state.kind is Kind.PUBLIC or room.state.settings.join is not Join.INVITE:
        return True
    return room.state.part(actor.account) in RANK or allowed(
        actor, name, Operation.GET_CHANNEL, now
    )


def part_of(actor: Actor, room: str, state: RoomState, op: ClientOp, now: float) -> Part:
    """With which standing the log says that the op was made."""
    part = state.part(actor.account)
    takes_away = isinstance(op, Delete | Close) and part not in (Part.OWNER, Part.MODERATOR)
    if takes_away and allowed(actor, room, Operation.DELETE_MESSAGES, now):
        return Part.MODERATOR
    if part in RANK:
        return part
    return Part.SERVICE if actor.token else Part.GUEST


def judge(actor: Actor, room: str, state: RoomState, op: ClientOp, now: float) -> None:
    """Raises ClientError unless this actor may make this op now."""
    if state.part(actor.account) is Part.BANNED:
        raise banned()
    if isinstance(op, Member):
        _member(actor, room, state, op, now)
        return
    for operation in _operations(actor, room, state, op, now):
        require(actor, room, operation, now)
    _rules(actor, room, state, op, now)


def _operations(
    actor: Actor, room: str, state: RoomState, op: ClientOp, now: float
) -> list[Operation]:
    """What the Access Manager is asked. A session removes what is its own with the right to write;
    a token needs the right to delete, as the table says.
    """
    if isinstance(op, Post | Edit):
        files = [Operation.SEND_FILE] if attachments_of(op) else []
        return [Operation.PUBLISH, *files]
    if isinstance(op, React):
        return [Operation.ADD_REACTION if op.on or not actor.token else Operation.REMOVE_REACTION]
    if isinstance(op, Delete):
        anybodys = actor.token or allowed(actor, room, Operation.DELETE_MESSAGES, now)
        return [Operation.DELETE_MESSAGES if anybodys else Operation.PUBLISH]
    if isinstance(op, Pin):
        if state.settings.pin is Who.MEMBERS:
            return [Operation.PUBLISH]
        return [Operation.SET_CHANNEL if actor.token else Operation.SET_CHANNEL_MEMBERS]
    if isinstance(op, Set):
        named = {name for name in op.__struct_fields__ if getattr(op, name) is not UNSET}
        if named <= _ANYBODY_MANAGING and not actor.token:
            return [Operation.SET_CHANNEL_MEMBERS]
        return [Operation.SET_CHANNEL]
    if isinstance(op, ToE2ee):
        return [Operation.SET_CHANNEL]
    return [Operation.PUBLISH]


def _rules(actor: Actor, room: str, state: RoomState, op: ClientOp, now: float) -> None:
    if isinstance(op, Post):
        only = state.kind is Kind.ANNOUNCEMENT or state.settings.post is Who.MODERATORS
        everybody = op.mentions is not None and op.mentions.room
        calls = everybody and state.settings.mention_room is Who.MODERATORS
        if (only or calls) and not allowed(actor, room, Operation.SET_CHANNEL_MEMBERS, now):
            raise refused(
                "Only moderators post here." if only else "Only moderators mention everybody here."
            )
    elif isinstance(op, Pin) and op.on and len(state.pinned()) >= MOST_PINS:
        raise ClientError(Code.CONFLICT, 409, f"A room has at most {MOST_PINS} pins.")
    elif isinstance(op, Set) and op.phi is False and state.settings.phi:
        # Not the owner of the room, and no token: who answers for such data (row A7).
        raise refused("Only the compliance role says that a room holds no health data any more.")
    elif isinstance(op, Set) and state.kind is Kind.DIRECT:
        raise refused("A direct room has no name of its own.")
    elif isinstance(op, Set) and op.peek is True and not _may_peek(state, op):
        raise ClientError(Code.CONFLICT, 409, checks.NO_PEEKING)


def _may_peek(state: RoomState, op: Set) -> bool:
    """With what the same op changes besides."""
    said = {"phi": op.phi, "since_join": op.since_join}
    named = {name: value for name, value in said.items() if value is not UNSET}
    return checks.may_peek(state.kind, state.mode, replace(state.settings, **named))


def _member(actor: Actor, room: str, state: RoomState, op: Member, now: float) -> None:
    before = state.part(op.account)
    if op.part not in checks.GRANTABLE:
        raise ClientError(Code.FIELDS_INVALID, 422, "Nobody is given this part.")
    if state.kind is Kind.DIRECT:
        raise refused("A direct room keeps its two members.")
    if op.account == actor.account:
        _own(actor, room, state, op, now)
    else:
        _others(actor, room, state, op, now)
    if op.part in RANK and before not in RANK and len(state.accounts()) >= MOST_MEMBERS:
        raise ClientError(Code.ROOM_FULL, 403, f"A room has at most {MOST_MEMBERS} members.")
    leaves = before is Part.OWNER and op.part is not Part.OWNER
    if leaves and state.owners() == [op.account] and len(state.accounts()) > 1:
        raise ClientError(Code.LAST_OWNER, 409, "Make somebody else an owner first.")


def _own(actor: Actor, room: str, state: RoomState, op: Member, now: float) -> None:
    """Joining, leaving, stepping down."""
    before = state.part(actor.account)
    if before in RANK and (op.part is Part.NONE or RANK.get(op.part, 9) <= RANK[before]):
        require(actor, room, Operation.REMOVE_MEMBERSHIPS, now)
        return
    if op.part is not Part.MEMBER:
        raise refused("Nobody promotes themselves.")
    require(actor, room, Operation.SET_MEMBERSHIPS, now)
    if not actor.token and state.settings.join is not Join.OPEN:
        raise refused("Ask to be let in, or use an invitation.")


def _others(actor: Actor, room: str, state: RoomState, op: Member, now: float) -> None:
    before, mine = state.part(op.account), RANK.get(state.part(actor.account), 0)
    invites = op.part is Part.MEMBER and before is Part.NONE
    if invites and state.settings.invite is Who.MEMBERS and mine:
        require(actor, room, Operation.PUBLISH, now)
        return
    require(actor, room, Operation.SET_CHANNEL_MEMBERS, now)
    if not mine or actor.token:
        # An administrator, or an operator's own server: outside of the room's order.
        mine = RANK[Part.OWNER]
    if RANK.get(before, 0) >= mine and mine < RANK[Part.OWNER]:
        raise refused("Their rank is not below yours.")
    if RANK.get(op.part, 0) >= mine and mine < RANK[Part.OWNER]:
        raise refused("You cannot give a rank as high as yours.")


def banned() -> ClientError:
    return Refused(Code.BANNED, 403, "You were banned from this room.")


def refused(message: str) -> ClientError:
    return Refused(Code.NOT_PERMITTED, 403, message)


def no_room() -> ClientError:
    """Of a room that is not there, and of one whose existence is private."""
    return ClientError(Code.ROOM_NOT_FOUND, 404, "There is no such room.")
