# SPDX-License-Identifier: Apache-2.0
"""How long a declared task will run: what its owner says, or else what tasks of its kind have shown.

The statistic is the upper median of the newest seven tasks of the kind. Tsafrir, Etsion and Feitelson (Backfilling using
system-generated predictions rather than user runtime estimates, IEEE TPDS 18(6), 2007) show that a plain predictor from few
recent runs, the average of the last two jobs of a user, serves back-filling better than what users state, that recent
data matters more than much data, and that a prediction is no limit: it is corrected when the job outlives it, and nothing
is killed. A kind (flavor and image, or image and command) is narrower than a user, so a few more samples are still alike;
the median of them, unlike the average of two, is not thrown off by one task that hung or fell over. The upper one is taken
because an estimate that is too short lets a back-filled task delay the one for which room is held.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hybrid_sched.core.queued import QueuedTask, TaskState

#: Newest ended tasks of a kind that count.
NEWEST = 7

#: With fewer samples the next wider group is asked.
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a task is expected to run.

    :param seconds: None where nothing is known.
    :param text: part of a sentence for people, such as ``about 40 s, from 7 tasks of this kind``.
    """

    seconds: float | None
    text: str


class Durations:
    """Estimate durations from one history.

    :param history: seconds that ended tasks ran, by framework and kind, the newest first.
    """

    def __init__(self, history: Mapping[tuple[str, str], Sequence[float]]) -> None:
        self._by_kind = {key: tuple(seconds[:NEWEST]) for key, seconds in history.items()}
        frameworks: dict[str, list[float]] = {}
        for (framework, _), seconds in self._by_kind.items():
            frameworks.setdefault(framework, []).extend(seconds)
        self._by_framework = frameworks

    def of(self, task: QueuedTask) -> Estimate:
        """Estimate how long a task runs from its start to its end.

        The first that is known counts: what its owner declared (never more than the time after which it is ended), the time
        after which it is ended, tasks of its kind, tasks of its framework.
        """
        stop_s = task.stop_after_s
        if task.duration_s is not None and (stop_s is None or task.duration_s <= stop_s):
            return Estimate(task.duration_s, f"{_seconds(task.duration_s)} as declared")
        if stop_s is not None:
            return Estimate(stop_s, f"at most {_seconds(stop_s)}, as it is ended then")
        alike = self._by_kind.get((task.framework, task.kind), ())
        if len(alike) >= FEWEST:
            return _from(alike, "of this kind")
        others = self._by_framework.get(task.framework, ())
        if len(others) >= FEWEST:
            return _from(others, f"of framework {task.framework}, as this kind is new")
        return Estimate(None, "unknown, as too few tasks have ended")


def ends_at_s(task: QueuedTask, estimate: Estimate, now_s: float) -> float | None:
    """Tell when a task that was launched is expected to end.

    A task that has outlived its estimate gets one of twice the length, again and again: the longer it has run, the longer it is
    likely to go on (the cited article adds growing steps).

    :param task: launched and not final.
    :param estimate: of how long it runs.
    :param now_s: Unix time.
    :returns: Unix time, not before ``now_s``; None where nothing is known.
    """
    if task.state is TaskState.ENDING:
        return now_s
    if estimate.seconds is None:
        return None
    if not task.started_at_s:
        return now_s + estimate.seconds
    ran_s = now_s - task.started_at_s
    expected_s = estimate.seconds
    if ran_s > expected_s:
        # At least a second, so that doubling gets somewhere.
        expected_s = max(expected_s, 1)
        expected_s *= 2 ** max(0, math.ceil(math.log2(ran_s / expected_s)))
    if task.stop_after_s is not None:
        expected_s = min(expected_s, task.stop_after_s)
    return max(now_s, task.started_at_s + expected_s)


def _from(samples: Iterable[float], whose: str) -> Estimate:
    ordered = sorted(samples)
    median = ordered[len(ordered) // 2]
    return Estimate(median, f"about {_seconds(median)}, from {len(ordered)} tasks {whose}")


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
