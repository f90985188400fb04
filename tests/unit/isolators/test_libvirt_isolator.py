# SPDX-License-Identifier: Apache-2.0
"""The isolator against a small fake: libvirt's own test driver has no way to set anything live.

The real libvirt is in the integration tests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import libvirt
import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import libvirt as isolators_libvirt
from hybrid_sched.isolators.libvirt import LibvirtIsolator

_HOST_CPUS = 4
_UNLIMITED_KB = 9007199254740991
_ALL = frozenset(
    {
        Aspect.CPU_QUOTA,
        Aspect.CPU_WEIGHT,
        Aspect.CPUS,
        Aspect.MEMORY_LOW,
        Aspect.DISK_READ,
        Aspect.DISK_WRITE,
    }
)
_LIMITS = Limits(
    cpu_quota=Fraction(1, 3),
    cpu_weight=512,
    cpus=frozenset({1, 2}),
    memory_low_mb=100,
    disk_read_bps=5_000_000,
    disk_write_bps=1_000_000,
)
_NOTHING = Limits(cpu_quota=2, cpu_weight=1024, cpus=frozenset(range(_HOST_CPUS)))


class Fault(libvirt.libvirtError):
    def __init__(self, code: int) -> None:
        super().__init__("fault")
        self._code = code

    def get_error_code(self) -> int:
        return self._code

    def __str__(self) -> str:
        return f"fault {self._code}"


class FakeDomain:
    """A running domain as the QEMU driver gives it: two virtual CPUs, one iothread, and disks."""

    def __init__(self, uuid: str, *disks: str) -> None:
        self.uuid = uuid
        self.active = True
        self.control = libvirt.VIR_DOMAIN_CONTROL_OK
        self.scheduler = {"cpu_shares": 1024, "vcpu_period": 100000, "vcpu_quota": -1}
        self.soft_limit = _UNLIMITED_KB
        everywhere = (True,) * _HOST_CPUS
        self.vcpu_pins = {0: everywhere, 1: everywhere}
        self.emulator_pin = everywhere
        self.iothread_pin: tuple[bool, ...] | None = None
        self.tunes: dict[str, dict[str, Any]] = {disk: {"group_name": ""} for disk in disks}
        #: What libvirt has noted of each disk.
        self.noted: dict[str, dict[str, Any]] = {}
        self.metadata = ""
        #: Error code by name of a method.
        self.faults: dict[str, int] = {}
        #: How often its process was asked of a disk.
        self.asked = 0
        #: Set when the guest's process answers again; until then what asks it hangs.
        self.answers = threading.Event()
        self.answers.set()

    def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
        return self.uuid

    def name(self) -> str:
        return f"instance-{self.uuid}"

    def isActive(self) -> bool:  # noqa: N802
        return self.active

    def connect(self) -> FakeConnection:
        return FakeConnection()

    def controlInfo(self) -> list[int]:  # noqa: N802
        self._may_fail("controlInfo")
        return [self.control, 0, 0]

    def XMLDesc(self, flags: int) -> str:  # noqa: N802
        self._may_fail("XMLDesc")
        pin = ""
        if self.iothread_pin is not None:
            cpus = ",".join(str(cpu) for cpu, flag in enumerate(self.iothread_pin) if flag)
            pin = f'<cputune><iothreadpin iothread="1" cpuset="{cpus}"/></cputune>'
        disks = "".join(
            f'<disk type="file" device="disk"><target dev="{disk}"/><iotune>'
            + "".join(f"<{key}>{value}</{key}>" for key, value in self.noted.get(disk, {}).items())
            + "</iotune></disk>"
            for disk in self.tunes
        )
        return (
            f"<domain><metadata>{self.metadata}</metadata><vcpu>2</vcpu><iothreads>1</iothreads>{pin}<devices>{disks}"
            '<disk type="file" device="cdrom"><target dev="sda"/></disk>'
            '<disk type="vhostuser" device="disk"><target dev="vdz"/></disk></devices></domain>'
        )

    def schedulerParametersFlags(self, flags: int) -> dict[str, int]:  # noqa: N802
        self._live("schedulerParametersFlags", flags)
        return dict(self.scheduler)

    def setSchedulerParametersFlags(self, parameters: dict[str, int], flags: int) -> int:  # noqa: N802
        self._live("setSchedulerParametersFlags", flags)
        assert set(parameters) <= set(self.scheduler)
        self.scheduler.update(parameters)
        return 0

    def memoryParameters(self, flags: int) -> dict[str, int]:  # noqa: N802
        self._live("memoryParameters", flags)
        return {"soft_limit": self.soft_limit, "hard_limit": _UNLIMITED_KB}

    def setMemoryParameters(self, parameters: dict[str, int], flags: int) -> int:  # noqa: N802
        self._live("setMemoryParameters", flags)
        (self.soft_limit,) = parameters.values()
        return 0

    def vcpus(self) -> tuple[list[tuple[int, int, int, int]], list[tuple[bool, ...]]]:
        self._may_fail("vcpus")
        return [(vcpu, 1, 0, 0) for vcpu in self.vcpu_pins], list(self.vcpu_pins.values())

    def pinVcpuFlags(self, vcpu: int, pins: tuple[bool, ...], flags: int) -> int:  # noqa: N802
        self._live("pinVcpuFlags", flags)
        self.vcpu_pins[vcpu] = pins
        return 0

    def emulatorPinInfo(self, flags: int) -> tuple[bool, ...]:  # noqa: N802
        self._live("emulatorPinInfo", flags)
        return self.emulator_pin

    def pinEmulator(self, pins: tuple[bool, ...], flags: int) -> int:  # noqa: N802
        self._live("pinEmulator", flags)
        self.emulator_pin = pins
        return 0

    def pinIOThread(self, iothread: int, pins: tuple[bool, ...], flags: int) -> int:  # noqa: N802
        self._live("pinIOThread", flags)
        assert iothread == 1
        self.iothread_pin = pins
        return 0

    def blockIoTune(self, disk: str, flags: int) -> dict[str, Any]:  # noqa: N802
        self.asked += 1
        self.answers.wait(20)
        self._live("blockIoTune", flags)
        return {"read_bytes_sec": 0, "write_bytes_sec": 0, "total_bytes_sec": 0, **self.tunes[disk]}

    def setBlockIoTune(self, disk: str, parameters: dict[str, Any], flags: int) -> int:  # noqa: N802
        self.answers.wait(20)
        self._live("setBlockIoTune", flags)
        assert not self.tunes[disk].get("total_bytes_sec")
        # As libvirt does: both rates are set or none, and a group has the rates that it was given last.
        assert {"read_bytes_sec", "write_bytes_sec"} <= set(parameters)
        if not any(parameters.values()):
            parameters = {**parameters, "group_name": ""}
        self.tunes[disk] = dict(parameters)
        group = parameters["group_name"]
        for tune in self.tunes.values():
            if group and tune["group_name"] == group:
                tune.update(parameters)
        return 0

    def setMetadata(self, kind: int, text: str, key: str, uri: str, flags: int) -> int:  # noqa: N802
        self._live("setMetadata", flags)
        assert kind == libvirt.VIR_DOMAIN_METADATA_ELEMENT
        self.metadata = text.replace(" ", f" xmlns={quoteattr(uri)} ", 1)
        return 0

    def _live(self, method: str, flags: int) -> None:
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._may_fail(method)

    def _may_fail(self, method: str) -> None:
        if method in self.faults:
            raise Fault(self.faults[method])


class FakeConnection:
    alive = True

    def __init__(self, *domains: FakeDomain) -> None:
        self.domains = {domain.uuid: domain for domain in domains}

    def isAlive(self) -> bool:  # noqa: N802
        return self.alive

    def listAllDomains(self, flags: int) -> list[FakeDomain]:  # noqa: N802
        assert flags == libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        return [domain for domain in self.domains.values() if domain.active]

    def lookupByUUIDString(self, uuid: str) -> FakeDomain:  # noqa: N802
        if uuid not in self.domains:
            raise Fault(libvirt.VIR_ERR_NO_DOMAIN)
        return self.domains[uuid]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Give the controllers of the host, which may be changed."""
    found = {"cpu": 1, "memory": 1}
    monkeypatch.setattr(isolators_libvirt, "controllers", lambda: found)
    return found


@pytest.fixture
def made(
    versions: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., LibvirtIsolator]]:
    monkeypatch.setattr(FakeConnection, "alive", True)
    domains: list[FakeDomain] = []

    def make(*given: FakeDomain) -> Any:
        domains.extend(given)
        opened: list[str] = []

        def open_connection(uri: str) -> FakeConnection:
            opened.append(uri)
            return FakeConnection(*given)

        monkeypatch.setattr(libvirt, "open", open_connection)
        isolator = isolator_of("qemu:///system", timeout_s=0.2)
        isolator.opened = opened
        return isolator

    yield make
    for domain in domains:
        domain.answers.set()


def isolator_of(uri: str, timeout_s: float = 10) -> Any:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("libvirt_uri", uri, group="agent")
    return LibvirtIsolator(conf, timeout_s)


def test_limits_of_running_guests_are_read_back_as_they_were_set_and_taken_away(
    made: Callable[..., Any],
) -> None:
    one, two = FakeDomain("a", "vda", "vdb"), FakeDomain("b")
    two.active = False
    isolator = made(one, two)
    assert isolator.ability().aspects == _ALL
    assert isolator.read() == {"a": _NOTHING}
    for aspect in sorted(_ALL):
        isolator.hold("a", _LIMITS, {aspect})
        assert _LIMITS.differing(isolator.read()["a"], {aspect}) == frozenset(), aspect
    assert isolator.read() == {"a": _LIMITS}
    isolator.hold("a", Limits(), _ALL)
    assert isolator.read() == {"a": _NOTHING}
    assert isolator.opened == ["qemu:///system"]


def test_a_quota_is_split_over_the_virtual_cpus_and_all_of_them_is_none(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a")
    isolator = made(domain)
    isolator.hold("a", Limits(cpu_quota=Fraction(3, 2)), {Aspect.CPU_QUOTA})
    assert (domain.scheduler["vcpu_quota"], domain.scheduler["vcpu_period"]) == (15_000, 20_000)
    for cores in (2, 3):
        domain.scheduler["vcpu_quota"] = 15_000
        isolator.hold("a", Limits(cpu_quota=cores), {Aspect.CPU_QUOTA})
        assert domain.scheduler["vcpu_quota"] == -1
        assert isolator.read()["a"].cpu_quota == 2
    # More than a CPU for each is nothing that they could use.
    domain.scheduler["vcpu_quota"] = 300_000
    assert isolator.read()["a"].cpu_quota == 2


def test_a_disk_that_is_plugged_in_differs_until_the_next_hold_and_shares_the_rate(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a", "vda")
    isolator = made(domain)
    isolator.hold("a", _LIMITS, _ALL)
    domain.tunes["vdb"] = {"group_name": ""}
    differing = _LIMITS.differing(isolator.read()["a"], _ALL)
    assert differing == {Aspect.DISK_READ, Aspect.DISK_WRITE}
    # Nor does it look as if nothing were to be taken away.
    assert Limits().differing(isolator.read()["a"], differing) == differing
    # One rate alone: the other is that of the disk that has one.
    isolator.hold("a", _LIMITS, {Aspect.DISK_READ})
    assert isolator.read()["a"] == _LIMITS
    assert domain.tunes["vda"] == domain.tunes["vdb"]
    assert domain.tunes["vdb"]["group_name"]


@pytest.mark.parametrize(
    "tunes",
    [
        # Each has the rate for itself, so that together they have more.
        {
            "vda": {"read_bytes_sec": 5, "group_name": "x"},
            "vdb": {"read_bytes_sec": 5, "group_name": "y"},
        },
        {
            "vda": {"read_bytes_sec": 5, "group_name": "x"},
            "vdb": {"read_bytes_sec": 4, "group_name": "y"},
        },
        {"vda": {"read_bytes_sec": 5, "group_name": "x"}, "vdb": {"group_name": ""}},
    ],
)
def test_disks_that_have_no_one_rate_differ_from_any(
    tunes: dict[str, Any], made: Callable[..., Any]
) -> None:
    domain = FakeDomain("a", "vda", "vdb")
    domain.tunes = tunes
    isolator = made(domain)
    for wanted in (None, 4, 5, 9, 10):
        read = isolator.read()["a"]
        assert Limits(disk_read_bps=wanted).differing(read, {Aspect.DISK_READ})
    isolator.hold("a", Limits(disk_read_bps=5), {Aspect.DISK_READ})
    assert isolator.read()["a"].disk_read_bps == 5


def test_a_disk_with_a_total_is_left_alone_and_a_rate_for_it_refused(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a", "vda", "vdb")
    domain.tunes["vda"] = {"total_bytes_sec": 7, "group_name": ""}
    isolator = made(domain)
    assert isolator.read()["a"].disk_read_bps is None
    isolator.hold("a", Limits(), {Aspect.DISK_READ, Aspect.DISK_WRITE})
    with pytest.raises(IsolationError, match=r"instance-a \(a\): disk_read_bps: .*total_bytes_sec"):
        isolator.hold("a", Limits(disk_read_bps=5), {Aspect.DISK_READ})
    assert domain.tunes["vda"] == {"total_bytes_sec": 7, "group_name": ""}
    assert domain.tunes["vdb"]["read_bytes_sec"] == 5


def pins(*cpus: int) -> tuple[bool, ...]:
    return tuple(cpu in cpus for cpu in range(_HOST_CPUS))


@pytest.mark.parametrize(
    ("vcpus", "emulator", "iothread", "cpus"),
    [
        ([pins(1, 2), pins(1, 2)], pins(1, 2), pins(1, 2), {1, 2}),
        # As Nova pins a guest with CPUs of its own.
        ([pins(1), pins(2)], pins(1, 2), pins(1, 2), {1, 2}),
        ([pins(1), pins(2)], pins(0), pins(1, 2), set()),
        ([pins(1), pins(1, 2)], pins(1, 2), pins(1, 2), set()),
        ([pins(1), pins(1)], pins(1, 2), pins(1, 2), set()),
        ([pins(1, 2), pins(1, 2)], pins(0), pins(1, 2), set()),
        ([pins(1, 2), pins(1, 2)], pins(1, 2), pins(3), set()),
        ([pins(1, 2), pins(1, 2)], pins(1, 2), None, set()),
    ],
)
def test_cpus_are_those_of_all_parts_of_a_guest_or_differ_from_any(
    vcpus: list[tuple[bool, ...]],
    emulator: tuple[bool, ...],
    iothread: tuple[bool, ...] | None,
    cpus: set[int],
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a")
    domain.vcpu_pins = dict(enumerate(vcpus))
    domain.emulator_pin, domain.iothread_pin = emulator, iothread
    isolator = made(domain)
    assert isolator.read()["a"].cpus == cpus
    isolator.hold("a", Limits(cpus=frozenset({0, 3})), {Aspect.CPUS})
    assert isolator.read()["a"].cpus == {0, 3}


def test_cpus_that_the_host_lacks_are_refused_and_the_rest_is_set(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a")
    isolator = made(domain)
    wanted = Limits(cpu_weight=7, cpus=frozenset({9}))
    with pytest.raises(IsolationError, match="cpus: the host has no CPU above 3"):
        isolator.hold("a", wanted, {Aspect.CPU_WEIGHT, Aspect.CPUS})
    assert isolator.read()["a"] == Limits(cpu_quota=2, cpu_weight=7, cpus=_NOTHING.cpus)


def test_with_version_2_a_weight_is_converted_and_what_was_asked_for_is_told(
    made: Callable[..., Any], versions: dict[str, int]
) -> None:
    versions["cpu"] = 2
    domain = FakeDomain("a")
    domain.scheduler["cpu_shares"] = 100
    isolator = made(domain)
    assert isolator.read()["a"].cpu_weight == 1024
    for shares, weight in ((2048, 200), (683, 67), (2, 1), (262_144, 10_000)):
        isolator.hold("a", Limits(cpu_weight=shares), {Aspect.CPU_WEIGHT})
        assert domain.scheduler["cpu_shares"] == weight
        # Also after a restart of the agent.
        assert made(domain).read()["a"].cpu_weight == shares
    domain.scheduler["cpu_shares"] = 300
    assert isolator.read()["a"].cpu_weight == 3072
    domain.metadata = '<x:asked xmlns:x="urn:hybrid-sched:asked" cpu_shares="many"/>'
    assert isolator.read()["a"].cpu_weight == 3072


def test_what_the_kernel_or_libvirt_keeps_from_guests_is_said_and_not_told(
    made: Callable[..., Any], versions: dict[str, int]
) -> None:
    isolator = made(FakeDomain("a"))
    versions["memory"] = 2
    ability = isolator.ability()
    assert ability.aspects == _ALL - {Aspect.MEMORY_LOW}
    assert "libvirt cannot set memory.low" in ability.missing[Aspect.MEMORY_LOW]
    del versions["cpu"], versions["memory"]
    ability = isolator.ability()
    assert ability.aspects == {Aspect.CPUS, Aspect.DISK_READ, Aspect.DISK_WRITE}
    assert "this kernel has no cpu controller" in ability.missing[Aspect.CPU_QUOTA]
    assert isolator.read() == {"a": Limits(cpus=_NOTHING.cpus)}

    versions.update({"cpu": 1, "memory": 1})
    domain = FakeDomain("a")
    domain.faults["schedulerParametersFlags"] = libvirt.VIR_ERR_OPERATION_INVALID
    isolator = made(domain)
    ability = isolator.ability()
    assert ability.missing.keys() == {Aspect.CPU_QUOTA, Aspect.CPU_WEIGHT}
    assert "cgroup_controllers in its qemu.conf" in ability.missing[Aspect.CPU_WEIGHT]
    assert isolator.read() == {"a": Limits(cpus=_NOTHING.cpus)}


@pytest.mark.parametrize("code", [libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID])
@pytest.mark.parametrize("method", ["controlInfo", "XMLDesc", "vcpus", "setBlockIoTune"])
def test_a_guest_that_ends_meanwhile_is_no_error(
    made: Callable[..., Any], code: int, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    ending = FakeDomain("a", "vda")
    isolator = made(ending, FakeDomain("b"))

    def end(name: str) -> None:
        if name == method:
            ending.active = False
            raise Fault(code)

    ending._may_fail = end
    isolator.hold("a", _LIMITS, _ALL)
    ending.active = True
    assert isolator.read().keys() >= {"b"}
    assert "left alone" not in caplog.text
    isolator.hold("gone", _LIMITS, _ALL)


def test_a_guest_of_which_libvirt_cannot_tell_keeps_no_other_from_being_held(
    made: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    domain = FakeDomain("a", "vda")
    isolator = made(domain, FakeDomain("b"))
    domain.faults["vcpus"] = libvirt.VIR_ERR_INTERNAL_ERROR
    for _ in range(2):
        assert isolator.read() == {"b": _NOTHING}
    assert caplog.text.count("The limits of guest instance-a (a) are left alone") == 1
    # Its disks alone are told from libvirt's note.
    domain.faults = {"blockIoTune": libvirt.VIR_ERR_OPERATION_UNSUPPORTED}
    domain.noted = {"vda": {"read_bytes_sec": 9, "group_name": "x"}}
    assert isolator.read()["a"].disk_read_bps == 9
    with pytest.raises(IsolationError, match="disks: fault"):
        isolator.hold("a", _LIMITS, _ALL)
    assert isolator.read()["a"].memory_low_mb == 100


def test_a_guest_whose_process_hangs_is_told_from_libvirts_note_and_delays_once(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a", "vda")
    isolator = made(domain, FakeDomain("b"))
    domain.noted = {"vda": {"read_bytes_sec": 9, "group_name": "x"}}
    domain.answers.clear()
    for _ in range(6):
        read = isolator.read()
        assert (read["a"].disk_read_bps, read["b"]) == (9, _NOTHING)
    assert domain.asked == 1
    with pytest.raises(IsolationError, match=r"instance-a \(a\) are not set: libvirt has waited"):
        isolator.hold("a", _LIMITS, {Aspect.DISK_READ})
    isolator.hold("b", _LIMITS, {Aspect.CPU_WEIGHT})
    # Without a group each of two disks has the rate for itself.
    domain.noted = {disk: {"read_bytes_sec": 9} for disk in ("vda", "vdb")}
    domain.tunes["vdb"] = {"group_name": ""}
    assert isolator.read()["a"].disk_read_bps == 0


def test_during_a_job_its_disks_are_not_asked_and_nothing_is_set(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a", "vda")
    isolator = made(domain)
    domain.control = libvirt.VIR_DOMAIN_CONTROL_JOB
    domain.answers.clear()
    domain.noted = {"vda": {"read_bytes_sec": 9, "group_name": "x"}}
    assert isolator.read()["a"].disk_read_bps == 9
    with pytest.raises(IsolationError, match="during a job of libvirt"):
        isolator.hold("a", _LIMITS, _ALL)
    assert domain.asked == 0
    assert domain.scheduler["cpu_shares"] == 1024


def test_a_connection_that_broke_is_an_error_and_made_anew(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = FakeDomain("a")
    isolator = made(domain)
    said = "^libvirt at qemu:///system does not give or take limits: fault"
    domain.faults["controlInfo"] = libvirt.VIR_ERR_RPC
    with pytest.raises(IsolationError, match=said):
        isolator.read()
    with pytest.raises(IsolationError, match=said):
        isolator.hold("a", _LIMITS, _ALL)
    domain.faults = {"XMLDesc": libvirt.VIR_ERR_RPC}
    monkeypatch.setattr(FakeConnection, "alive", False)
    with pytest.raises(IsolationError, match=said):
        isolator.read()
    domain.faults = {}
    assert isolator.read() == {"a": _NOTHING}
    assert len(isolator.opened) == 4


def test_what_the_real_library_says_becomes_one_sentence(tmp_path: Path) -> None:
    uri = f"test://{tmp_path}/missing.xml"
    isolator = isolator_of(uri)
    for call in (isolator.read, isolator.ability):
        with pytest.raises(
            IsolationError, match=f"^libvirt at {uri} does not give or take"
        ) as told:
            call()
        assert "\n" not in str(told.value)
