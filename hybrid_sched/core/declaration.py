# SPDX-License-Identifier: Apache-2.0
"""What a guest or container declares (paper 5.1, table 1), read from a Nova flavor or a Zun container.

Both say the same things by the same names ``hybrid:*``: a flavor in its extra specs, a container in its labels. Of a flavor
Nova's own ``quota:*`` and ``hw:cpu_policy`` count too, and must not say anything else.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from hybrid_sched.core.lifecycle import State
from hybrid_sched.core.resources import Number, Resources, exact, simplest
from hybrid_sched.core.steering import MOUNTS_LABEL, MOVE_LABEL, TASK_KEY

T = TypeVar("T")

NAMESPACE = "hybrid:"
CPU_PERCENT = "hybrid:cpu_percent"
STATE = "hybrid:state"
RELOCATE = "hybrid:relocate"
#: Rates by the key that declares them.
RATE_KEYS = {
    "hybrid:disk_read_bps": "disk_read_bps",
    "hybrid:disk_write_bps": "disk_write_bps",
    "hybrid:net_in_bps": "net_in_bps",
    "hybrid:net_out_bps": "net_out_bps",
}
#: Every key that a flavor or a container may have in our namespace.
KEYS = (CPU_PERCENT, *RATE_KEYS, STATE, RELOCATE)
#: Keys in our namespace that are beside the declaration.
_OTHER_KEYS = frozenset({TASK_KEY, MOVE_LABEL, MOUNTS_LABEL})

#: One TiB/s is above what any disk or NIC can do.
LARGEST_RATE_BPS = 2**40
GUEST_STATES = (State.RUNNING, State.PAUSED, State.CLOSED)
CONTAINER_STATES = (State.RUNNING, State.CLOSED)

_UNITS = {
    "": 1,
    "B/s": 1,
    "kB/s": 10**3,
    "MB/s": 10**6,
    "GB/s": 10**9,
    "KiB/s": 2**10,
    "MiB/s": 2**20,
    "GiB/s": 2**30,
}
_RATE = re.compile(f"([0-9]{{1,15}})({'|'.join(_UNITS)})")
_WHOLE = re.compile("-?[0-9]{1,18}")
_RATE_RULE = (
    "give a whole number of bytes per second, with or without one of the units "
    f"{', '.join(unit for unit in _UNITS if unit)}"
)
#: Nova's key of each rate, and the factor to bytes/s. libvirt hands the kB/s of an interface to tc, whose k is 1000.
_QUOTA_RATES = {
    "disk_read_bps": ("quota:disk_read_bytes_sec", 1),
    "disk_write_bps": ("quota:disk_write_bytes_sec", 1),
    "net_in_bps": ("quota:vif_inbound_average", 1000),
    "net_out_bps": ("quota:vif_outbound_average", 1000),
}
_DISK_TOTAL = "quota:disk_total_bytes_sec"
_CPU_QUOTA = "quota:cpu_quota"
_CPU_PERIOD = "quota:cpu_period"
_CPU_SHARES = "quota:cpu_shares"
_CPU_POLICY = "hw:cpu_policy"
_CPU_POLICIES = ("shared", "dedicated", "mixed")
#: Limits and default of libvirt (and of the kernel), in microseconds.
_SHORTEST_US = 1_000
_LONGEST_PERIOD_US = 1_000_000
_DEFAULT_PERIOD_US = 100_000


class BadDeclaration(ValueError):
    """A declaration that cannot be read; the message names each field and its remedy."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one guest or container asks for.

    :param cpus: number of its CPUs; of a container it may be fractional.
    :param memory_mb: limit of its memory, MiB.
    :param cpu_percent: part of each of its CPUs that it may use at most, in (0, 100]: its time slice.
    :param cpu_shares: relative weight of its CPU time; None for its back end's default.
    :param cpu_policy: ``shared``, ``dedicated`` (CPUs of its own) or ``mixed``.
    :param disk_read_bps: limit, bytes/s; 0 when it declares none, as with each rate.
    :param disk_write_bps: limit, bytes/s.
    :param disk_total_bps: limit of reading and writing together, bytes/s; then those have none of their own.
    :param net_in_bps: limit of what it receives, bytes/s.
    :param net_out_bps: limit of what it sends, bytes/s.
    :param state: in which it is to begin.
    :param relocate: whether it may be moved: a guest while it runs, a container by a stop and a start.
    """

    cpus: Number
    memory_mb: int
    cpu_percent: Number = 100
    cpu_shares: int | None = None
    cpu_policy: str = "shared"
    disk_read_bps: int = 0
    disk_write_bps: int = 0
    disk_total_bps: int = 0
    net_in_bps: int = 0
    net_out_bps: int = 0
    state: State = State.RUNNING
    relocate: bool = False

    @property
    def resources(self) -> Resources:
        """Give what it holds of a host.

        CPU and memory are what Placement claims: whole ones, at least one. What may be read or written in any mixture
        counts in full for both.
        """
        return Resources(
            vcpu=max(1, math.ceil(self.cpus)),
            memory_mb=max(1, self.memory_mb),
            disk_read_bps=self.disk_read_bps or self.disk_total_bps,
            disk_write_bps=self.disk_write_bps or self.disk_total_bps,
            net_in_bps=self.net_in_bps,
            net_out_bps=self.net_out_bps,
        )

    @property
    def promised(self) -> Resources:
        """Give what it may use at most and can count on; 0 where it declares nothing.

        It differs from what it holds: a CPU is claimed as a whole, of which it may use a part. Of reading and writing in any
        mixture each may be all.
        """
        return self.resources._replace(
            vcpu=simplest(Fraction(self.cpus) * Fraction(self.cpu_percent) / 100),
            memory_mb=self.memory_mb,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A declaration as far as it could be read.

    :param declaration: without what could not be read.
    :param faults: a clause for each field that could not be read, or that contradicts another, with the remedy.
    """

    declaration: Declaration
    faults: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Give all faults as one text; empty without any."""
        return "; ".join(self.faults)

    def complete(self) -> Declaration:
        """Give the declaration when all of it could be read.

        :raises BadDeclaration: otherwise.
        """
        if self.faults:
            raise BadDeclaration(self.text)
        return self.declaration


def of_flavor(vcpus: object, memory_mb: object, extra_specs: Mapping[str, object]) -> Reading:
    """Read a flavor of Nova.

    :param vcpus: its CPUs.
    :param memory_mb: its memory, MiB.
    :param extra_specs: all of them; those that are not named here are not looked at.
    """
    return _read(vcpus, memory_mb, extra_specs, GUEST_STATES, may_move=True)


def of_container(
    cpu: object, memory_mb: object, labels: Mapping[str, object] | None, cpu_policy: object = None
) -> Reading:
    """Read a container of Zun.

    :param cpu: its CPUs, fractional or not.
    :param memory_mb: its memory, MiB.
    :param labels: all of them; those outside our namespace are its owner's.
    :param cpu_policy: ``shared`` or ``dedicated``; None for ``shared``.
    """
    ours = {key: text for key, text in (labels or {}).items() if key.startswith(NAMESPACE)}
    if cpu_policy:
        ours[_CPU_POLICY] = cpu_policy
    return _read(cpu, memory_mb, ours, CONTAINER_STATES, may_move=False)


def fault_of(key: str, value: object) -> str:
    """Say what is wrong with one extra spec or label alone; empty when nothing is."""
    return of_flavor(1, 1, {key: value}).text


def _read(
    cpus: object,
    memory_mb: object,
    specs: Mapping[str, object],
    states: tuple[State, ...],
    *,
    may_move: bool,
) -> Reading:
    # What is equal must be read alike: True and 1 are equal, too, and the cache tells types apart in the first two alone.
    plain = type(cpus) in {int, float, str} and type(memory_mb) in {int, float, str}
    if plain and all(type(each) is str for each in specs.values()):
        return _read_once(cpus, memory_mb, tuple(specs.items()), states, may_move=may_move)
    return _read_anew(cpus, memory_mb, specs, states, may_move=may_move)


# Requests come from few flavors, and each is read by several plug-ins.
@functools.lru_cache(maxsize=1024, typed=True)
def _read_once(
    cpus: object,
    memory_mb: object,
    specs: tuple[tuple[str, object], ...],
    states: tuple[State, ...],
    *,
    may_move: bool,
) -> Reading:
    return _read_anew(cpus, memory_mb, dict(specs), states, may_move=may_move)


def _read_anew(
    cpus: object,
    memory_mb: object,
    specs: Mapping[str, object],
    states: tuple[State, ...],
    *,
    may_move: bool,
) -> Reading:
    reader = _Reader(specs)
    declaration = Declaration(
        cpus=reader.amount("cpu", cpus),
        memory_mb=int(reader.amount("memory", memory_mb)),
        cpu_percent=reader.cpu_percent(),
        cpu_shares=reader.whole(_CPU_SHARES, 0) or None,
        cpu_policy=reader.choice(_CPU_POLICY, {name: name for name in _CPU_POLICIES}, "shared"),
        **reader.rates(),
        state=reader.choice(STATE, {str(state): state for state in states}, State.RUNNING),
        relocate=reader.choice(RELOCATE, {"allow": True, "deny": False}, may_move),
    )
    reader.check_names()
    return Reading(declaration, tuple(reader.faults))


class _Reader:
    """Reads the fields one by one and goes on after a fault."""

    def __init__(self, specs: Mapping[str, object]) -> None:
        self._specs = specs
        self.faults: list[str] = []

    def amount(self, name: str, value: object) -> Number:
        """Read a figure that is no extra spec; one that cannot be read is 0."""
        try:
            amount = exact(value)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            return 0
        if amount < 0:
            self.faults.append(f"{name} is {value}: give 0 or more")
            return 0
        return amount

    def whole(self, key: str, least: int | None = None) -> int | None:
        """Read a whole number; None when there is none, or none that can be read."""
        if key not in self._specs:
            return None
        text = str(self._specs[key])
        if _WHOLE.fullmatch(text) is None or (least is not None and int(text) < least):
            self._bad(key, "give a whole number" + ("" if least is None else f", {least} or more"))
            return None
        return int(text)

    def choice(self, key: str, choices: Mapping[str, T], default: T) -> T:
        """Read one of some words."""
        if key not in self._specs:
            return default
        text = str(self._specs[key])
        if text not in choices:
            self._bad(key, f"give {' or '.join(choices)}")
            return default
        return choices[text]

    def cpu_percent(self) -> Number:
        """Read the time slice, which Nova has as a quota of a period."""
        by_quota = self._percent_of_quota()
        percent = self._percent_of_ours()
        if by_quota is None:
            return 100 if percent is None else percent
        if percent is not None and percent != by_quota:
            self.faults.append(
                f"{_CPU_QUOTA} allows {float(by_quota):g} % of each CPU, but {CPU_PERCENT} is {percent}: "
                "give one of them, or the same"
            )
        return by_quota

    def _percent_of_ours(self) -> int | None:
        if CPU_PERCENT not in self._specs:
            return None
        text = str(self._specs[CPU_PERCENT])
        if _WHOLE.fullmatch(text) is None or not 1 <= int(text) <= 100:
            self._bad(
                CPU_PERCENT,
                "give a whole number from 1 to 100, the part of each CPU; for more than all of it give more CPUs",
            )
            return None
        return int(text)

    def _percent_of_quota(self) -> Number | None:
        quota = self._in_range(_CPU_QUOTA, None, "or a negative one for no limit")
        period = self._in_range(_CPU_PERIOD, _LONGEST_PERIOD_US, "or 0 for the default")
        if quota is None:
            return None
        # A CPU of a guest is one thread, which cannot use more than one CPU of the host.
        return min(100, simplest(Fraction(100 * quota, period or _DEFAULT_PERIOD_US)))

    def _in_range(self, key: str, most: int | None, besides: str) -> int | None:
        """Read microseconds; None where there are none, 0 and less included."""
        number = self.whole(key)
        if number is None or number == 0 or (number < 0 and most is None):
            return None
        if number < _SHORTEST_US or (most is not None and number > most):
            limits = f"{_SHORTEST_US} or more" if most is None else f"{_SHORTEST_US} to {most}"
            self._bad(key, f"give {limits} microseconds, {besides}")
            return None
        return number

    def rates(self) -> dict[str, int]:
        """Read the rates, in bytes/s by field; of two that differ, Nova's own, which libvirt keeps."""
        rates = {name: self._rate(key, name) for key, name in RATE_KEYS.items()}
        total = self._rate_of_nova(_DISK_TOTAL, 1)
        if total:
            for name in ("disk_read_bps", "disk_write_bps"):
                if rates[name]:
                    key = (
                        NAMESPACE + name
                        if NAMESPACE + name in self._specs
                        else _QUOTA_RATES[name][0]
                    )
                    self.faults.append(
                        f"{_DISK_TOTAL} and {key} are both given: give the total, or a rate for reading and one for writing"
                    )
                    rates[name] = 0
        return {**rates, "disk_total_bps": total}

    def _rate(self, key: str, name: str) -> int:
        of_nova, factor = _QUOTA_RATES[name]
        by_nova = self._rate_of_nova(of_nova, factor)
        by_us = self._rate_of_ours(key)
        if by_nova and by_us and by_nova != by_us:
            self.faults.append(
                f"{of_nova} is {by_nova} bytes/s, but {key} is {by_us} bytes/s: give one of them, or the same"
            )
        return by_nova or by_us

    def _rate_of_nova(self, key: str, factor: int) -> int:
        return self._bounded(key, (self.whole(key, 0) or 0) * factor)

    def _rate_of_ours(self, key: str) -> int:
        if key not in self._specs:
            return 0
        match = _RATE.fullmatch(str(self._specs[key]))
        if match is None:
            self._bad(key, _RATE_RULE)
            return 0
        return self._bounded(key, int(match[1]) * _UNITS[match[2]])

    def _bounded(self, key: str, rate_bps: int) -> int:
        if rate_bps > LARGEST_RATE_BPS:
            self._bad(key, f"give at most {LARGEST_RATE_BPS} bytes/s, or leave it out for no limit")
            return 0
        return rate_bps

    def check_names(self) -> None:
        """Find keys of our namespace that do not exist."""
        known = {*KEYS, *_OTHER_KEYS}
        self.faults += [
            f"{key[:64]!r} is not known: use one of {', '.join(KEYS)}"
            for key in self._specs
            if key.startswith(NAMESPACE) and key not in known
        ]

    def _bad(self, key: str, remedy: str) -> None:
        self.faults.append(f"{key} is {str(self._specs[key])[:64]!r}: {remedy}")
