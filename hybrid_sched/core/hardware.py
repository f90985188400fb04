# SPDX-License-Identifier: Apache-2.0
"""What a host is made of, and the score that this is worth (paper 4.2)."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hybrid_sched.core.resources import Number, exact

ANY = "*"
LONGEST_PATTERN = 255
LONGEST_NOTE = 255
# "a/b" has to fit into the database.
_LONGEST_SCORE = 64
_WILDCARD = re.compile(r"\[!?\]?[^\]]*\]|[*?]")


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decides a host's score.

    :param cpu_model: as the processor tells it; empty when unknown.
    :param memory_kind: for example ``DDR4``; empty when unknown.
    """

    cpu_model: str = ""
    memory_kind: str = ""


UNKNOWN = Hardware()


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of a kind of hardware: one number a host, never one a resource, which would distort demands.

    Patterns are globs (``*``, ``?``, ``[abc]``) of the whole text, in which case does not matter.

    :param cpu_model: pattern of the processor's name.
    :param memory_kind: pattern of the kind of memory; ``*`` is any, unknown included.
    :param score: what such a host is worth, above 0 and at most 1.
    :param note: for people.
    :raises ValueError: when a field cannot be used; the message begins with its name.
    """

    cpu_model: str
    memory_kind: str
    score: Number
    note: str = ""

    def __post_init__(self) -> None:
        _check_pattern("cpu_model", self.cpu_model)
        _check_pattern("memory_kind", self.memory_kind)
        try:
            score = exact(self.score)
        except ValueError as error:
            raise ValueError(f"score: {error}") from None
        if not 0 < score <= 1:
            raise ValueError(
                f"score: {self.score} is out of range: give a number above 0 and at most 1"
            )
        if len(str(score)) > _LONGEST_SCORE:
            raise ValueError("score: the number has too many digits: round it")
        object.__setattr__(self, "score", score)
        if len(self.note) > LONGEST_NOTE:
            raise ValueError(f"note: it is longer than {LONGEST_NOTE} characters: shorten it")

    @property
    def key(self) -> tuple[str, str]:
        """Give what tells rows apart."""
        return self.cpu_model, self.memory_kind

    def matches(self, hardware: Hardware) -> bool:
        """Say whether it is about this hardware."""
        return _matches(self.cpu_model, hardware.cpu_model) and _matches(
            self.memory_kind, hardware.memory_kind
        )

    def _rank(self) -> tuple[int, int, str, str, Number]:
        """Sort the most specific first; the rest breaks ties, so that the order of rows never matters."""
        return -_literals(self.cpu_model), -_literals(self.memory_kind), *self.key, self.score


@dataclass(frozen=True, slots=True)
class HostScore:
    """The score of one host.

    :param score: in (0, 1].
    :param row: where it comes from; None for the default of unknown hardware, and for a host that is named.
    :param named: whether the configuration names the host.
    """

    score: Number
    row: ScoreRow | None
    named: bool = False

    @property
    def source(self) -> str:
        """Say where it comes from: the patterns of a row, ``option``, or ``default``."""
        if self.named:
            return "option"
        return "default" if self.row is None else ", ".join(self.row.key)


def score_of(hardware: Hardware, rows: Iterable[ScoreRow], default: Number = 1) -> HostScore:
    """Find the score of a host: that of the most specific row that matches.

    Most specific is the row with most literal characters in the pattern of the processor, then in that of the memory.

    :param rows: at most one for each pair of patterns, in any order.
    :param default: the score of hardware that no row matches.
    """
    found = min((row for row in rows if row.matches(hardware)), key=ScoreRow._rank, default=None)
    return HostScore(default if found is None else found.score, found)


def _check_pattern(field: str, pattern: str) -> None:
    if not pattern.strip():
        raise ValueError(f"{field}: it is empty: give a pattern such as 'AMD EPYC 7??3*', or '*'")
    if pattern != pattern.strip() or not pattern.isprintable():
        raise ValueError(
            f"{field}: {pattern!r} begins or ends with a space or has characters that are not printable: remove them"
        )
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"{field}: it is longer than {LONGEST_PATTERN} characters: shorten it")


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern), re.IGNORECASE)


# Clusters have few kinds of hosts and every cycle asks of each host again.
@functools.lru_cache(maxsize=65_536)
def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).match(text) is not None


@functools.lru_cache(maxsize=4096)
def _literals(pattern: str) -> int:
    return len(_WILDCARD.sub("", pattern))
