# SPDX-License-Identifier: Apache-2.0
"""Receipts: what was promised to a task against what it got, for guests and containers in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core import measures
from hybrid_sched.core.receipt_windows import Usage
from hybrid_sched.core.resources import Number, Resources


class Verdict(StrEnum):
    """How a promise fared in the window. These words mean the same everywhere.

    * ``kept``: it got what was promised, or did not want it; and it used no more than promised of what can run short.
    * ``limited``: CPU only. Kept, and the task wanted more than its promise: its own limit held it back.
    * ``starved``: CPU only. It had less than promised while it was ready to run and waited for a CPU.
    * ``exceeded``: not CPU. It used more than promised, so that its limit did not hold.
    * ``no limit``: nothing was promised.
    * ``not measured``: it cannot be told.
    """

    KEPT = "kept"
    LIMITED = "limited"
    STARVED = "starved"
    EXCEEDED = "exceeded"
    NO_LIMIT = "no limit"
    NOT_MEASURED = "not measured"


BROKEN = frozenset({Verdict.STARVED, Verdict.EXCEEDED})

#: The figure that tells the use of each resource, in the order of :class:`Resources`.
FIGURE_OF = dict(
    zip(
        Resources._fields,
        (
            measures.CPU_CORES,
            measures.MEMORY_USED_MB,
            measures.DISK_READ_BPS,
            measures.DISK_WRITE_BPS,
            measures.NET_IN_BPS,
            measures.NET_OUT_BPS,
        ),
        strict=True,
    )
)
_SPOKEN = dict(
    zip(
        Resources._fields,
        ("CPU", "memory", "disk reads", "disk writes", "received traffic", "sent traffic"),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Line:
    """One resource of a receipt.

    :param resource: a field of :class:`Resources`, in whose unit the amounts are.
    :param promised: 0 where nothing is.
    :param mean: over the time in which it was measured; None where it never was.
    :param most: largest mean of a period of the agent.
    :param covered_s: seconds of the window for which it is known; of CPU those for which it is known, too, how long it waited.
    :param broken_s: seconds of these for which the promise was broken.
    :param limited_s: seconds for which its own CPU limit held it back.
    :param short: cores that were missing, on average over ``broken_s``; CPU only.
    """

    resource: str
    promised: Number
    verdict: Verdict
    mean: float | None = None
    most: float | None = None
    covered_s: float = 0
    broken_s: float = 0
    limited_s: float = 0
    short: float = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one task was promised and what it got.

    :param lines: one a resource, in the order of :class:`Resources`.
    :param begun_s: Unix time at which the first sample in the window began.
    :param ended_s: Unix time up to which it reaches.
    :param covered_s: seconds between the two for which something was measured.
    :param samples: looks of the agent that it is made of.
    """

    lines: tuple[Line, ...]
    begun_s: float
    ended_s: float
    covered_s: float = 0
    samples: int = 0

    @property
    def length_s(self) -> float:
        """Give the time that it is about, in seconds."""
        return max(0.0, self.ended_s - self.begun_s)

    @property
    def covered(self) -> float:
        """Give the part of its time that was measured, 0 to 1; what was not is a gap, of which it says nothing."""
        return min(1.0, self.covered_s / self.length_s) if self.length_s else 0.0

    @property
    def broken(self) -> bool:
        """Say whether a promise was broken."""
        return any(line.verdict in BROKEN for line in self.lines)

    @property
    def text(self) -> str:
        """Say in one sentence how it fared."""
        if not self.covered_s:
            return "Nothing is measured yet."
        clauses = [_clause(line) for line in self.lines if line.verdict in BROKEN]
        limited = [line for line in self.lines if line.limited_s]
        clauses += [
            f"its own CPU limit held it back for {_span(each.limited_s)}" for each in limited
        ]
        if not clauses:
            fine = any(line.verdict is Verdict.KEPT for line in self.lines)
            clauses = ["every promise that was measured was kept" if fine else "nothing to compare"]
        for verdict, words in (
            (Verdict.NOT_MEASURED, "not measured"),
            (Verdict.NO_LIMIT, "without a promise"),
        ):
            if named := [_SPOKEN[each.resource] for each in self.lines if each.verdict is verdict]:
                clauses.append(f"{words}: {', '.join(named)}")
        said = "; ".join(clauses)
        part = f"{self.covered:.0%} of {_span(self.length_s)} was measured"
        return f"{said[0].upper()}{said[1:]} ({part})."


def receipt(promised: Resources, usage: Usage | None, ended_s: float) -> Receipt:
    """Judge what a task got.

    :param promised: 0 where nothing is.
    :param usage: in the window; None where there is none.
    :param ended_s: Unix time up to which the receipt reaches; never before the last sample.
    """
    lines = tuple(
        _line(resource, amount, usage)
        for resource, amount in zip(Resources._fields, promised, strict=True)
    )
    if usage is None:
        return Receipt(lines, ended_s, ended_s)
    covered_s = max(usage.covered_s.values())
    ended_s = max(ended_s, usage.last_s)
    return Receipt(lines, usage.begun_s, ended_s, covered_s, usage.samples)


def _line(resource: str, promised: Number, usage: Usage | None) -> Line:
    figure = FIGURE_OF[resource]
    if usage is None or figure not in usage.covered_s:
        return Line(resource, promised, Verdict.NOT_MEASURED if promised else Verdict.NO_LIMIT)
    covered_s = usage.covered_s[figure]
    mean, most = usage.integral[figure] / covered_s, usage.most[figure]
    if not promised:
        return Line(resource, promised, Verdict.NO_LIMIT, mean, most, covered_s)
    if figure != measures.CPU_CORES:
        over_s = usage.exceeded_s.get(figure, 0.0)
        verdict = Verdict.EXCEEDED if over_s else Verdict.KEPT
        return Line(resource, promised, verdict, mean, most, covered_s, over_s)
    short = usage.short_core_s / usage.starved_s if usage.starved_s else 0.0
    return Line(
        *(resource, promised, _cpu_verdict(usage)),
        *(mean, most, usage.judged_s, usage.starved_s, usage.held_s),
        short=short,
    )


def _cpu_verdict(usage: Usage) -> Verdict:
    if usage.starved_s:
        return Verdict.STARVED
    if usage.held_s:
        return Verdict.LIMITED
    return Verdict.KEPT if usage.judged_s else Verdict.NOT_MEASURED


def _clause(line: Line) -> str:
    spoken = _SPOKEN[line.resource]
    if line.verdict is Verdict.STARVED:
        return f"{spoken} starved for {_span(line.broken_s)}, {line.short:.2g} cores short then"
    return f"{spoken} above the promise for {_span(line.broken_s)}"


def _span(seconds: float) -> str:
    """Write a length of time in at most two units."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    parts: Sequence[tuple[int, str]] = ((minutes, "min"), (rest_s, "s"))
    if minutes >= 60:
        parts = ((minutes // 60, "h"), (minutes % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
