# SPDX-License-Identifier: Apache-2.0
"""One running guest: what holds it, and how that is changed, live alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any
from xml.etree import ElementTree

import libvirt

from hybrid_sched.core import cpu_list, cpu_time
from hybrid_sched.core.limits import SHARES_A_CORE, Aspect, Limits
from hybrid_sched.core.resources import Number

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CPU_SHARES = "cpu_shares"
_QUOTA, _PERIOD, _NO_QUOTA = "vcpu_quota", "vcpu_period", -1
_SOFT_LIMIT = "soft_limit"
#: libvirt's VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, which its Python module lacks.
_UNLIMITED_KB = (2**63 - 1) // 1024
_READ, _WRITE, _TOTAL, _GROUP = "read_bytes_sec", "write_bytes_sec", "total_bytes_sec", "group_name"
_RATES = {Aspect.DISK_READ: _READ, Aspect.DISK_WRITE: _WRITE}
#: Of all disks of a guest; each guest has its own.
_GROUP_OF_DISKS = "hybrid-sched"
#: Where the CPU shares that were asked for are noted in a guest that runs, with version 2 of control groups.
_NOTE = "urn:hybrid-sched:asked"
#: Codes of a guest that is gone or has ended: what was set live went with its process.
NOT_RUNNING = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}


class _Refused(Exception):
    """What libvirt would not say clearly, or at all."""


def is_gone(domain: Any, error: libvirt.libvirtError) -> bool:
    """Say whether an error is that of a guest that has ended; the same code stands for other reasons, too."""
    if error.get_error_code() not in NOT_RUNNING:
        return False
    try:
        return not domain.isActive()
    except libvirt.libvirtError:
        return True


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest.

    :param domain: of libvirt.
    :param able: the aspects that can be held here.
    :param cpu_version: of control groups for CPU time, 1 or 2.
    """

    domain: Any
    able: Collection[Aspect]
    cpu_version: int

    def look(self, *, ask_qemu: bool) -> Limits:
        """Read what holds it.

        The quota of a guest without one is the number of its virtual CPUs, of which none can use more than one CPU. The CPUs
        are none at all, and the rate of disks is 0, where its parts differ so that no one limit holds all of it.

        :param ask_qemu: whether its disks are asked of its process, which may hang, rather than read in libvirt's own note.
        :raises libvirtError: when libvirt cannot tell.
        """
        # The text comes from the local libvirtd, not from the guest.
        xml = ElementTree.fromstring(self.domain.XMLDesc(0))  # noqa: S314
        quota = weight = low = None
        if self._able(Aspect.CPU_QUOTA, Aspect.CPU_WEIGHT):
            parameters = self.domain.schedulerParametersFlags(LIVE)
            quota = self._cores(parameters)
            weight = self._shares(parameters[CPU_SHARES], xml)
        if self._able(Aspect.MEMORY_LOW):
            low = _mb(self.domain.memoryParameters(LIVE)[_SOFT_LIMIT])
        cpus = self._cpus(xml) if self._able(Aspect.CPUS) else None
        tunes = list(self._tunes(xml, ask_qemu=ask_qemu).values())
        return Limits(
            cpu_quota=quota,
            cpu_weight=weight,
            cpus=cpus,
            memory_low_mb=low,
            disk_read_bps=_common_rate(tunes, _READ),
            disk_write_bps=_common_rate(tunes, _WRITE),
        )

    def hold(self, limits: Limits, aspects: Collection[Aspect]) -> list[str]:
        """Set some limits.

        :returns: what was refused, a clause each; the rest is set.
        """
        steps: dict[Aspect, Callable[[], object]] = {
            Aspect.CPU_QUOTA: lambda: self._hold_quota(limits.cpu_quota),
            Aspect.CPU_WEIGHT: lambda: self._hold_weight(limits.cpu_weight or SHARES_A_CORE),
            Aspect.CPUS: lambda: self._hold_cpus(limits.cpus),
            Aspect.MEMORY_LOW: lambda: self._hold_memory_low(limits.memory_low_mb),
        }
        refusals: list[str] = []
        for aspect, step in steps.items():
            if aspect in aspects:
                refusals += self._refused(aspect, step)
        return refusals + self._hold_disks(limits, aspects)

    def _able(self, *aspects: Aspect) -> bool:
        return any(aspect in self.able for aspect in aspects)

    def _refused(self, name: str, step: Callable[[], object]) -> list[str]:
        try:
            step()
        except _Refused as error:
            return [f"{name}: {error}"]
        except libvirt.libvirtError as error:
            return [] if is_gone(self.domain, error) else [f"{name}: {error}"]
        return []

    def _vcpus(self) -> dict[int, frozenset[int]]:
        """Give the CPUs on which each virtual CPU that is on may run, as the kernel has them."""
        known, maps = self.domain.vcpus()
        return {vcpu[0]: _numbers(cpus) for vcpu, cpus in zip(known, maps, strict=True)}

    def _cores(self, parameters: Mapping[str, int]) -> Number:
        vcpus, quota_us = len(self._vcpus()), parameters[_QUOTA]
        if quota_us <= 0:
            return vcpus
        return min(vcpus, cpu_time.cores_of(quota_us * vcpus, parameters[_PERIOD]))

    def _hold_quota(self, cores: Number | None) -> None:
        vcpus = len(self._vcpus())
        if cores is None or cores >= vcpus:
            parameters = {_QUOTA: _NO_QUOTA}
        else:
            quota_us, period_us = cpu_time.bandwidth(Fraction(cores) / vcpus)
            parameters = {_PERIOD: period_us, _QUOTA: quota_us}
        self.domain.setSchedulerParametersFlags(parameters, LIVE)

    def _shares(self, weight: int, xml: ElementTree.Element) -> int:
        """Give CPU shares. With version 2 libvirt's are ``cpu.weight``; those that were asked for are told if they fit it."""
        if self.cpu_version == 1:
            return weight
        note = xml.find(f"metadata/{{{_NOTE}}}asked")
        asked = "" if note is None else note.get("cpu_shares", "")
        if asked.isdecimal() and cpu_time.weight_of(int(asked)) == weight:
            return int(asked)
        return cpu_time.shares_of(weight)

    def _hold_weight(self, shares: int) -> None:
        if self.cpu_version == 1:
            self.domain.setSchedulerParametersFlags({CPU_SHARES: shares}, LIVE)
            return
        self.domain.setSchedulerParametersFlags({CPU_SHARES: cpu_time.weight_of(shares)}, LIVE)
        # Several shares have one weight. The note goes with the guest's process, as the weight does.
        note = f'<asked cpu_shares="{shares}"/>'
        kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
        self.domain.setMetadata(kind, note, "hybrid", _NOTE, LIVE)

    def _cpus(self, xml: ElementTree.Element) -> frozenset[int]:
        vcpus = list(self._vcpus().values())
        emulator_flags = self.domain.emulatorPinInfo(LIVE)
        emulator = _numbers(emulator_flags)
        pins = {
            pin.get("iothread"): cpu_list.of_text(pin.get("cpuset", ""))
            for pin in xml.findall("cputune/iothreadpin")
        }
        vcpu = xml.find("vcpu")
        by_default = cpu_list.of_text("" if vcpu is None else vcpu.get("cpuset", ""))
        everywhere = by_default or frozenset(range(len(emulator_flags)))
        others = [emulator, *(pins.get(str(each), everywhere) for each in _iothreads(xml))]
        if len({*vcpus, *others}) == 1:
            return emulator
        union = frozenset().union(*vcpus)
        # Nova gives each virtual CPU of a dedicated guest one of its CPUs, and all of them to the emulator.
        one_each = len(union) == len(vcpus) and all(len(each) == 1 for each in vcpus)
        return union if one_each and set(others) == {union} else frozenset()

    def _hold_cpus(self, cpus: frozenset[int] | None) -> None:
        # Of all CPUs of the host, those that are off included.
        host_cpus = len(self.domain.emulatorPinInfo(LIVE))
        if cpus is not None and not all(0 <= cpu < host_cpus for cpu in cpus):
            raise _Refused(f"the host has no CPU above {host_cpus - 1}")
        pins = tuple(cpus is None or cpu in cpus for cpu in range(host_cpus))
        for vcpu in self._vcpus():
            self.domain.pinVcpuFlags(vcpu, pins, LIVE)
        self.domain.pinEmulator(pins, LIVE)
        # The text comes from the local libvirtd, not from the guest.
        xml = ElementTree.fromstring(self.domain.XMLDesc(0))  # noqa: S314
        for iothread in _iothreads(xml):
            self.domain.pinIOThread(iothread, pins, LIVE)

    def _hold_memory_low(self, amount_mb: int | None) -> None:
        amount_kb = _UNLIMITED_KB if amount_mb is None else amount_mb * 1024
        self.domain.setMemoryParameters({_SOFT_LIMIT: amount_kb}, LIVE)

    def _tunes(self, xml: ElementTree.Element, *, ask_qemu: bool) -> dict[str, Mapping[str, Any]]:
        """Give what libvirt limits of each disk, by the name of the disk in the guest."""
        tunes: dict[str, Mapping[str, Any]] = {}
        for disk in xml.findall("devices/disk"):
            target = disk.find("target")
            # A drive may be empty. What another process serves, or SCSI commands pass by, QEMU cannot slow.
            if (
                target is None
                or disk.get("device", "disk") != "disk"
                or disk.get("type") == "vhostuser"
            ):
                continue
            name = target.get("dev", "")
            if ask_qemu:
                tunes[name] = self.domain.blockIoTune(name, LIVE)
            else:
                noted = {each.tag: each.text or "" for each in disk.iterfind("iotune/*")}
                # Without a group that was given it is in one of its own.
                tunes[name] = {_GROUP: name} | {
                    key: text if key == _GROUP else int(text) for key, text in noted.items()
                }
        return tunes

    def _hold_disks(self, limits: Limits, aspects: Collection[Aspect]) -> list[str]:
        wanted = {key: getattr(limits, each) for each, key in _RATES.items() if each in aspects}
        if not wanted:
            return []
        try:
            xml = ElementTree.fromstring(self.domain.XMLDesc(0))  # noqa: S314
            tunes = self._tunes(xml, ask_qemu=True)
        except libvirt.libvirtError as error:
            return [] if is_gone(self.domain, error) else [f"disks: {error}"]
        names = " and ".join(each for each in _RATES if each in aspects)
        refusals = []
        settable = [name for name, tune in tunes.items() if not tune.get(_TOTAL)]
        if len(settable) < len(tunes) and any(wanted.values()):
            refusals.append(
                f"{names}: it has a limit of reading and writing together (total_bytes_sec), which excludes one of each"
            )
        rates = {}
        for key in (_READ, _WRITE):
            # libvirt sets both or none, and what is not to be changed must be the same of all disks of a group, too.
            now = [tunes[each][key] for each in settable if tunes[each].get(key)]
            rates[key] = (wanted[key] or 0) if key in wanted else min(now, default=0)
        parameters = {**rates, _GROUP: _GROUP_OF_DISKS} if any(rates.values()) else rates
        for name in settable:
            step = partial(self.domain.setBlockIoTune, name, parameters, LIVE)
            refusals += self._refused(f"{names} of {name}", step)
        return refusals


def _common_rate(tunes: Sequence[Mapping[str, Any]], key: str) -> int | None:
    """Give the rate that all disks keep together; None without any, 0 where they differ.

    Those that have a total are left out: no rate of theirs can be set.
    """
    tunes = [tune for tune in tunes if not tune.get(_TOTAL)]
    rates = {int(tune.get(key, 0)) for tune in tunes}
    groups = {tune.get(_GROUP) for tune in tunes}
    if len(rates) > 1 or (rates != {0} and len(groups) > 1):
        return 0
    return next(iter(rates), 0) or None


def _iothreads(xml: ElementTree.Element) -> list[int]:
    # libvirt lists them where one was given a number of its own.
    listed = [int(each.get("id", "")) for each in xml.findall("iothreadids/iothread")]
    return listed or list(range(1, int(xml.findtext("iothreads") or 0) + 1))


def _numbers(flags: Iterable[bool]) -> frozenset[int]:
    return frozenset(number for number, flag in enumerate(flags) if flag)


def _mb(amount_kb: int) -> int | None:
    return None if amount_kb >= _UNLIMITED_KB else amount_kb // 1024
