# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.core.packing.base import DEFAULT_PACKER

TASKS = "id,cpu,mem\na,4,1\nb,3,3\nc,9,9\nd,1,2\n"
HOSTS = "id,cpu,mem\nx,5,5\ny,4,4\n"


@pytest.fixture
def pack(tmp_path, capsys):
    def run(*options, tasks=TASKS, hosts=HOSTS):
        for name, text in (("tasks.csv", tasks), ("hosts.csv", hosts)):
            if isinstance(text, str):
                (tmp_path / name).write_text(text)
            elif text is not None:
                (tmp_path / name).write_bytes(text)
        where = [] if "--hosts" in options else ["--hosts", str(tmp_path / "hosts.csv")]
        code = simulate.main(["pack", "--tasks", str(tmp_path / "tasks.csv"), *where, *options])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_figures_and_hosts_are_given_as_json(pack):
    code, out, err = pack("-f", "json", "--assignments", "--packer", "cross_fill")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures.pop("seconds") >= 0
    assert figures == {
        "packer": "cross_fill",
        "hosts_used": 2,
        "unplaced": ["c"],
        "lower_bound": 2,
        "ratio": 1.0,
        "assignments": {"a": "x", "b": "y", "d": "x"},
    }


def test_assignments_are_left_out_unless_wanted(pack):
    _, out, _ = pack("-f", "json", "--packer", "cross_fill")
    assert list(json.loads(out)) == [
        "packer",
        "hosts_used",
        "unplaced",
        "lower_bound",
        "ratio",
        "seconds",
    ]


def test_equal_hosts_need_no_file(pack):
    options = ("--hosts", "3*mem=5,cpu=10", "-f", "json", "--assignments", "--packer", "cross_fill")
    code, out, _ = pack(*options)
    assert code == 0
    figures = json.loads(out)
    assert set(figures["assignments"].values()) <= {"host-0", "host-1", "host-2"}
    assert figures["unplaced"] == ["c"]


def test_the_default_packer_is_named(pack):
    code, out, _ = pack("-f", "json")
    assert (code, json.loads(out)["packer"]) == (0, DEFAULT_PACKER)


def test_people_get_a_table(pack):
    code, out, _ = pack("--packer", "cross_fill", "--assignments")
    assert code == 0
    assert "hosts_used" in out
    assert "1: c" in out
    assert "{" not in out


def test_nothing_to_place_has_no_ratio(pack):
    code, out, _ = pack("-f", "json", "--packer", "cross_fill", tasks="id,cpu,mem\n")
    assert code == 0
    figures = json.loads(out)
    assert (figures["hosts_used"], figures["lower_bound"], figures["ratio"]) == (0, 0, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": None}, ["tasks.csv", "No such file"]),
        ({"tasks": b"\xff\xfe\xff"}, ["tasks.csv", "UTF-8"]),
        ({"tasks": ""}, ["tasks.csv, line 1", "id"]),
        ({"tasks": "name,cpu\n"}, ["tasks.csv, line 1", "'id'"]),
        ({"tasks": "id,cpu,cpu\n"}, ["tasks.csv, line 1", "column 3", "twice"]),
        ({"tasks": "id,cpu,mem\na,1\n"}, ["tasks.csv, line 2", "2 columns"]),
        ({"tasks": "id,cpu,mem\na,1,1.5\n"}, ["line 2", "column 'mem'", "'1.5'", "integer"]),
        ({"tasks": "id,cpu,mem\na,1,1\nb,-1,1\n"}, ["line 3", "column 'cpu'", "negative"]),
        ({"tasks": "id,cpu,mem\na,1,1\na,2,2\n"}, ["line 3", "'a'", "line 2"]),
        ({"tasks": "id,cpu,mem\n,1,1\n"}, ["line 2", "column 'id'", "empty"]),
        ({"tasks": 'id,cpu,mem\n"a,1,1\n'}, ["tasks.csv", "not CSV"]),
        ({"hosts": "id,mem,cpu\nx,1,1\n"}, ["hosts.csv, line 1", "same columns"]),
        ({"hosts": "id,cpu,mem\nx,1,one\n"}, ["hosts.csv, line 2", "column 'mem'"]),
    ],
)
def test_a_bad_file_is_said_with_the_place(pack, change, said):
    code, out, err = pack("--packer", "cross_fill", **change)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    for part in said:
        assert part in err


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("0*cpu=1,mem=1", "'0'"),
        ("many*cpu=1,mem=1", "'many'"),
        ("3*cpu=1", "mem"),
        ("3*cpu=1,mem=1,disk=1", "disk"),
        ("3*cpu=1,mem", "'mem'"),
        ("3*cpu=1,cpu=1,mem=1", "twice"),
        ("3*cpu=-1,mem=1", "negative"),
        ("3*cpu=1,mem=2.5", "'2.5'"),
    ],
)
def test_bad_equal_hosts_are_said_with_the_remedy(pack, hosts, said):
    code, out, err = pack("--hosts", hosts)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert said in err


def test_an_unknown_packer_is_told_of_those_there_are(pack):
    code, out, err = pack("--packer", "best")
    assert (code, out) == (2, "")
    assert "'best'" in err
    assert "cross_fill" in err


def test_the_program_ends_without_a_traceback(tmp_path):
    program = [sys.executable, "-m", "hybrid_sched.cmd.simulate", "pack", "--hosts", "1*cpu=1"]
    command = [*program, "--tasks", str(tmp_path / "none.csv")]
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "Traceback" not in bad.stderr
