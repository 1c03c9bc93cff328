"""The sign-in state machine, all of it: every sequence of proofs in every standing."""

from __future__ import annotations

import itertools

import pytest

from signaling.accounts.signin import (
    HELD,
    KNOWN,
    Amr,
    OutOfOrder,
    Progress,
    Proof,
    Standing,
    State,
    advance,
    enrolled,
)

PROOFS = [Proof(amr, multi) for amr in Amr for multi in (False, True)]
STANDINGS = [Standing(second, required) for second in (False, True) for required in (False, True)]


def walk(standing: Standing, proofs: tuple[Proof, ...]) -> Progress | None:
    """None when one of them was out of order."""
    progress = Progress()
    for proof in proofs:
        try:
            progress = advance(progress, proof, standing)
        except OutOfOrder:
            return None
    return progress


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_nobody_is_done_with_less_than_their_standing_asks(standing: Standing, length: int) -> None:
    for proofs in itertools.product(PROOFS, repeat=length):
        progress = walk(standing, proofs)
        if progress is None or progress.state is not State.DONE:
            continue
        kinds = {proof.amr for proof in proofs}
        two = any(proof.multi for proof in proofs) or bool(kinds & KNOWN and kinds & HELD)
        assert progress.mfa == two
        if standing.second or standing.required:
            assert two
        assert proofs[0].amr not in (Amr.OTP, Amr.RECOVERY)
        assert progress.amr == tuple(dict.fromkeys(proof.amr.value for proof in proofs))


@pytest.mark.parametrize("standing", STANDINGS)
def test_done_takes_no_more_proofs(standing: Standing) -> None:
    for proofs in itertools.product(PROOFS, repeat=2):
        first = walk(standing, proofs[:1])
        if first is not None and first.state in (State.DONE, State.ENROL):
            assert walk(standing, proofs) is None


def test_two_things_known_are_not_two_factors() -> None:
    second = Standing(second=True)
    assert walk(second, (Proof(Amr.PASSWORD), Proof(Amr.FEDERATED))) is None
    assert walk(second, (Proof(Amr.FEDERATED), Proof(Amr.PASSWORD))) is None


def test_enrolment_ends_a_sign_in_that_policy_held_up_and_no_other() -> None:
    held = advance(Progress(), Proof(Amr.PASSWORD), Standing(required=True))
    assert held.state is State.ENROL
    done = enrolled(held, Proof(Amr.OTP))
    assert (done.state, done.mfa) == (State.DONE, True)
    for state in (State.STARTED, State.SECOND, State.DONE):
        with pytest.raises(OutOfOrder):
            enrolled(Progress(state), Proof(Amr.OTP))
