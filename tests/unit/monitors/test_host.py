# SPDX-License-Identifier: Apache-2.0
"""The source on the machine that runs the tests, and its rules on figures of other machines."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from source_options import options

from hybrid_sched.core.measures import RATE_OF_COUNTER
from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.monitors.host import HostSource, busy_s, stall_fractions


def test_totals_are_those_of_the_machine() -> None:
    seen = HostSource(options()).collect()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert seen.cpus == os.cpu_count()
    assert seen.memory_mb == pages // 2**20
    assert 0 < seen.gauges["memory_used_mb"] < seen.memory_mb
    assert seen.hardware is not None
    assert seen.counters.keys() <= RATE_OF_COUNTER.keys()


def test_cpu_time_grows_by_what_is_worked() -> None:
    source = HostSource(options())
    before_s = source.collect().counters["cpu_s"]
    worked_from_s = sum(os.times()[:2])
    while sum(os.times()[:2]) < worked_from_s + 0.3:
        pass
    # The kernel accounts in ticks of 10 ms.
    assert source.collect().counters["cpu_s"] - before_s >= 0.25


def test_waiting_and_what_others_took_is_no_work_and_guests_count_once() -> None:
    fields = "user nice system idle iowait irq softirq steal guest guest_nice"
    times = namedtuple("Times", fields)(10, 2, 4, 1000, 500, 0.25, 0.5, 700, 9, 1)
    assert busy_s(times) == 16.75


def test_bytes_are_summed_over_whole_disks_and_uplinks_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = namedtuple("Disk", "read_bytes write_bytes")
    link = namedtuple("Link", "bytes_recv bytes_sent")
    disks = {"sda": disk(1, 10), "sda1": disk(1, 10), "sdb": disk(2, 20), "dm-0": disk(3, 30)}
    links = {"eth0": link(4, 40), "lo": link(5, 50), "br0": link(4, 40)}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: disks)
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: links)
    monkeypatch.setattr(
        "hybrid_sched.monitors.host.physical_disks", lambda: {"sda": "8:0", "sdb": "8:16"}
    )
    monkeypatch.setattr("hybrid_sched.monitors.host.uplinks", lambda: ("eth0", "eth1"))
    counters = dict(HostSource(options()).collect().counters)
    del counters["cpu_s"]
    assert counters == {
        "disk_read_bytes": 3,
        "disk_write_bytes": 30,
        "net_in_bytes": 4,
        "net_out_bytes": 40,
    }


def test_a_machine_without_disks_tells_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybrid_sched.monitors.host.physical_disks", dict)
    monkeypatch.setattr("hybrid_sched.monitors.host.uplinks", tuple)
    assert HostSource(options()).collect().counters.keys() == {"cpu_s"}


def test_stalls_are_fractions_and_missing_without_the_kernels_support(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text("some avg10=12.50 avg60=1.00 avg300=0.00 total=1\n")
    (tmp_path / "io").write_text(
        "some avg10=100.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=50.00 avg60=0 total=1\n"
    )
    assert stall_fractions(tmp_path) == {"cpu_stall_fraction": 0.125, "io_stall_fraction": 1.0}
    assert stall_fractions(tmp_path / "none") == {}


def test_a_proc_that_cannot_be_read_is_an_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError("no such file")

    monkeypatch.setattr(psutil, "cpu_times", fail)
    with pytest.raises(SourceError, match=r"^The host's figures cannot be read: .* mounted"):
        HostSource(options()).collect()
