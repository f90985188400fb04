# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a table and as a document."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.qos.cpu import ELSEWHERE, Use
from benchmarks.qos.users import Answers

#: Arrangements in the order of tables and plots, and what each is called in plots.
ARRANGEMENTS: Mapping[str, str] = {
    "in-turn": "one host each,\nin turn",
    "apart": "one host each,\nat once",
    "together-off": "one host,\nisolation off",
    "together-on": "one host,\nisolation on",
}
#: Figures of the table that the document has means and ranges of.
FIGURES = (
    *("response_mean_ms", "response_p99_ms", "analysis_s"),
    *("node1_cpu_percent", "node2_cpu_percent", "elsewhere_cpu_percent"),
)


@dataclass(frozen=True)
class Repetition:
    """One repetition of an arrangement.

    :param arrangement: one of :data:`ARRANGEMENTS`.
    :param number: from 1.
    :param answers: of the website.
    :param analysis_s: that the analysis took.
    :param accuracy: of the classifier, the same each time.
    :param website_use: CPU use while users asked.
    :param analysis_use: CPU use during the analysis; the same unless each was alone.
    """

    arrangement: str
    number: int
    answers: Answers
    analysis_s: float
    accuracy: float
    website_use: Use
    analysis_use: Use

    def row(self, hosts: Sequence[str]) -> dict[str, object]:
        """Give the line of the table.

        Each alone, the host of the guest is told of while users asked, and the other one during the analysis.

        :param hosts: the one of the guest, and the other one.
        """
        first, second = hosts
        used = {
            "node1_cpu_percent": self.website_use.mean[first],
            "node2_cpu_percent": self.analysis_use.mean[second],
            "elsewhere_cpu_percent": round(
                (self.website_use.mean[ELSEWHERE] + self.analysis_use.mean[ELSEWHERE]) / 2, 1
            ),
        }
        return {
            "arrangement": self.arrangement,
            "repetition": self.number,
            "requests": self.answers.requests,
            "failed": self.answers.failed,
            "response_mean_ms": round(self.answers.mean_ms, 1),
            "response_p50_ms": round(self.answers.p50_ms, 1),
            "response_p99_ms": round(self.answers.p99_ms, 1),
            "response_worst_ms": round(self.answers.worst_ms, 1),
            "analysis_s": round(self.analysis_s, 2),
            **used,
        }


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Write rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def summary(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Give the mean of the repetitions of each arrangement, and the least and most, by figure."""
    by_arrangement: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_arrangement.setdefault(row["arrangement"], []).append(row)
    return {
        arrangement: {
            name: {
                "mean": round(statistics.fmean(row[name] for row in of), 2),
                "least": min(row[name] for row in of),
                "most": max(row[name] for row in of),
            }
            for name in FIGURES
        }
        for arrangement, of in by_arrangement.items()
    }


def document(
    machine: Mapping[str, object],
    settings: Mapping[str, object],
    rows: Sequence[Mapping[str, object]],
    repetitions: Sequence[Repetition],
) -> dict[str, Any]:
    """Give all that was measured, the CPU use over time included.

    :param machine: what it was measured on.
    :param settings: of the run.
    :param rows: of the table.
    """
    return {
        "machine": dict(machine),
        "settings": dict(settings),
        "summary": summary(rows),
        "repetitions": [
            {
                **row,
                "accuracy": each.accuracy,
                "website_use": dataclasses.asdict(each.website_use),
                "analysis_use": dataclasses.asdict(each.analysis_use),
            }
            for row, each in zip(rows, repetitions, strict=True)
        ],
    }
