# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.rebalancing import moves
from hybrid_sched.core.rebalancing.moves import Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import TARGET_UUID, MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation.recorded import Records, recorded_trace
from hybrid_sched.simulation.trace import TraceMove, write_trace
from hybrid_sched.simulation.workload import SimulatedHost, WorkloadError

DEMAND = Resources(2, 1024)
HOSTS = (
    SimulatedHost("rack1.example.org", Resources(8, 8192)),
    SimulatedHost("rack2.example.org", Resources(8, 8192)),
)
FROM_S, TO_S = 1000.0, 2000.0


def queued(uuid, submitted_s, started_s=0.0, ended_s=0.0, **fields):
    return QueuedTask(
        uuid,
        f"secret of {uuid}",
        fields.pop("framework", HYPERVISOR),
        DEMAND,
        submitted_at_s=submitted_s,
        started_at_s=started_s,
        ended_at_s=ended_s,
        state=fields.pop("state", TaskState.DONE if ended_s else TaskState.RUNNING),
        host=fields.pop("host", "rack1.example.org" if started_s else ""),
        server=fields.pop("server", f"server-of-{uuid}" if started_s else ""),
        **fields,
    )


def decision(uuid, at_s, stage, *hosts, by_share=False, framework=CONTAINER):
    return Decision(
        uuid, framework, DEMAND, stage, at_s, 1, 0.0, hosts=hosts, refused_by_share=by_share
    )


def move(task, at_s, target, state=MoveState.DONE, copy=""):
    effect = Effect("vcpu", 1.0, 0.5, 0.0, 0.5)
    made = moves.Decision(
        task, HYPERVISOR, DEMAND, NO_USE, "rack1.example.org", target, "", effect, 1, 0, 0, 0
    )
    details = {TARGET_UUID: copy} if copy else {}
    return MoveRecord(f"m{at_s}", "p", made, "x", state=state, ended_at_s=at_s, details=details)


def trace(queued=(), decisions=(), moves=(), **options):
    return recorded_trace(Records(queued, decisions, moves), HOSTS, (1, 1), FROM_S, TO_S, **options)


def test_a_queued_task_keeps_its_times():
    (found,) = trace([queued("a", 1100, 1150, 1400)]).tasks
    assert (found.task.arrival_s, found.started_s, found.task.duration_s) == (100, 150, 250)
    assert (found.host, found.ended, found.refusals) == ("host-1", True, 0)


def test_what_was_there_before_and_stays_after_is_cut_at_the_ends():
    early, late = trace([queued("a", 100, 200, 1500), queued("b", 1900, 1950)]).tasks
    assert (early.task.arrival_s, early.started_s, early.task.duration_s) == (0, 0, 500)
    assert (late.started_s, late.task.duration_s, late.ended) == (950, 50, False)


def test_what_was_over_or_never_ran_is_not_in_it():
    over = queued("a", 100, 200, 900)
    failed = queued("b", 1100, 0, 1200, state=TaskState.FAILED)
    later = queued("c", 2100, 2200, 2300)
    assert len(trace([over, failed, later, queued("d", 1100, 1150, 1400)]).tasks) == 1


def test_what_never_started_lasts_as_long_as_others_did():
    tasks = [
        queued("a", 1100, 1150, 1250),
        queued("b", 1100, 1150, 1450),
        queued("c", 1200, state=TaskState.WAITING),
        queued("d", 1200, state=TaskState.WAITING, framework=CONTAINER),
    ]
    waiting, other = trace(tasks).tasks[2:]
    assert (waiting.started_s, waiting.ended, waiting.task.duration_s) == (None, False, 200)
    assert other.task.duration_s == TO_S - FROM_S


def test_requests_come_refused_and_are_claimed():
    decisions = [
        decision("x", 1100, Stage.SHARE_GATE, by_share=True),
        decision("x", 1160, Stage.SHARE_GATE, "rack1.example.org"),
        decision("x", 1161, Stage.ORDER, "rack2.example.org", "rack1.example.org"),
        decision("x", 1170, Stage.CLAIMED, "rack2.example.org"),
    ]
    (found,) = trace(decisions=decisions).tasks
    assert found.task.framework == CONTAINER
    assert (found.task.arrival_s, found.started_s, found.host) == (100, 170, "host-2")
    assert (found.refusals, found.ended, found.task.duration_s) == (1, False, 830)


def test_the_decisions_of_a_queued_task_are_its_own():
    task = queued("a", 1100, 1150, 1400)
    decisions = [
        decision(task.server, 1120, Stage.SHARE_GATE, by_share=True, framework=HYPERVISOR),
        decision(task.server, 1149, Stage.CLAIMED, "rack2.example.org", framework=HYPERVISOR),
    ]
    (found,) = trace([task], decisions).tasks
    assert (found.refusals, found.started_s, found.host) == (1, 150, "host-1")


def test_moves_that_were_done_are_followed_also_when_the_task_has_another_uuid_then():
    task = queued("a", 1100, 1150, 1900, host="rack2.example.org")
    made = [
        move(task.server, 1300, "rack2.example.org", MoveState.FAILED),
        move(task.server, 1400, "rack2.example.org", copy="again"),
        move("again", 1500, "rack1.example.org"),
        move("unknown", 1500, "rack1.example.org"),
    ]
    (found,) = trace([task], moves=made).tasks
    assert found.host == "host-1"
    assert found.moves == (TraceMove(400, "host-2"), TraceMove(500, "host-1"))


def test_nobody_is_named():
    task = replace(queued("a", 1100, 1150, 1400), kind="flavor of a tenant", spec={"k": "v"})
    made = trace([task], moves=[move(task.server, 1300, "rack2.example.org")])
    text = write_trace(made)
    for word in ("secret", "server", "tenant", "rack", "example", "spec"):
        assert word not in text
    assert "rack1.example.org" in write_trace(trace([task], host_names=True))


def test_what_cannot_be_made_is_said():
    with pytest.raises(WorkloadError, match="nothing is kept"):
        trace()
    with pytest.raises(WorkloadError, match="ran on host 'gone'"):
        trace([queued("a", 1100, 1150, 1400, host="gone")])
    with pytest.raises(WorkloadError, match="--to: it is not after"):
        recorded_trace(Records(), HOSTS, (1, 1), TO_S, TO_S)
