# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from agents import seen

from hybrid_sched.agent.declarations import Declarations
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.state import Squeeze
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.declaration import Declaration


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path, "a")


@pytest.fixture
def declarations(replica: Replica) -> Declarations:
    return Declarations(replica, lambda _uuid: None)


def test_the_first_sight_of_a_container_counts_also_after_a_restart(
    declarations: Declarations, replica: Replica, tmp_path: Path
) -> None:
    first = seen("one", cpus=Fraction(5, 2), disk_read_bps=7)
    promised = replace(first.task, promised=first.declaration.promised)
    assert declarations.settle(first) == replace(first, task=promised)
    replica.close()
    again = Declarations(Replica(tmp_path, "a"), lambda _uuid: None)
    # Docker tells what it was squeezed to; what is used of the host does not shrink either.
    settled = again.settle(seen("one", cpus=Fraction(1, 2)))
    assert (settled.declaration, settled.task.demand) == (first.declaration, first.task.demand)
    assert settled.task.demand.vcpu == 3


def test_a_container_that_is_made_anew_or_was_forgotten_is_read_anew(
    declarations: Declarations,
) -> None:
    declarations.settle(seen("one", cpus=1))
    assert declarations.settle(seen("one", made="other", cpus=2)).declaration.cpus == 2
    declarations.settle(seen("two", cpus=1))
    declarations.forget({"one"})
    assert declarations.settle(seen("one", made="other", cpus=5)).declaration.cpus == 2
    assert declarations.settle(seen("two", cpus=5)).declaration.cpus == 5


def test_one_that_is_squeezed_when_it_is_seen_first_declared_what_it_had_before(
    declarations: Declarations, replica: Replica
) -> None:
    replica.update(lambda state: replace(state, squeezes={"docker": Squeeze(1, {"one": 3072})}))
    assert declarations.settle(seen("one", cpus=1)).declaration.cpus == 3


def test_what_zuns_driver_noted_counts_before_the_first_sight(replica: Replica) -> None:
    note = Declaration(4, 128, cpu_percent=50)
    declarations = Declarations(replica, {"one": note}.get)
    settled = declarations.settle(seen("one", cpus=1))
    assert (settled.declaration, settled.task.demand) == (note, note.resources)
    # It may change, as when the container is resized through Zun.
    assert replica.state.first_sights == {}


def test_a_note_that_cannot_be_read_is_said_once_and_the_first_sight_counts(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    def noted(_uuid: str) -> Declaration:
        raise ValueError("one.json cannot be used.")

    declarations = Declarations(replica, noted)
    for _ in range(2):
        assert declarations.settle(seen("one", cpus=2)).declaration.cpus == 2
        declarations.forget({"one"})
    assert caplog.text.count("one.json cannot be used.") == 1


def test_a_guest_is_read_anew_each_time(declarations: Declarations, replica: Replica) -> None:
    for cpus in (1, 2):
        guest = seen("g", HYPERVISOR, cpus=cpus)
        assert declarations.settle(guest) is guest
    assert replica.state.first_sights == {}
