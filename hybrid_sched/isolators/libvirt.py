# SPDX-License-Identifier: Apache-2.0
"""Guests, through libvirt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import libvirt
from oslo_config import cfg

from hybrid_sched.bounded import Bounded
from hybrid_sched.complaints import Complaints
from hybrid_sched.control_groups import controllers
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.isolators.guest import LIVE, NOT_RUNNING, Guest, is_gone

_TIMEOUT_S = 10
#: Calls that may hang, each in a thread, before libvirt itself must be stuck; those of one guest that hangs count once.
_HANGING_AT_MOST = 4
_NEEDS = {
    Aspect.CPU_QUOTA: "cpu",
    Aspect.CPU_WEIGHT: "cpu",
    Aspect.MEMORY_LOW: "memory",
}
#: What needs no control groups.
_ALWAYS = frozenset({Aspect.CPUS, Aspect.DISK_READ, Aspect.DISK_WRITE})
T = TypeVar("T")


class LibvirtIsolator(Isolator):
    """CPU time, CPUs, memory and disks of running guests, paused ones included.

    Their configuration is left alone, so a guest that is started anew has its own. A quota counts the CPU time of the virtual
    CPUs, not that of the emulator beside them.
    """

    frameworks = frozenset({HYPERVISOR})

    def __init__(self, conf: cfg.ConfigOpts, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(conf)
        self._connection: Any = None
        self._complaints = Complaints()
        self._timeout_s = timeout_s
        # libvirt may wait for a guest's process for ever, and takes connections even when it is stuck itself.
        self._bounded = Bounded(timeout_s, _HANGING_AT_MOST)
        #: One call at a time for each guest, so that one that hangs delays the others once.
        self._bounded_by_guest: dict[str, Bounded] = {}
        # Errors come as exceptions; libvirt would print them to stderr as well.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def ability(self) -> Ability:
        """Look which controllers there are, and whether libvirt lets one of its guests have them."""
        versions = controllers()
        without = self._ask(self._kept_from_guests)
        missing = {}
        for aspect, controller in _NEEDS.items():
            if controller not in versions:
                missing[aspect] = (
                    f"{aspect} of guests cannot be held: this kernel has no {controller} controller of control groups. Boot "
                    "with it."
                )
            elif controller in without:
                missing[aspect] = (
                    f"{aspect} of guests cannot be held: libvirt gives its guests no {controller} controller of control "
                    "groups. Add it to cgroup_controllers in its qemu.conf."
                )
        if versions.get("memory") == 2:
            # libvirt writes its soft limit to memory.high, above which the kernel slows the guest down.
            missing[Aspect.MEMORY_LOW] = (
                f"{Aspect.MEMORY_LOW} of guests cannot be held: libvirt cannot set memory.low of version 2 of control groups. "
                "Use the isolator cgroup for it."
            )
        return Ability(_ALWAYS | (_NEEDS.keys() - missing.keys()), missing)

    def read(self) -> Mapping[str, Limits]:
        """Ask each running guest; one that libvirt cannot tell of is left out, which is logged."""
        able, cpu_version = self.ability().aspects, _cpu_version()
        uuids = [domain.UUIDString() for domain in self._ask(self._running)]
        self._bounded_by_guest = {
            uuid: bounded for uuid, bounded in self._bounded_by_guest.items() if uuid in uuids
        }
        limits = {}
        complaints: set[str] = set()
        for uuid in uuids:
            found = self._ask(partial(self._find, uuid))
            if found is None:
                continue
            domain, state = found
            try:
                limits[uuid] = self._look(uuid, Guest(domain, able, cpu_version), state)
            except libvirt.libvirtError as error:
                if is_gone(domain, error):
                    continue
                if not domain.connect().isAlive():
                    raise self._failed(error) from None
                complaints.add(
                    f"The limits of guest {domain.name()} ({uuid}) are left alone: libvirt cannot tell of it ({error}). See "
                    "'virsh dominfo' there."
                )
        self._complaints.tell(complaints)
        return limits

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Set them on the running guest."""
        found = self._ask(partial(self._find, uuid))
        if found is None:
            return
        domain, state = found
        name = f"guest {domain.name()} ({uuid})"
        if state == libvirt.VIR_DOMAIN_CONTROL_JOB:
            raise IsolationError(
                f"The limits of {name} cannot be set during a job of libvirt on it, as a migration or a snapshot: they are "
                "when it has ended."
            )
        guest = Guest(domain, aspects, _cpu_version())
        try:
            refusals = self._of_guest(uuid, partial(guest.hold, limits, aspects))
        except TimeoutError:
            raise IsolationError(
                f"The limits of {name} are not set: libvirt has waited for its process for {self._timeout_s:g} s. See whether "
                "that is stopped, or stuck on storage."
            ) from None
        except libvirt.libvirtError as error:
            raise self._failed(error) from None
        if refusals:
            raise IsolationError(
                f"libvirt refuses limits of {name}: {'; '.join(refusals)}. They follow from what it declared and from [agent]."
            )

    def _look(self, uuid: str, guest: Guest, state: int) -> Limits:
        """Ask a guest's process of its disks, or, when it is busy, cannot tell, or hangs, what libvirt has noted."""
        if state == libvirt.VIR_DOMAIN_CONTROL_OK:
            try:
                return self._of_guest(uuid, partial(guest.look, ask_qemu=True))
            except TimeoutError:
                guest = replace(guest, domain=self._call(partial(self._lookup, uuid)))
            except libvirt.libvirtError:
                # What is the fault of more than its disks fails again.
                pass
        return self._call(partial(guest.look, ask_qemu=False))

    def _running(self) -> list[Any]:
        return list(self._open().listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE))

    def _lookup(self, uuid: str) -> Any:
        return self._open().lookupByUUIDString(uuid)

    def _find(self, uuid: str) -> tuple[Any, int] | None:
        """Find a running guest, and whether its process takes commands now (``VIR_DOMAIN_CONTROL_``)."""
        try:
            domain = self._lookup(uuid)
            return domain, domain.controlInfo()[0]
        except libvirt.libvirtError as error:
            # All that is asked of a guest here is whether it runs.
            if error.get_error_code() in NOT_RUNNING:
                return None
            raise

    def _kept_from_guests(self) -> set[str]:
        """Ask one guest which controllers libvirt was told to leave alone; without a guest it cannot be known."""
        for domain in self._running():
            kept = set()
            for controller, ask in (
                ("cpu", domain.schedulerParametersFlags),
                ("memory", domain.memoryParameters),
            ):
                try:
                    ask(LIVE)
                except libvirt.libvirtError as error:
                    if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                        raise
                    kept.add(controller)
            if not kept or domain.isActive():
                return kept
        return set()

    def _of_guest(self, uuid: str, call: Callable[[], T]) -> T:
        """Make a call that may wait for a guest's process.

        :raises TimeoutError: when it does not end in time, or an earlier one has not ended.
        """
        try:
            return self._bounded_by_guest.setdefault(uuid, Bounded(self._timeout_s, 1))(call)
        except TimeoutError:
            # On a connection on which a call hangs, libvirt 9.0 delivers the answers to others late.
            self._connection = None
            raise

    def _ask(self, call: Callable[[], T]) -> T:
        """Make a call that waits for no guest.

        :raises IsolationError: when it fails, or does not end in time.
        """
        try:
            return self._call(call)
        except libvirt.libvirtError as error:
            raise self._failed(error) from None

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return self._bounded(call)
        except TimeoutError:
            self._connection = None
            raise IsolationError(
                f"libvirt at {self._conf.agent.libvirt_uri} has not answered for {self._timeout_s:g} s. If that goes on, see "
                "whether it is stuck, and restart it."
            ) from None

    def _open(self) -> Any:
        connection = self._connection
        if connection is None:
            connection = self._connection = libvirt.open(self._conf.agent.libvirt_uri)
        return connection

    def _failed(self, error: libvirt.libvirtError) -> IsolationError:
        # A connection that broke is made anew the next time.
        self._connection = None
        return IsolationError(
            f"libvirt at {self._conf.agent.libvirt_uri} does not give or take limits: {error}. See that it runs and lets the "
            "agent write."
        )


def _cpu_version() -> int:
    return controllers().get("cpu", 1)
