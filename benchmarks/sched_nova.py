# SPDX-License-Identifier: Apache-2.0
"""Nova's stock filters and weighers, and the same with the share filter and the Cross-Fill weigher, as JSON on stdout."""

from __future__ import annotations

import os

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

import datetime
import json
import sys
import uuid
from collections.abc import Iterable

from nova import conf as nova_conf
from nova import objects
from nova.scheduler import filters, weights
from nova.scheduler.host_manager import HostState
from oslo_utils import timeutils

from benchmarks.interleaved import REPEATS, Interleaved, cpu_ms, hold_snapshot, take_turns
from hybrid_sched.quota.client import close_client_for_process
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.weighers.nova import CrossFillWeigher

CONF = nova_conf.CONF
_FILTER = "hybrid_sched.filters.nova.HybridShareFilter"
_WEIGHER = "hybrid_sched.weighers.nova.CrossFillWeigher"


class Scheduler:
    """The part of nova-scheduler's ``HostManager`` that filters and weighs, with its own handlers.

    :param filter_paths: more filters than Nova enables by default.
    :param weigher_paths: more weighers than Nova's own.
    """

    def __init__(self, filter_paths: Iterable[str] = (), weigher_paths: Iterable[str] = ()) -> None:
        self._filter_handler = filters.HostFilterHandler()
        available = [*CONF.filter_scheduler.available_filters, *filter_paths]
        by_name = {
            each.__name__: each for each in self._filter_handler.get_matching_classes(available)
        }
        enabled = [
            *CONF.filter_scheduler.enabled_filters,
            *(path.rsplit(".", 1)[1] for path in filter_paths),
        ]
        self._filters = [by_name[name]() for name in enabled]
        self._weight_handler = weights.HostWeightHandler()
        classes = [*CONF.filter_scheduler.weight_classes, *weigher_paths]
        self._weighers = [each() for each in self._weight_handler.get_matching_classes(classes)]

    def schedule(
        self, hosts: list[HostState], spec: objects.RequestSpec
    ) -> list[weights.WeighedHost]:
        """Filter and weigh, as ``HostManager.get_filtered_hosts`` and ``get_weighed_hosts`` do."""
        passed = self._filter_handler.get_filtered_objects(self._filters, hosts, spec, 0)
        weighed = self._weight_handler.get_weighed_objects(self._weighers, passed, spec)
        if len(weighed) != len(hosts):
            raise RuntimeError(f"{len(hosts) - len(weighed)} hosts did not pass")
        return weighed


def host_state(report: HostReport) -> HostState:
    """Make the state of a host from its records, as nova-scheduler does."""
    capacity = report.capacity
    vcpus_used = sum(int(task.demand.vcpu) for task in report.tasks)
    memory_used = sum(int(task.demand.memory_mb) for task in report.tasks)
    compute = objects.ComputeNode(
        id=1,
        uuid=str(uuid.uuid4()),
        host=report.host,
        hypervisor_hostname=report.host,
        local_gb=4096,
        memory_mb=int(capacity.memory_mb),
        vcpus=report.cpus,
        disk_available_least=None,
        free_ram_mb=int(capacity.memory_mb) - memory_used,
        vcpus_used=vcpus_used,
        free_disk_gb=4000 - vcpus_used,
        local_gb_used=96 + vcpus_used,
        updated_at=timeutils.utcnow(),
        host_ip="127.0.0.1",
        hypervisor_version=8_002_002,
        hypervisor_type="QEMU",
        supported_hv_specs=[],
        numa_topology=None,
        pci_device_pools=None,
        cpu_info=None,
        stats={"num_instances": str(len(report.tasks)), "io_workload": "0", "failed_builds": "0"},
        metrics=None,
        cpu_allocation_ratio=4.0,
        ram_allocation_ratio=1.0,
        disk_allocation_ratio=1.0,
    )
    service = {
        "host": report.host,
        "binary": "nova-compute",
        "disabled": False,
        "last_seen_up": timeutils.utcnow().replace(tzinfo=datetime.UTC),
        "created_at": timeutils.utcnow().replace(tzinfo=datetime.UTC),
    }
    state = HostState(report.host, report.host, str(uuid.uuid4()))
    state.update(compute=compute, service=service, aggregates=[], inst_dict={})
    return state


def request_spec() -> objects.RequestSpec:
    """Make the request for a small guest, as the conductor fills it in."""
    return objects.RequestSpec(
        instance_uuid=str(uuid.uuid4()),
        num_instances=1,
        flavor=objects.Flavor(
            name="small",
            flavorid="small",
            vcpus=2,
            memory_mb=2048,
            root_gb=10,
            ephemeral_gb=0,
            swap=0,
            extra_specs={},
        ),
        image=objects.ImageMeta(properties=objects.ImageMetaProps()),
        instance_group=None,
        numa_topology=None,
        pci_requests=None,
        scheduler_hints={},
        ignore_hosts=None,
        force_hosts=None,
        force_nodes=None,
        requested_destination=None,
        requested_resources=[],
        retry=None,
        limits=None,
        availability_zone=None,
        is_bfv=False,
    )


def measure(count: int) -> tuple[Interleaved, float]:
    """Measure with so many hosts; gives also the weigher's own time in microseconds a host."""
    hosts = [host_state(report) for report in hold_snapshot(CONF, count)]
    spec = request_spec()
    stock, ours = Scheduler(), Scheduler([_FILTER], [_WEIGHER])
    turns = take_turns(
        lambda: stock.schedule(hosts, spec), lambda: ours.schedule(hosts, spec), REPEATS[count]
    )
    weigher = CrossFillWeigher()
    weighed = [weights.WeighedHost(host, 0.0) for host in hosts]
    own_ms = min(cpu_ms(lambda: weigher.weigh_objects(weighed, spec)) for _ in range(50))
    close_client_for_process()
    return turns, own_ms * 1e3 / count


def main() -> int:
    """Measure at every number of hosts."""
    CONF([], default_config_files=[])
    objects.register_all()
    turns, own_us = {}, {}
    for count in REPEATS:
        measured, own_us[count] = measure(count)
        turns[str(count)] = measured.figures()
        print(f"  Nova, {count} hosts: {turns[str(count)]}", file=sys.stderr)
    # Of few hosts, what a request costs by itself would be the figure.
    own = max(figure for count, figure in own_us.items() if count >= 1_000)
    json.dump({"nova": turns, "weigher_own_us_per_host": round(own, 3)}, sys.stdout)
    return 0


if __name__ == "__main__":
    # The client's threads wait for a bus that has nobody on it.
    code = main()
    sys.stdout.flush()
    os._exit(code)
