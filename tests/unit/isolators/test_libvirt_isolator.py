# SPDX-License-Identifier: Apache-2.0
"""The isolator against a small fake: libvirt's own test driver has no CPU shares, and no way to set anything live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators.libvirt import LibvirtIsolator


class Fault(libvirt.libvirtError):
    def __init__(self, code: int) -> None:
        super().__init__("fault")
        self._code = code

    def get_error_code(self) -> int:
        return self._code

    def __str__(self) -> str:
        return "fault"


class FakeDomain:
    """A domain with the parameters of the cgroup scheduler, as the QEMU driver gives them."""

    def __init__(self, uuid: str, cpu_shares: int | None, fault: int | None = None) -> None:
        self.uuid = uuid
        self.parameters = {"vcpu_period": 100000, "vcpu_quota": -1}
        if cpu_shares is not None:
            self.parameters["cpu_shares"] = cpu_shares
        self.fault = fault

    def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
        return self.uuid

    def name(self) -> str:
        return f"instance-{self.uuid}"

    def schedulerParametersFlags(self, flags: int) -> dict[str, int]:  # noqa: N802
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._may_fail()
        return dict(self.parameters)

    def setSchedulerParametersFlags(self, parameters: dict[str, int], flags: int) -> int:  # noqa: N802
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._may_fail()
        assert set(parameters) <= set(self.parameters)
        self.parameters.update(parameters)
        return 0

    def _may_fail(self) -> None:
        if self.fault is not None:
            raise Fault(self.fault)


class FakeConnection:
    def __init__(self, *domains: FakeDomain) -> None:
        self.domains = {domain.uuid: domain for domain in domains}

    def listAllDomains(self, flags: int) -> list[FakeDomain]:  # noqa: N802
        assert flags == libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        return list(self.domains.values())

    def lookupByUUIDString(self, uuid: str) -> FakeDomain:  # noqa: N802
        if uuid not in self.domains:
            raise Fault(libvirt.VIR_ERR_NO_DOMAIN)
        return self.domains[uuid]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LibvirtIsolator]:
    def make(*domains: FakeDomain) -> LibvirtIsolator:
        connection = FakeConnection(*domains)
        opened: list[str] = []

        def open_connection(uri: str) -> FakeConnection:
            opened.append(uri)
            return connection

        monkeypatch.setattr(libvirt, "open", open_connection)
        isolator = isolator_of("qemu:///system")
        isolator.opened = opened
        return isolator

    return make


def isolator_of(uri: str) -> Any:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("libvirt_uri", uri, group="agent")
    return LibvirtIsolator(conf)


def test_weights_of_running_guests_are_told_and_set_live(made: Callable[..., Any]) -> None:
    isolator = made(FakeDomain("a", 2048), FakeDomain("b", 100))
    assert isolator.cpu_weights() == {"a": 2048, "b": 100}
    isolator.set_cpu_weight("a", 512)
    assert isolator.cpu_weights() == {"a": 512, "b": 100}
    assert isolator.opened == ["qemu:///system"]


@pytest.mark.parametrize("code", [libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID])
def test_a_guest_that_ends_meanwhile_is_no_error(made: Callable[..., Any], code: int) -> None:
    isolator = made(FakeDomain("a", 2048, fault=code), FakeDomain("b", 100))
    assert isolator.cpu_weights() == {"b": 100}
    isolator.set_cpu_weight("a", 512)
    isolator.set_cpu_weight("gone", 512)


def test_another_fault_is_an_error_and_the_connection_is_made_anew(
    made: Callable[..., Any],
) -> None:
    domain = FakeDomain("a", 2048, fault=libvirt.VIR_ERR_INTERNAL_ERROR)
    isolator = made(domain)
    said = "^libvirt at qemu:///system does not give or take CPU weights: fault"
    with pytest.raises(IsolationError, match=said):
        isolator.cpu_weights()
    with pytest.raises(IsolationError, match=said):
        isolator.set_cpu_weight("a", 2)
    domain.fault = None
    assert isolator.cpu_weights() == {"a": 2048}
    assert len(isolator.opened) == 3


def test_a_host_without_the_cpu_controller_is_told_with_the_remedy(
    made: Callable[..., Any],
) -> None:
    with pytest.raises(IsolationError, match=r"instance-a: .* Leave libvirt out of \[agent\] isol"):
        made(FakeDomain("a", None)).cpu_weights()


def test_what_the_real_library_says_becomes_one_sentence(tmp_path: Path) -> None:
    for uri in ("test:///default", f"test://{tmp_path}/missing.xml"):
        with pytest.raises(
            IsolationError, match=f"^libvirt at {uri} does not give or take"
        ) as told:
            isolator_of(uri).cpu_weights()
        assert "\n" not in str(told.value)
