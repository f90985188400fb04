# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json

import pytest

from hybrid_sched.cmd import simulate


@pytest.fixture
def rebalance(tmp_path, capsys):
    path = tmp_path / "load.csv"
    # The schedulers' order goes round the four hosts, so that the busy guests meet on one.
    busy = {n: 45 if n % 4 == 0 else 10 for n in range(16)}
    path.write_text("".join(f"g{n:02},{','.join([str(busy[n])] * 12)}\n" for n in busy))

    def call(*options):
        code = simulate.main(["rebalance", "--load", str(path), "--hosts", "4", *options])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def test_ways_are_compared_with_moving_nothing(rebalance):
    options = ("--guest", "vcpu=4,memory_mb=2048", "--host", "vcpu=8,memory_mb=65536")
    code, out, _ = rebalance(*options, "--strategy", "default", "thr-mmt", "-f", "json")
    assert code == 0
    none, ours, literature = json.loads(out)
    assert [each["strategy"] for each in (none, ours, literature)] == ["none", "relieve", "thr-mmt"]
    assert none["moves"] == 0
    assert none["overload_host_minutes"] > ours["overload_host_minutes"]
    reduced = 1 - ours["overload_host_minutes"] / none["overload_host_minutes"]
    assert ours["overload_reduced"] == pytest.approx(reduced, abs=1e-4)
    assert ours["moves"] > 0
    assert literature["moves"] > 0


def test_tables_and_csv_have_the_same_figures(rebalance):
    _, table, _ = rebalance("--strategy", "thr-mmt")
    assert "overload_host_minutes" in table
    assert "thr-mmt" in table
    _, text, _ = rebalance("--strategy", "thr-mmt", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["strategy"] for row in rows] == ["none", "thr-mmt"]
    assert float(rows[1]["moves"]) == int(rows[1]["moves"])


def test_parameters_reach_the_watchdog(rebalance):
    options = ("--guest", "vcpu=4,memory_mb=2048", "--host", "vcpu=8,memory_mb=65536", "-f", "json")
    _, out, _ = rebalance(*options, "--set", "link_bps=1")
    assert json.loads(out)[1]["moves"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--strategy", "gone"), "there is no plug-in 'gone'"),
        (("--set", "gone=1"), "--set 'gone=1': write NAME=VALUE with one of limits"),
        (("--set", "over_periods=x"), "'x' is no number"),
        (("--set", "over_periods=9"), "over_periods: 9 must be from 1 to of_periods"),
        (("--hosts", "1"), "--hosts: 1 must be from 2"),
        (("--host", "vcpu=8"), "--host 'vcpu=8': a resource is missing or 0"),
        (("--guest", "cpu=8,memory_mb=1"), "'cpu=8' is unknown"),
        (("--guest", "vcpu=x,memory_mb=1"), "vcpu: 'x' is not a number"),
        (("--overcommit", "0"), "--overcommit: 0 must be"),
        (("--period", "nan"), "--period: nan must be"),
        (("--load", "/gone"), "cannot read /gone"),
        (("--guest", "vcpu=99,memory_mb=1"), "has no room"),
    ],
)
def test_input_that_cannot_be_used_is_named(rebalance, options, said):
    code, out, err = rebalance(*options)
    assert (code, out) == (2, "")
    assert said in err
