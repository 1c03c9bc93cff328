"""The machine of sync finds nothing; and finds each bug that is planted, in each client and server.

SOTTO_SYNC_EXAMPLES says how many histories are tried, SOTTO_SEED which (it is printed);
`make test-long` tries many more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.seeds import run_seed
from tests.sync.findings import Wrong
from tests.sync.grounds import ChatGround, PlainGround
from tests.sync.machine import ANY, PYTHON, TYPESCRIPT, SyncMachine
from tests.sync.nodes import Node, NodeGone
from tests.sync.planted import CLIENT, ROOMS, SERVER, Bug

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
PLANTED_SEED = 7
"""The same histories each time: whether they find a bug is no matter of luck."""
PLANTED_HISTORIES, STEPS = 300, 40
"""Within these each planted bug must be found, and without one nothing."""
Standing = type[PlainGround] | type[ChatGround]
GROUNDS = pytest.mark.parametrize("ground", [PlainGround, ChatGround], ids=["plain", "rooms"])
CLIENTS = pytest.mark.parametrize("masks", [PYTHON, TYPESCRIPT], ids=["python", "typescript"])


def bugs(*planted: Bug) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bug", planted, ids=lambda bug: bug.name)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.stop()


def search(
    node: Node,
    examples: int,
    steps: int,
    *,
    masks: tuple[int, ...] = ANY,
    ground: Standing = PlainGround,
    chosen: int = PLANTED_SEED,
) -> None:
    """Without shrinking: under load that takes minutes, and the steps are printed anyway."""
    tried = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=CHECKS,
        database=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
    )

    class Machine(SyncMachine):
        standing = ground

    Machine.node, Machine.masks = node, masks
    print(f"seed {chosen}")
    run_state_machine_as_test(seed(chosen)(Machine), settings=tried)


def caught(node: Node, bug: Bug, masks: tuple[int, ...], ground: Standing) -> None:
    """By the machine, with what this bug shows: a part that died has told nothing."""
    with pytest.raises((Wrong, *bug.breaks)) as found:
        search(node, PLANTED_HISTORIES, STEPS, masks=masks, ground=ground)
    node.ping()
    print(f"{bug.name}: {found.value!r}"[:300])
    assert bug.explains(found.value), f"found by chance: {found.value!r}"[:300]


def examples_of(most: int) -> int:
    return int(os.environ.get("SOTTO_SYNC_EXAMPLES", str(most)))


def test_whatever_goes_wrong_everybody_has_the_same_in_the_end(node: Node) -> None:
    search(node, examples_of(80), STEPS, chosen=run_seed())


def test_nor_in_real_rooms_of_two_processes(node: Node) -> None:
    search(node, examples_of(40), STEPS, ground=ChatGround, chosen=run_seed())


@GROUNDS
@pytest.mark.parametrize("masks", [PYTHON, TYPESCRIPT, ANY], ids=["python", "typescript", "any"])
def test_nothing_is_caught_where_nothing_is_planted(
    masks: tuple[int, ...], ground: Standing, node: Node
) -> None:
    """The histories that catch every bug below, without one."""
    search(node, PLANTED_HISTORIES, STEPS, masks=masks, ground=ground)


@GROUNDS
@bugs(*CLIENT)
def test_a_bug_of_the_python_client_is_caught(
    bug: Bug, ground: Standing, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    caught(node, bug, PYTHON, ground)


@GROUNDS
@bugs(*CLIENT)
def test_a_bug_of_the_typescript_client_is_caught(bug: Bug, ground: Standing, node: Node) -> None:
    node.plant(bug.name)
    try:
        caught(node, bug, TYPESCRIPT, ground)
    finally:
        node.plant(None)


@GROUNDS
@bugs(*SERVER)
def test_a_bug_of_the_server_is_caught(
    bug: Bug, ground: Standing, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    caught(node, bug, ANY, ground)


@bugs(*ROOMS)
def test_a_bug_of_the_rooms_is_caught(
    bug: Bug, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug.plant(monkeypatch)
    caught(node, bug, ANY, ChatGround)


def test_a_part_that_died_has_caught_nothing() -> None:
    """A device in a process that is gone is no finding, whatever is planted."""
    dead = Node()
    dead.kill()
    with pytest.raises(NodeGone):
        caught(dead, SERVER[0], TYPESCRIPT, PlainGround)
    dead.stop()


@pytest.mark.long
@pytest.mark.part("sync-machine")
@CLIENTS
@GROUNDS
@bugs(*SERVER)
def test_a_bug_of_the_server_is_caught_by_each_client(
    bug: Bug,
    ground: Standing,
    masks: tuple[int, ...],
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bug.plant(monkeypatch)
    caught(node, bug, masks, ground)


@pytest.mark.long
@pytest.mark.part("sync-machine")
def test_many_histories(node: Node) -> None:
    search(node, 5000, 60, chosen=run_seed())


@pytest.mark.long
@pytest.mark.part("sync-machine")
def test_many_histories_of_real_rooms(node: Node) -> None:
    search(node, 2000, 60, ground=ChatGround, chosen=run_seed())
