# SPDX-License-Identifier: Apache-2.0
"""Checks of the doctor over facts: each finds what it is for, and nothing on a healthy host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.doctor.checks import examine
from hybrid_sched.core.doctor.facts import (
    DockerContainer,
    EngineFacts,
    Facts,
    Hypervisor,
    Inventory,
    Known,
    KnownContainer,
    LocalFacts,
    Look,
    NovaSettings,
    ProviderLook,
    ReportedHost,
    Service,
    Unseen,
    ZunSettings,
)
from hybrid_sched.core.doctor.findings import (
    KINDS,
    Kind,
    ReleaseClaim,
    Safety,
    Severity,
    exit_code,
)
from hybrid_sched.core.doctor.hosts import same_host
from hybrid_sched.core.doctor.kernel import CONTROLLERS, PARTS

INVENTORY = Inventory(16, 0, 4.0)
PROVIDER = ProviderLook(
    "p1",
    "one",
    7,
    {"VCPU": INVENTORY, "MEMORY_MB": Inventory(32_000, 512, 1.0)},
    {"guest": {"VCPU": 1}},
)
KNOWN = Known(servers=frozenset({"guest"}))
LOOK = Look((PROVIDER,), KNOWN)
LOCAL = LocalFacts(
    "one",
    clock_synchronised=True,
    cgroup_mode="v2",
    controllers=frozenset(CONTROLLERS),
    kernel="6.1.0-18-amd64",
    kernel_parts={name: True for names in PARTS for name in names},
    has_pressure=True,
    versions={"nova": "34.0.0", "zun": "18.0.0", "libvirt": "9.0.0", "docker": "20.10.24"},
    containers=(),
)
REPORTED = ReportedHost("one", True, 64, 31_488, -0.2, "1.0")
HEALTHY = Facts(
    looks=(LOOK, LOOK),
    hypervisors=[Hypervisor("p1", "one", "one", 16, 32_000, 7_002_000)],
    services=[Service("nova-compute", "one"), Service("nova-scheduler", "control")],
    zun_hosts=["one"],
    engine=EngineFacts("1.0", (REPORTED,)),
    nova_conf=NovaSettings(
        "nova.conf",
        "one",
        ("HybridShareFilter",),
        ("hybrid_sched.weighers.nova.CrossFillWeigher",),
        reserved={"VCPU": 0, "MEMORY_MB": 512, "DISK_GB": 0},
    ),
    zun_conf=ZunSettings(
        *("zun.conf", "one", "hybrid_docker", "docker", True),
        enabled_filters=("HybridShareFilter", "CrossFillOrderFilter"),
    ),
    local=LOCAL,
    own_version="1.0",
)


def codes(facts: Facts) -> list[str]:
    return [finding.code for finding in examine(facts)]


def local(**changes: Any) -> Facts:
    return replace(HEALTHY, local=replace(LOCAL, **changes))


def running(**versions: str) -> Facts:
    return local(versions={**LOCAL.versions, **versions})


def reported(**changes: Any) -> Facts:
    return replace(HEALTHY, engine=EngineFacts("1.0", (replace(REPORTED, **changes),)))


def test_a_healthy_host_has_no_findings_and_nothing_known_has_none() -> None:
    assert examine(HEALTHY) == []
    assert examine(Facts()) == []
    assert exit_code(examine(HEALTHY)) == 0


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (local(clock_synchronised=False), ["clocks.unsynchronised"]),
        (local(clock_synchronised=None), []),
        (reported(clock_offset_s=1.5), ["clocks.off"]),
        (reported(clock_offset_s=-11.0), ["clocks.off"]),
        (reported(clock_offset_s=-9.0), []),
        (
            replace(HEALTHY, engine=EngineFacts("1.0", (), {"one": 40.0})),
            ["clocks.refused"],
        ),
        (local(cgroup_mode="none", controllers=frozenset()), ["kernel.no_cgroups"]),
        (local(cgroup_mode="hybrid"), ["kernel.cgroup_v1"]),
        *[
            (local(controllers=frozenset(CONTROLLERS) - {name}), ["kernel.controller_missing"])
            for name in CONTROLLERS
        ],
        (local(has_pressure=False), ["kernel.no_pressure"]),
        *[
            (
                local(kernel_parts={**LOCAL.kernel_parts, **dict.fromkeys(names, False)}),
                ["kernel.part_missing"],
            )
            for names in PARTS
        ],
        (local(kernel_parts={**LOCAL.kernel_parts, "cls_flower": False}), []),
        (local(kernel_parts={}), ["kernel.parts_unknown"]),
        (running(nova="32.1.0", zun="18.0.0"), ["versions.unsupported"]),
        (running(zun="19.0.0"), ["versions.unsupported"]),
        (running(nova="33.0.2", zun="17.0.0"), []),
        (running(nova="33.0.2"), ["versions.releases_differ"]),
        (running(libvirt="7.9.0"), ["versions.unsupported"]),
        (running(docker="19.3.1"), ["versions.unsupported"]),
        (local(kernel="5.4.0-1-amd64"), ["versions.unsupported"]),
        (running(zun=""), ["versions.not_told"]),
        (reported(version="0.9"), ["versions.agent_differs"]),
        (replace(HEALTHY, own_version="2.0"), ["versions.doctor_differs"]),
        (replace(HEALTHY, unseen=(Unseen("a", "b"),)), ["look.failed"]),
        (replace(HEALTHY, unseen=(Unseen("a", "b", expected=True),)), ["look.left_out"]),
        (reported(memory_mb=31_000), []),
        (reported(memory_mb=30_000), ["inventory.agent_differs"]),
        (
            local(containers=(DockerContainer("d", "guest", "exited"),)),
            [],
        ),
        (local(containers=(DockerContainer("d", "x", "paused"),)), ["orphans.docker_running"]),
    ],
)
def test_each_fault_is_found_and_nothing_beside_it(facts: Facts, expected: list[str]) -> None:
    assert codes(facts) == expected


def test_hosts_with_unlike_hypervisors_are_named() -> None:
    other = Hypervisor("p2", "two", "two", 16, 32_000, 6_001_000)
    provider = replace(PROVIDER, uuid="p2", name="two", held={})
    look = Look((PROVIDER, provider), KNOWN)
    facts = replace(
        HEALTHY,
        looks=(look, look),
        hypervisors=[*(HEALTHY.hypervisors or ()), other],
        zun_hosts=["one", "two"],
    )
    [finding] = examine(facts)
    assert finding.code == "versions.hypervisors_differ"
    assert "6.1.0 on two; 7.2.0 on one" in finding.sentence


def test_only_shared_hosts_are_examined() -> None:
    assert codes(replace(HEALTHY, zun_hosts=[], looks=(Look(()), Look(())))) == []
    assert codes(replace(HEALTHY, looks=(Look(()), Look(())))) == ["inventory.provider_missing"]


def test_findings_come_gravest_first() -> None:
    facts = replace(local(has_pressure=False, cgroup_mode="v1"), unseen=(Unseen("a", "b"),))
    facts = replace(facts, zun_conf=replace(HEALTHY.zun_conf, container_driver="docker"))  # type: ignore[type-var]
    severities = [finding.severity for finding in examine(facts)]
    assert severities == sorted(severities, reverse=True)
    assert [exit_code(examine(facts)[at:]) for at in range(5)] == [3, 2, 1, 0, 0]


def test_a_code_is_given_once() -> None:
    with pytest.raises(ValueError, match=r"clocks\.off is taken"):
        Kind("clocks.off", Severity.NOTE)
    assert all(code.count(".") == 1 for code in KINDS)


# Few are known to somebody, so that many are known to nobody: those are what matters here.
UUIDS = st.sampled_from("abcdefgh")
SETS = st.frozensets(UUIDS, max_size=1)
KNOWNS = st.builds(
    Known,
    servers=SETS,
    migrations=SETS,
    ended_migrations=SETS,
    containers=st.dictionaries(
        UUIDS,
        st.builds(
            KnownContainer,
            UUIDS,
            st.sampled_from(["Error", "Running", "Deleted"]),
            st.sampled_from([None, "one"]),
        ),
        max_size=1,
    ),
    members=SETS,
    others=SETS,
)
HELD = st.dictionaries(UUIDS, st.just({"VCPU": 1}), min_size=2)


def deleted_unasked(
    held_first: Any, held_then: Any, first: Known | None, then: Known | None
) -> set[str]:
    """Give the consumers whose claims would be deleted without a question."""
    looks = (
        Look((replace(PROVIDER, held=held_first),), first),
        Look((replace(PROVIDER, held=held_then),), then),
    )
    found = examine(replace(HEALTHY, looks=looks))
    safe = [finding.repair for finding in found if finding.safety is Safety.SAFE]
    assert all(isinstance(repair, ReleaseClaim) for repair in safe)
    return {repair.consumer_uuid for repair in safe if isinstance(repair, ReleaseClaim)}


@given(HELD, HELD, KNOWNS, KNOWNS)
def test_what_is_deleted_unasked_is_what_was_held_and_unknown_at_both_looks(
    held_first: dict[str, Any], held_then: dict[str, Any], first: Known, then: Known
) -> None:
    known = {
        uuid
        for each in (first, then)
        for uuids in (each.servers, each.migrations, each.containers, each.members, each.others)
        for uuid in uuids
    }
    lost = held_first.keys() & held_then.keys() - known - then.ended_migrations
    assert deleted_unasked(held_first, held_then, first, then) == lost


NOBODY = Known()
CLAIM = {"x": {"VCPU": 1}}


@pytest.mark.parametrize(
    ("held_first", "held_then", "first", "then", "expected"),
    [
        (CLAIM, CLAIM, NOBODY, NOBODY, {"x"}),
        ({}, CLAIM, NOBODY, NOBODY, set()),
        (CLAIM, {}, NOBODY, NOBODY, set()),
        (CLAIM, CLAIM, None, NOBODY, set()),
        (CLAIM, CLAIM, NOBODY, None, set()),
        *[
            (CLAIM, CLAIM, *pair, set())
            for kind in ("servers", "migrations", "members", "others")
            for pair in (
                (Known(**{kind: frozenset("x")}), NOBODY),
                (NOBODY, Known(**{kind: frozenset("x")})),
            )
        ],
        (CLAIM, CLAIM, Known(containers={"x": KnownContainer("x", "Error", None)}), NOBODY, set()),
        (CLAIM, CLAIM, NOBODY, Known(containers={"x": KnownContainer("x", "", None)}), set()),
        (CLAIM, CLAIM, NOBODY, Known(ended_migrations=frozenset("x")), set()),
    ],
)
def test_one_look_that_speaks_against_it_keeps_a_claim(
    held_first: Any, held_then: Any, first: Known | None, then: Known | None, expected: set[str]
) -> None:
    assert deleted_unasked(held_first, held_then, first, then) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("one", "one", True),
        ("One", "one", True),
        ("one", "one.example.org", True),
        ("one.example.org", "one", True),
        ("one.example.org", "one.example.com", False),
        ("one", "one2", False),
        ("one", "", False),
    ],
)
def test_a_name_is_the_same_host_without_its_domain(
    one: str, other: str, *, expected: bool
) -> None:
    assert same_host(one, other) is expected
