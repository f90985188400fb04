# SPDX-License-Identifier: Apache-2.0
"""Control groups and network of a container, on trees like the kernel makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import PID, KernelFiles, write

from hybrid_sched.control_groups import NotReachable
from hybrid_sched.monitors.cgroup import throttled_s_of_guest, usage
from hybrid_sched.monitors.waits import ThreadWaits

_ID = "c0ffee" * 10
_DISKS = {"8:0", "8:16"}
_NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999       1    0    0    0     0          0         0     9999       1    0    0    0     0       0          0
  eth0:    1000       2    0    0    0     0          0         0      300       4    0    0    0     0       0          0
  eth1: 10       2    0    0    0     0          0         0      3       4    0    0    0     0       0          0
"""
_V1_BLKIO = """8:0 Read 4096
8:0 Write 8192
8:0 Sync 12288
8:0 Async 0
8:0 Discard 0
8:0 Total 12288
8:16 Read 1
8:16 Write 2
253:0 Read 4096
253:0 Write 8192
Total 24579
"""
_V2_IO = """8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0
253:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0
8:16 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=7 dios=1
"""
_NETWORK = {"net_in_bytes": 1010, "net_out_bytes": 303}
_KILLS = {"oom_kills": 3}
_CPU = {"cpu_throttled_s": 0.75, "cpu_wait_s": 1.25}
_DISK = {"disk_read_bytes": 4097, "disk_write_bytes": 8194}


class Kernel(KernelFiles):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        write(self.proc / str(PID) / "net" / "dev", _NET)

    def mount_v1(self, root: str = "/") -> None:
        for name, controllers in (
            ("cpu,cpuacct", "cpu,cpuacct"),
            ("memory", "memory"),
            ("blkio", "blkio"),
        ):
            self.mount("cgroup", self.groups / name, root, f"rw,{controllers}")

    def fill_v1(self, path: str) -> None:
        write(self.groups / "cpu,cpuacct" / path / "cpuacct.usage", "2500000000\n")
        write(
            self.groups / "cpu,cpuacct" / path / "cpu.stat",
            "nr_periods 9\nnr_throttled 2\nthrottled_time 750000000\n",
        )
        write(self.groups / "memory" / path / "memory.usage_in_bytes", f"{100 * 2**20}\n")
        write(
            self.groups / "memory" / path / "memory.stat",
            f"inactive_file 5\ntotal_inactive_file {30 * 2**20}\n",
        )
        write(
            self.groups / "memory" / path / "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        )
        write(self.groups / "blkio" / path / "blkio.throttle.io_service_bytes_recursive", _V1_BLKIO)

    def fill_v2(self, path: str) -> None:
        group = self.groups / path
        write(
            group / "cpu.stat",
            "usage_usec 2500000\nuser_usec 1\nsystem_usec 2\nnr_periods 9\nthrottled_usec 750000\n",
        )
        write(
            group / "cpu.pressure",
            "some avg10=1.00 avg60=0.00 avg300=0.00 total=1250000\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        )
        write(group / "memory.current", f"{100 * 2**20}\n")
        write(group / "memory.stat", f"anon 1\ninactive_file {30 * 2**20}\n")
        write(group / "memory.events", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\n")
        write(group / "io.stat", _V2_IO)

    def usage(self) -> tuple[dict[str, float], dict[str, float]]:
        return usage(PID, _ID, _DISKS, self.proc)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def v1_lines(path: str) -> list[str]:
    return [f"9:cpu,cpuacct:{path}", f"4:memory:{path}", f"7:blkio:{path}", f"0::{path}"]


def test_version_1_is_read_even_with_an_empty_version_2_beside_it(kernel: Kernel) -> None:
    kernel.process(*v1_lines(f"/docker/{_ID}"))
    kernel.mount_v1()
    kernel.mount("cgroup2", kernel.groups / "unified", "/", "rw")
    write(kernel.groups / "unified" / "docker" / _ID / "cpu.stat", "usage_usec 7\n")
    kernel.fill_v1(f"docker/{_ID}")
    gauges, counters = kernel.usage()
    assert gauges == {"memory_used_mb": 70}
    assert counters == {"cpu_s": 2.5, "cpu_throttled_s": 0.75, **_DISK, **_KILLS, **_NETWORK}


def test_version_2_is_read(kernel: Kernel) -> None:
    kernel.process(f"0::/system.slice/docker-{_ID}.scope")
    kernel.mount("cgroup2", kernel.groups, "/", "rw,nsdelegate")
    kernel.fill_v2(f"system.slice/docker-{_ID}.scope")
    gauges, counters = kernel.usage()
    assert gauges == {"memory_used_mb": 70}
    assert counters == {"cpu_s": 2.5, **_CPU, **_DISK, **_KILLS, **_NETWORK}


def test_a_container_whose_cpu_time_is_not_counted_here_is_not_reachable(kernel: Kernel) -> None:
    kernel.process(f"4:memory:/docker/{_ID}", f"9:cpuacct:/{'bad' * 20}")
    kernel.mount_v1()
    kernel.fill_v1(f"docker/{_ID}")
    with pytest.raises(NotReachable, match="4711 has no control group that counts its CPU time"):
        kernel.usage()


def test_figures_of_controllers_that_are_off_are_left_out(kernel: Kernel) -> None:
    kernel.process(f"0::/docker/{_ID}")
    kernel.mount("cgroup2", kernel.groups, "/", "rw")
    write(kernel.groups / "docker" / _ID / "cpu.stat", "usage_usec 2500000\n")
    assert kernel.usage() == ({}, {"cpu_s": 2.5, **_NETWORK})


def test_no_line_of_a_disk_is_no_zero_in_version_1_and_a_zero_in_version_2(kernel: Kernel) -> None:
    kernel.process(*v1_lines(f"/docker/{_ID}"))
    kernel.mount_v1()
    kernel.fill_v1(f"docker/{_ID}")
    file = kernel.groups / "blkio" / "docker" / _ID / "blkio.throttle.io_service_bytes_recursive"
    file.write_text("253:0 Write 5\nTotal 5\n")
    assert "disk_write_bytes" not in kernel.usage()[1]

    kernel.process(f"0::/docker/{_ID}")
    kernel.mount("cgroup2", kernel.groups, "/", "rw")
    kernel.fill_v2(f"docker/{_ID}")
    (kernel.groups / "docker" / _ID / "io.stat").write_text("")
    assert kernel.usage()[1]["disk_write_bytes"] == 0


def test_more_cache_than_is_in_use_is_no_negative_memory(kernel: Kernel) -> None:
    kernel.process(f"0::/docker/{_ID}")
    kernel.mount("cgroup2", kernel.groups, "/", "rw")
    kernel.fill_v2(f"docker/{_ID}")
    (kernel.groups / "docker" / _ID / "memory.current").write_text("1\n")
    assert kernel.usage()[0] == {"memory_used_mb": 0}


def test_version_1_has_waiting_from_the_threads_of_the_control_group(kernel: Kernel) -> None:
    kernel.process(*v1_lines(f"/docker/{_ID}"))
    kernel.mount_v1()
    kernel.fill_v1(f"docker/{_ID}")
    write(kernel.groups / "cpu,cpuacct" / "docker" / _ID / "tasks", "12\n")
    write(kernel.proc / "12" / "schedstat", "5 1500000000 3\n")
    waits = ThreadWaits(kernel.proc)
    _, counters = usage(PID, _ID, _DISKS, kernel.proc, waits)
    assert counters["cpu_wait_s"] == 1.5


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/machine/qemu-1-one.libvirt-qemu/emulator", 1),
        ("/machine.slice/machine-qemu\\x2d1\\x2done.scope/libvirt/emulator", 2),
    ],
)
def test_limits_of_a_guest_are_those_of_its_virtual_cpus_and_of_all_of_it(
    path: str, version: int, kernel: Kernel
) -> None:
    if version == 1:
        kernel.process(f"9:cpu,cpuacct:{path}", "4:memory:/machine/qemu-1-one.libvirt-qemu")
        kernel.mount_v1()
        root, line = kernel.groups / "cpu,cpuacct", "throttled_time {}000000000"
    else:
        kernel.process(f"0::{path}")
        kernel.mount("cgroup2", kernel.groups, "/", "rw")
        root, line = kernel.groups, "throttled_usec {}000000"
    guest = root / path.lstrip("/")
    for folder, seconds in (("emulator", 1), ("vcpu0", 2), ("vcpu1", 4)):
        write(guest.parent / folder / "cpu.stat", f"nr_periods 1\n{line.format(seconds)}\n")
    write(guest.parent / "cpu.stat", f"{line.format(8)}\n")
    assert throttled_s_of_guest(PID, kernel.proc) == 15


def test_a_process_that_libvirt_put_into_no_group_tells_nothing_of_a_guest(kernel: Kernel) -> None:
    kernel.process("9:cpu,cpuacct:/user.slice")
    kernel.mount_v1()
    write(kernel.groups / "cpu,cpuacct" / "user.slice" / "cpu.stat", "throttled_time 5\n")
    assert throttled_s_of_guest(PID, kernel.proc) is None
