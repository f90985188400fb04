# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab import supervisor
from lab.layout import Host, Lab
from lab.processes import StepFailed
from lab.supervisor import Step


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab((Host(1, 4096), Host(2, 4096)), state=tmp_path)


def run(lab: Lab, *todo: Step) -> list[str]:
    done: list[str] = []
    supervisor.run_steps(list(todo), lab, lambda name, _seconds: done.append(name))
    return done


def nothing(_lab: Lab) -> None:
    """Do nothing."""


def test_each_step_runs_after_those_that_it_names(lab: Lab) -> None:
    begun: list[str] = []

    def step(name: str, *after: str) -> Step:
        return Step(name, after, lambda _lab: begun.append(name))

    shown = run(lab, step("c", "b"), step("b", "a"), step("a"))
    assert begun == shown == ["a", "b", "c"]


def test_steps_that_do_not_wait_for_each_other_run_at_once(lab: Lab) -> None:
    both = threading.Barrier(2)

    def meet(_lab: Lab) -> None:
        both.wait(timeout=30)

    assert sorted(run(lab, Step("a", (), meet), Step("b", (), meet))) == ["a", "b"]


def test_a_failure_starts_nothing_more_and_names_its_step(lab: Lab) -> None:
    def fail(_lab: Lab) -> None:
        raise StepFailed("read the log.")

    ran: list[str] = []
    after = Step("after", ("bad",), lambda _lab: ran.append("after"))
    with pytest.raises(StepFailed, match=r"^Step 'bad' failed: read the log\.$"):
        run(lab, Step("bad", (), fail), after)
    assert ran == []


def test_an_error_that_nobody_foresaw_names_where_to_read(lab: Lab) -> None:
    def fail(_lab: Lab) -> None:
        raise KeyError("x")

    with pytest.raises(StepFailed, match=rf"KeyError: 'x'; read {lab.folder('log')}"):
        run(lab, Step("bad", (), fail))


def test_steps_that_wait_for_each_other_are_named(lab: Lab) -> None:
    with pytest.raises(StepFailed, match=r"\['a', 'b'\]"):
        run(lab, Step("a", ("b",), nothing), Step("b", ("a",), nothing))


@pytest.mark.parametrize("stock", [False, True])
def test_the_steps_of_a_lab_can_all_be_reached(tmp_path: Path, stock: bool) -> None:
    lab = Lab((Host(1, 4096), Host(2, 4096)), stock=stock, state=tmp_path)
    steps = supervisor.steps(lab)
    dry = [Step(step.name, step.after, nothing) for step in steps]
    assert sorted(run(lab, *dry)) == sorted(step.name for step in steps)
    ours = {"hybrid-sched-engine", "hybrid-sched-api", "agents report"}
    assert ours.isdisjoint(step.name for step in steps) is stock
