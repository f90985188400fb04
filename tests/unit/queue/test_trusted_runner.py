# SPDX-License-Identifier: Apache-2.0
"""Tasks of projects: each is launched, watched and ended by its trust, and the trust is taken back afterwards."""

from __future__ import annotations

import pytest
from fake_cloud import Server
from queue_worlds import SETTLE_S, World

from hybrid_sched.core.queued import TaskState
from hybrid_sched.interfaces.launcher import Launched, Phase


def test_each_task_is_launched_where_it_belongs(world: World) -> None:
    one, two = world.trust("t1"), world.trust("t2")
    world.add("ours")
    world.add("ones", trust_id="t1", project_id="p1")
    world.add("twos", trust_id="t2", project_id="p2")
    world.until_all_ended()
    asked = [[name for name, _ in cloud.asked] for cloud in (world.guests, one, two)]
    assert asked == [["ours"], ["ones"], ["twos"]]
    assert not one.servers
    assert not two.servers


def test_a_project_that_cannot_be_reached_holds_up_no_other(world: World) -> None:
    one, two = world.trust("t1"), world.trust("t2")
    one.down = True
    [waits] = world.add("ones", trust_id="t1")
    [runs] = world.add("twos", trust_id="t2")
    world.rounds(3)
    assert (world.state(waits), world.state(runs)) == (TaskState.WAITING, TaskState.RUNNING)
    assert world.planner.blocked[waits] == "It waits for its service: The cloud is down."
    one.down = False
    world.until_all_ended()
    assert world.state(waits) is TaskState.DONE
    assert two.most_alive == 1


def test_a_task_by_a_trust_without_credentials_waits(world: World) -> None:
    [uuid] = world.add("one", trust_id="t9")
    world.rounds(2)
    assert world.state(uuid) is TaskState.WAITING
    assert "[trustee]" in world.planner.blocked[uuid]
    assert world.guests.asked == []


def test_a_trust_is_taken_back_once_when_nothing_can_turn_up_any_more(world: World) -> None:
    world.trust("t1")
    first, second = world.add("a", "b", trust_id="t1")
    world.until_all_ended()
    assert world.trusts_ended == []
    world.rounds(int(4 * SETTLE_S / 5))
    assert world.trusts_ended == ["t1"]
    assert {world.task(uuid).trust_id for uuid in (first, second)} == {""}
    world.rounds(int(4 * SETTLE_S / 5))
    assert world.trusts_ended == ["t1"]


def test_a_trust_stays_while_a_task_needs_it_and_until_keystone_takes_it_back(world: World) -> None:
    cloud = world.trust("t1")
    cloud.lasts = 60
    world.add("long", trust_id="t1")
    [short] = world.add("short", trust_id="t1")
    world.rounds(1)
    world.store.cancel(short, world.term, world.now_s)
    world.rounds(40)
    assert world.state(short).is_final
    assert world.trusts_ended == []
    world.until_all_ended()
    world.keystone_is_down = True
    world.options(forget_after_s=60)
    world.now_s += 10_000
    world.rounds(2)
    # It is not forgotten while its trust is there.
    assert world.task(short).trust_id == "t1"
    world.keystone_is_down = False
    world.now_s += 10_000
    world.rounds(2)
    assert world.trusts_ended == ["t1"]


def test_what_is_left_of_a_task_by_a_trust_is_deleted_by_the_next_engine(world: World) -> None:
    cloud = world.trust("t1")
    [uuid] = world.add("one", trust_id="t1")
    world.until_all_ended()
    late = world.task(uuid)
    world.take_over()
    cloud.late = [late]
    cloud.arrive()
    world.rounds(3)
    assert not cloud.servers


@pytest.mark.parametrize("trust_id", ["", "t1"])
def test_a_key_that_another_owner_has_written_on_a_server_stops_nothing(
    world: World, trust_id: str
) -> None:
    """Whoever owns a server may write any metadata on it."""
    villain = world.trust("t2")
    world.trust("t1")
    world.add("villains", trust_id="t2")
    [uuid] = world.add("victim", trust_id=trust_id)
    villain.servers["forged"] = Server(Launched("forged", Phase.RUNNING, key=uuid))
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE
    assert "forged" in villain.servers
