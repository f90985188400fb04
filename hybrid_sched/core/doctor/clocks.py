# SPDX-License-Identifier: Apache-2.0
"""Family ``clocks``: reports carry the time of their host, and old or future ones are refused."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding, Kind, Severity

REFUSED = Kind("clocks.refused", Severity.ERROR)
OFF = Kind("clocks.off", Severity.WARNING)
UNSYNCHRONISED = Kind("clocks.unsynchronised", Severity.NOTE)

# A report is never from the future. On its way it may wait for slow sources and for the broker.
_AHEAD_S = 1.0
_BEHIND_S = 10.0
_REMEDY = "Set the clock there by NTP (chronyc tracking, timedatectl timesync-status), and that of the engine, too."


def report_clocks(facts: Facts) -> Iterator[Finding]:
    """Look at the clocks of hosts against the engine's."""
    if facts.engine is None:
        return
    for host, offset_s in sorted(facts.engine.refused_clocks.items()):
        yield REFUSED.found(
            host,
            f"The engine refuses the reports of {host}: its clock is {_shown(offset_s)} the engine's, or they are that long on "
            "their way.",
            _REMEDY,
        )
    for reported in facts.engine.hosts:
        if reported.host in facts.engine.refused_clocks:
            continue
        if not -_BEHIND_S <= reported.clock_offset_s <= _AHEAD_S:
            yield OFF.found(
                reported.host,
                f"The clock of {reported.host} is {_shown(reported.clock_offset_s)} the engine's; reports will be refused when "
                "it is more.",
                _REMEDY,
            )


def kernel_clock(facts: Facts) -> Iterator[Finding]:
    """Look whether the kernel of this machine holds its clock for disciplined."""
    if facts.local is not None and facts.local.clock_synchronised is False:
        yield UNSYNCHRONISED.found(
            facts.local.host,
            f"No NTP program disciplines the clock of {facts.local.host} (adjtimex says so).",
            "Run chrony or systemd-timesyncd there. Where a hypervisor below keeps the clock, this can be left.",
        )


def _shown(offset_s: float) -> str:
    return f"{abs(offset_s):.1f} s {'ahead of' if offset_s > 0 else 'behind'}"
