# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.declaration import (
    KEYS,
    LARGEST_RATE_BPS,
    RATE_KEYS,
    BadDeclaration,
    Declaration,
    fault_of,
    of_container,
    of_flavor,
)
from hybrid_sched.core.lifecycle import State
from hybrid_sched.core.resources import Resources

_QUOTA_OF = {
    "hybrid:disk_read_bps": ("quota:disk_read_bytes_sec", 1),
    "hybrid:disk_write_bps": ("quota:disk_write_bytes_sec", 1),
    "hybrid:net_in_bps": ("quota:vif_inbound_average", 1000),
    "hybrid:net_out_bps": ("quota:vif_outbound_average", 1000),
}


def guest(**specs: str) -> Declaration:
    """Read a flavor with these extra specs, ``__`` for the colon."""
    named = {name.replace("__", ":"): text for name, text in specs.items()}
    return of_flavor(2, 512, named).complete()


def faults(specs: dict[str, str]) -> tuple[str, ...]:
    return of_flavor(2, 512, specs).faults


def test_a_plain_flavor_declares_cpus_and_memory_alone() -> None:
    made = guest()
    assert made == Declaration(cpus=2, memory_mb=512, relocate=True)
    assert (made.cpu_percent, made.state) == (100, State.RUNNING)
    assert made.resources == Resources(vcpu=2, memory_mb=512)


def test_every_field_of_table_1_is_read_from_novas_own_extra_specs() -> None:
    specs = {
        "quota:cpu_period": "200000",
        "quota:cpu_quota": "25000",
        "quota:cpu_shares": "2048",
        "quota:disk_read_bytes_sec": "10485760",
        "quota:disk_write_bytes_sec": "5000000",
        "quota:vif_inbound_average": "125",
        "quota:vif_outbound_average": "64",
        "hw:cpu_policy": "dedicated",
        "hw:numa_nodes": "2",
        "trait:HW_CPU_X86_AVX": "required",
    }
    made = of_flavor(4, 1024, specs).complete()
    assert made == Declaration(
        cpus=4,
        memory_mb=1024,
        cpu_percent=Fraction(25, 2),
        cpu_shares=2048,
        cpu_policy="dedicated",
        disk_read_bps=10_485_760,
        disk_write_bps=5_000_000,
        net_in_bps=125_000,
        net_out_bps=64_000,
        relocate=True,
    )
    assert made.resources == Resources(4, 1024, 10_485_760, 5_000_000, 125_000, 64_000)


_OURS = {
    "hybrid:cpu_percent": "50",
    "hybrid:disk_read_bps": "10MiB/s",
    "hybrid:disk_write_bps": "5000000",
    "hybrid:net_in_bps": "125kB/s",
    "hybrid:net_out_bps": "1GB/s",
    "hybrid:state": "closed",
    "hybrid:relocate": "deny",
}


def test_a_flavor_and_a_container_declare_by_the_same_names() -> None:
    of_guest = of_flavor(3, 256, _OURS).complete()
    assert of_guest == of_container(3, 256, _OURS).complete()
    assert of_guest == Declaration(
        cpus=3,
        memory_mb=256,
        cpu_percent=50,
        disk_read_bps=10 * 2**20,
        disk_write_bps=5_000_000,
        net_in_bps=125_000,
        net_out_bps=10**9,
        state=State.CLOSED,
        relocate=False,
    )


def test_a_container_claims_whole_cpus_and_at_least_one_of_each() -> None:
    made = of_container(1.5, 64, None).complete()
    assert made.cpus == Fraction(3, 2)
    assert made.resources == Resources(vcpu=2, memory_mb=64)
    assert of_container(0, 0, {}).complete().resources == Resources(vcpu=1, memory_mb=1)


def test_a_container_moves_only_where_its_owner_allows_it_and_a_guest_unless_its_owner_forbids_it() -> (
    None
):
    assert not of_container(1, 1, {}).complete().relocate
    assert of_container(1, 1, {"hybrid:relocate": "allow"}).complete().relocate
    assert of_flavor(1, 1, {}).complete().relocate
    assert not of_flavor(1, 1, {"hybrid:relocate": "deny"}).complete().relocate


def test_labels_of_others_and_novas_names_say_nothing_of_a_container() -> None:
    labels = {
        "quota:disk_read_bytes_sec": "x",
        "hw:cpu_policy": "x",
        "app": "web",
        "hybrid:task": "7",
    }
    assert of_container(1, 1, labels).complete() == Declaration(cpus=1, memory_mb=1)
    assert of_container(1, 1, labels, "dedicated").complete().cpu_policy == "dedicated"


def test_a_total_of_the_disk_counts_in_full_for_reading_and_for_writing() -> None:
    made = guest(quota__disk_total_bytes_sec="1000")
    assert (made.disk_read_bps, made.disk_write_bps, made.disk_total_bps) == (0, 0, 1000)
    assert made.resources == Resources(2, 512, disk_read_bps=1000, disk_write_bps=1000)


@pytest.mark.parametrize(
    ("specs", "percent"),
    [
        ({"quota:cpu_quota": "50000"}, 50),
        ({"quota:cpu_quota": "-1", "quota:cpu_period": "1000"}, 100),
        ({"quota:cpu_quota": "0"}, 100),
        ({"quota:cpu_period": "1000"}, 100),
        ({"quota:cpu_quota": "1000", "quota:cpu_period": "0"}, 1),
        ({"quota:cpu_quota": "300000", "quota:cpu_period": "100000"}, 100),
        ({"quota:cpu_quota": "1000", "quota:cpu_period": "3000"}, Fraction(100, 3)),
        ({"quota:cpu_quota": "25000", "hybrid:cpu_percent": "25"}, 25),
    ],
)
def test_the_time_slice_is_the_quota_of_the_period(
    specs: dict[str, str], percent: int | Fraction
) -> None:
    assert of_flavor(1, 1, specs).complete().cpu_percent == percent


@pytest.mark.parametrize(
    ("specs", "fault"),
    [
        (
            {"quota:disk_read_bytes_sec": "1000", "hybrid:disk_read_bps": "1MB/s"},
            "quota:disk_read_bytes_sec is 1000 bytes/s, but hybrid:disk_read_bps is 1000000 bytes/s: "
            "give one of them, or the same",
        ),
        (
            {"quota:vif_outbound_average": "1024", "hybrid:net_out_bps": "1MiB/s"},
            "quota:vif_outbound_average is 1024000 bytes/s, but hybrid:net_out_bps is 1048576 bytes/s: "
            "give one of them, or the same",
        ),
        (
            {"quota:disk_total_bytes_sec": "9", "quota:disk_write_bytes_sec": "5"},
            "quota:disk_total_bytes_sec and quota:disk_write_bytes_sec are both given: "
            "give the total, or a rate for reading and one for writing",
        ),
        (
            {"quota:disk_total_bytes_sec": "9", "hybrid:disk_read_bps": "5"},
            "quota:disk_total_bytes_sec and hybrid:disk_read_bps are both given: "
            "give the total, or a rate for reading and one for writing",
        ),
        (
            {"quota:cpu_quota": "20000", "hybrid:cpu_percent": "30"},
            "quota:cpu_quota allows 20 % of each CPU, but hybrid:cpu_percent is 30: "
            "give one of them, or the same",
        ),
        (
            {"hybrid:cpu_percent": "200"},
            "hybrid:cpu_percent is '200': give a whole number from 1 to 100, the part of each CPU; "
            "for more than all of it give more CPUs",
        ),
        (
            {"quota:cpu_quota": "999"},
            "quota:cpu_quota is '999': give 1000 or more microseconds, or a negative one for no limit",
        ),
        (
            {"quota:cpu_period": "1000001"},
            "quota:cpu_period is '1000001': give 1000 to 1000000 microseconds, or 0 for the default",
        ),
        (
            {"hybrid:state": "suspended"},
            "hybrid:state is 'suspended': give running or paused or closed",
        ),
        ({"hybrid:relocate": "yes"}, "hybrid:relocate is 'yes': give allow or deny"),
        (
            {"hybrid:net_in_bps": "2000GB/s"},
            f"hybrid:net_in_bps is '2000GB/s': give at most {LARGEST_RATE_BPS} bytes/s, "
            "or leave it out for no limit",
        ),
        (
            {"hybrid:disk_raed_bps": "5"},
            f"'hybrid:disk_raed_bps' is not known: use one of {', '.join(KEYS)}",
        ),
        ({"quota:cpu_shares": "-4"}, "quota:cpu_shares is '-4': give a whole number, 0 or more"),
        ({"hw:cpu_policy": "own"}, "hw:cpu_policy is 'own': give shared or dedicated or mixed"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_remedy(
    specs: dict[str, str], fault: str
) -> None:
    reading = of_flavor(2, 512, specs)
    assert reading.faults == (fault,)
    with pytest.raises(BadDeclaration) as raised:
        reading.complete()
    assert str(raised.value) == fault
    # What can be read is read all the same.
    assert (reading.declaration.cpus, reading.declaration.memory_mb) == (2, 512)


def test_a_container_is_not_paused_at_first() -> None:
    (fault,) = of_container(1, 1, {"hybrid:state": "paused"}).faults
    assert fault == "hybrid:state is 'paused': give running or closed"


def test_amounts_that_are_no_numbers_are_named() -> None:
    reading = of_container("None", -1, {})
    assert [fault.split(" ")[0] for fault in reading.faults] == ["cpu:", "memory"]
    assert reading.declaration.resources == Resources(vcpu=1, memory_mb=1)


@pytest.mark.parametrize("text", ["", " 5", "+5", "-5", "1.5", "5M", "5 MB/s", "5mb/s", "٥", "1_0"])
@pytest.mark.parametrize("key", RATE_KEYS)
def test_a_rate_has_one_rule(key: str, text: str) -> None:
    (fault,) = faults({key: text})
    assert fault.startswith(f"{key} is {text!r}: give a whole number of bytes per second")


@given(st.sampled_from(sorted(RATE_KEYS)), st.integers(0, LARGEST_RATE_BPS))
def test_a_rate_given_twice_alike_is_one(key: str, rate: int) -> None:
    of_nova, factor = _QUOTA_OF[key]
    rate -= rate % factor
    both = {key: str(rate), of_nova: str(rate // factor)}
    made = of_flavor(1, 1, both).complete()
    for one, text in both.items():
        assert of_flavor(1, 1, {one: text}).complete() == made
    assert getattr(made, RATE_KEYS[key]) == getattr(made.resources, RATE_KEYS[key]) == rate


@given(st.dictionaries(st.sampled_from((*KEYS, "quota:cpu_quota", "hw:cpu_policy")), st.text()))
def test_no_text_is_more_than_a_fault_of_its_field(specs: dict[str, str]) -> None:
    reading = of_flavor(1, 1, specs)
    for fault in reading.faults:
        assert any(fault.startswith(key) for key in specs)
    assert 0 < reading.declaration.cpu_percent <= 100


@given(st.sampled_from(KEYS), st.text())
def test_one_value_alone_is_judged_as_in_a_whole_declaration(key: str, text: str) -> None:
    assert fault_of(key, text) == of_flavor(2, 512, {key: text}).text


def test_what_is_promised_is_a_time_slice_of_cpus_that_are_claimed_as_a_whole() -> None:
    made = of_container("1.5", 64, {"hybrid:cpu_percent": "50", "hybrid:net_in_bps": "1000"})
    assert made.complete().resources == Resources(vcpu=2, memory_mb=64, net_in_bps=1000)
    assert made.complete().promised == Resources(vcpu=Fraction(3, 4), memory_mb=64, net_in_bps=1000)


def test_nothing_is_promised_where_nothing_is_declared_though_something_is_claimed() -> None:
    assert of_container(0, 0, {}).complete().promised == Resources()


def test_what_a_relocation_needs_is_no_misspelt_limit() -> None:
    labels = {"hybrid:relocate": "allow", "hybrid:move": "m", "hybrid:mounts": "v:/data"}
    reading = of_container(1, 256, labels)
    assert (reading.faults, reading.declaration.relocate) == ((), True)
    assert of_container(1, 256, {"hybrid:mount": "v:/data"}).faults
