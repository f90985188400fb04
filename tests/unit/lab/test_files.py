# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
from pathlib import Path

from lab import ini, meminfo
from lab.layout import Host, Lab, saved_lab

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
