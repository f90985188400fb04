# SPDX-License-Identifier: Apache-2.0
"""The share gate and the Cross-Fill order in Zun's scheduler, which runs inside zun-api."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import zun.conf
from oslo_log import log
from zun import objects
from zun.scheduler import filters
from zun.scheduler.host_state import HostState

from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.steering import MOVE_LABEL, PLANNED_HOST_HINT, planned_host
from hybrid_sched.quota.gatekeeper import gatekeeper_for_process

LOG = log.getLogger(__name__)


class HybridShareFilter(filters.BaseHostFilter):
    """Refuse hosts without room beside their guests, and all hosts when containers are over their share."""

    def filter_all(
        self, filter_obj_list: Iterable[HostState], container: objects.Container, extra_spec: dict
    ) -> Iterator[HostState]:
        """Judge all hosts with one question."""
        hosts = list(filter_obj_list)
        gatekeeper = gatekeeper_for_process(zun.conf.CONF)
        verdict = gatekeeper.judge(
            request_of(container, extra_spec), [host.hostname for host in hosts]
        )
        if len(verdict.admitted) == len(hosts):
            return iter(hosts)
        admitted = set(verdict.admitted)
        return iter([host for host in hosts if host.hostname in admitted])


class CrossFillOrderFilter(filters.BaseHostFilter):
    """Yield the hosts best first.

    Zun has no weighers: it claims the first host that its last filter yields, so this must be the last of
    ``[scheduler] enabled_filters``.
    """

    def __init__(self) -> None:
        super().__init__()
        enabled = list(zun.conf.CONF.scheduler.enabled_filters)
        if enabled[-1:] != [type(self).__name__]:
            LOG.warning(
                "CrossFillOrderFilter is not the last of [scheduler] enabled_filters (%s), so its order may be lost: "
                "put it last.",
                ", ".join(enabled),
            )

    def filter_all(
        self, filter_obj_list: Iterable[HostState], container: objects.Container, extra_spec: dict
    ) -> Iterator[HostState]:
        """Order all hosts with one question; equal ones by name."""
        hosts = sorted(filter_obj_list, key=lambda host: host.hostname)
        gatekeeper = gatekeeper_for_process(zun.conf.CONF)
        names = [host.hostname for host in hosts]
        scores = gatekeeper.rank(request_of(container, extra_spec), names).scores
        best_first = sorted(range(len(hosts)), key=scores.__getitem__, reverse=True)
        return iter([hosts[at] for at in best_first])


def all_filters() -> list[type[filters.BaseHostFilter]]:
    """List the filters, for ``[scheduler] available_filters``."""
    return [HybridShareFilter, CrossFillOrderFilter]


class _Read(threading.local):
    """The request that this thread has read last: both filters are asked for the same one, the second right after the first."""

    container: objects.Container | None = None
    extra_spec: Mapping[str, Any] | None = None
    request: Request


_READ = _Read()


def request_of(container: objects.Container, extra_spec: Mapping[str, Any]) -> Request:
    """Turn Zun's request into ours, with what the container and its labels declare.

    :param container: what Zun is asked to place.
    :param extra_spec: what was asked besides; Zun makes one for each request, and does not keep it.
    """
    if _READ.container is not container or _READ.extra_spec is not extra_spec:
        _READ.request = _request_of(container, extra_spec)
        _READ.container, _READ.extra_spec = container, extra_spec
    return _READ.request


def _request_of(container: objects.Container, extra_spec: Mapping[str, Any]) -> Request:
    # Each field of a container that is looked at costs as much as all that is done with it.
    labels, hints = container.labels, extra_spec.get("hints")
    reading = declaration.of_container(
        container.cpu or zun.conf.CONF.default_cpu,
        container.memory or zun.conf.CONF.default_memory,
        labels,
        container.cpu_policy,
    )
    return Request(
        uuid=container.uuid,
        framework=CONTAINER,
        demand=reading.declaration.resources,
        fault=reading.text,
        move=labels.get(MOVE_LABEL, "") if labels else "",
        planned_host=planned_host(hints.get(PLANNED_HOST_HINT)) if hints else "",
    )
