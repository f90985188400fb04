# SPDX-License-Identifier: Apache-2.0
"""The source against libvirt's own test driver, and statistics as libvirt's QEMU driver gives them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from source_options import options

from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import SeenTask, SourceError
from hybrid_sched.monitors import libvirt as source_module
from hybrid_sched.monitors.libvirt import LibvirtSource, counters_of, gauges_of

_DOMAIN = """
<domain type="test">
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {metadata}
  <memory unit="KiB">{memory_kb}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type>hvm</type></os>
</domain>"""
# As Nova 34 writes it.
_METADATA = """
<metadata>
  <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
    <nova:name>web</nova:name>
    <nova:creationTime>2026-11-26 01:22:13</nova:creationTime>
    <nova:flavor name="m1" id="7">
      <nova:memory>512</nova:memory>
      <nova:vcpus>2</nova:vcpus>
      <nova:extraSpecs>
        <nova:extraSpec name="quota:disk_read_bytes_sec">{read}</nova:extraSpec>
        <nova:extraSpec name="quota:disk_write_bytes_sec">20000000</nova:extraSpec>
        <nova:extraSpec name="quota:vif_inbound_average">125</nova:extraSpec>
        <nova:extraSpec name="quota:vif_outbound_average">64</nova:extraSpec>
        <nova:extraSpec name="quota:disk_total_iops_sec">5</nova:extraSpec>
        <nova:extraSpec name="hw:cpu_policy">shared</nova:extraSpec>
        <nova:extraSpec name="hybrid:relocate">{relocate}</nova:extraSpec>
      </nova:extraSpecs>
    </nova:flavor>
  </nova:instance>
</metadata>"""
_OF_NOVA = "11111111-1111-4111-8111-111111111111"
_OF_ANOTHER = "22222222-2222-4222-8222-222222222222"
# Of a guest with two disks and two interfaces, one of which libvirt has no figures of.
_STATISTICS: dict[str, Any] = {
    "state.state": 1,
    "state.reason": 1,
    "cpu.time": 12_500_000_000,
    "cpu.user": 400_000_000,
    "cpu.system": 2_000_000_000,
    "balloon.current": 524288,
    "balloon.maximum": 524288,
    "balloon.last-update": 1_700_000_000,
    "balloon.rss": 300 * 1024,
    "net.count": 2,
    "net.0.name": "tap11111111-11",
    "net.0.rx.bytes": 1000,
    "net.0.tx.bytes": 10,
    "net.1.name": "vhu22222222-22",
    "block.count": 2,
    "block.0.name": "vda",
    "block.0.rd.bytes": 4096,
    "block.0.wr.bytes": 512,
    "block.1.name": "vdb",
    "block.1.rd.bytes": 1,
    "block.1.wr.bytes": 2,
}
_NOW_S = 1_700_000_005


def uri_of(folder: Path, read: str = "10485760", relocate: str = "allow") -> str:
    """Give libvirt a host with two guests: one of Nova, whose metadata counts, and one of somebody else."""
    metadata = _METADATA.format(read=read, relocate=relocate)
    domains = [
        _DOMAIN.format(
            name="instance-1", uuid=_OF_NOVA, metadata=metadata, memory_kb=999 * 1024, vcpus=7
        ),
        _DOMAIN.format(name="other", uuid=_OF_ANOTHER, metadata="", memory_kb=64 * 1024, vcpus=1),
    ]
    node = folder / "node.xml"
    node.write_text(f"<node>{''.join(domains)}</node>")
    return f"test://{node}"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return uri_of(tmp_path)


def source(uri: str, timeout_s: float = 10) -> LibvirtSource:
    return LibvirtSource(options(libvirt_uri=uri), timeout_s)


def seen(source: LibvirtSource) -> list[SeenTask]:
    return sorted(source.collect().tasks, key=lambda each: each.task.uuid)


def test_every_guest_is_listed_with_what_it_declared(uri: str) -> None:
    rates = {
        "disk_read_bps": 10_485_760,
        "disk_write_bps": 20_000_000,
        "net_in_bps": 125_000,
        "net_out_bps": 64_000,
    }
    assert [each.task for each in seen(source(uri))] == [
        Task(
            _OF_NOVA,
            HYPERVISOR,
            Resources(2, 512, **rates),
            "web",
            "running",
            created_at_s=1795656133.0,
            movable=True,
            promised=Resources(2, 512, **rates),
        ),
        Task(
            _OF_ANOTHER,
            HYPERVISOR,
            Resources(vcpu=1, memory_mb=64),
            "other",
            "running",
            movable=True,
            promised=Resources(vcpu=1, memory_mb=64),
        ),
    ]
    of_nova, of_another = (each.declaration for each in seen(source(uri)))
    assert of_nova == Declaration(2, 512, relocate=True, **rates)
    assert of_another == Declaration(1, 64, relocate=True)


@pytest.mark.parametrize("text", ["plenty", "-1", "1.5", ""])
def test_a_rate_that_is_no_whole_number_is_left_out_and_named_once(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    made = source(uri_of(tmp_path, read=text))
    for _ in range(2):
        (of_nova, _) = seen(made)
        assert of_nova.task.demand == Resources(2, 512, 0, 20_000_000, 125_000, 64_000)
    (sentence,) = caplog.messages
    assert f"Guest web ({_OF_NOVA}): quota:disk_read_bytes_sec is {text!r}" in sentence


@pytest.fixture
def connection(uri: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a connection whose guests can be changed, and that the source gets too."""
    made = libvirt.open(uri)
    monkeypatch.setattr(libvirt, "openReadOnly", lambda _uri: made)
    return made


def test_a_guest_that_is_shut_off_stays_listed_and_its_next_life_differs(
    uri: str, connection: Any
) -> None:
    made = source(uri)
    (first, _) = seen(made)
    guest = connection.lookupByUUIDString(_OF_NOVA)
    guest.destroy()
    (stopped, _) = seen(made)
    assert stopped.task.state == "closed"
    assert stopped.task.demand == first.task.demand
    guest.create()
    (second, _) = seen(made)
    assert second.task.state == "running"
    assert second.life != first.life
    assert seen(made)[0].life == second.life


def test_a_guest_whose_memory_is_kept_is_suspended_and_not_closed(
    uri: str, connection: Any
) -> None:
    made = source(uri)
    guest = connection.lookupByUUIDString(_OF_NOVA)
    states = []
    for change in (guest.suspend, guest.resume, guest.managedSave, guest.create, guest.destroy):
        change()
        task = seen(made)[0].task
        states.append((task.state, task.movable))
    assert states == [
        ("paused", True),
        ("running", True),
        ("suspended", False),
        ("running", True),
        ("closed", False),
    ]


def test_a_guest_whose_flavor_forbids_it_is_not_moved(tmp_path: Path) -> None:
    (of_nova, of_another) = seen(source(uri_of(tmp_path, relocate="deny")))
    assert (of_nova.task.movable, of_another.task.movable) == (False, True)


def test_the_file_with_its_process_number_tells_lives_apart(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_PID_FILES", tmp_path)
    made = source(uri)
    pid_file = tmp_path / "instance-1.pid"
    lives = set()
    for number in range(2):
        pid_file.write_text(str(number))
        # As after a restart of libvirt, the guest's number is the same each time.
        lives.add(seen(made)[0].life)
        pid_file.unlink()
        lives.add(seen(made)[0].life)
    assert len(lives) == 3


def test_a_guest_that_goes_between_the_list_and_the_question_is_skipped(
    uri: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(uri)
    list_all = type(connection).getAllDomainStats

    def list_then_lose(self: Any, *arguments: Any) -> Any:
        records = list_all(self, *arguments)
        guest = self.lookupByUUIDString(_OF_NOVA)
        guest.destroy()
        guest.undefine()
        return records

    monkeypatch.setattr(type(connection), "getAllDomainStats", list_then_lose)
    assert [each.task.uuid for each in seen(made)] == [_OF_ANOTHER]


def test_counters_are_summed_over_devices_and_seen_from_the_guest() -> None:
    assert counters_of(_STATISTICS) == {
        "cpu_s": 12.5,
        "disk_read_bytes": 4097,
        "disk_write_bytes": 514,
        "net_in_bytes": 1000,
        "net_out_bytes": 10,
    }


def test_waiting_is_that_of_all_virtual_cpus_that_are_plugged() -> None:
    delays = {
        "vcpu.current": 2,
        "vcpu.maximum": 4,
        "vcpu.0.delay": 1_000_000_000,
        "vcpu.0.wait": 7_000_000_000,
        "vcpu.2.delay": 500_000_000,
    }
    assert counters_of(delays) == {"cpu_wait_s": 1.5}


def test_the_emulators_own_memory_is_not_the_guests() -> None:
    assert gauges_of({**_STATISTICS, "balloon.rss": 600 * 1024}, _NOW_S) == {"memory_used_mb": 512}


def test_what_libvirt_does_not_tell_is_left_out() -> None:
    assert counters_of({"state.state": 5}) == {}
    assert counters_of({"cpu.time": 10**9, "block.count": 1, "net.count": 0}) == {"cpu_s": 1.0}
    assert gauges_of({"state.state": 5}, _NOW_S) == {}


@pytest.mark.parametrize(
    ("balloon", "age_s", "memory_mb"),
    [
        ({"balloon.available": 500 * 1024, "balloon.usable": 380 * 1024}, 5, 120),
        ({"balloon.available": 500 * 1024, "balloon.usable": 380 * 1024}, 61, 300),
        ({"balloon.available": 500 * 1024, "balloon.unused": 200 * 1024}, 5, 300),
        ({}, 5, 300),
    ],
)
def test_memory_is_the_working_set_that_the_guest_tells_lately_or_what_its_process_holds(
    balloon: dict[str, int], age_s: int, memory_mb: int
) -> None:
    now_s = _STATISTICS["balloon.last-update"] + age_s
    assert gauges_of({**_STATISTICS, **balloon}, now_s) == {"memory_used_mb": memory_mb}


def test_libvirt_that_does_not_answer_is_an_error_with_its_address_and_asked_again(
    tmp_path: Path,
) -> None:
    uri = f"test://{tmp_path}/node.xml"
    made = source(uri)
    with pytest.raises(SourceError, match=f"^libvirt at {uri} does not answer: .* libvirt_uri"):
        made.collect()
    uri_of(tmp_path)
    assert len(seen(made)) == 2


def test_a_connection_that_broke_is_made_anew(
    uri: str, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(uri)
    assert len(seen(made)) == 2
    connection.close()
    with pytest.raises(SourceError, match="does not answer"):
        made.collect()
    monkeypatch.setattr(libvirt, "openReadOnly", libvirt.open)
    assert len(seen(made)) == 2


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Path]:
    """Give the socket of a daemon that takes connections and never answers."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield path


def test_libvirt_that_is_stuck_is_given_up(stuck: Path) -> None:
    made = source(f"qemu+unix:///system?socket={stuck}", timeout_s=0.2)
    with pytest.raises(SourceError, match=r"has not answered for 0\.2 s\. .* restart it"):
        made.collect()
