# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from queues import queued

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.durations import Durations, Estimate, ends_at_s
from hybrid_sched.core.queued import TaskState

HISTORY = {
    (CONTAINER, "web"): [40, 42, 38, 900, 41, 39, 40, 1, 1, 1, 1, 1, 1],
    (CONTAINER, "new"): [7],
    (CONTAINER, "two"): [10, 20],
    (HYPERVISOR, "vm"): [3.14],
}


@pytest.mark.parametrize(
    ("changes", "seconds", "text"),
    [
        ({"kind": "web", "duration_s": 5}, 5, "5 s as declared"),
        ({"kind": "web", "duration_s": 5, "stop_after_s": 60}, 5, "5 s as declared"),
        ({"duration_s": 90, "stop_after_s": 60}, 60, "at most 60 s, as it is ended then"),
        ({"kind": "web", "stop_after_s": 60}, 60, "at most 60 s, as it is ended then"),
        # One that hung does not count, nor do those that are older than seven.
        ({"kind": "web"}, 40, "about 40 s, from 7 tasks of this kind"),
        ({"kind": "two"}, 20, "about 20 s, from 2 tasks of this kind"),
        (
            {"kind": "new"},
            40,
            "about 40 s, from 10 tasks of framework container, as this kind is new",
        ),
        ({"framework": HYPERVISOR, "kind": "vm"}, None, "unknown, as too few tasks have ended"),
        ({"framework": "other"}, None, "unknown, as too few tasks have ended"),
    ],
)
def test_what_is_declared_counts_then_the_kind_then_the_framework(
    changes: dict[str, object], seconds: float | None, text: str
) -> None:
    assert Durations(HISTORY).of(queued("task", 1, **changes)) == Estimate(seconds, text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ran_s", "left_s"), [(0, 40), (40, 0), (41, 39), (80, 0), (81, 79), (500, 140)]
)
def test_a_task_that_outlives_its_estimate_gets_twice_as_long(ran_s: float, left_s: float) -> None:
    task = queued("task", 1, state=TaskState.RUNNING, started_at_s=1000)
    now_s = 1000 + ran_s
    assert ends_at_s(task, Estimate(40, ""), now_s) == now_s + left_s


@pytest.mark.parametrize(
    ("changes", "seconds", "end_s"),
    [
        ({"state": TaskState.LAUNCHING}, 40, 1040),
        ({"state": TaskState.LAUNCHING}, None, None),
        ({"state": TaskState.RUNNING, "started_at_s": 900}, None, None),
        ({"state": TaskState.ENDING, "started_at_s": 900}, None, 1000),
        # It is ended by then, whatever it showed before.
        ({"state": TaskState.RUNNING, "started_at_s": 900, "stop_after_s": 120}, 60, 1020),
        ({"state": TaskState.RUNNING, "started_at_s": 900, "stop_after_s": 90}, 90, 1000),
        ({"state": TaskState.RUNNING, "started_at_s": 997}, 0, 1001),
    ],
)
def test_the_end_of_a_task_follows_from_its_state(
    changes: dict[str, object], seconds: float | None, end_s: float | None
) -> None:
    task = queued("task", 1, **changes)  # type: ignore[arg-type]
    assert ends_at_s(task, Estimate(seconds, ""), 1000) == end_s
