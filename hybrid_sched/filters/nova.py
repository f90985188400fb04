# SPDX-License-Identifier: Apache-2.0
"""The share gate in nova-scheduler."""

from __future__ import annotations

from collections.abc import Iterable

from nova import conf as nova_conf
from nova import context, objects
from nova.scheduler import filters
from nova.scheduler import utils as scheduler_utils
from nova.scheduler.host_manager import HostState

from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.steering import PLANNED_HOST_HINT, planned_host
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
        request = request_of(spec_obj, is_move=_is_move(spec_obj))
        verdict = gatekeeper.judge(request, [host.host for host in hosts])
        if len(verdict.admitted) == len(hosts):
            return hosts
        admitted = set(verdict.admitted)
        return [host for host in hosts if host.host in admitted]


def request_of(spec_obj: objects.RequestSpec, *, is_move: bool = False) -> Request:
    """Turn Nova's request into ours, with what the flavor and its extra specs declare.

    :param spec_obj: what nova-scheduler is asked to place.
    :param is_move: whether the guest has a host already.
    """
    flavor = spec_obj.flavor
    extra_specs = flavor.extra_specs if "extra_specs" in flavor else {}
    reading = declaration.of_flavor(flavor.vcpus, flavor.memory_mb, extra_specs)
    return Request(
        uuid=spec_obj.instance_uuid or "",
        framework=HYPERVISOR,
        demand=reading.declaration.resources,
        count=spec_obj.num_instances,
        is_move=is_move,
        # Nova keeps the hints of a guest for good, and its plan is over once it has been placed.
        planned_host="" if is_move else _planned_host(spec_obj),
        fault=reading.text,
    )


def request_to_rank(spec_obj: objects.RequestSpec) -> Request:
    """Turn Nova's request into ours for the order of hosts, where a move matters to a plan alone."""
    return request_of(spec_obj, is_move=bool(_planned_host(spec_obj)) and _is_move(spec_obj))


def _planned_host(spec_obj: objects.RequestSpec) -> str:
    if "scheduler_hints" not in spec_obj or not spec_obj.scheduler_hints:
        return ""
    return planned_host(spec_obj.get_scheduler_hint(PLANNED_HOST_HINT))


def _is_move(spec_obj: objects.RequestSpec) -> bool:
    """Tell a guest that has a host already from a new one.

    Nova leaves the source out for an evacuation, and names the guest's cell as the requested destination's for moves (live
    and cold migration, resize) and for a guest that is unshelved, which holds nothing yet. The database tells these apart.
    """
    if "ignore_hosts" in spec_obj and spec_obj.ignore_hosts:
        return True
    destination = spec_obj.requested_destination if "requested_destination" in spec_obj else None
    if not (destination and "cell" in destination and destination.cell):
        return False
    with context.target_cell(context.get_admin_context(), destination.cell) as cell:
        guest = objects.Instance.get_by_uuid(cell, spec_obj.instance_uuid, expected_attrs=[])
    return guest.host is not None
