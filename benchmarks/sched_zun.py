# SPDX-License-Identifier: Apache-2.0
"""Zun's host states and default filters, and the same with the share filter and the Cross-Fill order, as JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
import uuid
from unittest import mock

import zun.conf
from oslo_utils import timeutils
from zun import objects
from zun.scheduler import filter_scheduler
from zun.scheduler.host_state import HostState

from benchmarks.interleaved import REPEATS, Interleaved, hold_snapshot, take_turns
from hybrid_sched.quota.client import close_client_for_process
from hybrid_sched.rpc.messages import HostReport

CONF = zun.conf.CONF


def scheduler(*ours: str) -> filter_scheduler.FilterScheduler:
    """Make Zun's scheduler with its default filters, and ours behind them."""
    available = [*CONF.scheduler.available_filters, "hybrid_sched.filters.zun.all_filters"]
    enabled = [*CONF.scheduler.enabled_filters, *ours]
    CONF.set_override("available_filters", available, group="scheduler")
    CONF.set_override("enabled_filters", enabled, group="scheduler")
    # It is made with a client of Placement, which wants Keystone and is not asked here.
    with mock.patch.object(filter_scheduler.report, "SchedulerReportClient", autospec=True):
        made = filter_scheduler.FilterScheduler()
    CONF.clear_override("available_filters", group="scheduler")
    CONF.clear_override("enabled_filters", group="scheduler")
    return made


def compute_node(report: HostReport) -> objects.ComputeNode:
    """Make the record of a host, as zun-compute keeps it."""
    memory_mb = int(report.capacity.memory_mb)
    used_mb = sum(int(task.demand.memory_mb) for task in report.tasks)
    number = str(uuid.uuid4())
    return objects.ComputeNode(
        uuid=number,
        rp_uuid=number,
        hostname=report.host,
        numa_topology=None,
        mem_total=memory_mb,
        mem_free=memory_mb - used_mb,
        mem_available=memory_mb - used_mb,
        mem_used=used_mb,
        cpus=report.cpus,
        cpu_used=float(len(report.tasks)),
        disk_total=4096,
        disk_used=96,
        labels={},
        pci_device_pools=None,
        disk_quota_supported=False,
        runtimes=["runc"],
        enable_cpu_pinning=False,
        updated_at=None,
    )


def service_of(host: str) -> objects.ZunService:
    """Make the record of a zun-compute that was heard of just now."""
    return objects.ZunService(
        host=host,
        binary="zun-compute",
        disabled=False,
        forced_down=False,
        last_seen_up=timeutils.utcnow(with_timezone=True),
        created_at=timeutils.utcnow(with_timezone=True),
        availability_zone="nova",
    )


def measure(count: int) -> Interleaved:
    """Measure with so many hosts."""
    reports = hold_snapshot(CONF, count)
    nodes = [compute_node(report) for report in reports]
    services = {node.hostname: service_of(node.hostname) for node in nodes}
    container = objects.Container(
        uuid=str(uuid.uuid4()),
        cpu=1.0,
        memory="1024",
        disk=0,
        labels={},
        cpu_policy=None,
        runtime=None,
    )

    def schedule(by: filter_scheduler.FilterScheduler) -> list[HostState]:
        # One for each request, as Zun's API makes it.
        extra_spec = dict.fromkeys(("hints", "availability_zone", "pci_requests"))
        states = by.get_all_host_state(nodes, services)
        passed: list[HostState] = by._get_filtered_hosts(states, container, extra_spec)
        if len(passed) != count:
            raise RuntimeError(f"{count - len(passed)} hosts did not pass")
        return passed

    stock, ours = scheduler(), scheduler("HybridShareFilter", "CrossFillOrderFilter")
    turns = take_turns(lambda: schedule(stock), lambda: schedule(ours), REPEATS[count])
    close_client_for_process()
    return turns


def main() -> int:
    """Measure at every number of hosts."""
    CONF([], project="zun", default_config_files=[])
    turns = {}
    for count in REPEATS:
        turns[str(count)] = measure(count).figures()
        print(f"  Zun, {count} hosts: {turns[str(count)]}", file=sys.stderr)
    json.dump({"zun": turns}, sys.stdout)
    return 0


if __name__ == "__main__":
    # The client's threads wait for a bus that has nobody on it.
    code = main()
    sys.stdout.flush()
    os._exit(code)
