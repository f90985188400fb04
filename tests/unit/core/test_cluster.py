# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import pytest

from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR, Host
from hybrid_sched.core.resources import Resources

CAPACITY = Resources(vcpu=8, memory_mb=100)


@pytest.mark.parametrize(
    ("used", "free"),
    [
        ({}, Resources(vcpu=8, memory_mb=100)),
        ({HYPERVISOR: Resources(vcpu=3)}, Resources(vcpu=5, memory_mb=100)),
        (
            {HYPERVISOR: Resources(3, 60), CONTAINER: Resources(Fraction(1, 3), 40)},
            Resources(vcpu=Fraction(14, 3)),
        ),
        ({HYPERVISOR: Resources(vcpu=5), CONTAINER: Resources(vcpu=5)}, Resources(-2, 100)),
    ],
)
def test_what_is_free_is_what_no_framework_holds(used, free):
    assert Host("one", CAPACITY, used=used).free == free


def test_a_changed_copy_of_a_host_has_its_own_free_room():
    host = Host("one", CAPACITY)
    fuller = replace(host, used={CONTAINER: Resources(vcpu=8)})
    assert fuller.free == Resources(memory_mb=100)
    assert host.free == CAPACITY
    assert fuller != host


def test_a_host_cannot_be_changed():
    host = Host("one", CAPACITY)
    with pytest.raises(FrozenInstanceError):
        host.used = {HYPERVISOR: CAPACITY}


def test_guests_come_before_containers_where_order_breaks_ties():
    assert FRAMEWORKS == ("hypervisor", "container")


def test_a_host_is_worth_its_capacity_and_empty_and_fresh_unless_told_otherwise():
    assert Host("one", CAPACITY) == Host("one", CAPACITY, 1, {}, 0, True)
    assert Host("one", CAPACITY, task_count=1) != Host("one", CAPACITY)
