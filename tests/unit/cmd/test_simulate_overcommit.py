# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json

import pytest

from hybrid_sched.cmd import simulate


@pytest.fixture
def overcommit(tmp_path, capsys):
    path = tmp_path / "load.csv"
    path.write_text("".join(f"g{n:02},{','.join(['25'] * 24)}\n" for n in range(16)))
    shapes = ("--guest", "vcpu=4,memory_mb=2048", "--host", "vcpu=8,memory_mb=65536")

    def call(*options):
        code = simulate.main(
            ["overcommit", "--load", str(path), "--learn", "12", *shapes, *options]
        )
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def test_policies_are_compared_with_no_overcommit(overcommit):
    policies = ("--policies", "none", "static:2", "usage:0", "hindsight", "bound")
    code, out, _ = overcommit(*policies, "--net", "none", "relieve", "-f", "json")
    assert code == 0
    rows = {(row["policy"], row["net"]): row for row in json.loads(out)}
    assert len(rows) == 8
    assert [rows[name, "none"]["hosts_first"] for name in ("none", "static:2", "usage:0")] == [
        8,
        4,
        2,
    ]
    assert rows["usage:0", "relieve"]["hosts_saved"] == 0.75
    assert rows["usage:0", "none"]["cpu_util"] == 1.0
    assert rows["usage:0", "none"]["overload_part"] == 0
    assert rows["bound", "-"]["hosts_mean"] == rows["hindsight", "none"]["hosts_mean"] == 2


def test_the_same_input_gives_the_same_bytes_in_every_format(overcommit):
    policies = ("--policies", "none", "usage:0.1")
    _, once, _ = overcommit(*policies, "-f", "csv")
    _, again, _ = overcommit(*policies, "-f", "csv")
    assert once == again
    rows = list(csv.DictReader(io.StringIO(once)))
    assert [row["policy"] for row in rows] == ["none", "none", "usage:0.1", "usage:0.1"]
    _, table, _ = overcommit(*policies)
    assert "usage" in table


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--policies", "gone"), "there is no policy 'gone'"),
        (("--policies", "static:0.5"), "the ratio of 'static:0.5' is below 1"),
        (("--policies", "usage:1"), "the margin of 'usage:1' is not below 1"),
        (("--net", "gone"), "there is no plug-in 'gone'"),
        (("--learn", "24"), "24 periods to learn from"),
        (("--deviations", "nan"), "deviations: nan"),
        (("--set", "gone=1"), "--set 'gone=1'"),
        (("--load", "/gone"), "cannot read /gone"),
    ],
)
def test_input_that_cannot_be_used_is_named(overcommit, options, said):
    code, out, err = overcommit(*options)
    assert (code, out) == (2, "")
    assert said in err
