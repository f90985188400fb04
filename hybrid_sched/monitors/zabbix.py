# SPDX-License-Identifier: Apache-2.0
"""The host itself, through the Zabbix agent on it (the monitor of the paper, 4.1)."""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from zabbix_utils import Getter
from zabbix_utils.exceptions import ModuleBaseException

from hybrid_sched.complaints import Complaints
from hybrid_sched.core import measures
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError
from hybrid_sched.monitors.devices import physical_disks, uplinks

_SECTOR_BYTES = 512
_CPU_TIMES = 'vfs.file.regexp[/proc/stat,"^cpu .*"]'
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# What remains is work: the agent's parts add up to 100 %, guests' time in them once.
_NOT_WORK = ("idle", "iowait", "steal")


class ZabbixSource(MonitorSource):
    """Totals, and use of CPU, memory, disks and network of the whole host, as its Zabbix agent tells them.

    It must be the agent of this same host: which disks and interfaces count is seen here, by the same rule as in the source
    ``host``. Instead of that source, or beside it: the first that tells a figure counts.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._complaints = Complaints()
        # Errors come as exceptions; the library would log them as well, each time.
        logging.getLogger("zabbix_utils").setLevel(logging.CRITICAL)

    def collect(self) -> Observation:
        """Ask for the items, one connection each, as the protocol of passive checks wants it."""
        options = self._conf.agent
        address, port = options.zabbix_address, options.zabbix_port
        items = _Items(
            Getter(address, port, timeout=options.zabbix_timeout_s, use_ipv6=":" in address)
        )
        try:
            observation = _observe(items)
        # The library does not wrap what a broken answer makes Python's decoders raise.
        except (OSError, ModuleBaseException, ValueError, zlib.error) as error:
            raise SourceError(
                f"The Zabbix agent at {address} port {port} does not answer: {error or type(error).__name__}. See that it "
                "runs, that its Server= allows this host, and that [agent] zabbix_address and zabbix_port are right."
            ) from None
        self._complaints.tell(items.complaints)
        return observation


class _Items:
    """Questions to one agent; what it cannot answer is None, and a complaint."""

    def __init__(self, getter: Getter) -> None:
        self._getter = getter
        self.complaints: set[str] = set()

    def text(self, key: str, otherwise: str = "The figure is left out.") -> str | None:
        answer: Any = self._getter.get(key)
        if answer.value is None:
            self.complain(key, answer.error, otherwise)
            return None
        return str(answer.value)

    def number(self, key: str) -> float | None:
        text = self.text(key)
        try:
            return None if text is None else float(text)
        except ValueError:
            self.complain(key, f"{str(text)[:80]!r} is no number")
            return None

    def total(self, keys: Sequence[str]) -> float | None:
        """Add up; None when there is nothing to add or one of them is not known, which would look like a fall."""
        numbers = [self.number(key) for key in keys]
        known = [number for number in numbers if number is not None]
        return sum(known) if keys and len(known) == len(keys) else None

    def discovered(self, key: str, macro: str, wanted: Sequence[str]) -> list[str]:
        """Give the wanted devices that the agent knows."""
        text = self.text(key)
        if text is None:
            return []
        rows = json.loads(text)
        # Agents before 4.4 wrap the list.
        names = {row.get(macro) for row in (rows["data"] if isinstance(rows, dict) else rows)}
        known = [name for name in wanted if name in names]
        if not known:
            self.complain(key, f"it names none of {', '.join(wanted) or 'no device'}")
        return known

    def complain(self, key: str, reason: str, otherwise: str = "The figure is left out.") -> None:
        reason = reason.strip().rstrip(".")
        self.complaints.add(f"The Zabbix agent does not tell {key}: {reason}. {otherwise}")


def _observe(items: _Items) -> Observation:
    cpus = items.number("system.cpu.num")
    memory = items.number("vm.memory.size[total]")
    available = items.number("vm.memory.size[available]")
    gauges: dict[str, float] = {}
    if memory is not None and available is not None:
        gauges[measures.MEMORY_USED_MB] = (memory - available) / 2**20
    disks = items.discovered("vfs.dev.discovery", "{#DEVNAME}", tuple(physical_disks()))
    links = items.discovered("net.if.discovery", "{#IFNAME}", uplinks())
    # Without a device the agent would add up all, partitions and what is stacked on disks as well.
    sectors = {
        "disk_read_bytes": items.total([f"vfs.dev.read[{disk},sectors]" for disk in disks]),
        "disk_write_bytes": items.total([f"vfs.dev.write[{disk},sectors]" for disk in disks]),
    }
    counters = {
        "cpu_s": _busy_s(items),
        **{name: None if n is None else n * _SECTOR_BYTES for name, n in sectors.items()},
        "net_in_bytes": items.total([f"net.if.in[{link},bytes]" for link in links]),
        "net_out_bytes": items.total([f"net.if.out[{link},bytes]" for link in links]),
    }
    if counters["cpu_s"] is None and cpus is not None:
        idle_percent = items.total([f"system.cpu.util[,{part},avg1]" for part in _NOT_WORK])
        if idle_percent is not None:
            gauges[measures.CPU_CORES] = cpus * (100 - idle_percent) / 100
    return Observation(
        cpus=None if cpus is None else int(cpus),
        memory_mb=None if memory is None else int(memory // 2**20),
        gauges=gauges,
        counters={name: value for name, value in counters.items() if value is not None},
    )


def _busy_s(items: _Items) -> float | None:
    """Read the time in which CPUs worked.

    The agent has no item of its own that only grows, but gives a line of a file. Where it may not (``DenyKey``), its means
    over one minute are what is left.
    """
    line = items.text(_CPU_TIMES, "Its means over one minute are taken instead.")
    fields = [] if line is None else line.split()
    if len(fields) < 8:
        return None
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in fields[1:8])
    return (user + nice + system + irq + softirq) / _TICKS_A_SECOND
