# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from hybrid_sched.core.rebalancing.consolidate import Consolidate
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.relieve import Relieve
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation.load_series import LoadError, LoadSeries, read_load
from hybrid_sched.simulation.rebalance import (
    LITERATURE,
    Nothing,
    Watchdog,
    most_in_window,
    run,
)
from hybrid_sched.simulation.rebalance_world import ScenarioError, Shapes, World
from hybrid_sched.simulation.threshold_mmt import by_median_deviation, by_quartiles

SHAPES = Shapes(hosts=(Resources(8, 65536),), guests=(Resources(4, 4096),))


def world(rows, hosts=4, shapes=SHAPES):
    use = np.array(rows, dtype=float)
    return World(LoadSeries(tuple(f"g{n:02}" for n in range(len(use))), use), hosts, shapes)


@pytest.fixture
def uneven():
    """Four guests a host; those of the first host are busy, all day of 24 periods."""
    made = world(np.full((16, 24), 0.1))
    made.wanted[made.host_of == 0] *= 4.5
    return made


def test_guests_start_where_the_schedulers_put_them_and_all_is_declared():
    made = world(np.zeros((16, 2)))
    snapshot = made.snapshot()
    declared = [host.used["hypervisor"].vcpu for host in snapshot.hosts.values()]
    assert sum(declared) == 64
    assert max(declared) <= 32
    assert [host.task_count for host in snapshot.hosts.values()] == np.bincount(
        made.host_of
    ).tolist()


def test_a_host_gives_no_more_than_it_has_and_the_rest_is_a_stall():
    made = world(np.ones((16, 1)))
    busy = made.readings(0)[0]
    asked = made.load_of_hosts(0)[0] * 8
    assert asked > 8
    assert busy.use[0] == pytest.approx(8)
    assert sum(each.use[0] for each in busy.tasks) == pytest.approx(8)
    assert busy.stalls[0] == pytest.approx(1 - 8 / asked)


def test_the_watchdog_relieves_what_stays_overloaded(uneven):
    parameters = Parameters()
    nothing = run("none", Nothing(), copy.deepcopy(uneven), parameters)
    ours = run("relieve", Watchdog(Relieve(), parameters), copy.deepcopy(uneven), parameters)
    assert nothing.overload_host_minutes == 24 * 5
    assert nothing.moves == 0
    # Two periods are over before it acts.
    assert ours.overload_host_minutes == 2 * 5
    assert ours.moves == 1
    assert ours.most_moves_in_cooldown == 1
    assert ours.score_fell_when_decided == ours.score_fell_afterwards == 1
    assert ours.moves_per_guest_day == pytest.approx(1 / 16 * 12)
    assert ours.copied_gib == 4


def test_consolidation_leaves_fewer_hosts_in_use():
    made = world(np.full((8, 24), 0.1))
    parameters = Parameters()
    before = len(set(made.host_of.tolist()))
    outcome = run("consolidate", Watchdog(Consolidate(), parameters), made, parameters)
    assert len(set(made.host_of.tolist())) < before
    assert outcome.overload_host_minutes == 0


def test_minimum_migration_time_takes_the_guest_with_the_least_memory_first():
    shapes = replace(SHAPES, guests=(Resources(4, 8192), Resources(4, 2048)))
    made = world(np.full((4, 3), 0.2), 2, shapes)
    for task in range(4):
        made.move(task, 0)
    # 7.2 of 8 cores are used and 6.4 are the threshold: one guest has to go.
    made.wanted[:, 0] = 1.8
    (move,) = LITERATURE["thr-mmt"]().moves(made, 0)
    assert made.task_memory_mb[move[0]] == 2048
    assert move[1] == 1


def test_placement_of_the_literature_is_best_fit_below_the_threshold():
    made = world(np.zeros((6, 2)), 4)
    for task, host in enumerate((0, 0, 0, 1, 2, 3)):
        made.move(task, host)
    made.wanted[:, 0] = (2.4, 2.4, 2.4, 3.0, 4.0, 4.1)
    # 2.4 fits on all below 6.4 but the last.
    assert [host for _, host in LITERATURE["thr-mmt"]().moves(made, 0)] == [2]


def test_the_literature_empties_hosts_only_where_all_guests_find_another():
    made = world(np.zeros((3, 2)), 3)
    for task in range(3):
        made.move(task, task)
    made.wanted[:, 0] = (1.0, 3.0, 4.0)
    assert LITERATURE["thr-mmt+off"]().moves(made, 0) == [(0, 2)]
    assert LITERATURE["thr-mmt"]().moves(made, 0) == []


def test_adaptive_thresholds_follow_the_spread():
    steady, varied = np.full(20, 0.5), np.tile([0.4, 0.6], 10)
    assert by_median_deviation(steady) == by_quartiles(steady) == 1
    assert by_median_deviation(varied) == pytest.approx(1 - 2.5 * 0.1)
    assert by_quartiles(varied) == pytest.approx(1 - 1.5 * 0.2)
    assert by_quartiles(varied[:5]) == by_median_deviation(varied[:5]) == 0.8


def test_moves_of_a_task_are_counted_in_a_sliding_window():
    assert most_in_window([(1, 0), (2, 1), (1, 11), (1, 12)], 12) == 2
    assert most_in_window([(1, 0), (1, 12)], 12) == 1
    assert most_in_window([], 12) == 0


def test_a_folder_and_a_csv_file_give_the_same_series(tmp_path):
    folder = tmp_path / "load"
    folder.mkdir()
    (folder / "g1").write_text("10\n20\n")
    (folder / "g2").write_text("0\n100\n")
    table = tmp_path / "load.csv"
    table.write_text("g1,10,20\ng2,0,100\n")
    one, other = read_load(str(folder)), read_load(str(table))
    assert one.names == other.names == ("g1", "g2")
    assert one.use.tolist() == other.use.tolist() == [[0.1, 0.2], [0, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("g1,10,101\n", "line 1, number 2: '101' is not a percentage"),
        ("g1,10,nan\n", "'nan' is not a percentage"),
        ("g1,10\ng2,x\n", "line 2, number 1: 'x'"),
        ("g1,10,20\ng2,10\n", "line 2: it has 1 numbers and the first series 2"),
        ("g1,10\ng1,10\n", "line 2: the name 'g1'"),
        ("g1\n", "0 numbers"),
        ("", "has no series"),
        ('"g1,10\n', "is not CSV"),
    ],
)
def test_a_series_that_cannot_be_used_is_named(tmp_path, text, said):
    path = tmp_path / "load.csv"
    path.write_text(text)
    with pytest.raises(LoadError) as caught:
        read_load(str(path))
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(LoadError, match="cannot read /gone"):
        read_load("/gone")


def test_a_guest_without_room_is_named():
    with pytest.raises(ScenarioError, match="guest g01 of 40 CPUs and 4096 MiB has no room"):
        world(
            np.zeros((2, 1)), 1, replace(SHAPES, guests=(Resources(4, 4096), Resources(40, 4096)))
        )
