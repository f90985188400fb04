# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from agents import Clock, Killed, Weights, conf
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.squeeze import Squeezer, target
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import LEAST_SHARES, Aspect
from hybrid_sched.interfaces.isolator import Ability
from hybrid_sched.rpc.messages import BadMessage


class Site:
    """One agent's squeezer over its replica; it can be restarted."""

    def __init__(self, directory: Path, *isolators: Weights, **options: Any) -> None:
        self.clock = Clock()
        self.isolators = isolators
        self._directory = directory
        self._options = options
        self.replica: Replica | None = None
        self.restart()

    def restart(self) -> None:
        if self.replica is not None:
            self.replica.close()
        self.replica = Replica(self._directory, "a")
        named = [(f"of-{'-'.join(each.frameworks)}", each) for each in self.isolators]
        self.squeezer = Squeezer(conf(**self._options), named, self.replica, self.clock)

    def order(self, term: object = 1, **factors: object) -> bool:
        return self.squeezer.take_order(term, factors)

    def apply(self) -> dict[str, Any]:
        return dict(self.squeezer.apply().factors)


@pytest.fixture
def docker() -> Weights:
    return Weights(one=1024, two=2048, three=3)


@pytest.fixture
def site(tmp_path: Path, docker: Weights) -> Site:
    return Site(tmp_path, docker)


def test_an_order_is_followed_and_taken_back(site: Site, docker: Weights) -> None:
    assert site.order(container="1/4")
    assert site.apply() == {CONTAINER: Fraction(1, 4)}
    assert docker.weights == {"one": 256, "two": 512, "three": 2}
    site.order(container="1/2")
    assert site.apply() == {CONTAINER: Fraction(1, 2)}
    assert docker.weights == {"one": 512, "two": 1024, "three": 2}
    site.order(container=1)
    assert site.apply() == {}
    assert docker.weights == {"one": 1024, "two": 2048, "three": 3}
    assert site.replica.state.squeezes == {}


def test_a_framework_that_the_newest_order_does_not_name_is_given_back(tmp_path: Path) -> None:
    docker, libvirt = Weights(c=1024), Weights(HYPERVISOR, g=100)
    site = Site(tmp_path, docker, libvirt)
    site.order(container="1/2", hypervisor="1/10")
    site.apply()
    assert (docker.weights, libvirt.weights) == ({"c": 512}, {"g": 10})
    site.order(hypervisor="1/10")
    assert site.apply() == {HYPERVISOR: Fraction(1, 10)}
    assert (docker.weights, libvirt.weights) == ({"c": 1024}, {"g": 10})


def test_only_a_changed_order_is_news(site: Site) -> None:
    news = [site.order(container="1/2"), site.order(2, container="2/4"), site.order(2)]
    assert news == [True, False, True]


def test_an_order_of_an_older_term_is_refused_also_after_a_restart(
    site: Site, docker: Weights, caplog: pytest.LogCaptureFixture
) -> None:
    site.order(5, container="1/2")
    site.restart()
    assert not site.order(4, container=1)
    assert not site.order(4)
    assert site.apply() == {CONTAINER: Fraction(1, 2)}
    assert "Squeeze order refused: it is of term 4, and term 5 has been seen" in caplog.text
    site.order(5)
    assert site.apply() == {}


@pytest.mark.parametrize(
    ("term", "factors", "said"),
    [
        (None, {}, "term: None is not an integer"),
        (-1, {}, "term: -1 is not between 0 and"),
        (True, {}, "term: True is not an integer"),
        (1, [], "factors: [] is not an object"),
        (1, {CONTAINER: 0}, "factors.container: 0 is not above 0 and at most 1"),
        (1, {CONTAINER: "3/2"}, "factors.container: '3/2' is not above 0 and at most 1"),
        (1, {CONTAINER: 0.5}, "factors.container: 0.5 is no exact number"),
        (1, {CONTAINER: "1/0"}, "factors.container: '1/0' divides by zero"),
        (1, {"": 1}, "factors: is empty"),
        (1, {str(number): 1 for number in range(100)}, "factors: 100 frameworks, at most 64"),
    ],
)
def test_a_malformed_order_is_refused_by_its_field_and_changes_nothing(
    site: Site, term: object, factors: Any, said: str
) -> None:
    site.order(container="1/2")
    before = site.replica.state
    with pytest.raises(BadMessage) as refused:
        site.squeezer.take_order(term, factors)
    assert str(refused.value).startswith(said)
    assert site.replica.state is before


def test_new_tasks_are_squeezed_too_and_those_gone_are_forgotten(
    site: Site, docker: Weights
) -> None:
    site.order(container="1/2")
    site.apply()
    docker.weights["new"] = 4096
    del docker.weights["one"]
    site.apply()
    assert docker.weights == {"two": 1024, "three": 2, "new": 2048}
    assert set(site.replica.state.squeezes["of-container"].originals) == {"two", "three", "new"}
    site.order()
    site.apply()
    assert docker.weights == {"two": 2048, "three": 3, "new": 4096}


def test_nothing_is_asked_or_written_where_nothing_is_to_be_done(
    site: Site, docker: Weights
) -> None:
    site.order()
    site.apply()
    assert docker.asked == 0
    site.order(container="1/2")
    site.apply()
    before, sets = site.replica.state, docker.sets
    site.apply()
    assert docker.sets == sets
    assert site.replica.state is before


@pytest.mark.parametrize("kills_after", range(6))
def test_a_kill_at_any_moment_loses_no_original(
    tmp_path: Path, docker: Weights, kills_after: int
) -> None:
    originals = dict(docker.weights)
    site = Site(tmp_path, docker)
    docker.killed_at_set = kills_after
    # Three weights are reduced, then three are given back.
    with pytest.raises(Killed):  # noqa: PT012 - in which of the two is the test's parameter
        for factor in ("1/2", 1):
            site.order(container=factor)
            site.apply()
    docker.killed_at_set = None
    site.restart()
    site.apply()
    site.order(container="1/8")
    site.apply()
    assert docker.weights == {"one": 128, "two": 256, "three": 2}
    site.restart()
    site.order()
    site.apply()
    assert docker.weights == originals


def test_an_order_that_is_not_renewed_is_over(site: Site, docker: Weights) -> None:
    originals = dict(docker.weights)
    site.order(container="1/2")
    site.clock.advance(200)
    site.order(container="1/2")
    site.clock.advance(200)
    assert site.apply() == {CONTAINER: Fraction(1, 2)}
    site.restart()
    site.clock.advance(101)
    assert site.apply() == {}
    assert docker.weights == originals
    # The term that was seen still fences.
    assert not site.order(0, container="1/2")


def test_after_a_reboot_of_the_host_the_originals_come_back(site: Site, docker: Weights) -> None:
    originals = dict(docker.weights)
    site.order(container="1/2")
    site.apply()
    site.clock.kernel_boot_id, site.clock.boottime_s = "next", 5.0
    site.restart()
    assert site.apply() == {}
    assert docker.weights == originals


def test_somebody_elses_change_is_mended_logged_and_the_original_comes_back(
    site: Site, docker: Weights, caplog: pytest.LogCaptureFixture
) -> None:
    site.order(container="1/2")
    site.apply()
    assert "somebody else" not in caplog.text
    docker.weights["one"] = 700
    site.apply()
    assert docker.weights["one"] == 512
    assert "container one was set to 700 by somebody else" in caplog.text
    site.order()
    site.apply()
    assert docker.weights["one"] == 1024


def test_a_task_without_a_weight_has_the_kernels(site: Site, docker: Weights) -> None:
    docker.weights["none"] = None
    site.order(container="1/2")
    site.apply()
    assert docker.weights["none"] == 512
    site.order()
    site.apply()
    assert docker.weights["none"] == 1024


def test_isolators_that_cannot_hold_the_weights_of_one_framework_are_passed_over(
    tmp_path: Path, docker: Weights
) -> None:
    rates, both, none = Weights(c=1024), Weights(c=1024), Weights(c=1024)
    rates.able = Ability(frozenset({Aspect.NET_IN}), {})
    both.frameworks = frozenset({CONTAINER, HYPERVISOR})
    none.frameworks = frozenset()
    site = Site(tmp_path, rates, both, none, docker)
    site.order(container="1/2")
    told = site.squeezer.apply()
    assert (told.faults, dict(told.factors)) == ((), {CONTAINER: Fraction(1, 2)})
    assert docker.weights["one"] == 512
    assert rates.weights == both.weights == none.weights == {"c": 1024}


def test_weights_that_a_host_cannot_hold_are_a_fault_with_its_sentence(
    site: Site, docker: Weights
) -> None:
    docker.able = Ability(frozenset(), {Aspect.CPU_WEIGHT: "no cpu controller."})
    site.order(container="1/2")
    told = site.squeezer.apply()
    assert (told.faults, dict(told.factors)) == (("of-container: no cpu controller.",), {})
    assert docker.weights["one"] == 1024


def test_an_isolator_that_fails_stops_no_other_and_is_caught_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docker, libvirt = Weights(c=1024), Weights(HYPERVISOR, g=100)
    site = Site(tmp_path, docker, libvirt)
    site.order(container="1/2", hypervisor="1/2")
    docker.away = True
    for _ in range(2):
        told = site.squeezer.apply()
        assert told.factors == {HYPERVISOR: Fraction(1, 2)}
        assert told.faults == ("of-container: away.",)
    assert caplog.text.count("of-container failed") == 1
    docker.away = False
    assert site.apply() == {CONTAINER: Fraction(1, 2), HYPERVISOR: Fraction(1, 2)}
    docker.away = True
    site.order()
    told = site.squeezer.apply()
    # It still holds, since it could not be given back.
    assert told.factors == {CONTAINER: Fraction(1, 2)}
    docker.away = False
    assert site.apply() == {}
    assert docker.weights == {"c": 1024}


def test_one_task_that_is_refused_keeps_no_other_and_the_factor_is_not_claimed(
    site: Site, docker: Weights
) -> None:
    docker.refused = {"one"}
    site.order(container="1/2")
    told = site.squeezer.apply()
    assert told.factors == {}
    assert told.faults == ("of-container: one refused.",)
    assert docker.weights == {"one": 1024, "two": 1024, "three": 2}
    docker.refused = set()
    assert site.apply() == {CONTAINER: Fraction(1, 2)}
    assert docker.weights["one"] == 512


def test_the_planned_weight_is_reduced_and_given_back_and_what_is_not_planned_waits(
    site: Site, docker: Weights
) -> None:
    site.order(container="1/2")
    site.squeezer.apply({"one": 4096, "two": None})
    assert docker.weights == {"one": 2048, "two": 1024, "three": 3}
    site.squeezer.apply({"one": 4096, "two": None, "three": 100})
    assert docker.weights == {"one": 2048, "two": 1024, "three": 50}
    site.order()
    site.squeezer.apply({})
    assert docker.weights == {"one": 4096, "two": 2048, "three": 100}


def test_of_two_isolators_that_can_hold_the_same_weights_the_first_one_does(
    tmp_path: Path, docker: Weights
) -> None:
    class Kernel(Weights):
        """It sees what Docker has set."""

        weights = property(lambda _self: docker.weights, lambda *_: None)

    kernel = Kernel()
    isolators = [("docker", docker), ("cgroup", kernel)]
    squeezer = Squeezer(conf(), isolators, Replica(tmp_path, "a"), Clock())
    squeezer.take_order(1, {CONTAINER: "1/2"})
    for _ in range(2):
        squeezer.apply()
        assert (docker.weights["one"], kernel.sets) == (512, 0)
    docker.away = True
    squeezer.apply()
    assert kernel.sets == 0


@given(st.integers(1, 262144), st.fractions(0, 1).filter(bool))
def test_a_target_lies_between_the_least_weight_and_the_original(
    original: int, factor: Fraction
) -> None:
    weight = target(original, factor)
    assert min(original, LEAST_SHARES) <= weight <= original
    assert (
        weight == LEAST_SHARES or abs(weight - original * factor) <= Fraction(1, 2) or original == 1
    )
    assert target(original, 1) == original
