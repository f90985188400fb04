# SPDX-License-Identifier: Apache-2.0
"""``release-host`` over the replica of an agent; the isolators of this host stand in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Manage
from oslo_config import cfg

from hybrid_sched import loading
from hybrid_sched.agent.records import Record
from hybrid_sched.agent.replica import Replica
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator


class Memory(Isolator):
    """Limits in memory."""

    frameworks = frozenset({"container"})

    def __init__(self) -> None:
        super().__init__(cfg.ConfigOpts())
        self.limits = {"one": Limits(cpus=frozenset({0}), memory_mb=64)}
        self.away = False

    def ability(self) -> Ability:
        return Ability(frozenset(Aspect), {})

    def read(self) -> Mapping[str, Limits]:
        if self.away:
            raise IsolationError("away.")
        return dict(self.limits)

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        self.limits[uuid] = replace(
            self.limits[uuid], **{str(each): getattr(limits, each) for each in aspects}
        )


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Memory:
    isolator = Memory()

    def load(_namespace: str, names: Collection[str], *_: object) -> list[tuple[str, Isolator]]:
        return [(name, isolator) for name in names]

    monkeypatch.setattr(loading, "load", load)
    return isolator


@pytest.fixture
def replica(tmp_path: Path, manage: Manage) -> Iterator[Replica]:
    manage.use("sqlite://", "[agent]", "host = a", f"state_path = {tmp_path}")
    replica = Replica(tmp_path, "a")
    record = Record(
        "id",
        before=Limits(cpus=frozenset({0, 1})),
        touched=frozenset({Aspect.CPUS, Aspect.MEMORY}),
    )
    replica.update(lambda state: replace(state, records={"docker": {"one": record}}))
    yield replica
    replica.close()


ROWS = [
    {"Task": "one", "Isolator": "docker", "Limit": "cpus", "Now": [0], "Before": [0, 1]},
    {"Task": "one", "Isolator": "docker", "Limit": "memory_mb", "Now": 64, "Before": None},
]


def test_what_was_before_is_listed_put_back_and_forgotten(
    manage: Manage, replica: Replica, docker: Memory
) -> None:
    replica.close()
    assert manage("release-host", "--dry-run", "-f", "json").rows == ROWS
    assert docker.limits["one"].memory_mb == 64
    table = manage("release-host").out
    assert "0,1" in table
    assert "none" in table
    assert docker.limits == {"one": Limits(cpus=frozenset({0, 1}))}
    assert manage("release-host", "-f", "json").rows == []


def test_while_the_agent_runs_nothing_is_touched(
    manage: Manage, replica: Replica, docker: Memory
) -> None:
    answer = manage("release-host")
    assert (answer.code, answer.out) == (1, "")
    assert "hybrid-sched-agent runs for host 'a'" in answer.err
    assert "stop it first" in answer.err
    assert docker.limits["one"].memory_mb == 64


def test_an_isolator_that_fails_keeps_its_records(
    manage: Manage, replica: Replica, docker: Memory
) -> None:
    replica.close()
    docker.away = True
    answer = manage("release-host")
    assert answer.code == 1
    assert "docker: away. 0 limit(s) were put back, the others are kept: try again." in answer.err
    docker.away = False
    assert manage("release-host", "-f", "json").rows == ROWS


def test_an_isolator_that_is_not_installed_any_more_is_named(
    manage: Manage, replica: Replica
) -> None:
    records = replica.state.records["docker"]
    replica.update(lambda state: replace(state, records={"rack": records}))
    replica.close()
    answer = manage("release-host")
    assert answer.code == 1
    assert "there is no plug-in 'rack'" in answer.err


def test_a_state_that_cannot_be_written_is_left_alone(manage: Manage, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    manage.use("sqlite://", "[agent]", "host = a", f"state_path = {tmp_path / 'file' / 'below'}")
    answer = manage("release-host")
    assert answer.code == 1
    assert "see [agent] state_path" in answer.err
