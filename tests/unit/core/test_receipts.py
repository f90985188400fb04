# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hybrid_sched.core import measures
from hybrid_sched.core.receipt_windows import Usage
from hybrid_sched.core.receipts import Receipt, Verdict, receipt
from hybrid_sched.core.resources import Resources

BEGIN_S = 1_700_000_000.0
ALL = Resources(2, 512, 1000, 1000, 1000, 1000)
FIGURES = {
    measures.CPU_CORES: 1.0,
    measures.CPU_WAIT_CORES: 0.0,
    measures.MEMORY_USED_MB: 100.0,
    measures.DISK_READ_BPS: 1.0,
    measures.DISK_WRITE_BPS: 2.0,
    measures.NET_IN_BPS: 3.0,
    measures.NET_OUT_BPS: 4.0,
}


def usage(**changes: Any) -> Usage:
    """Give a hundred seconds of even use."""
    values: dict[str, Any] = {
        "begun_s": BEGIN_S,
        "last_s": BEGIN_S + 100,
        "samples": 10,
        "integral": {name: 100 * value for name, value in FIGURES.items()},
        "most": {name: 2 * value for name, value in FIGURES.items()},
        "covered_s": dict.fromkeys(FIGURES, 100.0),
        "judged_s": 100.0,
        "starved_s": 0.0,
        "short_core_s": 0.0,
        "held_s": 0.0,
        "exceeded_s": {},
    }
    return Usage(**{**values, **changes})


def judged(promised: Resources = ALL, **changes: Any) -> Receipt:
    return receipt(promised, usage(**changes), BEGIN_S + 100)


def verdicts(made: Receipt) -> list[str]:
    return [str(line.verdict) for line in made.lines]


def test_all_kept() -> None:
    made = judged()
    assert verdicts(made) == ["kept"] * 6
    assert [line.mean for line in made.lines] == [1, 100, 1, 2, 3, 4]
    assert [line.most for line in made.lines] == [2, 200, 2, 4, 6, 8]
    assert not made.broken
    assert made.text == (
        "Every promise that was measured was kept (100% of 1 min 40 s was measured)."
    )


def test_starved_says_for_how_long_and_what_was_missing() -> None:
    made = judged(starved_s=30.0, short_core_s=15.0)
    assert made.lines[0].verdict is Verdict.STARVED
    assert (made.lines[0].broken_s, made.lines[0].short) == (30, 0.5)
    assert made.broken
    assert made.text.startswith("CPU starved for 30 s, 0.5 cores short then (")


def test_a_task_that_its_own_limit_held_back_was_served() -> None:
    made = judged(held_s=7200.0)
    assert made.lines[0].verdict is Verdict.LIMITED
    assert not made.broken
    assert made.text.startswith("Its own CPU limit held it back for 2 h (")


def test_starved_counts_before_limited_and_both_are_said() -> None:
    made = judged(starved_s=30.0, short_core_s=15.0, held_s=4.0)
    assert made.lines[0].verdict is Verdict.STARVED
    assert "0.5 cores short then; its own CPU limit held it back for 4 s" in made.text


@pytest.mark.parametrize(
    ("index", "figure", "spoken"),
    [
        (1, measures.MEMORY_USED_MB, "Memory"),
        (2, measures.DISK_READ_BPS, "Disk reads"),
        (3, measures.DISK_WRITE_BPS, "Disk writes"),
        (4, measures.NET_IN_BPS, "Received traffic"),
        (5, measures.NET_OUT_BPS, "Sent traffic"),
    ],
)
def test_more_than_promised_is_exceeded(index: int, figure: str, spoken: str) -> None:
    made = judged(exceeded_s={figure: 61.0})
    assert verdicts(made) == ["exceeded" if each == index else "kept" for each in range(6)]
    assert made.broken
    assert made.text.startswith(f"{spoken} above the promise for 1 min 1 s (")


def test_without_a_promise_there_is_use_and_no_verdict() -> None:
    made = judged(Resources(vcpu=Fraction(1, 2)))
    assert verdicts(made) == ["kept"] + ["no limit"] * 5
    assert made.lines[1].mean == 100
    assert "without a promise: memory, disk reads, disk writes, received traffic" in made.text
    assert judged(Resources()).text.startswith("Nothing to compare; without a promise: CPU, memory")


def test_what_was_never_measured_is_said() -> None:
    known = {measures.MEMORY_USED_MB: 100.0}
    made = judged(integral=known, most=known, covered_s=known, judged_s=0.0)
    assert verdicts(made) == ["not measured", "kept"] + ["not measured"] * 4
    assert made.lines[0].mean is None
    assert "not measured: CPU, disk reads" in made.text


def test_whether_the_cpu_was_enough_is_not_known_without_its_waiting() -> None:
    made = judged(judged_s=0.0)
    assert made.lines[0].verdict is Verdict.NOT_MEASURED
    assert (made.lines[0].mean, made.lines[0].covered_s) == (1, 0)


def test_gaps_are_said() -> None:
    made = receipt(ALL, usage(covered_s=dict.fromkeys(FIGURES, 50.0)), BEGIN_S + 200)
    assert made.covered == 0.25
    assert "(25% of 3 min 20 s was measured)" in made.text


def test_a_receipt_reaches_to_the_last_sample_at_least() -> None:
    assert receipt(ALL, usage(), BEGIN_S).ended_s == BEGIN_S + 100


def test_without_any_sample_nothing_is_said_of_it() -> None:
    made = receipt(Resources(vcpu=1), None, BEGIN_S)
    assert verdicts(made) == ["not measured"] + ["no limit"] * 5
    assert (made.text, made.covered, made.broken) == ("Nothing is measured yet.", 0, False)
