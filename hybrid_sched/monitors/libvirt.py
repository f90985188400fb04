# SPDX-License-Identifier: Apache-2.0
"""Guests, through libvirt."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import libvirt
from oslo_config import cfg

from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: "unknown",
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",
    libvirt.VIR_DOMAIN_SHUTOFF: "closed",
    libvirt.VIR_DOMAIN_CRASHED: "closed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
}


class LibvirtSource(MonitorSource):
    """Every domain that libvirt knows, with what it declared.

    A guest that is shut off is listed too: it keeps its claim on the host.
    """

    framework = HYPERVISOR

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._connection: Any = None
        # Errors come as exceptions; libvirt would print them to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def collect(self) -> Observation:
        """List the domains; a connection that broke is made anew the next time."""
        uri = self._conf.agent.libvirt_uri
        try:
            if self._connection is None:
                self._connection = libvirt.openReadOnly(uri)
            return Observation(tasks=tuple(self._tasks()))
        except libvirt.libvirtError as error:
            self._connection = None
            raise SourceError(f"libvirt at {uri} does not answer: {error}.") from None

    def _tasks(self) -> list[Task]:
        tasks = []
        for domain in self._connection.listAllDomains():
            try:
                tasks.append(_task(domain.XMLDesc(0), domain.state()[0]))
            except libvirt.libvirtError as error:
                # Gone between the list and the question.
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
        return tasks


def _task(xml: str, state: int) -> Task:
    """Read one domain; what Nova's flavor says counts before what libvirt was given."""
    # The text comes from the local libvirtd, not from the guest.
    domain = ElementTree.fromstring(xml)  # noqa: S314
    flavor = domain.find("metadata/{*}instance/{*}flavor")
    name = domain.findtext("metadata/{*}instance/{*}name") or domain.findtext("name") or ""
    vcpus = None if flavor is None else flavor.findtext("{*}vcpus")
    memory_mb = None if flavor is None else flavor.findtext("{*}memory")
    return Task(
        uuid=domain.findtext("uuid") or "",
        framework=HYPERVISOR,
        demand=Resources(
            vcpu=int(vcpus or domain.findtext("vcpu") or 0),
            memory_mb=int(memory_mb or int(domain.findtext("memory") or 0) // 1024),
        ),
        name=name,
        state=_STATES.get(state, "unknown"),
    )
