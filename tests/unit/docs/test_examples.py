# SPDX-License-Identifier: Apache-2.0
"""The examples for those who write plug-ins do what the contracts ask for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.core.rebalancing.moves import Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.executor import MoveUnavailable, Step
from hybrid_sched.interfaces.monitor import SourceError

EXAMPLES = Path(__file__).parents[3] / "doc" / "source" / "contributor" / "examples"
_GIB = 1024**3


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    """Make the control groups of two machines, one of them without a limit."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    for name, limit in (("web", str(_GIB)), ("db", "max")):
        scope = tmp_path / "machine.slice" / f"machine-{name}.scope"
        scope.mkdir(parents=True)
        (scope / "memory.max").write_text(f"{limit}\n")
        (scope / "memory.current").write_text(f"{_GIB // 4}\n")
        (scope / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    return tmp_path / "machine.slice"


def test_the_source_tells_tasks_gauges_and_counters(machines: Path) -> None:
    source = example("machines_source").MachinesSource(cfg.ConfigOpts())
    source.slice = machines
    db, web = source.collect().tasks
    assert (web.task.uuid, web.task.demand, db.task.demand.memory_mb) == (
        "web",
        Resources(memory_mb=1024),
        0,
    )
    assert (web.gauges["memory_used_mb"], web.counters["cpu_s"]) == (256, 2.5)
    assert web.life != db.life
    (machines / "machine-web.scope" / "cpu.stat").unlink()
    with pytest.raises(SourceError, match="control groups"):
        source.collect()


def test_the_isolator_reads_back_what_it_sets(machines: Path) -> None:
    isolator = example("machines_isolator").MachinesIsolator(cfg.ConfigOpts())
    isolator.slice = machines
    assert isolator.ability().aspects == {Aspect.MEMORY}
    assert isolator.read() == {"web": Limits(memory_mb=1024), "db": Limits()}
    isolator.hold("db", Limits(memory_mb=64), [Aspect.MEMORY])
    isolator.hold("web", Limits(), [Aspect.MEMORY])
    isolator.hold("gone", Limits(memory_mb=64), [Aspect.MEMORY])
    isolator.hold("db", Limits(cpu_weight=2), [Aspect.CPU_WEIGHT])
    assert isolator.read() == {"web": Limits(), "db": Limits(memory_mb=64)}
    (machines.parent / "cgroup.controllers").unlink()
    assert "version 2" in isolator.ability().missing[Aspect.MEMORY]


@given(
    tasks=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12),
    hosts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6),
)
def test_the_packer_places_what_fits_and_begins_at_the_end(
    tasks: list[tuple[int, int]], hosts: list[tuple[int, int]]
) -> None:
    packing = example("last_fit").LastFit().pack(tasks, hosts)
    placed = [task for of_host in packing.bins.values() for task in of_host]
    assert sorted([*placed, *packing.unplaced]) == list(range(len(tasks)))
    assert all(amount >= 0 for room in packing.free for amount in room)
    if placed and len(set(hosts)) == 1:
        assert len(hosts) - 1 in packing.bins


def moved(step: Step) -> MoveRecord:
    effect = Effect("vcpu", 1.0, 0.5, 0.2, 0.7)
    made = Decision(
        *("guest", HYPERVISOR, Resources(vcpu=1), NO_USE, "a", "b", "a is full", effect),
        *(1.0, 0.5, 0.1, 0.0),
    )
    return MoveRecord("move", "plan", made, "ticket", state=step.state, step=step.name)


def test_the_executor_asks_once_and_ends_as_it_is_told(tmp_path: Path) -> None:
    executor = example("ticket_executor").TicketExecutor(cfg.ConfigOpts())
    executor.folder = tmp_path / "away"
    before = Step(MoveState.PLANNED, "")
    with pytest.raises(MoveUnavailable):
        executor.advance(moved(before))
    executor.folder = tmp_path
    first = executor.advance(moved(before))
    assert (first.state, first.again_s > 0) == (MoveState.RUNNING, True)
    written = (tmp_path / "move.json").read_text()
    # An engine that was killed before it wrote the step down asks for it again.
    again = executor.advance(moved(before))
    assert (again.state, (tmp_path / "move.json").read_text()) == (MoveState.RUNNING, written)
    (tmp_path / "move.answer").write_text("done\n")
    assert executor.advance(moved(first)).state is MoveState.DONE
    assert executor.cancel(moved(first)).state is MoveState.DONE
    (tmp_path / "move.answer").unlink()
    assert executor.cancel(moved(first)).state is MoveState.CANCELLED
    assert not (tmp_path / "move.json").exists()
