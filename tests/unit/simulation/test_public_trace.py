# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.cmd import simulate
from hybrid_sched.simulation.workload import read_hosts, read_tasks

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn1,32000,262144,0,\nn2,8500,32768,1,T4\n"
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p1,12000,16384,1,1000,,LS,Running,0,500,20
p2,250,512,0,0,,BE,Succeeded,10,10,10
p3,4000,0,0,0,,Guaranteed,Pending,30,90,
p4,0,0,1,500,,BE,Running,1,2,1
"""


@pytest.fixture
def convert(tmp_path, capsys):
    def call(nodes=NODES, pods=PODS, tasks="tasks.csv"):
        (tmp_path / "nodes.csv").write_text(nodes)
        (tmp_path / "pods.csv").write_text(pods)
        options = {
            "--nodes": tmp_path / "nodes.csv",
            "--pods": tmp_path / "pods.csv",
            "--hosts": tmp_path / "hosts.csv",
            "--tasks": tmp_path / tasks,
        }
        arguments = [str(part) for option in options.items() for part in option]
        return simulate.main(["convert", *arguments]), capsys.readouterr().err

    return call


def test_pods_become_tasks_and_nodes_hosts(convert, tmp_path):
    code, err = convert()
    assert code == 0
    assert "1 pods that ask for nothing are left out" in err
    first, second = read_hosts(str(tmp_path / "hosts.csv"))
    assert (first.name, *first.capacity[:2]) == ("n1", 32, 262144)
    assert second.capacity.vcpu == 8.5
    tasks = read_tasks(str(tmp_path / "tasks.csv"))
    assert [
        (each.name, each.framework, *map(float, each.demand[:2]), each.arrival_s, each.duration_s)
        for each in tasks
    ] == [
        ("p1", "hypervisor", 12, 16384, 0, 480),
        ("p2", "container", 0.25, 512, 10, 1),
        ("p3", "hypervisor", 4, 0, 30, 60),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": "sn,cpu_milli\nn1,1\n"}, "nodes.csv, line 1, field 'memory_mib'"),
        ({"pods": PODS.replace("250", "2.5")}, "line 3, field 'cpu_milli': 5/2 is no whole number"),
        ({"pods": PODS.splitlines()[0] + "\n"}, "has no pod"),
        ({"tasks": "gone/tasks.csv"}, "cannot write"),
    ],
)
def test_files_that_cannot_be_used_are_named(convert, change, said):
    code, err = convert(**change)
    assert code == 2
    assert said in err
