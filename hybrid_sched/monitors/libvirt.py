# SPDX-License-Identifier: Apache-2.0
"""Guests, through libvirt."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt
from oslo_config import cfg

from hybrid_sched.bounded import Bounded
from hybrid_sched.complaints import Complaints
from hybrid_sched.core import declaration, measures
from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.lifecycle import State
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError
from hybrid_sched.monitors import cgroup
from hybrid_sched.monitors.times import unix_time

_TIMEOUT_S = 10
#: Looks that may hang, each in a thread: one for every guest that libvirt waits for, before libvirt itself must be stuck.
_HANGING_AT_MOST = 4
_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: State.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: State.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: State.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: State.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: State.CLOSED,
    libvirt.VIR_DOMAIN_CRASHED: State.CLOSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: State.SUSPENDED,
}
_STATISTICS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
#: Counter to libvirt's list and field. libvirt counts an interface as the guest does: rx is what the guest receives.
_SUMS = {
    "disk_read_bytes": ("block", "rd.bytes"),
    "disk_write_bytes": ("block", "wr.bytes"),
    "net_in_bytes": ("net", "rx.bytes"),
    "net_out_bytes": ("net", "tx.bytes"),
}
#: A guest's balloon driver reports every 10 s with Nova's default ([libvirt] mem_stats_period_seconds).
_BALLOON_MAX_AGE_S = 60
#: Time for which a virtual CPU was ready to run and did not, which its guest sees as stolen.
_VCPU_DELAY = re.compile(r"vcpu\.[0-9]+\.delay")
_UNKNOWN = "unknown"
_PID_FILES = Path("/run/libvirt/qemu")


class LibvirtSource(MonitorSource):
    """Every domain that libvirt knows, with what it declared and what it uses.

    A guest that is shut off is listed too: it keeps its claim on the host.
    """

    framework = HYPERVISOR

    def __init__(self, conf: cfg.ConfigOpts, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(conf)
        self._connection: Any = None
        self._complaints = Complaints()
        self._timeout_s = timeout_s
        # libvirt may wait for a guest's process for ever, and takes connections even when it is stuck itself.
        self._bounded = Bounded(timeout_s, _HANGING_AT_MOST)
        # Errors come as exceptions; libvirt would print them to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def collect(self) -> Observation:
        """Look at the domains; a connection that broke is made anew the next time."""
        uri = self._conf.agent.libvirt_uri
        try:
            return self._bounded(self._look)
        except TimeoutError:
            # The next look passes over the guest that this one waits for.
            self._connection = None
            raise SourceError(
                f"libvirt at {uri} has not answered for {self._timeout_s:g} s. If that goes on, see whether it is stuck, and "
                "restart it."
            ) from None
        except libvirt.libvirtError as error:
            self._connection = None
            raise SourceError(
                f"libvirt at {uri} does not answer: {error}. See that it runs and that [agent] libvirt_uri is right."
            ) from None

    def _look(self) -> Observation:
        connection = self._connection
        if connection is None:
            connection = self._connection = libvirt.openReadOnly(self._conf.agent.libvirt_uri)
        # Without waiting for a guest that something else waits for already: what only its process can tell is left out.
        records = connection.getAllDomainStats(
            _STATISTICS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        )
        tasks = []
        complaints: set[str] = set()
        for domain, statistics in records:
            try:
                xml = domain.XMLDesc(0)
                state = _state_of(domain, statistics)
            except libvirt.libvirtError as error:
                # Gone between the list and the question.
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                continue
            # libvirt 9.0 gives a guest that is shut off the CPU time of libvirtd.
            use = statistics if domain.ID() >= 0 else {}
            # The text comes from the local libvirtd, not from the guest.
            described = ElementTree.fromstring(xml)  # noqa: S314
            declared = declaration_of(described, complaints)
            tasks.append(
                SeenTask(
                    task=task_of(described, state, declared),
                    gauges=gauges_of(use, time.time()),
                    counters={**counters_of(use), **(_throttled(domain) if use else {})},
                    life=_life(domain),
                    declaration=declared,
                )
            )
        self._complaints.tell(complaints)
        return Observation(tasks=tuple(tasks))


def declaration_of(domain: ElementTree.Element, complaints: set[str]) -> Declaration:
    """Read what a guest declared; what Nova's flavor says counts before what libvirt was given.

    :param domain: libvirt's description.
    :param complaints: takes a sentence about each extra spec that cannot be used and is left out.
    """
    flavor = domain.find("metadata/{*}instance/{*}flavor")
    vcpus = None if flavor is None else flavor.findtext("{*}vcpus")
    memory_mb = None if flavor is None else flavor.findtext("{*}memory")
    specs = [] if flavor is None else flavor.findall("{*}extraSpecs/{*}extraSpec")
    reading = declaration.of_flavor(
        vcpus or domain.findtext("vcpu") or 0,
        memory_mb or int(domain.findtext("memory") or 0) // 1024,
        {spec.get("name", ""): spec.text or "" for spec in specs},
    )
    for fault in reading.faults:
        complaints.add(
            f"Guest {_name(domain)} ({domain.findtext('uuid')}): {fault}. What cannot be read is left out."
        )
    return reading.declaration


def task_of(domain: ElementTree.Element, state: str, declared: Declaration) -> Task:
    """Read what a guest is.

    :param domain: libvirt's description.
    :param state: where it is in its life.
    :param declared: what it declared.
    """
    return Task(
        uuid=domain.findtext("uuid") or "",
        framework=HYPERVISOR,
        demand=declared.resources,
        promised=declared.promised,
        name=_name(domain),
        state=state,
        created_at_s=unix_time(domain.findtext("metadata/{*}instance/{*}creationTime")),
        # Live migration is for guests that run.
        movable=declared.relocate and state in {State.RUNNING, State.PAUSED},
    )


def _name(domain: ElementTree.Element) -> str:
    return domain.findtext("metadata/{*}instance/{*}name") or domain.findtext("name") or ""


def _state_of(domain: Any, statistics: Mapping[str, Any]) -> str:
    """Say where a guest is in its life.

    Nova suspends a guest by a managed save, after which libvirt calls it shut off; only that its memory is kept tells it
    from one that was stopped.
    """
    state = _STATES.get(statistics.get("state.state"))
    if state is State.CLOSED and domain.hasManagedSaveImage():
        return State.SUSPENDED
    return _UNKNOWN if state is None else state


def gauges_of(statistics: Mapping[str, Any], now_s: float) -> dict[str, float]:
    """Read the memory that a guest uses.

    It is the working set that the guest's balloon driver tells; without a driver, or when it has gone silent, what the
    guest's process holds of the host's memory. That seldom shrinks: the host cannot see what the guest has freed.

    :param statistics: of libvirt, for one domain.
    :param now_s: Unix time.
    """
    available_kb = statistics.get("balloon.available")
    usable_kb = statistics.get("balloon.usable")
    age_s = now_s - statistics.get("balloon.last-update", 0)
    if available_kb is not None and usable_kb is not None and age_s <= _BALLOON_MAX_AGE_S:
        return {measures.MEMORY_USED_MB: (available_kb - usable_kb) / 1024}
    if "balloon.rss" in statistics:
        # The process holds the emulator's own memory besides, which is not the guest's.
        held_kb = min(statistics["balloon.rss"], statistics.get("balloon.current", math.inf))
        return {measures.MEMORY_USED_MB: held_kb / 1024}
    return {}


def counters_of(statistics: Mapping[str, Any]) -> dict[str, float]:
    """Add up what a guest's virtual CPUs, disks and interfaces did; what libvirt does not tell now is left out.

    :param statistics: of libvirt, for one domain.
    """
    counters: dict[str, float] = {}
    if "cpu.time" in statistics:
        counters["cpu_s"] = statistics["cpu.time"] / 1e9
    # Those that are unplugged have no figures, and leave their numbers out.
    waited_ns = [
        amount for name, amount in statistics.items() if _VCPU_DELAY.fullmatch(name) is not None
    ]
    if waited_ns:
        counters["cpu_wait_s"] = sum(waited_ns) / 1e9
    for name, (devices, field) in _SUMS.items():
        count = statistics.get(f"{devices}.count", 0)
        amounts = [statistics.get(f"{devices}.{index}.{field}") for index in range(count)]
        known = [amount for amount in amounts if amount is not None]
        if known:
            counters[name] = sum(known)
    return counters


def _throttled(domain: Any) -> dict[str, float]:
    """Give for how long a guest's own CPU limits held it back, where that can be told."""
    try:
        pid = int((_PID_FILES / f"{domain.name()}.pid").read_text())
    except (OSError, ValueError):
        return {}
    throttled_s = cgroup.throttled_s_of_guest(pid)
    return {} if throttled_s is None else {"cpu_throttled_s": throttled_s}


def _life(domain: Any) -> str:
    """Tell one start of a guest from the next.

    libvirt gives a number at each start, but may give it again after its own restart; the file with the process's number is
    made anew each time.
    """
    try:
        started_ns = (_PID_FILES / f"{domain.name()}.pid").stat().st_mtime_ns
    except OSError:
        started_ns = 0
    return f"{domain.ID()}/{started_ns}"
