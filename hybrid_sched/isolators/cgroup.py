# SPDX-License-Identifier: Apache-2.0
"""Guests and containers, through the files of their control groups."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from oslo_config import cfg

from hybrid_sched.complaints import Complaints
from hybrid_sched.control_groups import UNIFIED, NotReachable, groups_of, mount_points
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.isolators import block_devices, places
from hybrid_sched.isolators.groups_v1 import Version1
from hybrid_sched.isolators.groups_v2 import Version2
from hybrid_sched.isolators.places import Place

_PROC, _SYS = Path("/proc"), Path("/sys")
_ASPECTS = tuple(Version1.CONTROLLERS)
_DISK = {Aspect.DISK_READ, Aspect.DISK_WRITE}
_IN_PART = (
    "disk_write_bps: control groups of version 1 slow down direct writes and reads alone; what a task writes through the page "
    "cache is written later by the kernel, at full speed. Boot with version 2 for all writes."
)


class CgroupIsolator(Isolator):
    """CPU time, CPUs, memory, and reading and writing of disks, of running guests and containers.

    Versions 1 and 2 are told apart by controller. Of a guest the memory is left alone: the kernel would kill its emulator.
    Below a guest's group of version 1 libvirt has one for each vCPU; all get the CPUs of the guest, since the kernel takes no
    others for the group itself. Where vCPUs are pinned one by one, name ``libvirt`` before ``cgroup``: it keeps that.

    :param conf: options of the group ``[agent]``.
    :param proc: where procfs is mounted.
    :param sys: where sysfs is mounted.
    """

    frameworks = frozenset({HYPERVISOR, CONTAINER})

    def __init__(self, conf: cfg.ConfigOpts, proc: Path = _PROC, sys: Path = _SYS) -> None:
        super().__init__(conf)
        self._proc = proc
        self._sys = sys
        # As last seen; a place is checked before use, since the number of an ended process is given to others.
        self._places: dict[str, Place] = {}
        self._complaints = Complaints()

    def ability(self) -> Ability:
        """Look at the mounts: which controllers there are, and whether their files can be written."""
        try:
            mounts = mount_points(self._proc)
        except NotReachable as error:
            raise IsolationError(f"{error}. See that procfs is mounted.") from None
        missing = {
            aspect: sentence
            for aspect in _ASPECTS
            if (sentence := _why_not(aspect, mounts)) is not None
        }
        held = frozenset(_ASPECTS) - missing.keys()
        if Aspect.DISK_WRITE in held and _version(Aspect.DISK_WRITE, mounts) is Version1:
            missing[Aspect.DISK_WRITE] = _IN_PART
        return Ability(held, missing)

    def read(self) -> Mapping[str, Limits]:
        """Read the files of each running task.

        Where libvirt or Docker does not answer, its tasks are left out as long as the other does.
        """
        self._find()
        return {
            uuid: limits
            for uuid, place in self._places.items()
            if (limits := self._read(place)) is not None
        }

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Write the files of a task."""
        place, groups = self._locate(uuid)
        if place is None:
            return
        faults = []
        # In one order, so that of two faults the same comes first each time.
        for aspect in (each for each in _ASPECTS if each in aspects):
            if aspect is Aspect.MEMORY and place.framework == HYPERVISOR:
                continue
            try:
                version = self._open(place, groups, aspect)
                if version is not None:
                    version.set(aspect, getattr(limits, aspect))
                    continue
                reason = "it has no group of the controller"
            except OSError as error:
                if not self._lives(place):
                    return
                reason = f"{error.strerror} ({error.filename})"
            faults.append(
                f"{aspect}={getattr(limits, aspect)} of {place.framework} task {uuid} cannot be set: {reason}"
            )
        if faults:
            raise IsolationError(
                f"{'; '.join(faults)}. See that the groups above have as much, and that the agent may write."
            )

    def _find(self) -> None:
        """Look for the running tasks.

        :raises IsolationError: when none of those who know answers.
        """
        found: dict[str, Place] = {}
        errors = []
        finders = [
            find for name, find in places.FINDERS.items() if name in self._conf.agent.sources
        ]
        for find in finders:
            try:
                found |= {place.uuid: place for place in find(self._conf)}
            except IsolationError as error:
                errors.append(str(error))
        if errors and len(errors) == len(finders):
            raise IsolationError(" ".join(errors))
        self._complaints.tell(errors)
        self._places = found

    def _locate(self, uuid: str) -> tuple[Place | None, Mapping[str, Path]]:
        """Give a task's place and groups; None when it is gone.

        :raises IsolationError: when it runs and its groups cannot be seen.
        """
        for fresh in (False, True):
            if fresh:
                self._find()
            place = self._places.get(uuid)
            if place is None:
                continue
            try:
                return place, groups_of(place.pid, place.group, self._proc)
            except NotReachable as error:
                reason = str(error)
        if place is None or not self._lives(place):
            return None, {}
        raise IsolationError(
            f"Limits of {place.framework} task {uuid} cannot be set: {reason}. Run the agent where the control groups of the "
            "host are mounted."
        )

    def _lives(self, place: Place) -> bool:
        return (self._proc / str(place.pid)).exists()

    def _read(self, place: Place) -> Limits | None:
        """Read one task; None when it has ended."""
        try:
            groups = groups_of(place.pid, place.group, self._proc)
        except NotReachable:
            # It runs and nothing of it is held: setting its limits will say why that cannot be.
            return Limits() if self._lives(place) else None
        fields: dict[str, Any] = {}
        for aspect in _ASPECTS:
            if aspect is Aspect.MEMORY and place.framework == HYPERVISOR:
                continue
            try:
                version = self._open(place, groups, aspect)
                fields[aspect] = None if version is None else version.get(aspect)
            except OSError:
                if not self._lives(place):
                    return None
        return Limits(**fields)

    def _open(
        self, place: Place, groups: Mapping[str, Path], aspect: Aspect
    ) -> Version1 | Version2 | None:
        version = _version(aspect, groups)
        if version is None:
            return None
        devices: frozenset[str] = frozenset()
        if aspect in _DISK:
            find = (
                block_devices.of_guest
                if place.framework == HYPERVISOR
                else block_devices.of_container
            )
            devices = find(place.pid, self._proc, self._sys)
        return version(groups, devices)


def _version(aspect: Aspect, folders: Collection[str]) -> type[Version1] | type[Version2] | None:
    """Tell what holds an aspect; a controller that version 1 has is not in version 2.

    :param folders: names of controllers, with :data:`UNIFIED` for version 2.
    """
    if Version1.CONTROLLERS[aspect] in folders:
        return Version1
    return Version2 if UNIFIED in folders else None


def _why_not(aspect: Aspect, mounts: Mapping[str, Path]) -> str | None:
    """Say why an aspect cannot be held; None when it can."""
    name = Version1.CONTROLLERS[aspect]
    if name in mounts:
        root = mounts[name]
        if not (root / Version1.FILES[aspect]).exists():
            return f"{aspect}: this kernel has no {Version1.FILES[aspect]} in {root}; take one that does."
    elif UNIFIED in mounts:
        root, name = mounts[UNIFIED], Version2.CONTROLLERS[aspect]
        try:
            there = (root / "cgroup.controllers").read_text().split()
        except OSError:
            there = []
        if name not in there:
            return (
                f"{aspect}: {root} has no controller {name}; boot without cgroup_disable={name}, and with it in no "
                "hierarchy of version 1."
            )
        # Where it is not given to the groups below yet, that is done with the first task.
    else:
        return f"{aspect}: no controller {name} of control groups is mounted here; mount them."
    if not os.access(root, os.W_OK):
        return f"{aspect}: {root} cannot be written; run the agent as root, where it is mounted rw."
    return None
