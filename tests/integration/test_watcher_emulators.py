# SPDX-License-Identifier: Apache-2.0
"""The watchdog against Watcher's emulators of Nova and Placement: it proposes only what they accept.

They are not in this repository. ``HYBRID_WATCHER_DIR`` names a checkout of openstack/watcher, ``HYBRID_WATCHER_PYTHON`` a
Python with ``fixtures``, ``pecan``, ``werkzeug``, ``oslo.serialization``, ``pbr`` and ``oslo.service[threading]``.

They tell what each host has and each guest declares, carry a move out at once, and check nothing of it, so the test does: that
the target is up and enabled, and that no host holds more than its inventories in Placement. What a guest uses, which they
do not tell, is in its metadata. Of what the watchdog asks they have no server groups and no list of all migrations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.clients.placement import placement_client
from hybrid_sched.clients.session import adapter_of
from hybrid_sched.conf import clients as client_options
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.conf import watchdog as watchdog_options
from hybrid_sched.core import measures
from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.watchdog.executors import Executors
from hybrid_sched.watchdog.orders import Orders
from hybrid_sched.watchdog.policy import LivePolicy
from hybrid_sched.watchdog.runner import WatchdogRunner
from hybrid_sched.watchdog.watch import Watch

_PROGRAM = Path(__file__).with_name("watcher_emulators.py")
_EMULATORS = "watcher/tests/local_fixtures/nova_api_emulator.py"
_PERIOD_S = 60.0
_RATIO = 4.0
_ROUNDS = 8
#: What the emulators do not serve of what the watchdog asks.
_MISSING = {"/v2.1/os-server-groups", "/v2.1/os-migrations"}
_CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB")
HOSTS = tuple(f"compute-{n}" for n in (1, 2, 3, 4))
DOWN, DISABLED = "compute-0", "compute-9"


@dataclass(frozen=True)
class Guest:
    """A guest of the emulated cloud, with the cores that it uses."""

    name: str
    host: str
    cores: float
    memory_mb: int = 1024
    vcpus: int = 4


class Cloud:
    """The emulators with a topology, and the watchdog of a leading engine with a ledger, all real."""

    def __init__(
        self,
        ports: Mapping[str, int],
        requests: Path,
        directory: Path,
        options: Mapping[str, Any],
    ) -> None:
        self._requests = requests
        self.now_s = 1e9
        file = directory / "hybrid-sched.conf"
        file.write_text(
            f"[nova]\nauth_type = none\nendpoint_override = http://127.0.0.1:{ports['nova']}/v2.1\n"
            f"[placement]\nauth_type = none\nendpoint_override = http://127.0.0.1:{ports['placement']}\n"
        )
        self.conf = cfg.ConfigOpts()
        self.conf.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
        self.conf.register_opts(watchdog_options.OPTIONS, group=cfg.OptGroup("watchdog"))
        client_options.register(self.conf)
        self.conf(["--config-file", str(file)])
        for name, value in {"mode": "on", "host_cooldown_s": 60.0, **options}.items():
            self.conf.set_override(name, value, group="watchdog")
        nova, placement = adapter_of(self.conf, "nova", "2.68"), placement_client(self.conf)
        assert nova is not None
        assert placement is not None
        self._nova, self._placement = nova, placement
        self.database = Database(f"sqlite:///{directory / 'ledger.sqlite'}")
        self.database.sync()
        self._pool = ThreadPoolExecutor(1)
        self._sequence = 0
        self.moves, settings = MoveStore(self.database), WatchdogStore(self.database)
        term = Terms(self.database).begin("test", self.now_s)
        self.engine = Engine(self.conf, term, None, self.clock, self.clock)
        executors = Executors(self.conf)
        policy = LivePolicy(self.conf, self.engine, self.moves, settings, executors, self.clock)
        watch = Watch(self.conf, self.moves, settings, policy, executors, term, self.clock)
        self.runner = WatchdogRunner(watch, self._pool)
        self.orders = Orders(watch, self.runner)
        self.report()

    def clock(self) -> float:
        return self.now_s

    def close(self) -> None:
        self._pool.shutdown()
        self.database.close()

    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._nova.get("/servers/detail").json()["servers"]
        return found

    def hypervisors(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._nova.get("/os-hypervisors/detail").json()["hypervisors"]
        return found

    def where(self) -> dict[str, str]:
        return {each["name"]: each["OS-EXT-SRV-ATTR:host"] for each in self.servers()}

    def inventories(self, provider: str) -> dict[str, int]:
        """Give what of a host may be claimed."""
        told = self._placement.inventories(provider)
        assert told is not None
        return {name: int((has.total - has.reserved) * has.ratio) for name, has in told[1].items()}

    def report(self) -> None:
        """Report what the emulators tell of each host, as its agent would, and let the engine work out its snapshot."""
        self._sequence += 1
        servers = self.servers()
        # No agent reports from a host that is down.
        for each in [
            hypervisor for hypervisor in self.hypervisors() if hypervisor["state"] == "up"
        ]:
            here = [s for s in servers if s["OS-EXT-SRV-ATTR:host"] == each["hypervisor_hostname"]]
            cores = {s["id"]: float(s["metadata"]["cores"]) for s in here}
            may = self.inventories(each["id"])
            report = HostReport(
                host=each["hypervisor_hostname"],
                boot_id="boot",
                sequence=self._sequence,
                sampled_at_s=self.now_s,
                capacity=Resources(vcpu=may["VCPU"], memory_mb=may["MEMORY_MB"]),
                cpus=each["vcpus"],
                memory_mb=each["memory_mb"],
                tasks=tuple(_task(server) for server in here),
                measured={
                    measures.CPU_CORES: sum(cores.values()),
                    measures.MEMORY_USED_MB: 1024.0,
                },
                task_measured={uuid: {measures.CPU_CORES: used} for uuid, used in cores.items()},
            )
            self.engine.take_report(report)
        self.engine.run_cycle()

    def period(self) -> None:
        """Let a period pass, with reports, a decision and the steps of moves; see that Nova and Placement would bear it."""
        self.now_s += _PERIOD_S
        self.report()
        for _ in range(_ROUNDS):
            self.runner.run_round()
            # There is one thread, so the steps are over when this is.
            self._pool.submit(lambda: None).result()
            self.now_s += 3.0
        self._check_room()

    def periods(self, count: int) -> list[MoveRecord]:
        for _ in range(count):
            self.period()
        return self.moves.newest(1000)[::-1]

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._requests.read_text().splitlines()]

    def _check_room(self) -> None:
        servers = self.servers()
        for each in self.hypervisors():
            held: Counter[str] = Counter()
            for server in servers:
                if server["OS-EXT-SRV-ATTR:host"] == each["hypervisor_hostname"]:
                    has = server["flavor"]
                    held.update(
                        dict(zip(_CLASSES, (has["vcpus"], has["ram"], has["disk"]), strict=True))
                    )
            may = self.inventories(each["id"])
            assert all(held[name] <= may[name] for name in _CLASSES), (each, held, may)

    def check(self, strategy: str) -> list[MoveRecord]:
        """See that all that was proposed was accepted and came to be, and give it."""
        done = self.moves.newest(1000)[::-1]
        assert done, self.runner.left_alone
        assert {(move.strategy, move.executor, move.state) for move in done} == {
            (strategy, "nova_live", MoveState.DONE)
        }, [(move.strategy, move.state, move.text) for move in done]
        names = {server["id"]: server["name"] for server in self.servers()}
        last = {names[move.decision.task]: move.decision.target for move in done}
        where = self.where()
        assert {name: where[name] for name in last} == last
        assert {move.decision.target for move in done} <= {
            each["hypervisor_hostname"]
            for each in self.hypervisors()
            if (each["state"], each["status"]) == ("up", "enabled")
        }

        asked = self.requests()
        changes = [each for each in asked if each["method"] != "GET"]
        assert [(each["path"], each["body"], each["status"]) for each in changes] == [
            (
                f"/v2.1/servers/{move.decision.task}/action",
                {"os-migrateLive": {"host": move.decision.target, "block_migration": "auto"}},
                202,
            )
            for move in sorted(done, key=lambda each: _order_of(each, changes))
        ]
        assert {each["version"] for each in changes} == {"compute 2.68"}
        refused = {(each["path"], each["status"]) for each in asked if each["status"] >= 400}
        assert refused == {(path, 404) for path in _MISSING}
        return done


def _order_of(move: MoveRecord, changes: Sequence[Mapping[str, Any]]) -> int:
    """Give the place of a move in what was asked for; of none in the ledger it is the last."""
    paths = [each["path"] for each in changes]
    path = f"/v2.1/servers/{move.decision.task}/action"
    return paths.index(path) if path in paths else len(paths)


def _task(server: Mapping[str, Any]) -> Task:
    has = server["flavor"]
    demand = Resources(vcpu=has["vcpus"], memory_mb=has["ram"])
    return Task(server["id"], HYPERVISOR, demand, name=server["name"], movable=True)


@dataclass(frozen=True)
class Emulated:
    """Makes clouds, one a test."""

    checkout: Path
    directory: Path
    started: list[tuple[subprocess.Popen[str], Cloud]]

    def cloud(self, *guests: Guest, **options: Any) -> Cloud:
        topology, requests = self.directory / "topology.json", self.directory / "requests"
        topology.write_text(json.dumps(_topology(guests)))
        requests.touch()
        python = os.environ.get("HYBRID_WATCHER_PYTHON", sys.executable)
        with (self.directory / "emulators.log").open("w") as log:
            program = subprocess.Popen(
                [python, _PROGRAM, self.checkout, topology, requests],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert program.stdout is not None
        said = program.stdout.readline()
        assert said, (self.directory / "emulators.log").read_text()
        cloud = Cloud(json.loads(said), requests, self.directory, options)
        self.started.append((program, cloud))
        return cloud


def _topology(guests: Sequence[Guest]) -> dict[str, Any]:
    nodes = [
        {
            **{"hostname": host, "uuid": f"00000000-0000-4000-8000-{n:012}", "vcpus": 10},
            **{"memory": 16_384, "vcpu_ratio": _RATIO, "memory_mb_reserved": 512},
            "state": "down" if host == DOWN else "up",
            "status": "disabled" if host == DISABLED else "enabled",
        }
        for n, host in enumerate((DOWN, *HOSTS, DISABLED))
    ]
    servers = [
        {
            **{"uuid": f"11111111-0000-4000-8000-{n:012}", "name": guest.name, "host": guest.host},
            **{"vcpus": guest.vcpus, "memory": guest.memory_mb, "disk": 10},
            "metadata": {"cores": str(guest.cores)},
        }
        for n, guest in enumerate(guests)
    ]
    return {"compute_nodes": nodes, "instances": servers}


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Emulated]:
    named = os.environ.get("HYBRID_WATCHER_DIR", "")
    if not named:
        pytest.skip("HYBRID_WATCHER_DIR names no checkout of openstack/watcher")
    checkout = Path(named)
    assert (checkout / _EMULATORS).is_file(), f"HYBRID_WATCHER_DIR: {checkout} has no {_EMULATORS}"
    made = Emulated(checkout, tmp_path, [])
    try:
        yield made
    finally:
        for program, cloud in made.started:
            cloud.close()
            # It ends with its input.
            program.communicate(timeout=30)


def test_an_exhausted_host_is_relieved_by_one_move_that_fits(emulated: Emulated) -> None:
    cloud = emulated.cloud(
        Guest("large", "compute-1", 4.0, memory_mb=2048),
        Guest("middle", "compute-1", 3.0),
        Guest("small", "compute-1", 2.0),
        # Idle, and yet without room for the large one by what is declared.
        Guest("idle", "compute-2", 0.1, memory_mb=15_000),
        Guest("other", "compute-3", 1.0),
        Guest("busy", "compute-4", 6.0),
    )
    cloud.periods(8)
    [move] = cloud.check("relieve")
    assert "host compute-1 is exhausted: 90% of its vcpu" in move.decision.reason
    assert cloud.where() == {
        **{"large": "compute-3", "middle": "compute-1", "small": "compute-1"},
        **{"idle": "compute-2", "other": "compute-3", "busy": "compute-4"},
    }


def test_hosts_are_evened_out_before_one_is_exhausted(emulated: Emulated) -> None:
    guests = [Guest(f"full-{n}", "compute-1", 2.3) for n in range(3)]
    light = [Guest(f"light-{n}", host, 0.5) for n, host in enumerate(HOSTS[1:])]
    cloud = emulated.cloud(*guests, *light, strategy="balance")
    cloud.periods(8)
    assert all("is near its target" in move.decision.reason for move in cloud.check("balance"))
    assert Counter(cloud.where().values())["compute-1"] < len(guests)


def test_a_host_is_drained_and_no_guest_is_lost(emulated: Emulated) -> None:
    guests = [Guest(f"guest-{n}", "compute-1", 0.5) for n in range(5)]
    cloud = emulated.cloud(*guests, Guest("other", "compute-2", 1.0), mode="off")
    cloud.periods(2)
    cloud.orders.apply(cloud.orders.plan(drains="compute-1").id)
    cloud.periods(12)
    assert len(cloud.check("drain")) == len(guests)
    where = cloud.where()
    assert len(where) == len(guests) + 1
    assert "compute-1" not in where.values()


def test_a_host_that_holds_little_is_emptied(emulated: Emulated) -> None:
    guests = [Guest(f"guest-{n}", host, 1.0) for n, host in enumerate(HOSTS)]
    cloud = emulated.cloud(*guests, strategy="consolidate")
    cloud.periods(20)
    cloud.check("consolidate")
    assert len(set(cloud.where().values())) < len(HOSTS)
