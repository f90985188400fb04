# SPDX-License-Identifier: Apache-2.0
"""What the quota service tells, from the answers to ``about`` and ``hosts``."""

from __future__ import annotations

from fractions import Fraction

from hybrid_sched.core.doctor.facts import EngineFacts, ReportedHost
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.messages import LONGEST_NAME

_MOST_HOSTS = 1_000_000
_MOST_S = 1e12


def engine_facts(about: object, hosts: object) -> EngineFacts:
    """Read the answers.

    :raises BadMessage: when one does not have the agreed form.
    """
    told = wire.mapping(about, "about")
    refused = wire.mapping(told.get("refused_clocks"), "about.refused_clocks")
    entries = wire.sequence(hosts, "hosts", _MOST_HOSTS)
    return EngineFacts(
        version=wire.text(told.get("version"), "about.version", LONGEST_NAME),
        hosts=tuple(_host(entry, f"hosts[{index}]") for index, entry in enumerate(entries)),
        refused_clocks={
            host: _offset_s(offset, "about.refused_clocks") for host, offset in refused.items()
        },
    )


def _host(entry: object, where: str) -> ReportedHost:
    fields = wire.mapping(entry, where)
    capacity = wire.mapping(fields.get("capacity"), f"{where}.capacity")
    vcpu, memory_mb = (
        int(Fraction(wire.number_from_wire(capacity.get(name, 0), f"{where}.capacity.{name}")))
        for name in ("vcpu", "memory_mb")
    )
    return ReportedHost(
        host=wire.text(fields.get("host"), f"{where}.host", LONGEST_NAME),
        fresh=wire.flag(fields.get("fresh"), f"{where}.fresh"),
        vcpu=vcpu,
        memory_mb=memory_mb,
        clock_offset_s=_offset_s(fields.get("clock_offset_s"), f"{where}.clock_offset_s"),
        version=wire.text(
            fields.get("version"), f"{where}.version", LONGEST_NAME, may_be_empty=True
        ),
    )


def _offset_s(value: object, field: str) -> float:
    """Read an offset, which may be below 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST_S:
        raise wire.BadMessage(f"{field}: is no number of seconds")
    return float(value)
