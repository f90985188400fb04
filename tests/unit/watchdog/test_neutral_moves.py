# SPDX-License-Identifier: Apache-2.0
"""A move changes no share: not while it is decided, on its way, or over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from moving_world import World

from hybrid_sched.core.claims import Claim, ClaimKind, Consumer, attribute
from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.inputs import CycleInputs

DEMAND = Resources(vcpu=4, memory_mb=1024)
GUEST = Consumer(HYPERVISOR)
ALL = {"big": GUEST, "small": GUEST, "mid": Consumer(CONTAINER)}


@pytest.fixture
def planned(world: World) -> World:
    """A move of ``big`` from a to b that is planned and not begun."""
    world.set(mode="off")
    for _ in range(3):
        world.period()
    world.orders.apply(world.orders.plan().id)
    return world


def claim(world: World, held: dict[str, dict[str, Resources]], **more: Consumer) -> None:
    """Let Placement hold that, and the engine work out its snapshot."""
    claims: dict[str, dict[str, Claim]] = attribute(held, {**ALL, **more})
    world.engine.run_cycle(
        CycleInputs(
            claims_of=lambda host: claims.get(host, {}),
            claims_changed=frozenset("abc"),
            known_hosts=frozenset("abc"),
        )
    )


def charged(world: World, framework: str = HYPERVISOR) -> Resources:
    snapshot, _ = world.engine.snapshot()
    return Resources(*snapshot.pools[DEFAULT_POOL].frameworks[framework].used)


def free(world: World, host: str) -> Resources:
    """Give what the schedulers' gate will find free when the next move is looked for."""
    return Resources(*Board(world.policy.situation()).snapshot.hosts[host].free)


def test_a_guest_counts_once_while_its_migration_holds_the_source(planned: World) -> None:
    others = {"small": DEMAND, "mid": DEMAND}
    steps = [
        ({"a": {"big": DEMAND, **others}}, False),
        # Nova gives the source to the migration first, then lets the guest hold the target.
        ({"a": {"migration": DEMAND, **others}}, False),
        ({"a": {"migration": DEMAND, **others}, "b": {"big": DEMAND}}, True),
        ({"a": others, "b": {"big": DEMAND}}, True),
    ]
    migration = Consumer(HYPERVISOR, ClaimKind.MIGRATION, "big")
    for held, counted in steps:
        claim(planned, held, migration=migration)
        assert charged(planned) == Resources(vcpu=8, memory_mb=2048)
        [move] = planned.policy.situation().moves
        assert (move.state, move.counted) == (MoveState.PLANNED, counted)
        # Charged at the target in each step, and never twice.
        assert free(planned, "b") == Resources(vcpu=36, memory_mb=15 * 1024)


def test_a_container_under_its_new_uuid_is_the_one_that_moves(planned: World) -> None:
    planned.orders.cancel(planned.one().uuid)
    planned.set(executors={CONTAINER: "relocator"})
    planned.orders.apply(planned.orders.plan().id)
    move = planned.ledger()[-1]
    assert move.decision.task == "mid"
    running = replace(move, state=MoveState.RUNNING, details={"target": "copy"})
    assert planned.moves.update(running, MoveState.PLANNED, planned.term)
    planned.tasks["copy"], planned.cores["copy"] = planned.task("copy", CONTAINER), 3.0
    planned.running["copy"] = {"b"}
    planned.report()
    situation = planned.policy.situation()
    assert [each.task.uuid for each in situation.readings["b"].tasks] == ["mid"]
    assert situation.moves[-1].counted
    # It is expected there once, and stays off the lists of what may be moved.
    board = Board(situation)
    assert board.at("b").present == {"mid"}
    assert board.pinned(board.at("b").residents["mid"]) == "it is being moved"
    done = replace(running, state=MoveState.DONE, ended_at_s=planned.now_s)
    assert planned.moves.update(done, MoveState.RUNNING, planned.term)
    planned.running["mid"] = set()
    planned.report()
    board = Board(planned.policy.situation())
    assert board.pinned(board.at("b").residents["copy"]) == "it was moved within its cooldown"


def test_a_framework_at_its_share_is_relieved_all_the_same(world: World) -> None:
    """The share gate would refuse any new guest here."""
    world.conf.set_override("lending", {HYPERVISOR: "0", CONTAINER: "0"}, group="quota")
    world.conf.set_override("weights", {HYPERVISOR: "1/1000", CONTAINER: "1"}, group="quota")
    for _ in range(3):
        world.period()
    assert world.one().state is MoveState.DONE
    assert world.where()["big"] == ["b"]


def test_a_drained_host_is_told_to_the_schedulers(world: World) -> None:
    world.settings.drain("b", world.term, world.now_s)
    world.engine.run_cycle(replace(CycleInputs(), drained=world.settings.drained()))
    snapshot, _ = world.engine.snapshot()
    assert {name: host.takes_tasks for name, host in snapshot.hosts.items()} == {
        "a": True,
        "b": False,
        "c": True,
    }
    for _ in range(3):
        world.period()
    assert world.where()["big"] == ["c"]
