# SPDX-License-Identifier: Apache-2.0
"""Guests, through libvirt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import libvirt
from oslo_config import cfg

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.interfaces.isolator import IsolationError, Isolator

_CPU_SHARES = "cpu_shares"
# Gone, or not running any more: what was set live went with the process.
_NOTHING_TO_SET = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}


class LibvirtIsolator(Isolator):
    """Live ``cpu_shares`` of running guests. Their configuration is left alone, so a guest that is started anew has its own."""

    framework = HYPERVISOR

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._connection: Any = None
        # Errors come as exceptions; libvirt would print them to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def cpu_weights(self) -> Mapping[str, int]:
        """Ask each running domain."""
        weights = {}
        try:
            for domain in self._open().listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                weight = _cpu_shares(domain)
                if weight is not None:
                    weights[domain.UUIDString()] = weight
        except libvirt.libvirtError as error:
            raise self._failed(error) from None
        return weights

    def set_cpu_weight(self, uuid: str, weight: int) -> None:
        """Set it on the running domain."""
        try:
            self._open().lookupByUUIDString(uuid).setSchedulerParametersFlags(
                {_CPU_SHARES: weight}, libvirt.VIR_DOMAIN_AFFECT_LIVE
            )
        except libvirt.libvirtError as error:
            if error.get_error_code() not in _NOTHING_TO_SET:
                raise self._failed(error) from None

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = libvirt.open(self._conf.agent.libvirt_uri)
        return self._connection

    def _failed(self, error: libvirt.libvirtError) -> IsolationError:
        # A connection that broke is made anew the next time.
        self._connection = None
        return IsolationError(
            f"libvirt at {self._conf.agent.libvirt_uri} does not give or take CPU weights: {error}. See that it "
            "runs and lets the agent write."
        )


def _cpu_shares(domain: Any) -> int | None:
    """Read one domain; None when it is gone between the list and the question."""
    try:
        parameters = domain.schedulerParametersFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _NOTHING_TO_SET:
            return None
        raise
    if _CPU_SHARES not in parameters:
        raise IsolationError(
            f"libvirt tells no {_CPU_SHARES} of guest {domain.name()}: its driver or the host has no cpu controller of "
            "cgroups. Leave libvirt out of [agent] isolators."
        )
    return int(parameters[_CPU_SHARES])
