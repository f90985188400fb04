# SPDX-License-Identifier: Apache-2.0
import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.simulation.overcommit_plot import COLUMNS, Point, front, read_points

ROWS = [
    ("none", "none", 0.12, 0.0),
    ("static:6", "none", 0.74, 0.0025),
    ("usage:0.1", "none", 0.74, 0.0037),
    ("usage:0", "relieve", 0.82, 0.0074),
    ("hindsight", "none", 0.739, 0.0063),
    ("bound", "-", 0.94, 0.0),
]


@pytest.fixture
def outcomes(tmp_path):
    path = tmp_path / "outcomes.csv"
    lines = [",".join(COLUMNS)]
    for policy, net, util, overload in ROWS:
        figures = {"policy": policy, "net": net, "cpu_util": util, "overload_part": overload}
        lines.append(",".join(str(figures.get(name, "")) for name in COLUMNS))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_points_are_named_by_policy_and_net_and_leave_out_the_bound(outcomes):
    points = read_points(str(outcomes))
    assert [point.name for point in points] == [
        *("none", "static:6", "usage:0.1", "usage:0 + relieve", "hindsight")
    ]
    assert points[3] == Point("usage:0 + relieve", 0.82, 0.0074)


def test_on_the_front_is_whom_nobody_betters_in_both_figures(outcomes):
    best = front(read_points(str(outcomes)))
    assert [point.name for point in best] == ["none", "static:6", "usage:0 + relieve"]


def test_the_same_outcomes_give_the_same_bytes_with_the_front_by_name(outcomes, tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    arguments = ["overcommit-plot", "--outcomes", f"big={outcomes}", f"small={outcomes}"]
    assert simulate.main([*arguments, "--output", *map(str, files)]) == 0
    first, second = (file.read_text() for file in files)
    assert first == second
    assert all(f">{name}<" in first for name in ("big", "small", "none", "usage:0 + relieve"))
    assert "hindsight" not in first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{path}", "is no LABEL=CSV; give a name of the hosts before the file"),
        ("big=", "is no LABEL=CSV"),
        ("big={path}.gone", "No such file"),
    ],
)
def test_outcomes_that_cannot_be_read_are_told(outcomes, capsys, given, said):
    wanted = given.format(path=outcomes)
    assert simulate.main(["overcommit-plot", "--outcomes", wanted, "--output", "plot.svg"]) == 2
    assert said in capsys.readouterr().err


def test_a_figure_that_is_none_is_told_with_its_line(outcomes, capsys):
    outcomes.write_text(outcomes.read_text().replace("0.0037", "some"))
    arguments = ["overcommit-plot", "--outcomes", f"big={outcomes}", "--output", "plot.svg"]
    assert simulate.main(arguments) == 2
    assert "line 4, field 'overload_part': 'some' is no number" in capsys.readouterr().err
