# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_sched.core.doctor.facts import NovaSettings, Unseen, ZunSettings
from hybrid_sched.doctor.settings import cpu_set, nova_settings, zun_settings


def test_what_is_not_written_has_the_default_of_the_service(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_text("[DEFAULT]\nunknown = 1\n")
    assert nova_settings(file, "here") == NovaSettings(
        str(file), "here", reserved={"VCPU": 0, "MEMORY_MB": 512, "DISK_GB": 0}
    )
    assert zun_settings(file, "here") == ZunSettings(str(file), "here")


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "1.conf").write_text(
        "[DEFAULT]\nhost = one\nreserved_host_disk_mb = 1025\nram_allocation_ratio = 0\n"
    )
    (tmp_path / "2.conf").write_text(
        "[DEFAULT]\nreserved_host_cpus = 2\ndisk_allocation_ratio = 1.5\n"
        "[filter_scheduler]\nenabled_filters = A, B\n"
    )
    read = nova_settings(tmp_path, "here")
    assert isinstance(read, NovaSettings)
    assert (read.host, read.enabled_filters) == ("one", ("A", "B"))
    assert read.reserved == {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 2}
    assert read.ratios == {"DISK_GB": 1.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[DEFAULT]\nreserved_host_cpus = many\n", "reserved_host_cpus"),
        ("[compute]\ncpu_dedicated_set = 1-b\n", "cpu_dedicated_set: '1-b' is no CPU or range"),
        ("no section\n", "nova.conf"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(text)
    read = nova_settings(file, "here")
    assert isinstance(read, Unseen)
    assert not read.expected
    assert said in read.sentence


def test_a_file_that_is_not_there_is_expected(tmp_path: Path) -> None:
    read = zun_settings(tmp_path / "zun.conf", "here")
    assert isinstance(read, Unseen)
    assert read.expected


@pytest.mark.parametrize(
    ("written", "cpus"),
    [("", []), ("3", [3]), ("1-4,^3, 6", [1, 2, 4, 6]), ("^3,3-4", [4])],
)
def test_sets_of_cpus_are_read_as_nova_does(written: str, cpus: list[int]) -> None:
    assert sorted(cpu_set(written)) == cpus
