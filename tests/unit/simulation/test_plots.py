# SPDX-License-Identifier: Apache-2.0
import csv
import sys

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.simulation import plots
from hybrid_sched.simulation.comparison import MEAN_COLUMNS, means

FIGURES = {
    "makespan_min": 100,
    "mean_completion_min": 50,
    "hosts_peak": 9,
    "cpu_util": 0.5,
    "memory_util": 0.9,
    "share_gap_mean": 0.01,
    "share_gap_max": 0.1,
    "lower_bound_min": 100,
}


def row(policy, seed, over=1.0, gap=0.01, test=6):
    figures = FIGURES | {"makespan_min": 100 * over, "share_gap_mean": gap}
    return {"test": test, "policy": policy, "seed": seed, **figures}


@pytest.fixture
def means_file(tmp_path):
    path = tmp_path / "means.csv"
    rows = [row("fair", 1, 1.2, 0.01), row("fast", 1, 1.1, 0.2), row("worse", 1, 1.2, 0.2)]
    rows += [row("separate-2-7", 1, 1.5), row("separate-7-2", 1, 1.4)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, MEAN_COLUMNS)
        writer.writeheader()
        writer.writerows(means(rows))
    return path


def test_the_front_has_whom_nobody_beats_in_both_figures():
    rows = [row("fair", 1, 1.2, 0.01), row("fast", 1, 1.1, 0.2), row("worse", 1, 1.2, 0.2)]
    rows += [row("worse", 2, 1.3, 0.2), row("alone", 1, 3.0, 0.9, test=5)]
    by_policy = {mean["policy"]: mean for mean in means(rows)}
    assert {name for name, mean in by_policy.items() if mean["on_front"]} == {
        "fair",
        "fast",
        "alone",
    }
    assert by_policy["worse"]["over_bound"] == 1.25


@pytest.mark.parametrize("suffix", ["svg", "png"])
@pytest.mark.parametrize("plot", ["front", "makespan"])
def test_the_same_means_give_the_same_bytes(means_file, tmp_path, plot, suffix):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{name}.{suffix}" for name in ("one", "two")]
    outputs = [str(file) for file in files]
    assert simulate.main(["plot", plot, "--means", str(means_file), "--output", *outputs]) == 0
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_a_plot_shows_the_policies_and_the_best_split(means_file, tmp_path):
    pytest.importorskip("matplotlib")
    output = tmp_path / "plot.svg"
    assert (
        simulate.main(["plot", "front", "--means", str(means_file), "--output", str(output)]) == 0
    )
    assert all(f">{name}<" in output.read_text() for name in ("fair", "fast", "worse"))
    alone = ["--policies", "fair", "separate-7-2", "separate-2-7"]
    simulate.main(["plot", "makespan", "--means", str(means_file), "--output", str(output), *alone])
    text = output.read_text()
    assert ">separate (best split)<" in text
    assert ">lower bound<" in text
    assert "fast" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("over_bound", "over"), "line 1: the header is not"),
        (
            lambda text: text.replace(",1.2,", ",nan,"),
            "line 2, field 'over_bound': 'nan' is no number",
        ),
        (
            lambda text: text.replace("6,fair", "six,fair"),
            "line 2, field 'test': 'six' is no number",
        ),
        (lambda text: text.splitlines()[0] + "\n", "has no line but the header"),
    ],
)
def test_means_that_cannot_be_read_say_where(means_file, tmp_path, capsys, change, said):
    means_file.write_text(change(means_file.read_text()))
    output = str(tmp_path / "plot.svg")
    assert simulate.main(["plot", "front", "--means", str(means_file), "--output", output]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--output", "plot.pdf"], "plot.pdf: it must end in .png or .svg"),
        (["--output", "plot.svg", "--policies", "gone"], "has no policy 'gone'; it has fair"),
    ],
)
def test_what_cannot_be_drawn_is_told(means_file, capsys, options, said):
    assert simulate.main(["plot", "front", "--means", str(means_file), *options]) == 2
    assert said in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(means_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    output = str(tmp_path / "plot.svg")
    assert simulate.main(["plot", "front", "--means", str(means_file), "--output", output]) == 2
    assert "install hybrid-sched[plots]" in capsys.readouterr().err


def test_labels_of_policies_close_together_are_one():
    far = plots.Mean(6, "far", 1, 0.3, 1, 1.1, True)
    near = [plots.Mean(6, name, 1, 0.01, 1, 1.14, False) for name in ("a", "b")]
    assert plots._labels([far, *near]) == [("a\nb", 0.01, 1.14), ("far", 0.3, 1.1)]
