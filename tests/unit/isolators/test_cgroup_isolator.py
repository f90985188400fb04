# SPDX-License-Identifier: Apache-2.0
"""The isolator on files like those of control groups; that the kernel takes them is in the integration tests."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from kernel_files import PID, KernelFiles, write
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import cgroup, places
from hybrid_sched.isolators.cgroup import CgroupIsolator
from hybrid_sched.isolators.places import Place

_ID = "c0ffee" * 10
_ASPECTS = frozenset(Aspect) - {Aspect.CPU_WEIGHT, Aspect.NET_IN, Aspect.NET_OUT}
_LIMITS = Limits(
    cpu_quota=Fraction(3, 2),
    cpus=frozenset({1, 2}),
    memory_mb=256,
    memory_low_mb=128,
    disk_read_bps=1_000_000,
    disk_write_bps=2_000_000,
)
_V1 = {
    "cpu": {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
    "cpuset": {"cpuset.cpus": "0-3"},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712",
        "memory.memsw.limit_in_bytes": "9223372036854771712",
        "memory.soft_limit_in_bytes": "9223372036854771712",
    },
    "blkio": {"blkio.throttle.read_bps_device": "", "blkio.throttle.write_bps_device": ""},
}
_V2 = {
    "cpu.max": "max 100000",
    "cpuset.cpus": "",
    "cpuset.cpus.effective": "0-3",
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.low": "0",
    "io.max": "",
}


class Host(KernelFiles):
    """One disk 8:0 and one task, whose groups are made by :meth:`version_1` or :meth:`version_2`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.sys = root / "sys"
        disk = self.sys / "block" / "sda"
        (disk / "device").mkdir(parents=True)
        (disk / "dev").write_text("8:0\n")
        self.found = [Place("one", CONTAINER, PID, _ID)]
        self.errors: dict[str, str] = {}

    def version_1(self) -> None:
        self.process(*(f"{n}:{name}:/docker/{_ID}" for n, name in enumerate(_V1, 1)))
        for name, files in _V1.items():
            self.mount("cgroup", self.groups / name, "/", f"rw,{name}")
            for folder in ("", "docker", f"docker/{_ID}"):
                for file, text in files.items():
                    write(self.groups / name / folder / file, text and f"{text}\n")

    def version_2(self, controllers: str = "cpuset cpu io memory pids") -> None:
        self.process(f"0::/docker/{_ID}")
        self.mount("cgroup2", self.groups, "/", "rw")
        for folder in ("", "docker", f"docker/{_ID}"):
            write(self.groups / folder / "cgroup.controllers", f"{controllers}\n")
            write(self.groups / folder / "cgroup.subtree_control", f"{controllers}\n")
        for file, text in _V2.items():
            write(self.groups / "docker" / _ID / file, text and f"{text}\n")

    def text(self, path: str) -> str:
        return (self.groups / path).read_text().strip()

    def set(self, path: str, text: str) -> None:
        write(self.groups / path, f"{text}\n")

    def isolator(self, *sources: str) -> CgroupIsolator:
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        conf.set_override("sources", ["host", *(sources or ("docker",))], group="agent")
        return CgroupIsolator(conf, self.proc, self.sys)

    def finder(self, framework: str) -> Callable[[cfg.ConfigOpts], list[Place]]:
        def find(_conf: cfg.ConfigOpts) -> list[Place]:
            if framework in self.errors:
                raise IsolationError(self.errors[framework])
            return [each for each in self.found if each.framework == framework]

        return find


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    finders = {"libvirt": made.finder(HYPERVISOR), "docker": made.finder(CONTAINER)}
    monkeypatch.setattr(places, "FINDERS", finders)
    return made


def test_version_1_holds_each_aspect_and_says_what_it_holds_in_part(host: Host) -> None:
    host.version_1()
    ability = host.isolator().ability()
    assert ability.aspects == _ASPECTS
    assert list(ability.missing) == [Aspect.DISK_WRITE]
    assert "page cache" in ability.missing[Aspect.DISK_WRITE]


def test_version_2_holds_each_aspect(host: Host) -> None:
    host.version_2()
    ability = host.isolator().ability()
    assert (ability.aspects, ability.missing) == (_ASPECTS, {})


def test_what_the_kernel_lacks_is_said_by_aspect(host: Host) -> None:
    host.version_1()
    (host.groups / "memory" / "memory.soft_limit_in_bytes").unlink()
    missing = dict(host.isolator().ability().missing)
    del missing[Aspect.DISK_WRITE]
    assert list(missing) == [Aspect.MEMORY_LOW]
    assert "no memory.soft_limit_in_bytes" in missing[Aspect.MEMORY_LOW]


def test_a_controller_that_is_off_in_version_2_is_said_by_aspect(host: Host) -> None:
    host.version_2("cpuset cpu pids")
    ability = host.isolator().ability()
    assert ability.aspects == {Aspect.CPU_QUOTA, Aspect.CPUS}
    assert set(ability.missing) == _ASPECTS - ability.aspects
    assert "cgroup_disable=io" in ability.missing[Aspect.DISK_READ]


def test_without_control_groups_nothing_is_held(host: Host) -> None:
    ability = host.isolator().ability()
    assert ability.aspects == frozenset()
    assert set(ability.missing) == _ASPECTS
    assert "no controller cpuset" in ability.missing[Aspect.CPUS]


def test_files_that_cannot_be_written_are_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.version_2()
    monkeypatch.setattr(cgroup.os, "access", lambda path, mode: path != host.groups)
    ability = host.isolator().ability()
    assert ability.aspects == frozenset()
    assert f"{host.groups} cannot be written" in ability.missing[Aspect.MEMORY]


def test_no_limits_are_read_as_none(host: Host) -> None:
    host.version_2()
    assert host.isolator().read() == {"one": Limits()}


def test_no_limits_of_version_1_are_none_but_for_its_cpus(host: Host) -> None:
    host.version_1()
    assert host.isolator().read() == {"one": Limits(cpus=frozenset(range(4)))}


def test_version_1_is_written_and_read_back(host: Host) -> None:
    host.version_1()
    isolator = host.isolator()
    isolator.hold("one", _LIMITS, _ASPECTS)
    own = f"docker/{_ID}"
    assert host.text(f"cpu/{own}/cpu.cfs_quota_us") == "30000"
    assert host.text(f"cpuset/{own}/cpuset.cpus") == "1,2"
    assert host.text(f"memory/{own}/memory.limit_in_bytes") == str(256 * 2**20)
    assert host.text(f"memory/{own}/memory.memsw.limit_in_bytes") == str(256 * 2**20)
    assert host.text(f"memory/{own}/memory.soft_limit_in_bytes") == str(128 * 2**20)
    assert host.text(f"blkio/{own}/blkio.throttle.read_bps_device") == "8:0 1000000"
    assert host.text(f"blkio/{own}/blkio.throttle.write_bps_device") == "8:0 2000000"
    assert isolator.read() == {"one": _LIMITS}


def test_version_2_is_written_and_read_back(host: Host) -> None:
    host.version_2()
    isolator = host.isolator()
    isolator.hold("one", _LIMITS, _ASPECTS - {Aspect.DISK_WRITE})
    own = f"docker/{_ID}"
    assert host.text(f"{own}/cpu.max") == "30000 20000"
    assert host.text(f"{own}/cpuset.cpus") == "1,2"
    assert host.text(f"{own}/memory.max") == str(256 * 2**20)
    assert host.text(f"{own}/memory.swap.max") == "0"
    assert host.text(f"{own}/memory.low") == str(128 * 2**20)
    assert host.text(f"{own}/io.max") == "8:0 rbps=1000000"
    # The kernel adds these.
    host.set(f"{own}/io.max", "8:0 rbps=1000000 wbps=2000000 riops=max wiops=max")
    host.set(f"{own}/cpuset.cpus.effective", "1-2")
    assert isolator.read() == {"one": _LIMITS}


def test_only_what_is_named_is_set(host: Host) -> None:
    host.version_2()
    isolator = host.isolator()
    isolator.hold("one", _LIMITS, {Aspect.MEMORY})
    assert isolator.read() == {"one": Limits(memory_mb=256)}


def test_none_removes_a_limit(host: Host) -> None:
    host.version_1()
    isolator = host.isolator()
    isolator.hold("one", _LIMITS, _ASPECTS)
    isolator.hold("one", Limits(), _ASPECTS)
    own = f"docker/{_ID}"
    assert host.text(f"cpu/{own}/cpu.cfs_quota_us") == "-1"
    assert host.text(f"cpuset/{own}/cpuset.cpus") == "0,1,2,3"
    for file in ("limit_in_bytes", "memsw.limit_in_bytes", "soft_limit_in_bytes"):
        assert host.text(f"memory/{own}/memory.{file}") == "-1"
    assert host.text(f"blkio/{own}/blkio.throttle.read_bps_device") == "8:0 0"


def test_none_removes_a_limit_of_version_2(host: Host) -> None:
    host.version_2()
    isolator = host.isolator()
    isolator.hold("one", _LIMITS, _ASPECTS)
    isolator.hold("one", Limits(), _ASPECTS)
    own = f"docker/{_ID}"
    for file, text in _V2.items():
        if file not in {"cpu.max", "io.max", "cpuset.cpus.effective"}:
            assert host.text(f"{own}/{file}") == text
    assert host.text(f"{own}/cpu.max") == "max"
    assert host.text(f"{own}/io.max") == "8:0 wbps=max"


def test_memory_that_may_be_swapped_counts_as_memory(host: Host) -> None:
    host.version_2()
    host.set(f"docker/{_ID}/memory.max", str(100 * 2**20))
    assert host.isolator().read()["one"].memory_mb is None
    host.set(f"docker/{_ID}/memory.swap.max", str(50 * 2**20))
    assert host.isolator().read()["one"].memory_mb == 150
    (host.groups / "docker" / _ID / "memory.swap.max").unlink()
    assert host.isolator().read()["one"].memory_mb == 100


def test_a_disk_without_the_limit_is_as_none_at_all(host: Host) -> None:
    host.version_1()
    host.set(f"blkio/docker/{_ID}/blkio.throttle.read_bps_device", "7:0 5\n8:0 9")
    assert host.isolator().read()["one"].disk_read_bps == 9
    host.set(f"blkio/docker/{_ID}/blkio.throttle.read_bps_device", "7:0 5")
    assert host.isolator().read()["one"].disk_read_bps is None


def test_memory_is_protected_as_far_as_the_groups_above_protect(host: Host) -> None:
    host.version_2()
    # Of another task, to which Docker gave it.
    host.set("docker/other/memory.low", str(128 * 2**20))
    host.set("docker/memory.low", "0")
    isolator = host.isolator()
    host.set(f"docker/{_ID}/memory.low", str(128 * 2**20))
    assert isolator.read()["one"].memory_low_mb is None
    host.set("docker/memory.low", str(128 * 2**20))
    assert isolator.read()["one"].memory_low_mb == 64
    isolator.hold("one", _LIMITS, {Aspect.MEMORY_LOW})
    assert host.text("docker/memory.low") == str(256 * 2**20)
    assert isolator.read()["one"].memory_low_mb == 128


def test_a_controller_is_switched_on_where_a_group_above_does_not_give_it(host: Host) -> None:
    host.version_2()
    (host.groups / "docker" / _ID / "io.max").unlink()
    host.set("docker/cgroup.subtree_control", "cpu memory")
    host.isolator().hold("one", _LIMITS, {Aspect.DISK_READ})
    assert host.text("docker/cgroup.subtree_control") == "+io"
    assert "io" in host.text("cgroup.subtree_control").split()


def test_the_groups_of_a_guests_vcpus_get_its_cpus_and_tell_them(host: Host) -> None:
    host.version_1()
    for name in ("emulator", "vcpu0"):
        host.set(f"cpuset/docker/{_ID}/{name}/cpuset.cpus", "0")
    isolator = host.isolator()
    assert isolator.read()["one"].cpus == {0}
    isolator.hold("one", _LIMITS, {Aspect.CPUS})
    for name in ("", "emulator", "vcpu0"):
        assert host.text(f"cpuset/docker/{_ID}/{name}/cpuset.cpus") == "1,2"


def test_the_memory_of_a_guest_is_left_alone(host: Host) -> None:
    host.version_2()
    host.found = [Place("one", HYPERVISOR, PID, _ID)]
    host.set(f"docker/{_ID}/memory.max", str(100 * 2**20))
    host.set(f"docker/{_ID}/memory.swap.max", "0")
    isolator = host.isolator("libvirt")
    assert isolator.read()["one"].memory_mb is None
    isolator.hold("one", Limits(cpu_quota=1), {Aspect.MEMORY, Aspect.CPU_QUOTA})
    assert host.text(f"docker/{_ID}/memory.max") == str(100 * 2**20)
    assert isolator.read()["one"].cpu_quota == 1


def test_a_refusal_names_the_task_the_aspect_and_the_file_and_the_rest_is_set(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.version_2()
    write_text = Path.write_text

    def refuse(path: Path, text: str) -> int:
        if path.name == "cpuset.cpus":
            raise PermissionError(13, "Permission denied")
        return write_text(path, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    isolator = host.isolator()
    said = f"cpus=.* of container task one cannot be set: Permission denied .*{_ID}/cpuset.cpus"
    with pytest.raises(IsolationError, match=said):
        isolator.hold("one", _LIMITS, {Aspect.CPUS, Aspect.MEMORY})
    assert isolator.read()["one"].memory_mb == 256


def test_a_task_that_is_gone_is_no_error_and_not_told(host: Host) -> None:
    host.version_2()
    isolator = host.isolator()
    isolator.hold("another", _LIMITS, _ASPECTS)
    isolator.read()
    (host.proc / str(PID) / "cgroup").unlink()
    (host.proc / str(PID)).rmdir()
    isolator.hold("one", _LIMITS, _ASPECTS)
    assert isolator.read() == {}


def test_the_number_of_an_ended_process_does_not_lead_to_another_task(host: Host) -> None:
    host.version_2()
    isolator = host.isolator()
    isolator.read()
    host.found = []
    # Its process is another's now.
    host.process("0::/docker/another")
    host.set("docker/another/memory.max", "max")
    isolator.hold("one", _LIMITS, {Aspect.MEMORY})
    assert host.text("docker/another/memory.max") == "max"


def test_a_task_whose_groups_are_not_mounted_here_is_told_as_held_by_nothing(host: Host) -> None:
    host.process(f"0::/docker/{_ID}")
    isolator = host.isolator()
    assert isolator.read() == {"one": Limits()}
    with pytest.raises(IsolationError, match="task one cannot be set: no control group"):
        isolator.hold("one", _LIMITS, {Aspect.MEMORY})


def test_while_libvirt_is_away_containers_are_held(host: Host) -> None:
    host.version_2()
    host.errors[HYPERVISOR] = "libvirt does not tell."
    assert host.isolator("libvirt", "docker").read() == {"one": Limits()}
    with pytest.raises(IsolationError, match=r"^libvirt does not tell\.$"):
        host.isolator("libvirt").read()
    host.errors[CONTAINER] = "Docker neither."
    with pytest.raises(IsolationError, match=r"libvirt does not tell\. Docker neither\."):
        host.isolator("libvirt", "docker").read()
