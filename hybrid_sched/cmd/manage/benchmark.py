# SPDX-License-Identifier: Apache-2.0
"""A short benchmark of one core: what it does, against a reference that is written down here.

The work is done by C code of the standard library that is the same for years and uses no special instructions, so that
versions of Python hardly matter: libbz2 for integers, exact sums for floating point, a copy larger than a core's part of the
caches for memory.
"""

from __future__ import annotations

import bz2
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_TEXT_BYTES = 100_000
_NUMBERS = 20_000
_COPY_BYTES = 64 * 2**20
_SLICE_S = 0.1
_LEAST_SCORE = 0.01


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of work.

    :param name: for people.
    :param unit: of the rates.
    :param weight: in the score.
    :param reference: rate of a core of score 1.
    :param make: makes what does a piece of the work, and gives how much each piece is.
    """

    name: str
    unit: str
    weight: float
    reference: float
    make: Callable[[], tuple[Callable[[], object], float]]


def _integer() -> tuple[Callable[[], object], float]:
    # Words in random order: compresses about as well as prose does.
    source = random.Random(1)  # noqa: S311 - the same on every host
    words = [bytes(source.choices(b"etaoinshrdlu", k=source.randint(2, 9))) for _ in range(2000)]
    text = b" ".join(source.choices(words, k=_TEXT_BYTES // 6))
    return lambda: bz2.compress(text), len(text) / 1e6


def _floating_point() -> tuple[Callable[[], object], float]:
    source = random.Random(1)  # noqa: S311 - the same on every host
    numbers = [source.uniform(-1e6, 1e6) for _ in range(_NUMBERS)]
    return lambda: math.fsum(numbers), _NUMBERS / 1e6


def _memory() -> tuple[Callable[[], object], float]:
    here, there = bytearray(_COPY_BYTES), memoryview(bytearray(_COPY_BYTES))

    def copy() -> None:
        there[:] = here

    copy()
    return copy, _COPY_BYTES / 1e9


#: The reference is a core that the seed table gives 1. Its rates are those of an Emerald Rapids core, which the table gives
#: 0.85, measured with CPython 3.11 in a guest under KVM and divided by 0.85.
PARTS = (
    Part("integer (bzip2)", "MB/s", 0.5, 15.9, _integer),
    Part("floating point (exact sums)", "million/s", 0.25, 61.7, _floating_point),
    Part("memory (copy)", "GB/s", 0.25, 8.35, _memory),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured.

    :param rates: of each part by name: the median of the rounds, which a disturbed round does not move.
    :param score: weighted geometric mean of the rates over the reference, above 0 and at most 1.
    :param spread: of the scores of the single rounds, largest less smallest over the middle one.
    :param rounds: how many were made.
    """

    rates: Mapping[str, float]
    score: float
    spread: float
    rounds: int

    @classmethod
    def of(cls, rounds: Sequence[Mapping[str, float]]) -> Result:
        """Sum up rounds."""
        rates = {part.name: statistics.median(each[part.name] for each in rounds) for part in PARTS}
        scores = [against_reference(each) for each in rounds]
        spread = (max(scores) - min(scores)) / statistics.median(scores)
        score = min(1.0, max(_LEAST_SCORE, against_reference(rates)))
        return cls(rates, score, spread, len(rounds))


def count_rounds(seconds: float) -> int:
    """Give how many rounds take so many seconds of processor time; at least three, for a median."""
    return max(3, round(seconds / (_SLICE_S * len(PARTS))))


def run(rounds: int) -> Iterator[Mapping[str, float]]:
    """Measure; gives the rate of each part by name for each round as it ends."""
    work = {part.name: part.make() for part in PARTS}
    for _ in range(rounds):
        yield {name: _rate(*piece) for name, piece in work.items()}


def against_reference(rates: Mapping[str, float]) -> float:
    """Give the weighted geometric mean of the rates over the reference; faster than the reference is above 1."""
    return math.exp(
        sum(part.weight * math.log(rates[part.name] / part.reference) for part in PARTS)
    )


def _rate(work: Callable[[], object], amount: float) -> float:
    """Do work until a slice is over; the processor time of this thread leaves out what others used."""
    done = 0
    begun_s = now_s = time.thread_time()
    while now_s - begun_s < _SLICE_S:
        work()
        done += 1
        now_s = time.thread_time()
    return done * amount / (now_s - begun_s)
