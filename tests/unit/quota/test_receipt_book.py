# SPDX-License-Identifier: Apache-2.0
"""Receipts of what agents report to a real engine, and what the endpoint answers of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from engines import Site
from values import Clock

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.receipts import Verdict
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.receipt_endpoint import MOST_LISTED, ReceiptEndpoint
from hybrid_sched.quota.receipts import ReceiptBook, TaskReceipt

PERIOD_S = 10.0
GUEST = Task("g", HYPERVISOR, Resources(vcpu=2, memory_mb=10), "guest")
PERCENT = Task(
    "c",
    CONTAINER,
    Resources(vcpu=1, memory_mb=10),
    "container",
    promised=Resources(vcpu=Fraction(1, 2)),
)


def even(cores: float = 0.5, wait: float = 0.0, **more: float) -> dict[str, float]:
    """Give the figures of a period."""
    figures = {"cpu_cores": cores, "cpu_wait_cores": wait, "cpu_throttled_cores": 0.0}
    return {**figures, "memory_used_mb": 5.0, "rates_over_s": PERIOD_S, **more}


class Reporting:
    """A site whose hosts report each period."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.site = Site(clock=self.clock, **options)
        self.book: ReceiptBook = self.site.engine.receipts
        self.endpoint = ReceiptEndpoint(self.book)

    def report(
        self, host: str, measured: dict[str, dict[str, float]], *tasks: Task, **changes: Any
    ) -> None:
        self.clock.now_s += PERIOD_S
        self.site.report(host, *tasks, task_measured=measured, **changes)

    def receipt(self, uuid: str = "g") -> TaskReceipt:
        found = self.book.get(uuid)
        assert found is not None
        return found

    def verdict(self, uuid: str = "g") -> Verdict:
        return self.receipt(uuid).receipt.lines[0].verdict


@pytest.fixture
def reporting() -> Reporting:
    return Reporting()


def test_a_guest_and_a_container_are_judged_by_the_same_words(reporting: Reporting) -> None:
    for _ in range(3):
        starving = {"g": even(1.0, wait=2.0), "c": even(0.3, wait=0.5)}
        reporting.report("a", starving, GUEST, PERCENT)
    guest, container = reporting.receipt("g"), reporting.receipt("c")
    for each, promised, short in ((guest, 2, 1.0), (container, Fraction(1, 2), 0.2)):
        line = each.receipt.lines[0]
        assert (line.verdict, line.promised) == (Verdict.STARVED, promised)
        assert (line.broken_s, line.covered_s) == pytest.approx((30, 30))
        assert line.short == pytest.approx(short)
    assert (guest.task, guest.host, guest.present) == (GUEST, "a", True)
    assert guest.receipt.samples == 3


def test_what_a_task_declares_is_promised_even_where_its_demand_is_more(
    reporting: Reporting,
) -> None:
    reporting.report("a", {"c": even(), "g": even()}, PERCENT, GUEST)
    promised = {
        uuid: [line.promised for line in reporting.receipt(uuid).receipt.lines[:2]]
        for uuid in ("c", "g")
    }
    assert promised == {"c": [Fraction(1, 2), 0], "g": [2, 10]}


def test_a_lost_report_is_a_gap_and_a_silent_agent_too(reporting: Reporting) -> None:
    reporting.report("a", {"g": even()}, GUEST)
    reporting.clock.now_s += PERIOD_S
    reporting.report("a", {"g": even()}, GUEST)
    assert reporting.receipt().receipt.covered == pytest.approx(2 / 3)
    # The next report may be on its way.
    reporting.clock.now_s += PERIOD_S
    assert reporting.receipt().receipt.covered == pytest.approx(2 / 3)
    reporting.clock.now_s += 7 * PERIOD_S
    assert reporting.receipt().receipt.covered == pytest.approx(2 / 11)


def test_an_agent_that_was_away_tells_the_mean_over_all_of_that(reporting: Reporting) -> None:
    reporting.report("a", {"g": even()}, GUEST)
    reporting.clock.now_s += 50
    reporting.report("a", {"g": even(rates_over_s=60.0)}, GUEST)
    assert reporting.receipt().receipt.covered == 1


def test_a_refused_report_does_not_count(reporting: Reporting) -> None:
    reporting.report("a", {"g": even()}, GUEST)
    reporting.report("a", {"g": even(1e6)}, GUEST)
    assert reporting.receipt().receipt.samples == 1


def test_a_task_without_figures_has_a_receipt_that_says_so(reporting: Reporting) -> None:
    reporting.report("a", {}, GUEST)
    receipt = reporting.receipt().receipt
    assert receipt.text == "Nothing is measured yet."
    assert receipt.lines[0].verdict is Verdict.NOT_MEASURED


def test_the_receipt_of_a_task_that_ended_is_kept_for_a_window(reporting: Reporting) -> None:
    reporting.report("a", {"g": even()}, GUEST)
    ended_s = reporting.clock()
    reporting.report("a", {})
    reporting.clock.now_s += 600
    reporting.site.run()
    receipt = reporting.receipt()
    assert not receipt.present
    assert (receipt.receipt.ended_s, receipt.receipt.covered) == (ended_s, 1)
    reporting.clock.now_s += 3600
    reporting.site.run()
    assert reporting.book.get("g") is None


def test_a_task_that_comes_back_is_not_forgotten(reporting: Reporting) -> None:
    for tasks in ((GUEST,), (), (GUEST,)):
        reporting.report("a", {"g": even()}, *tasks)
    reporting.clock.now_s += 4000
    reporting.report("a", {"g": even()}, GUEST)
    reporting.site.run()
    assert reporting.receipt().present
    assert reporting.receipt().receipt.samples == 1


def test_a_task_of_a_host_that_is_left_out_is_forgotten_in_time(reporting: Reporting) -> None:
    reporting.report("a", {"g": even()}, GUEST)
    reporting.clock.now_s += 700
    reporting.site.run()
    assert not reporting.receipt().present
    reporting.clock.now_s += 3700
    reporting.site.run()
    assert reporting.book.get("g") is None


def test_a_task_that_moves_takes_its_receipt_along(reporting: Reporting) -> None:
    reporting.report("a", {"g": even(1.0)}, GUEST)
    reporting.report("b", {"g": even(0.0)}, GUEST)
    assert reporting.receipt().host == "b"
    # Both see it, then only the new host does.
    reporting.report("a", {})
    receipt = reporting.receipt()
    assert receipt.present
    assert receipt.receipt.samples == 2
    reporting.clock.now_s += 4000
    reporting.report("b", {"g": even()}, GUEST)
    reporting.site.run()
    assert reporting.receipt().receipt.samples == 1


def test_what_is_told_of_squeezed_containers_is_not_their_promise(reporting: Reporting) -> None:
    told = Resources(vcpu=2, memory_mb=10)
    reporting.report("a", {"c": even(1.9)}, Task("c", CONTAINER, told))
    for squeezed, cores in (({CONTAINER: Fraction(1, 2)}, 1), ({}, 2)):
        task = Task("c", CONTAINER, told._replace(vcpu=cores))
        reporting.report("a", {"c": even(0.5, wait=2.0)}, task, squeezed=squeezed)
        receipt = reporting.receipt("c").receipt
        assert (receipt.lines[0].promised, receipt.lines[0].verdict) == (2, Verdict.STARVED)
    assert receipt.samples == 3


def test_another_declaration_begins_anew(reporting: Reporting) -> None:
    reporting.report("a", {"g": even(0.5, wait=2.0)}, GUEST)
    resized = Task("g", HYPERVISOR, Resources(vcpu=4, memory_mb=10))
    reporting.report("a", {"g": even(0.5)}, resized)
    assert (reporting.verdict(), reporting.receipt().receipt.samples) == (Verdict.KEPT, 1)


def test_nothing_is_counted_where_receipts_are_off() -> None:
    reporting = Reporting(receipt_window_s=0)
    reporting.report("a", {"g": even()}, GUEST)
    reporting.site.run()
    assert reporting.endpoint.receipts({}) == {
        "receipts": [],
        "since_s": reporting.book.since_s,
        "window_s": 0,
    }
    assert reporting.endpoint.receipt({}, "g")["receipt"] is None


@pytest.fixture
def several(reporting: Reporting) -> Reporting:
    """Give a site on which the guest gets less than promised and the containers what they should."""
    other = Task("d", CONTAINER, Resources(vcpu=1))
    reporting.report("a", {"g": even(0.5, wait=3.0), "c": even()}, GUEST, PERCENT)
    reporting.report("b", {"d": even()}, other)
    return reporting


@pytest.mark.parametrize(
    ("arguments", "uuids"),
    [
        ({}, ["c", "d", "g"]),
        ({"host": "a"}, ["c", "g"]),
        ({"framework": CONTAINER}, ["c", "d"]),
        ({"broken": True}, ["g"]),
        ({"broken": True, "framework": CONTAINER}, []),
        ({"limit": 2}, ["c", "d"]),
        ({"limit": 2, "marker": "d"}, ["g"]),
        ({"host": "unknown"}, []),
    ],
)
def test_receipts_are_listed_page_by_page(
    arguments: dict[str, Any], uuids: list[str], several: Reporting
) -> None:
    answer = several.endpoint.receipts({}, **arguments)
    assert [each["uuid"] for each in answer["receipts"]] == uuids
    assert all(each["broken"] == (each["uuid"] == "g") for each in answer["receipts"])


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        (lambda the: the.receipt({}, 7), "uuid: 7 is not a string"),
        (lambda the: the.receipts({}, limit=0), f"limit: 0 is not between 1 and {MOST_LISTED}"),
        (lambda the: the.receipts({}, host=[]), "host: [] is not a string"),
        (
            lambda the: the.receipts({}, framework="vm"),
            "framework: 'vm' is unknown: give hypervisor or container",
        ),
        (lambda the: the.receipts({}, broken="yes"), "broken: 'yes' is neither true nor false"),
    ],
)
def test_what_cannot_be_used_is_named(
    ask: Callable[[ReceiptEndpoint], dict[str, Any]], fault: str, reporting: Reporting
) -> None:
    assert ask(reporting.endpoint) == {"fault": fault}
