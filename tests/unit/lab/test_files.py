# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
import threading
from pathlib import Path

from lab import cpu_stat, ini, meminfo
from lab.layout import Host, Lab, saved_lab
from lab.mounted_file import overwrite

_MACHINE = """\
MemTotal:       24684432 kB
MemFree:        19529000 kB
Active(anon):     123456 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""


def test_the_memory_of_a_host_is_its_own_whatever_the_machine_has() -> None:
    assert meminfo.render(_MACHINE, total_kb=4096, used_kb=96) == (
        "MemTotal:           4096 kB\n"
        "MemFree:            4000 kB\n"
        "Active(anon):          0 kB\n"
        "HugePages_Total:       0\n"
        "Hugepagesize:          0 kB\n"
    )


def test_the_memory_of_a_numa_node_too() -> None:
    text = "Node 0 MemTotal:       24684432 kB\nNode 0 MemUsed:         5155432 kB\n"
    assert meminfo.render(text, total_kb=4096, used_kb=96) == (
        "Node 0 MemTotal:           4096 kB\nNode 0 MemUsed:              96 kB\n"
    )


def test_a_host_that_uses_more_than_it_has_has_nothing_free() -> None:
    assert "MemFree:               0 kB" in meminfo.render(_MACHINE, total_kb=4096, used_kb=5000)


def test_options_with_a_list_are_given_once_for_each(tmp_path: Path) -> None:
    path = ini.write(tmp_path / "x.conf", {"a": {"one": 1, "many": ["x", "y"]}, "b": {}})
    assert path.read_text() == "[a]\none = 1\nmany = x\nmany = y\n\n[b]\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lab_is_found_again_by_later_commands(tmp_path: Path) -> None:
    assert saved_lab(tmp_path) is None
    lab = Lab((Host(1, 4096), Host(2, 2048)), stock=True, state=tmp_path)
    lab.save()
    again = saved_lab(tmp_path)
    assert again == lab
    assert again is not None
    assert again.password == lab.password
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


_STAT = """\
cpu  400 0 100 9500 0 0 0 0 0 0
cpu0 200 0 50 4750 0 0 0 0 0 0
cpu1 200 0 50 4750 0 0 0 0 0 0
ctxt 11
btime 1700000000
"""


def test_the_cpu_time_of_a_host_is_that_of_its_own_processes() -> None:
    told = cpu_stat.render(_STAT, used_s=3, passed_s=50)
    assert [line.split()[:5] for line in told.splitlines()] == [
        ["cpu", "300", "0", "0", "9700"],
        ["cpu0", "150", "0", "0", "4850"],
        ["cpu1", "150", "0", "0", "4850"],
        ["ctxt", "11"],
        ["btime", "1700000000"],
    ]
    # It is written over while others read it.
    assert len(cpu_stat.render(told, used_s=3e6, passed_s=5e7)) == len(told)


def test_a_file_in_the_place_of_the_kernels_is_never_seen_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text(_MACHINE)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(len(path.read_text()))

    reader = threading.Thread(target=read)
    reader.start()
    for used_kb in range(5000):
        overwrite(path, meminfo.render(_MACHINE, total_kb=24684432, used_kb=used_kb))
    done.set()
    reader.join()
    assert seen == {len(_MACHINE)}
    assert meminfo.render(_MACHINE, total_kb=24684432, used_kb=4999) == path.read_text()
