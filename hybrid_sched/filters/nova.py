# SPDX-License-Identifier: Apache-2.0
"""The share gate in nova-scheduler."""

from __future__ import annotations

from collections.abc import Iterable

from nova import conf as nova_conf
from nova import objects
from nova.scheduler import filters
from nova.scheduler import utils as scheduler_utils
from nova.scheduler.host_manager import HostState

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.gatekeeper import gatekeeper_for_process


class HybridShareFilter(filters.BaseHostFilter):
    """Refuse hosts without room beside their containers, and all hosts when guests are over their share.

    Put it last in ``enabled_filters``: it then judges only hosts that may be used at all.
    """

    # A rebuild stays on its host with the flavor that it has.
    RUN_ON_REBUILD = False

    def filter_all(
        self, filter_obj_list: Iterable[HostState], spec_obj: objects.RequestSpec
    ) -> Iterable[HostState]:
        """Judge all hosts with one question."""
        hosts = list(filter_obj_list)
        if scheduler_utils.request_is_rebuild(spec_obj):
            return hosts
        gatekeeper = gatekeeper_for_process(nova_conf.CONF)
        verdict = gatekeeper.judge(request_of(spec_obj), [host.host for host in hosts])
        admitted = set(verdict.admitted)
        return [host for host in hosts if host.host in admitted]


def request_of(spec_obj: objects.RequestSpec) -> Request:
    """Turn Nova's request into ours.

    :param spec_obj: what nova-scheduler is asked to place.
    """
    return Request(
        uuid=spec_obj.instance_uuid or "",
        framework=HYPERVISOR,
        demand=Resources(vcpu=spec_obj.flavor.vcpus, memory_mb=spec_obj.flavor.memory_mb),
        count=spec_obj.num_instances,
        is_move=_is_move(spec_obj),
    )


def _is_move(spec_obj: objects.RequestSpec) -> bool:
    """Tell a guest that runs already from a new one.

    Nova names the guest's cell as the requested destination's for moves only (live and cold migration, resize; its
    CrossCellWeigher relies on that), and leaves the source out for an evacuation.
    """
    if "ignore_hosts" in spec_obj and spec_obj.ignore_hosts:
        return True
    destination = spec_obj.requested_destination if "requested_destination" in spec_obj else None
    return bool(destination and "cell" in destination and destination.cell)
