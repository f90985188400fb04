# SPDX-License-Identifier: Apache-2.0
"""Rates held by the kernel and measured: real streams between namespaces, containers and taps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import namespaces
import pytest
from dockerd import Dockerd
from namespaces import Namespace
from oslo_config import cfg
from pyroute2 import IPRoute, NetlinkError, netns
from tap_guest import TapGuest
from throughput import Stream, measure
from waiting import wait_until

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import places, traffic_control, traffic_probe
from hybrid_sched.isolators.places import Place
from hybrid_sched.isolators.shaping import LEAST_RATE_BPS
from hybrid_sched.isolators.traffic import TrafficIsolator

# Each end of a stream is a program, and those start slowly on an emulated machine.
pytestmark = pytest.mark.timeout(600)

UUID = "6f1c2a9e-77b0-4d0c-9a53-1f2e3d4c5b6a"
OTHER = "0b7d51c4-9e3a-4f6b-8c2d-a1b2c3d4e5f6"
BOTH = (Aspect.NET_IN, Aspect.NET_OUT)
#: What a stream without limit must carry, as a multiple of a rate: with less, it is the machine that holds it, or nearly.
MARGIN = 4
NOTHING = Limits()


def rates(bps: int) -> Limits:
    return Limits(net_in_bps=bps, net_out_bps=bps)


def carried(rate_bps: int, *streams: Stream) -> float:
    """Measure streams together, again when it is too little: a busy machine takes away, and never adds."""
    for _ in range(3):
        total_bps = sum(measure(*streams))
        if total_bps > 0.9 * rate_bps:
            break
    return total_bps


class Host:
    """A host with a bridge, in a namespace that this thread is in; tasks and a far machine are namespaces on its bridge."""

    def __init__(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stack = stack
        self.namespace = stack.enter_context(Namespace("host"))
        netns.pushns(self.namespace.name)
        stack.callback(netns.popns)
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "br0", "up")
        self.far = self.attach("far", "up0", "10.9.0.9/24")
        self.tasks: dict[str, tuple[str, ...]] = {}
        self.conf = cfg.ConfigOpts()
        self.conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        self.conf([], default_config_files=[])
        self.conf.set_override("sources", ["libvirt"], group="agent")
        monkeypatch.setitem(places.FINDERS, "libvirt", self._guests)
        self.isolator = self.restarted()

    def restarted(self) -> TrafficIsolator:
        """Give an isolator that knows nothing yet."""
        return TrafficIsolator(self.conf)

    def attach(self, label: str, link: str, address: str) -> Namespace:
        """Make a namespace with an ``eth0`` whose other end is a link of the bridge."""
        made = self._stack.enter_context(Namespace(label))
        self.plug(made.name, link, "eth0", address)
        return made

    def plug(self, where: str, link: str, inner: str, address: str) -> None:
        """Make an interface in a namespace, or of a process, with a link of the bridge as its other end."""
        self.ip(
            *("link", "add", link, "type", "veth", "peer", "name", inner),
            *("netns", where),
        )
        self.ip("link", "set", "dev", link, "master", "br0", "up")
        if not where.isdigit():
            namespaces.ip("-n", where, "address", "add", address, "dev", inner)
            namespaces.ip("-n", where, "link", "set", inner, "up")

    def ip(self, *arguments: str) -> Any:
        said = namespaces.ip("-n", self.namespace.name, "-json", *arguments)
        return json.loads(said) if said.strip() else None

    def links(self) -> set[str]:
        return {each["ifname"] for each in self.ip("link", "show")}

    def qdiscs(self) -> dict[str, set[tuple[str, int]]]:
        """Give kind and number of each qdisc of each link."""
        with IPRoute() as ipr:
            names = {each["index"]: each.get_attr("IFLA_IFNAME") for each in ipr.get_links()}
            found: dict[str, set[tuple[str, int]]] = {name: set() for name in names.values()}
            for each in ipr.get_qdiscs():
                found[names[each["index"]]].add((each.get_attr("TCA_KIND"), each["handle"] >> 16))
        return found

    def tc(self, *arguments: Any, **options: Any) -> None:
        """Do with a link, the second argument, what somebody else might."""
        command, kind, link = arguments
        with IPRoute() as ipr:
            ipr.tc(command, kind, ipr.link_lookup(ifname=link)[0], **options)

    def filter_priorities(self, link: str) -> set[int]:
        """Give the priorities of the filters on what comes in at a link."""
        with IPRoute() as ipr:
            index = ipr.link_lookup(ifname=link)[0]
            filters = ipr.get_filters(index=index, parent=0xFFFF_0000)
            return {each["info"] >> 16 for each in filters}

    def into(self, task: Namespace, address: str = "10.9.0.1") -> Stream:
        return Stream(self.far.prefix, task.prefix, address)

    def out_of(self, task: Namespace) -> Stream:
        return Stream(task.prefix, self.far.prefix, "10.9.0.9")

    def _guests(self, _conf: cfg.ConfigOpts) -> list[Place]:
        return [
            Place(uuid, HYPERVISOR, os.getpid(), "", links) for uuid, links in self.tasks.items()
        ]


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
        host.plug(str(pid), "veth3", "eth0", "")
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        with IPRoute(netns=f"/proc/{pid}/ns/net") as ipr:
            index = ipr.link_lookup(ifname="eth0")[0]
            ipr.addr("add", index=index, address="10.9.0.3", prefixlen=24)
            ipr.link("set", index=index, state="up")
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
