# SPDX-License-Identifier: Apache-2.0
"""Containers relocated through Zun's real API, scheduler and database, with the real Placement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloud import CAPACITY
from container_hosts import ContainerHosts, ZunApiTest
from oslo_config import cfg
from zun import objects

from hybrid_sched.clients.neutron import NeutronPorts
from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.clients.zun_moves import MICROVERSION, ZunMoves
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.rebalancing.moves import Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.executors.zun_relocate import ZunRelocate

_MOVE = "5f0c4a1e-0000-4000-8000-000000000001"


class HostsOfWhichOneIsDead(ContainerHosts):
    """Nothing that the second host is asked for is done."""

    def container_create(
        self, context: Any, host: str, container: objects.Container, *rest: Any
    ) -> None:
        if host != "two":
            super().container_create(context, host, container, *rest)


class RelocationCloudTest(ZunApiTest):
    def setUp(self) -> None:
        super().setUp()
        self.providers = {name: self.start_host(name) for name in ("one", "two")}
        self.moves = ZunMoves(lambda _: self.service(MICROVERSION))
        self.now_s = 1000.0
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        # Neutron is not here, and containers without networks do not need it.
        self.executor = ZunRelocate(
            conf,
            self.moves,
            NeutronPorts(self.service(MICROVERSION)),
            PlacementClient(self.placement),
            lambda: self.now_s,
        )

    def container(self, memory_mb: int = 256, **fields: Any) -> str:
        """Run a container on the first host, with all that Zun lets an owner say."""
        body = {
            "name": "web",
            "image": "busybox",
            "command": ["sleep", "60"],
            "entrypoint": ["/bin/sh", "-c"],
            "cpu": 0.5,
            "memory": str(memory_mb),
            "environment": {"A": "b"},
            "labels": {"hybrid:relocate": "allow", "mine": "yes"},
            "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "2"},
            "healthcheck": {"cmd": "true", "interval": 5, "retries": 3, "timeout": 2},
            "workdir": "/tmp",  # noqa: S108
            "hostname": "web-1",
            "auto_heal": True,
            "interactive": True,
            "tty": True,
            "host": "one",
            **fields,
        }
        project = self.context.project_id
        self.moves.create(project, body)
        [uuid] = self.moves.labelled(project, "mine", "yes")
        self.moves.start(project, uuid)
        return uuid

    def move(self, uuid: str) -> MoveRecord:
        effect = Effect("vcpu", 1.0, 0.5, 0.2, 0.7)
        demand = Resources(vcpu=1, memory_mb=256)
        made = Decision(
            *(uuid, CONTAINER, demand, NO_USE, "one", "two", "host is full", effect, 1.0, 0.5, 0.1),
            copy_mb=0.0,
        )
        return MoveRecord(_MOVE, "plan", made, "zun_relocate", state=MoveState.RUNNING)

    def run_move(self, move: MoveRecord, until: str | None = None) -> MoveRecord:
        for _ in range(100):
            if move.state is not MoveState.RUNNING or move.step == until:
                return move
            step = self.executor.cancel(move) if move.cancelling else self.executor.advance(move)
            move = replace(
                move, state=step.state, step=step.name, details=step.details, text=step.text
            )
            self.now_s += max(step.again_s, 1.0)
        raise AssertionError(move)

    def told(self, uuid: str) -> dict[str, Any]:
        """Give what an owner said of a container, as Zun tells of it."""
        fields = self.moves.container(uuid, self.context.project_id)
        assert fields is not None
        left_out = ("uuid", "links", "host", "created_at", "updated_at", "labels", "status_detail")
        return {name: value for name, value in fields.items() if name not in left_out}


class RelocationTest(RelocationCloudTest):
    def test_a_container_comes_back_whole_on_the_other_host(self) -> None:
        uuid = self.container()
        before = self.told(uuid)
        move = self.run_move(self.move(uuid))
        assert move.state is MoveState.DONE, move.text
        [made] = self.moves.labelled(self.context.project_id, "hybrid:move", _MOVE)
        assert self.told(made) == before
        assert self.moves.container(uuid) is None
        moved = objects.Container.get_by_uuid(self.context, made)
        assert (moved.host, moved.status) == ("two", "Running")
        assert moved.labels["mine"] == "yes"
        assert made in self.claimed(self.providers["two"])

    def test_a_host_that_has_no_room_is_not_forced(self) -> None:
        full = {"image": "busybox", "memory": str(CAPACITY.memory_mb), "host": "two"}
        self.moves.create(self.context.project_id, full)
        uuid = self.container()
        move = self.run_move(self.move(uuid))
        assert move.state is MoveState.FAILED
        assert "There are not enough hosts available" in move.text
        stayed = objects.Container.get_by_uuid(self.context, uuid)
        assert (stayed.host, stayed.status) == ("one", "Running")
        assert self.moves.labelled(self.context.project_id, "hybrid:move", _MOVE) == []

    def test_a_cancelled_move_leaves_the_container_as_it_was(self) -> None:
        uuid = self.container()
        before = self.told(uuid)
        move = self.run_move(self.move(uuid), until="started")
        assert objects.Container.get_by_uuid(self.context, uuid).status == "Stopped"
        move = self.run_move(replace(move, cancelling=True))
        assert move.state is MoveState.CANCELLED, move.text
        assert self.told(uuid) == before
        assert self.moves.labelled(self.context.project_id, "hybrid:move", _MOVE) == []


class RelocationToADeadHostTest(RelocationCloudTest):
    compute = HostsOfWhichOneIsDead

    def test_nothing_of_a_container_that_was_never_made_stays_claimed(self) -> None:
        uuid = self.container()
        move = self.run_move(self.move(uuid), until="created")
        [made] = self.moves.labelled(self.context.project_id, "hybrid:move", _MOVE)
        assert made in self.claimed(self.providers["two"])
        # Longer than a target is waited for.
        self.now_s += 700
        move = self.run_move(move)
        assert move.state is MoveState.FAILED
        assert self.moves.labelled(self.context.project_id, "hybrid:move", _MOVE) == []
        assert made not in self.claimed(self.providers["two"])
        assert uuid in self.claimed(self.providers["one"])
