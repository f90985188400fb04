# SPDX-License-Identifier: Apache-2.0
"""Questions to an engine about requests that nobody has made, and what comes of the answers."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from engines import Site
from oslo_messaging import ExpectedException
from values import decision, request, task

from hybrid_sched.clients.nova import Flavor
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.declaration import of_flavor
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import ShareGate
from hybrid_sched.quota.answers import NotReady
from hybrid_sched.quota.endpoint import EngineEndpoint


class Flavors:
    """Nova with a few flavors."""

    def __init__(self, fault: ServiceFault | None = None) -> None:
        self._fault = fault

    def flavors(self) -> tuple[Flavor, ...]:
        if self._fault is not None:
            raise self._fault
        return (
            Flavor("small", "1", of_flavor(0, 10, {})),
            Flavor("huge", "2", of_flavor(0, 150, {})),
            Flavor("busy", "3", of_flavor(1, 10, {"hybrid:disk_read_bps": "1MB/s"})),
            Flavor("odd", "4", of_flavor(1, 10, {"hybrid:cpu_percent": "0"})),
        )


def ask(site: Site, nova: Any = None, **question: Any) -> dict[str, Any]:
    endpoint = EngineEndpoint(site.engine, lambda *_: None, nova)
    asked = {"framework": CONTAINER, "demand": {"memory_mb": 10}, **question}
    return json.loads(json.dumps(endpoint.why_not({}, **json.loads(json.dumps(asked)))))


def kinds(answer: dict[str, Any]) -> list[str]:
    return [change["kind"] for change in answer["changes"]]


def change(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [each for each in answer["changes"] if each["kind"] == kind]
    return found


def admitted(site: Site, memory_mb: int, framework: str = CONTAINER) -> tuple[str, ...]:
    asked = request("new", memory_mb, framework)
    return ShareGate(site.snapshot).judge(asked, sorted(site.snapshot.hosts)).admitted


@pytest.mark.parametrize("framework", [CONTAINER, HYPERVISOR])
def test_what_fits_is_told_with_its_host_in_the_same_words(framework: str) -> None:
    site = Site()
    site.cycle(task("t", 30))
    answer = ask(site, framework=framework, demand={"memory_mb": 40})
    assert (answer["fits"], answer["host"], answer["changes"]) == (True, "b", [])
    assert answer["hosts"][0] == {
        "host": "b",
        "rule": None,
        "text": "host b has room for 1 of 1 (weight 100)",
    }
    assert (answer["framework"], answer["demand"]) == (framework, {"memory_mb": 40})


def test_the_weight_that_is_named_is_enough_in_the_next_cycle_and_the_one_before_is_not() -> None:
    site = Site(lending_of_guests="1/3")
    site.conf.set_override("lending", {HYPERVISOR: "1/3", CONTAINER: "1/2"}, group="quota")
    site.report("a", task("t", 80), task("g", 10, HYPERVISOR))
    site.report("b", task("h", 15, HYPERVISOR))
    site.engine.take_decision(
        decision("p", framework=HYPERVISOR, demand=Resources(memory_mb=90), refused_by_share=True)
    )
    site.run()
    assert admitted(site, 60) == ()
    found = change(ask(site, demand={"memory_mb": 60}), "weight")
    weight = Fraction(found["weight"])
    assert (found["host"], found["before"], str(float(weight))) == ("b", 1, found["decimal"])
    site.run(weights={"": {CONTAINER: weight - Fraction(1, 1000)}})
    assert admitted(site, 60) == ()
    site.run(weights={"": {CONTAINER: weight}})
    assert admitted(site, 60) == ("b",)


def test_a_reservation_that_was_made_meanwhile_is_reckoned_with() -> None:
    site = Site(lending_of_guests="0", reserve="strict")
    site.cycle()
    assert site.reserve("r", 60).granted
    found = change(ask(site, demand={"memory_mb": 60}), "weight")
    assert found["weight"] == "3/2"
    site.run(weights={"": {CONTAINER: Fraction(3, 2)}})
    assert site.reserve("s", 60).granted


def test_the_demand_that_is_named_is_let_in_and_more_is_not() -> None:
    site = Site()
    site.report("a", task("t", 70))
    site.report("b", task("u", 25))
    site.run()
    found = change(ask(site, demand={"memory_mb": 90}), "flavor")
    assert (found["demand"], found["reduced"]) == ({"memory_mb": 5}, {"memory_mb": 90})
    assert admitted(site, 5) == ("a", "b")
    assert admitted(site, 6) == ()


def test_the_move_that_is_named_makes_room_once_it_is_made() -> None:
    site = Site()
    site.report("a", task("m", 30, HYPERVISOR, movable=True, name="db"), task("s", 10))
    site.report("b", task("u", 50, HYPERVISOR))
    site.run()
    answer = ask(site, demand={"memory_mb": 70})
    found = change(answer, "move")
    assert (found["task"], found["name"]) == ("m", "db")
    assert (found["source"], found["target"], found["host"]) == ("a", "b", "a")
    site.report("a", task("s", 10))
    site.report("b", task("u", 50, HYPERVISOR), task("m", 30, HYPERVISOR))
    site.run()
    assert admitted(site, 70) == ("a",)


def test_without_a_move_the_end_of_a_task_is_named() -> None:
    site = Site()
    site.report("a", task("s", 60, HYPERVISOR))
    site.report("b", task("u", 50, HYPERVISOR))
    site.run()
    answer = ask(site, demand={"memory_mb": 70})
    assert kinds(answer) == ["flavor", "end"]
    assert change(answer, "end")["task"] == "u"
    site.report("b")
    site.run()
    assert admitted(site, 70) == ("b",)


def test_a_flavor_is_looked_up_by_name_and_id() -> None:
    site = Site()
    site.cycle()
    by_name, by_id = (ask(site, Flavors(), flavor=name) for name in ("small", "1"))
    assert by_name == by_id
    assert by_name["framework"] == HYPERVISOR
    assert by_name["demand"] == {"vcpu": 1, "memory_mb": 10}
    huge = ask(site, Flavors(), flavor="huge")
    assert change(huge, "flavor")["demand"] == {"vcpu": 1, "memory_mb": 100}


def test_one_pool_may_be_asked_about() -> None:
    site = Site()
    site.cycle()
    site.run(pool_of={"b": "gold"})
    assert ask(site, pool="gold")["host"] == "b"
    rules = {each["host"]: each["rule"] for each in ask(site, pool="")["hosts"]}
    assert rules == {"a": None, "b": "other_pool"}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"framework": "pods"}, "framework: 'pods' is unknown: give hypervisor or container"),
        ({"demand": {}}, "demand: nothing is asked for: give vcpu or memory_mb above 0"),
        ({"demand": {"gold": 1}}, "demand: unknown resource 'gold'"),
        ({"count": 0}, "count: 0 is not between 1 and 10000"),
        ({"pool": "x"}, "pool: 'x' is unknown: give one of default"),
        ({"flavor": "small"}, "flavor: the quota service does not know Nova: set [nova]"),
    ],
)
def test_a_question_that_cannot_be_used_is_refused_with_a_sentence(
    question: dict[str, Any], said: str
) -> None:
    site = Site()
    site.cycle()
    assert ask(site, **question)["fault"].startswith(said)


def test_a_flavor_is_asked_for_with_all_that_its_extra_specs_declare() -> None:
    site = Site()
    site.cycle()
    asked = ask(site, Flavors(), flavor="busy")
    assert asked["demand"]["disk_read_bps"] == 1_000_000
    fault = ask(site, Flavors(), flavor="odd")["fault"]
    assert fault.startswith("flavor: odd: hybrid:cpu_percent is '0'")


def test_a_flavor_that_cannot_be_read_is_said() -> None:
    site = Site()
    site.cycle()
    assert ask(site, Flavors(), flavor="x")["fault"].startswith("flavor: 'x' is unknown to Nova")
    fault = ServiceFault("GET /flavors/detail of compute was refused (403): it needs a role")
    assert "was refused (403)" in ask(site, Flavors(fault), flavor="x")["fault"]


def test_before_the_first_cycle_nothing_is_known() -> None:
    with pytest.raises(ExpectedException) as raised:
        ask(Site())
    assert raised.value.exc_info[0] is NotReady
