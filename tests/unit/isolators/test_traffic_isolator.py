# SPDX-License-Identifier: Apache-2.0
"""What the isolator tells where it may not work; how it works on a real kernel is in the integration tests."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import pytest
from oslo_config import cfg
from pyroute2.netlink.exceptions import NetlinkError

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import places, traffic, traffic_probe
from hybrid_sched.isolators.places import Place
from hybrid_sched.isolators.traffic import TrafficIsolator


@pytest.fixture
def conf() -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    made([], default_config_files=[])
    return made


def test_only_what_the_host_has_is_asked_for_tasks(
    conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def finder(framework: str) -> object:
        def find(_conf: cfg.ConfigOpts) -> list[Place]:
            asked.append(framework)
            return [Place(f"one-{framework}", framework, 1, "")]

        return find

    monkeypatch.setitem(places.FINDERS, "libvirt", finder(HYPERVISOR))
    monkeypatch.setitem(places.FINDERS, "docker", finder(CONTAINER))
    conf.set_override("sources", ["host", "docker"], group="agent")
    # One without an interface here has nothing to be limited.
    assert TrafficIsolator(conf).read() == {}
    assert asked == [CONTAINER]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (NetlinkError(errno.EPERM), "Operation not permitted. Run the agent as root"),
        (NetlinkError(errno.ENODEV), "went away meanwhile; it is tried again"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_a_kernel_that_refuses_is_told_in_a_sentence(
    conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch, fault: Exception, said: str
) -> None:
    @contextlib.contextmanager
    def refused() -> Iterator[None]:
        raise fault
        yield

    monkeypatch.setattr(traffic, "opened", refused)
    conf.set_override("sources", [], group="agent")
    isolator = TrafficIsolator(conf)
    with pytest.raises(IsolationError, match=said):
        isolator.read()
    with pytest.raises(IsolationError, match=said):
        isolator.hold("one", Limits(net_in_bps=10**6), [Aspect.NET_IN])


def test_without_the_right_to_try_the_kernel_the_remedy_is_told(
    conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(traffic_probe, "_leave_the_network", refused)
    with pytest.raises(IsolationError, match=r"Operation not permitted\. Run the agent as root"):
        TrafficIsolator(conf).ability()
