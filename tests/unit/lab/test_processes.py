# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.layout import Host, Lab
from lab.processes import ProcessTable, StepFailed, started_ticks, wait_until

_SLEEP = ["sleep", "600"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab((Host(1, 4096),), state=tmp_path)


@pytest.fixture
def table(lab: Lab):
    table = ProcessTable(lab)
    yield table
    table.stop(table.all(), timeout_s=0)


def test_a_service_is_started_once_and_stopped(table: ProcessTable) -> None:
    for _ in range(2):
        table.start("one", _SLEEP, ready=lambda: True)
    (process,) = table.all()
    assert process.alive
    assert table.get("one") == process
    table.stop([process], timeout_s=10)
    assert not process.alive
    assert table.all() == []


def test_one_that_does_not_listen_is_ended_with_its_children(
    table: ProcessTable, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    script = (
        f"trap '' TERM; sleep 600 & echo $! > {child}.part; mv {child}.part {child}; wait; wait"
    )
    table.start("deaf", ["sh", "-c", script], ready=child.exists)
    table.stop(table.all(), timeout_s=0.2)
    pid = int(child.read_text())
    assert wait_until(lambda: started_ticks(pid) is None, timeout_s=10)


def test_one_that_ends_while_it_starts_names_its_log(table: ProcessTable, lab: Lab) -> None:
    with pytest.raises(
        StepFailed, match=f"^bad ended while it was starting; read {lab.log('bad')}"
    ):
        table.start("bad", ["sh", "-c", "echo why; exit 3"], ready=lambda: False)
    assert lab.log("bad").read_text() == "why\n"


def test_one_that_is_not_ready_in_time_names_its_log(table: ProcessTable, lab: Lab) -> None:
    with pytest.raises(StepFailed, match=f"^slow was not ready within 0 s; read {lab.log('slow')}"):
        table.start("slow", _SLEEP, ready=lambda: False, timeout_s=0.2)
    # It is known all the same, so that it can be stopped.
    assert [process.name for process in table.all()] == ["slow"]


def test_a_number_that_another_process_has_now_is_left_alone(table: ProcessTable) -> None:
    table.start("one", _SLEEP, ready=lambda: True)
    (process,) = table.all()
    stranger = dataclasses.replace(process, started_ticks=process.started_ticks - 1)
    assert not stranger.alive
    table.stop([stranger], timeout_s=0)
    assert process.alive
