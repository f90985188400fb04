# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.simulation.comparison import COLUMNS

HOSTS = "id,vcpu,memory_mb\nh1,4,4096\nh2,4,4096\n"
TASKS = """id,kind,vcpu,memory_mb,arrival_s,duration_s
g1,guest,4,4096,0,60
c1,container,1,1024,0,30
c2,container,1.5,512,30,30
"""


@pytest.fixture
def files(tmp_path):
    def write(hosts=HOSTS, tasks=TASKS, hosts_name="hosts.csv"):
        (tmp_path / hosts_name).write_text(hosts)
        (tmp_path / "tasks.csv").write_text(tasks)
        return ["--hosts", str(tmp_path / hosts_name), "--tasks", str(tmp_path / "tasks.csv")]

    return write


@pytest.fixture
def call(capsys):
    def run(*arguments):
        code = simulate.main(list(arguments))
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_run_gives_one_row(files, call):
    code, out, _ = call("run", *files(), "--policy", "paper", "-f", "json")
    assert code == 0
    [row] = json.loads(out)
    assert tuple(row) == COLUMNS
    assert (row["test"], row["policy"], row["seed"]) == (None, "paper", None)
    assert row["makespan_min"] == row["lower_bound_min"] == 1
    assert row["mean_completion_min"] == pytest.approx((60 + 30 + 30) / 3 / 60, abs=1e-6)
    assert row["hosts_peak"] == 2


def test_run_gives_the_same_as_csv_and_table(files, call):
    arguments = files()
    _, text, _ = call("run", *arguments, "--policy", "fair-fill", "-f", "csv")
    [row] = csv.DictReader(io.StringIO(text))
    assert tuple(row) == COLUMNS
    assert float(row["makespan_min"]) == 1
    _, table, _ = call("run", *arguments, "--policy", "fair-fill")
    assert "makespan_min" in table
    assert "fair-fill" in table


def test_hosts_may_be_json_and_rates_count_where_hosts_declare_them(files, call):
    hosts = [{"id": "h", "vcpu": 4, "memory_mb": 4096, "score": "1/2", "net_in_bps": 100}]
    tasks = TASKS.replace("duration_s\n", "duration_s,net_in_bps\n")
    tasks = tasks.replace(",60\n", ",60,0\n").replace(",30\n", ",30,100\n")
    tasks = tasks.replace("4,4096,0", "1,1024,0").replace("512,30,30", "512,0,30")
    arguments = files(json.dumps(hosts), tasks, "hosts.json")
    _, out, _ = call("run", *arguments, "--policy", "shared-fcfs-skip", "-f", "json")
    # The two containers take the whole rate one after the other.
    assert json.loads(out)[0]["mean_completion_min"] == pytest.approx(150 / 180, abs=1e-6)
    with_no_rate = files(HOSTS, tasks)
    _, out, _ = call("run", *with_no_rate, "--policy", "shared-fcfs-skip", "-f", "json")
    assert json.loads(out)[0]["mean_completion_min"] == pytest.approx(120 / 180, abs=1e-6)


@pytest.mark.parametrize(
    ("hosts", "tasks", "said"),
    [
        (
            HOSTS,
            TASKS.replace("guest", "vm"),
            "tasks.csv, line 2, field 'kind': 'vm' is unknown; write",
        ),
        (
            HOSTS,
            TASKS.replace("1.5", "many"),
            "tasks.csv, line 4, field 'vcpu': 'many' is not a number",
        ),
        (HOSTS, TASKS.replace("1.5", "nan"), "line 4, field 'vcpu': 'nan' is not a number"),
        (HOSTS, TASKS.replace("1.5", "-1"), "line 4, field 'vcpu': -1 is too small; give"),
        (
            HOSTS,
            TASKS.replace("0,60", "0,0"),
            "line 2, field 'duration_s': 0 is out of range; give",
        ),
        (HOSTS, TASKS.replace("0,60", "0,-5"), "line 2, field 'duration_s': -5 is out of range"),
        (
            HOSTS,
            TASKS.replace("30,30", "1e12,30"),
            "line 4, field 'arrival_s': 1e+12 is out of range",
        ),
        (HOSTS, TASKS.replace("c2", "c1"), "line 4, field 'id': 'c1' is at"),
        (HOSTS, TASKS.replace("c2", ""), "line 4, field 'id': it is empty"),
        (HOSTS, TASKS.replace("0,60", "0"), "line 2, field 'duration_s': it has 5 fields"),
        (
            HOSTS,
            TASKS.replace("duration_s", "lasts"),
            "line 1, field 'duration_s': the header lacks it",
        ),
        (
            HOSTS,
            TASKS.replace("4,4096,0", "5,4096,0"),
            "task 'g1' asks for 5 vcpu, 4096 memory_mb, which no",
        ),
        (HOSTS, "id,kind,vcpu,memory_mb,arrival_s,duration_s\n", "has no task; give one"),
        ("id,vcpu,memory_mb\n", TASKS, "hosts.csv has no host; give one"),
        (HOSTS.replace("h2,4", "h2,0"), TASKS, "hosts.csv, line 3, field 'vcpu': 0 is too small"),
        (
            HOSTS.replace("memory_mb", "memory_mb,score").replace("96\n", "96,2\n"),
            TASKS,
            "field 'score': 2 is not",
        ),
        (
            HOSTS.replace("memory_mb", "memory_mb,gpu").replace("96\n", "96,2\n"),
            TASKS,
            "field 'gpu': it is unknown",
        ),
        ('a,"b', TASKS, "hosts.csv, line 1"),
    ],
)
def test_input_that_cannot_be_used_names_file_line_field_and_remedy(
    files, call, hosts, tasks, said
):
    code, out, err = call("run", *files(hosts, tasks), "--policy", "paper")
    assert code == 2
    assert not out
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "is no JSON list"),
        (
            '[{"id": "h", "vcpu": true, "memory_mb": 1}]',
            "entry 1, field 'vcpu': True is not a number",
        ),
        ('[{"id": 5, "vcpu": 1, "memory_mb": 1}]', "entry 1, field 'id': it is empty or no text"),
        ('[{"id": "h", "vcpu": 1}]', "entry 1, field 'memory_mb'"),
        (
            '[{"id": "a", "vcpu": 1, "memory_mb": 1, "net_in_bps": 5}, {"id": "b", "vcpu": 1, "memory_mb": 1}]',
            "entry 2, field 'net_in_bps': some hosts declare it",
        ),
    ],
)
def test_json_that_cannot_be_used_says_where(files, call, text, said):
    code, _, err = call("run", *files(text, TASKS, "hosts.json"), "--policy", "paper")
    assert code == 2
    assert said in err


def test_a_file_that_is_not_there_and_a_policy_that_is_not_there_are_told(files, call, tmp_path):
    arguments = files()
    code, _, err = call("run", *arguments, "--policy", "gone")
    assert code == 2
    assert "there is no policy 'gone'; there are" in err
    code, _, err = call("run", "--hosts", str(tmp_path / "x"), *arguments[2:], "--policy", "paper")
    assert code == 2
    assert "cannot read" in err


def test_table2_is_the_same_whoever_works_at_it(call):
    options = [
        "table2",
        "--seeds",
        "2",
        "--tests",
        "2",
        "3",
        "--policies",
        "separate-6-3",
        "paper",
        "-f",
    ]
    _, alone, _ = call(*options, "json", "--processes", "1")
    _, together, _ = call(*options, "json", "--processes", "2")
    assert alone == together
    rows = json.loads(alone)
    assert [(row["test"], row["policy"], row["seed"]) for row in rows] == [
        (test, policy, seed)
        for test in (2, 3)
        for policy in ("separate-6-3", "paper")
        for seed in (1, 2)
    ]
    _, text, _ = call(*options, "csv", "--processes", "1")
    assert len(text.splitlines()) == 1 + len(rows)


def test_the_table_names_the_best_split_alone(call):
    policies = ["separate-2-7", "separate-6-3", "paper"]
    _, table, _ = call("table2", "--seeds", "1", "--tests", "3", "--policies", *policies)
    assert "separate-6-3" in table
    assert "best split" in table
    assert "separate-2-7" not in table


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "0"], "--seeds: 0 must be from 1"),
        (["--processes", "0"], "--processes: 0 must be from 1"),
        (["--tests", "7"], "there is no test 7"),
        (["--policies", "separate-5-5"], "N + M = 9"),
    ],
)
def test_options_out_of_range_are_told(call, options, said):
    code, _, err = call("table2", *options)
    assert code == 2
    assert said in err
