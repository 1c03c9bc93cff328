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
from tests.sync.grounds import ChatGround, PlainGround
from tests.sync.machine import ANY, PYTHON, TYPESCRIPT, SyncMachine
from tests.sync.nodes import Node
from tests.sync.planted import CLIENT, SERVER, Plant

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
PLANTED_SEED = 7
"""The same histories each time: whether they find a bug is no matter of luck."""


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
    ground: type[PlainGround] | type[ChatGround] = PlainGround,
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


def examples_of(most: int) -> int:
    return int(os.environ.get("SOTTO_SYNC_EXAMPLES", str(most)))


def test_whatever_goes_wrong_everybody_has_the_same_in_the_end(node: Node) -> None:
    search(node, examples_of(80), 40, chosen=run_seed())


def test_nor_in_real_rooms_of_two_processes(node: Node) -> None:
    search(node, examples_of(40), 40, ground=ChatGround, chosen=run_seed())


@pytest.mark.parametrize("plant", CLIENT, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_python_client_is_caught(
    plant: Plant, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    caught(node, plant.__name__, PYTHON)


@pytest.mark.parametrize("plant", CLIENT, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_typescript_client_is_caught(plant: Plant, node: Node) -> None:
    node.plant(plant.__name__)
    try:
        caught(node, plant.__name__, TYPESCRIPT)
    finally:
        node.plant(None)


@pytest.mark.parametrize("plant", SERVER, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_server_is_caught(
    plant: Plant, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    caught(node, plant.__name__, ANY)


@pytest.mark.long
@pytest.mark.part("sync-machine")
@pytest.mark.parametrize("masks", [PYTHON, TYPESCRIPT], ids=["python", "typescript"])
@pytest.mark.parametrize("plant", SERVER, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_server_is_caught_by_each_client(
    plant: Plant, masks: tuple[int, ...], node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    caught(node, plant.__name__, masks)


def caught(node: Node, name: str, masks: tuple[int, ...]) -> None:
    with pytest.raises(Exception) as found:
        search(node, 1500, 40, masks=masks)
    print(f"{name}: {found.value!r}"[:300])


@pytest.mark.long
@pytest.mark.part("sync-machine")
def test_many_histories(node: Node) -> None:
    search(node, 5000, 60, chosen=run_seed())


@pytest.mark.long
@pytest.mark.part("sync-machine")
def test_many_histories_of_real_rooms(node: Node) -> None:
    search(node, 2000, 60, ground=ChatGround, chosen=run_seed())
