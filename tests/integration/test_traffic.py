# SPDX-License-Identifier: Apache-2.0
"""Rates held by the kernel and measured: real streams between namespaces, containers and taps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import namespaces
import pytest
from bridge_host import Host, carried, rates
from dockerd import Dockerd
from namespaces import Namespace
from pyroute2 import NetlinkError
from tap_guest import TapGuest
from throughput import Stream, measure
from waiting import wait_until

from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import places, traffic_control, traffic_probe
from hybrid_sched.isolators.shaping import LEAST_RATE_BPS

# Each end of a stream is a program, and those start slowly on an emulated machine.
pytestmark = pytest.mark.timeout(600)

UUID = "6f1c2a9e-77b0-4d0c-9a53-1f2e3d4c5b6a"
OTHER = "0b7d51c4-9e3a-4f6b-8c2d-a1b2c3d4e5f6"
BOTH = (Aspect.NET_IN, Aspect.NET_OUT)
#: What a stream without limit must carry, as a multiple of a rate: with less, it is the machine that holds it, or nearly.
MARGIN = 4
NOTHING = Limits()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    reason = namespaces.why_not()
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as stack:
        yield Host(stack, monkeypatch)


@pytest.fixture
def task(host: Host) -> Namespace:
    made = host.attach("task", "tap0", "10.9.0.1/24")
    host.tasks[UUID] = ("tap0",)
    return made


@pytest.fixture(scope="module")
def unlimited() -> Callable[[float, Host, Namespace], None]:
    """Skip a test of a rate that streams on this machine do not reach anyway."""
    measured: list[float] = []

    def check(rate_bps: float, host: Host, task: Namespace) -> None:
        if not measured:
            measured.append(
                min(
                    *measure(host.into(task), window_s=1.0),
                    *measure(host.out_of(task), window_s=1.0),
                )
            )
        if measured[0] < MARGIN * rate_bps:
            pytest.skip(f"without a limit {measured[0] / 1e6:.0f} MB/s go through this machine")

    return check


def test_this_kernel_can_hold_both_or_says_why_not(host: Host) -> None:
    before = host.qdiscs()
    ability = host.isolator.ability()
    assert ability.aspects | ability.missing.keys() == set(BOTH)
    assert ability.aspects == set(BOTH), ability.missing
    assert host.qdiscs() == before


@pytest.mark.parametrize("rate_bps", [1_000_000, 10_000_000, 100_000_000])
def test_what_is_measured_is_within_a_tenth_of_what_is_held(
    host: Host, task: Namespace, unlimited: Callable[..., None], rate_bps: int
) -> None:
    unlimited(rate_bps, host, task)
    host.isolator.hold(UUID, rates(rate_bps), BOTH)
    assert host.isolator.read() == {UUID: rates(rate_bps)}
    assert carried(rate_bps, host.into(task)) == pytest.approx(rate_bps, rel=0.1)
    assert carried(rate_bps, host.out_of(task)) == pytest.approx(rate_bps, rel=0.1)


def test_each_direction_has_its_own_rate_and_is_released_alone(
    host: Host, task: Namespace, unlimited: Callable[..., None]
) -> None:
    unlimited(20_000_000, host, task)
    before = host.qdiscs()
    limits = Limits(net_in_bps=3_000_000, net_out_bps=2_000_000)
    host.isolator.hold(UUID, limits, BOTH)
    assert host.isolator.read() == {UUID: limits}
    # One after the other: at the same time each stream's acknowledgements would wait behind the other's data.
    assert carried(3_000_000, host.into(task)) == pytest.approx(3_000_000, rel=0.1)
    assert carried(2_000_000, host.out_of(task)) == pytest.approx(2_000_000, rel=0.1)

    faster = Limits(net_in_bps=3_000_000, net_out_bps=10_000_000)
    host.isolator.hold(UUID, faster, [Aspect.NET_OUT])
    assert host.isolator.read() == {UUID: faster}
    assert carried(10_000_000, host.out_of(task)) == pytest.approx(10_000_000, rel=0.1)

    host.isolator.hold(UUID, NOTHING, [Aspect.NET_IN])
    assert host.isolator.read() == {UUID: Limits(net_out_bps=10_000_000)}
    assert measure(host.into(task), window_s=1.0)[0] > 15_000_000
    host.isolator.hold(UUID, NOTHING, [Aspect.NET_OUT])
    assert host.isolator.read() == {UUID: NOTHING}
    assert host.qdiscs() == before
    assert measure(host.out_of(task), window_s=1.0)[0] > 15_000_000


def test_any_rate_is_read_back_as_it_was_set(host: Host, task: Namespace) -> None:
    for rate_bps in (LEAST_RATE_BPS, 1_234_567, 2**32 - 1, 2**32, 12_500_000_001):
        host.isolator.hold(UUID, rates(rate_bps), BOTH)
        assert host.restarted().read() == {UUID: rates(rate_bps)}
    with pytest.raises(IsolationError, match=f"not held to 1 bytes/s: .* {LEAST_RATE_BPS} bytes/s"):
        host.isolator.hold(UUID, rates(1), BOTH)


def test_interfaces_of_one_task_have_the_rate_together(
    host: Host, task: Namespace, unlimited: Callable[..., None]
) -> None:
    unlimited(8_000_000, host, task)
    rate_bps = 4_000_000
    host.isolator.hold(UUID, rates(rate_bps), BOTH)
    before = host.qdiscs()

    # The second comes while the task runs, and is not held yet.
    host.plug(task.name, "tap1", "eth1", "10.10.0.1/24")
    namespaces.ip("-n", host.far.name, "address", "add", "10.10.0.9/24", "dev", "eth0")
    host.tasks[UUID] = ("tap0", "tap1")
    assert host.isolator.read() == {UUID: NOTHING}
    host.isolator.hold(UUID, rates(rate_bps), BOTH)
    assert host.isolator.read() == {UUID: rates(rate_bps)}
    into = [host.into(task), host.into(task, "10.10.0.1")]
    out = [host.out_of(task), Stream(task.prefix, host.far.prefix, "10.10.0.9")]
    for streams in (into, out):
        assert carried(rate_bps, *streams) == pytest.approx(rate_bps, rel=0.1)
        # One alone has it all.
        assert carried(rate_bps, streams[1]) == pytest.approx(rate_bps, rel=0.1)

    # When the second goes, the first keeps the rate.
    host.ip("link", "delete", "tap1")
    host.tasks[UUID] = ("tap0",)
    assert host.isolator.read() == {UUID: rates(rate_bps)}
    host.isolator.hold(UUID, rates(rate_bps), BOTH)
    assert host.isolator.read() == {UUID: rates(rate_bps)}
    assert host.qdiscs() == before


def test_what_somebody_else_made_is_read_but_never_changed(host: Host, task: Namespace) -> None:
    # As libvirt makes it for <bandwidth><inbound average="2000"/>.
    host.tc("add", "htb", "tap0", handle=0x1_0000, default=1)
    host.tc(
        *("add-class", "htb", "tap0"),
        **{"handle": 0x1_0001, "parent": 0x1_0000, "rate": 2_000_000, "burst": 65536},
    )
    before = host.qdiscs()
    assert host.isolator.read() == {UUID: Limits(net_in_bps=2_000_000)}
    host.isolator.hold(UUID, Limits(net_in_bps=2_000_000), [Aspect.NET_IN])
    for wanted in (Limits(net_in_bps=1_000_000), NOTHING):
        with pytest.raises(IsolationError, match=f"task {UUID} receives .*tap0 has the qdisc htb "):
            host.isolator.hold(UUID, wanted, [Aspect.NET_IN])
    assert host.qdiscs() == before
    # What can be set is set.
    with pytest.raises(IsolationError, match="lets 2000000 bytes/s through"):
        host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert host.isolator.read() == {UUID: Limits(net_in_bps=2_000_000, net_out_bps=1_000_000)}
    host.isolator.hold(UUID, NOTHING, [Aspect.NET_OUT])
    assert host.qdiscs() == before


def test_others_filters_of_what_a_task_sends_are_left_alone(host: Host, task: Namespace) -> None:
    host.tc("add", "ingress", "tap0")
    sink = {"kind": "mirred", "direction": "egress", "action": "mirror", "ifindex": 1}
    everything = {"parent": 0xFFFF_0000, "protocol": 3, "target": 0, "keys": ["0x0/0x0+0"]}
    host.tc("add-filter", "u32", "tap0", **everything, prio=7, action=sink)
    assert host.isolator.read() == {UUID: NOTHING}
    host.isolator.hold(UUID, Limits(net_in_bps=5000), BOTH[:1])
    with pytest.raises(IsolationError, match=f"task {UUID} sends .*tap0 has the qdisc ingress"):
        host.isolator.hold(UUID, rates(5000), BOTH)
    assert not {name for name in host.links() if name.startswith("hso")}
    assert host.filter_priorities("tap0") == {7}


def test_filters_that_came_beside_ours_and_an_empty_qdisc_stay(host: Host, task: Namespace) -> None:
    host.tc("add", "ingress", "tap0")
    before = host.qdiscs()
    host.isolator.hold(UUID, NOTHING, BOTH)
    assert host.qdiscs() == before
    host.isolator.hold(UUID, Limits(net_out_bps=1_000_000), BOTH)
    sink = {"kind": "mirred", "direction": "egress", "action": "mirror", "ifindex": 1}
    everything = {"parent": 0xFFFF_0000, "protocol": 3, "target": 0, "keys": ["0x0/0x0+0"]}
    host.tc("add-filter", "u32", "tap0", **everything, prio=7, action=sink)
    assert host.isolator.read() == {UUID: Limits(net_out_bps=1_000_000)}
    host.isolator.hold(UUID, NOTHING, BOTH)
    assert host.qdiscs() == before
    assert host.filter_priorities("tap0") == {7}


def test_what_libvirt_has_a_policer_hold_is_read(host: Host, task: Namespace) -> None:
    host.tc("add", "ingress", "tap0")
    everything = {"parent": 0xFFFF_0000, "protocol": 3, "target": 1, "keys": ["0x0/0x0+0"]}
    try:
        host.tc(
            *("add-filter", "u32", "tap0"),
            **{**everything, "prio": 49152, "rate": 3_000_000, "burst": 65536, "action": "drop"},
        )
    except NetlinkError:
        pytest.skip("this kernel has no act_police, so libvirt cannot hold it either")
    assert host.isolator.read() == {UUID: Limits(net_out_bps=3_000_000)}
    host.isolator.hold(UUID, Limits(net_out_bps=3_000_000), [Aspect.NET_OUT])
    with pytest.raises(IsolationError, match="lets 3000000 bytes/s through"):
        host.isolator.hold(UUID, Limits(net_out_bps=5000), [Aspect.NET_OUT])


def test_only_interfaces_of_tasks_are_touched(host: Host, task: Namespace) -> None:
    host.attach("neighbour", "tap9", "10.9.0.7/24")
    before = host.qdiscs()
    host.tasks[OTHER] = ("lo", "br0")
    with pytest.raises(
        IsolationError, match=r"lo, an interface of task .*br0, an interface of task"
    ):
        host.isolator.hold(OTHER, rates(1_000_000), BOTH)
    assert host.qdiscs() == before
    del host.tasks[OTHER]
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    after = host.qdiscs()
    assert {name for name in before if after[name] != before[name]} == {"tap0"}
    assert after["tap0"] == {("htb", 0x5C4E), ("bfifo", 0x5C4F), ("ingress", 0xFFFF)}
    assert after["hso6f1c2a9e77b0"] == {("htb", 0x5C4E), ("bfifo", 0x5C4F)}
    assert after.keys() - before.keys() == {"hso6f1c2a9e77b0"}


def test_a_task_that_starts_again_is_not_held_and_nothing_is_left_of_its_last_life(
    host: Host, task: Namespace
) -> None:
    before = host.links()
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert host.links() != before
    host.ip("link", "delete", "tap0")
    # A limit that comes when the task is just gone is no error.
    host.isolator.hold(UUID, rates(2_000_000), BOTH)
    host.isolator.hold(OTHER, rates(2_000_000), BOTH)
    assert host.restarted().read() == {}
    assert host.links() == before - {"tap0"}
    host.plug(task.name, "tap5", "eth0", "10.9.0.1/24")
    host.tasks[UUID] = ("tap5",)
    assert host.isolator.read() == {UUID: NOTHING}
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert host.isolator.read() == {UUID: rates(1_000_000)}


def test_interfaces_that_outlive_their_task_are_free_again(host: Host, task: Namespace) -> None:
    before = host.qdiscs()
    host.plug(task.name, "tap1", "eth1", "10.10.0.1/24")
    host.tasks[UUID] = ("tap0", "tap1")
    with_both = host.qdiscs()
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    del host.tasks[UUID]
    assert host.restarted().read() == {}
    assert host.qdiscs() == with_both
    assert before.keys() < with_both.keys()
    assert measure(host.out_of(task), window_s=0.5)[0] > 1_500_000


def test_what_is_damaged_is_not_held_and_made_whole(host: Host, task: Namespace) -> None:
    def held() -> Limits:
        return host.isolator.read()[UUID]

    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    meter = "hso6f1c2a9e77b0"
    host.ip("link", "set", "dev", meter, "down")
    assert held() == Limits(net_in_bps=1_000_000)
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert held() == rates(1_000_000)
    host.ip("link", "delete", meter)
    assert held() == Limits(net_in_bps=1_000_000)
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert held() == rates(1_000_000)
    host.tc("del", None, "tap0", root=True, handle=traffic_control.ROOT)
    assert held() == Limits(net_out_bps=1_000_000)
    host.isolator.hold(UUID, rates(1_000_000), BOTH)
    assert held() == rates(1_000_000)
    assert carried(1_000_000, host.out_of(task)) == pytest.approx(1_000_000, rel=0.1)
    assert carried(1_000_000, host.into(task)) == pytest.approx(1_000_000, rel=0.1)


def test_a_tap_is_held_as_well(host: Host, unlimited: Callable[..., None]) -> None:
    rate_bps = 2_000_000
    with TapGuest(host.namespace, "tap7") as guest:
        host.tasks[UUID] = ("tap7",)
        assert guest.receives() > 2 * rate_bps
        assert guest.sends() > 2 * rate_bps
        host.isolator.hold(UUID, rates(rate_bps), BOTH)
        assert host.isolator.read() == {UUID: rates(rate_bps)}
        assert guest.receives() == pytest.approx(rate_bps, rel=0.1)
        assert guest.sends() == pytest.approx(rate_bps, rel=0.1)


def test_a_container_is_found_and_held(
    host: Host, dockerd: Dockerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(places.FINDERS, "docker", places.containers)
    host.conf.set_override("docker_url", dockerd.url, group="agent")
    host.conf.set_override("sources", ["docker"], group="agent")
    identifier = dockerd.run(f"zun-{UUID}", "sleep", "3600")
    try:
        pid = dockerd.client.inspect_container(identifier)["State"]["Pid"]
        assert host.isolator.read() == {}
        inside = host.plug_process(pid, "veth3", "10.9.0.3")
        assert host.isolator.read() == {UUID: NOTHING}
        rate_bps = 5_000_000
        host.isolator.hold(UUID, rates(rate_bps), BOTH)
        assert host.isolator.read() == {UUID: rates(rate_bps)}
        into = Stream(host.far.prefix, inside, "10.9.0.3")
        out = Stream(inside, host.far.prefix, "10.9.0.9")
        assert carried(rate_bps, into) == pytest.approx(rate_bps, rel=0.1)
        assert carried(rate_bps, out) == pytest.approx(rate_bps, rel=0.1)
    finally:
        dockerd.client.remove_container(identifier, force=True)
    # The kernel takes the pair away a little after the container.
    wait_until(lambda: "veth3" not in host.links(), "the container's interface is gone")
    assert host.isolator.read() == {}
    assert not {name for name in host.links() if name.startswith("hs")}


def test_a_kernel_that_lacks_a_part_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = namespaces.why_not()
    if reason is not None:
        pytest.skip(reason)
    with monkeypatch.context() as patch:
        patch.setattr(traffic_control, "METER_KIND", "nonesuch")
        ability = traffic_probe.probe()
        assert ability.aspects == {Aspect.NET_IN}
        assert "ifb devices (Operation not supported)" in ability.missing[Aspect.NET_OUT]
    with monkeypatch.context() as patch:
        patch.setattr(traffic_control, "REDIRECTING", "nonesuch")
        ability = traffic_probe.probe()
        assert ability.aspects == {Aspect.NET_IN}
        assert "load sch_ingress, cls_u32 and act_mirred" in ability.missing[Aspect.NET_OUT]
    with monkeypatch.context() as patch:
        patch.setattr(traffic_control, "SHAPER", "nonesuch")
        ability = traffic_probe.probe()
        assert ability.aspects == set()
        assert ability.missing.keys() == set(BOTH)
        assert "load the module sch_htb" in ability.missing[Aspect.NET_IN]
