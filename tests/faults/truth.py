# SPDX-License-Identifier: Apache-2.0
"""What must hold after each sequence of faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from agents import CAPACITY, RUBBISH
from cluster import HOSTS, Cluster, Ground
from waiting import wait_until

from hybrid_sched.core.cluster import FRAMEWORKS, Task
from hybrid_sched.core.resources import Resources, dominant_share, exact, scale, total
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import bus

_TIMEOUT_S = 30
#: Agents report so often while they are waited for: a report may be lost with the leader that took it.
_REPORT_AGAIN_S = 1.0
_POLL_S = 0.02


@dataclass
class Asked:
    """What the scheduler knows of one request.

    :param request: what it asked for.
    :param is_held: whether the newest answer leaves it reserved.
    :param is_certain: whether every question on it was answered, and it never was on a host.
    """

    request: Request
    is_held: bool = False
    is_certain: bool = True


class Truth:
    """What runs where and was promised, against what the leading engine takes for it.

    :param ground: what all sequences stand on.
    :param cluster: of this sequence.
    """

    def __init__(self, ground: Ground, cluster: Cluster) -> None:
        self._ground = ground
        self._cluster = cluster

    def heal(self) -> None:
        """Let all run again, and wait until the leader knows it."""
        for engine in self._cluster.engines.values():
            if not engine.is_alive:
                engine.start()
        for host in self._cluster.hosts.values():
            host.clock_offset_s, host.failing = 0.0, set()
        self.wait_until_known()

    def wait_until_known(self) -> None:
        """Wait until the leader knows what the agents know, who report as they do each period."""
        self._cluster.wait_until_led()
        reported_at_s = self._report()
        deadline_s = time.monotonic() + _TIMEOUT_S
        while differs := self._what_differs():
            assert time.monotonic() < deadline_s, differs
            if time.monotonic() - reported_at_s > _REPORT_AGAIN_S:
                reported_at_s = self._report()
            time.sleep(_POLL_S)

    def assert_promises(self, asked: Iterable[Asked]) -> None:
        """See that what was answered holds, and nothing else but what was not answered."""
        promised = self._cluster.reservations()
        requests = {each.request.uuid: each for each in asked}
        for uuid, (framework, demand) in promised.items():
            request = requests[uuid].request
            assert (framework, demand) == (request.framework, request.demand)
        certain = {uuid: each for uuid, each in requests.items() if each.is_certain}
        lost = {uuid for uuid, each in certain.items() if each.is_held and uuid not in promised}
        assert not lost, f"answered and lost: {sorted(lost)}"
        extra = {uuid for uuid, each in certain.items() if not each.is_held and uuid in promised}
        assert not extra, f"released or refused, and still held: {sorted(extra)}"
        self._ground.counts["reservations held at the end"] += len(promised)
        self._ground.counts["of them answered for certain"] += len(promised.keys() & certain.keys())

    def assert_bad_reports_change_nothing(self) -> None:
        """Let all reports that were held arrive now, the last ones again, and all kinds of rubbish."""
        leader = self._cluster.leader
        assert leader is not None
        messages = []
        for host in self._cluster.hosts.values():
            while host.wires.held:
                messages.append((host, host.wires.held.pop()))
            last = host.wires.last
            messages += [(host, each) for each in (last, *(f(last) for f in RUBBISH.values()))]
        before, deadline_s = leader.refusals().total(), time.monotonic() + _TIMEOUT_S
        sent_at_s = float("-inf")
        while (refused := leader.refusals().total() - before) < len(messages):
            assert time.monotonic() < deadline_s, f"{refused} of {len(messages)} are refused"
            # A leader that was deposed takes some of them until it notices, so that they are sent again.
            if time.monotonic() - sent_at_s > _REPORT_AGAIN_S:
                sent_at_s = time.monotonic()
                for host, message in messages:
                    host.wires.deliver(message)
            time.sleep(_POLL_S)
        self._wait_for_a_cycle()
        assert (differs := self._what_differs()) == "", differs

    def assert_a_standby_knows_all(self) -> None:
        """Kill the leader; its standby asks all agents, and the database for what was promised."""
        leader = self._cluster.leader
        assert leader is not None
        promised = self._cluster.reservations()
        server = bus.server(self._ground.agents, bus.AGENT_TOPIC, "all", _AllAgents(self._report))
        server.start()
        try:
            leader.kill()
            killed_at_s = time.monotonic()
            while differs := self._what_differs():
                assert time.monotonic() - killed_at_s < _TIMEOUT_S, differs
                time.sleep(_POLL_S)
            self._ground.whole_after_s.append(time.monotonic() - killed_at_s)
            self._ground.counts["engines killed"] += 1
        finally:
            # It takes most of a second to find out that it is to stop.
            threading.Thread(target=_stop, args=(server,), daemon=True).start()
        assert self._cluster.reservations() == promised

    def _report(self) -> float:
        for host in self._cluster.hosts.values():
            host.report()
        return time.monotonic()

    def _wait_for_a_cycle(self) -> None:
        """Wait until a cycle that began after this call has ended."""

        def version() -> int:
            return self._cluster.ask("snapshot")["snapshot"]["version"]

        first = version()
        wait_until(lambda: version() >= first + 2, "two cycles")

    def _what_differs(self) -> str:
        """Say in what the leader's view differs from the truth; empty when it does not."""
        seen = self._cluster.ask("hosts", 1)
        shares = self._cluster.ask("shares", 1)
        if seen is None or shares is None:
            return "no engine answers"
        hosts = self._cluster.hosts
        if sorted(row["host"] for row in seen) != sorted(HOSTS):
            return f"the engine knows {[row['host'] for row in seen]}"
        for row in seen:
            if differs := _how_host_differs(row, hosts[row["host"]].tasks):
                return f"{row['host']} {differs}"
        running = {uuid: task for host in hosts.values() for uuid, task in host.tasks.items()}
        promised = self._cluster.reservations()
        if both := promised.keys() & running.keys():
            return f"on a host and reserved: {sorted(both)}"
        return _how_shares_differ(shares, running.values(), promised.values())


class _AllAgents:
    """Every agent's end of the bus, for what the engine says to all of them."""

    def __init__(self, report: Any) -> None:
        self._report = report

    def report_now(self, _context: object) -> None:
        self._report()


def _stop(server: Any) -> None:
    server.stop()
    server.wait()


def _how_host_differs(row: dict[str, Any], tasks: dict[str, Task]) -> str:
    if not row["fresh"]:
        return "is not fresh"
    if Resources.parse(row["capacity"]) != CAPACITY:
        return f"has {row['capacity']}"
    told = {
        each["uuid"]: (each["framework"], Resources.parse(each["demand"])) for each in row["tasks"]
    }
    if told != {uuid: (task.framework, task.demand) for uuid, task in tasks.items()}:
        return f"runs {sorted(tasks)}, the engine knows {sorted(told)}"
    return ""


def _how_shares_differ(
    shares: list[dict[str, Any]],
    running: Iterable[Task],
    promised: Iterable[tuple[str, Resources]],
) -> str:
    pool = scale(len(HOSTS), CAPACITY)
    if {row["framework"] for row in shares} != set(FRAMEWORKS):
        return f"shares of {[row['framework'] for row in shares]}"
    for row in shares:
        name = row["framework"]
        reserved = [demand for framework, demand in promised if framework == name]
        held = [task.demand for task in running if task.framework == name]
        used = dominant_share(total([*held, *reserved], len(Resources._fields)), pool)
        if row["reservations"] != len(reserved):
            return f"{name} has {row['reservations']} reservations, stored are {reserved}"
        if Fraction(exact(row["used"])) != Fraction(used):
            return f"{name} is charged {row['used']}, it holds {used}"
    return ""
