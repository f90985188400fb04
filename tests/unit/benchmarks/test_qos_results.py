# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.qos import __main__ as program
from benchmarks.qos import plots, results
from benchmarks.qos.cpu import Use
from benchmarks.qos.results import Repetition
from benchmarks.qos.users import Answers
from lab.layout import Host, Lab

HOSTS = ["node1", "node2"]


def used(node1: float, node2: float, elsewhere: float) -> Use:
    mean = {"node1": node1, "node2": node2, "elsewhere": elsewhere}
    return Use([0.5, 1.5], {name: [value, value] for name, value in mean.items()}, mean)


def repetition(arrangement: str, number: int, mean_ms: float = 20) -> Repetition:
    answers = Answers(400, 1, 20.0, mean_ms, mean_ms - 1, 3 * mean_ms, 4 * mean_ms)
    website, analysis = used(30, 5, 10), used(4, 60, 20)
    return Repetition(arrangement, number, answers, 18.25 + number, 0.93, website, analysis)


def document() -> dict[str, Any]:
    repetitions = [repetition(each, n) for each in results.ARRANGEMENTS for n in (1, 2)]
    rows = [each.row(HOSTS) for each in repetitions]
    made = results.document({"cpus": 2}, {"hosts": HOSTS}, rows, repetitions)
    return json.loads(json.dumps(made))


def test_each_host_is_told_of_while_its_own_task_works() -> None:
    row = repetition("in-turn", 1).row(HOSTS)
    assert (row["node1_cpu_percent"], row["node2_cpu_percent"]) == (30, 60)
    assert row["elsewhere_cpu_percent"] == 15


def test_the_table_has_a_line_for_each_repetition() -> None:
    rows = [repetition("apart", 1).row(HOSTS), repetition("apart", 2, 25.04).row(HOSTS)]
    [first, second] = csv.DictReader(io.StringIO(results.table(rows)))
    assert first["arrangement"] == "apart"
    assert (first["repetition"], second["repetition"]) == ("1", "2")
    assert (second["response_mean_ms"], second["response_p99_ms"]) == ("25.0", "75.1")
    assert (second["requests"], second["failed"], second["analysis_s"]) == ("400", "1", "20.25")


def test_the_summary_tells_how_far_repetitions_differ() -> None:
    rows = [repetition("apart", n, mean_ms).row(HOSTS) for n, mean_ms in ((1, 10), (2, 40))]
    rows.append(repetition("in-turn", 1, 7).row(HOSTS))
    summary = results.summary(rows)
    assert summary["apart"]["response_mean_ms"] == {"mean": 25, "least": 10, "most": 40}
    assert summary["in-turn"]["response_mean_ms"] == {"mean": 7, "least": 7, "most": 7}
    assert set(summary["apart"]) == set(results.FIGURES)


def test_plots_are_drawn_from_the_document_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "qos.json").write_text(json.dumps(document()))
    bytes_ = []
    for _ in range(2):
        assert program.main(["--output", str(tmp_path), "--plots"]) == 0
        drawn = sorted(path for path in tmp_path.iterdir() if path.name.startswith("qos-"))
        bytes_.append([path.read_bytes() for path in drawn])
    assert bytes_[0] == bytes_[1]
    names = [f"qos-{name}.{ending}" for name in sorted(plots.PLOTS) for ending in ("png", "svg")]
    assert [path.name for path in drawn] == names


def test_the_plots_show_means_and_every_repetition(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plots.draw_all(document(), tmp_path)
    response = (tmp_path / "qos-response.svg").read_text()
    assert ">99th percentile<" in response
    assert response.count(">60<") >= 4
    assert ">isolation off<" in response
    cpu = (tmp_path / "qos-cpu.svg").read_text()
    assert ">node1<" in cpu
    assert ">node2<" in cpu


@pytest.mark.parametrize(
    ("lab", "why"),
    [
        (None, "There is no lab"),
        (Lab((Host(1, 4096),)), "two hosts"),
        (Lab((Host(1, 4096), Host(2, 4096)), stock=True), "the plug-ins"),
    ],
)
def test_a_lab_that_will_not_do_is_told(lab: Lab | None, why: str) -> None:
    assert why in program.why_not(lab)


def test_any_other_lab_will_do() -> None:
    assert not program.why_not(Lab((Host(1, 4096), Host(2, 4096), Host(3, 4096))))


def test_without_a_lab_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "saved_lab", lambda: None)
    assert program.main(["--output", str(tmp_path)]) == 1
    assert "make experiment-qos" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
