# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from oslo_config import cfg
from values import Clock, decision, quota_conf, report, request, task

from hybrid_sched.conf.quota import BadOption
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Snapshot
from hybrid_sched.core.decision import Stage
from hybrid_sched.quota.engine import Engine


class Site:
    """An engine with two hosts of 100 MiB, and what it published."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.conf: cfg.ConfigOpts = quota_conf(lending={HYPERVISOR: "0"}, **options)
        self.published: list[Snapshot] = []
        self.engine = Engine(self.conf, self.published.append, self.clock, self.clock)
        self._sequence = 0

    def cycle(self, *tasks_on_a: Any) -> Snapshot:
        self._sequence += 1
        self.engine.take_report(report("a", *tasks_on_a, sequence=self._sequence))
        self.engine.take_report(report("b", sequence=self._sequence))
        self.engine.run_cycle()
        return self.published[-1]

    def used_mb(self) -> Any:
        return self.engine.snapshot()[0].frameworks[CONTAINER].used[1]

    def wanted_mb(self) -> Any:
        return self.engine.snapshot()[0].frameworks[CONTAINER].wanted[1]


@pytest.fixture
def site() -> Site:
    return Site()


def test_each_cycle_publishes_a_newer_snapshot_of_one_life(site: Site) -> None:
    first, second = site.cycle(), site.cycle(task("t", 10))
    assert first.epoch == second.epoch != Site().cycle().epoch
    assert second.version == first.version + 1
    assert (first.frameworks[CONTAINER].used[1], second.frameworks[CONTAINER].used[1]) == (0, 10)
    assert site.engine.snapshot() == (second, 0.0)


def test_a_reservation_is_charged_once_and_until_its_task_is_seen(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 60)).granted
    assert site.engine.reserve(request("t", 60)).granted
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 60
    site.cycle(task("t", 60))
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 0


def test_reservations_together_stay_within_the_share(site: Site) -> None:
    site.cycle()
    answers = [site.engine.reserve(request(str(n), 30)) for n in range(4)]
    assert [each.granted for each in answers] == [True, True, True, False]
    assert "framework container would hold 60.0 % of memory_mb" in answers[3].text


def test_a_reservation_ends_when_released_or_over(site: Site) -> None:
    site.cycle()
    site.engine.reserve(request("t", 60))
    assert site.engine.release("t")
    assert not site.engine.release("t")
    site.engine.reserve(request("u", 60))
    site.clock.now_s += site.conf.quota.reservation_ttl_s
    site.cycle()
    assert site.used_mb() == 0


def test_a_move_needs_no_reservation(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 1000, is_move=True)).granted
    assert site.used_mb() == 0


def test_what_the_share_refused_is_wanted_for_a_while_or_until_it_passes(site: Site) -> None:
    refused = decision("t", refused_by_share=True)
    site.engine.take_decision(refused)
    site.cycle()
    assert (site.wanted_mb(), site.used_mb()) == (10, 0)
    site.engine.take_decision(decision("t", hosts=("a",)))
    site.cycle()
    assert site.wanted_mb() == 0
    site.engine.take_decision(refused)
    site.engine.take_decision(decision("t", Stage.ORDER))
    site.cycle()
    assert site.wanted_mb() == 10
    site.clock.now_s += site.conf.quota.pending_ttl_s
    site.cycle()
    assert site.wanted_mb() == 0


def test_weights_that_change_count_from_the_next_cycle(site: Site) -> None:
    assert site.cycle().frameworks[CONTAINER].fair_share == Fraction(1, 2)
    site.conf.set_override("weights", {CONTAINER: "3"}, group="quota")
    assert site.cycle().frameworks[CONTAINER].fair_share == Fraction(3, 4)


def test_weights_that_cannot_be_used_change_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.cycle()
    site.conf.set_override("weights", {CONTAINER: "-1"}, group="quota")
    assert site.cycle().frameworks[CONTAINER].weight == 1
    assert "[quota] weights: container:-1: give a number of more than 0" in caplog.text


def test_an_engine_does_not_start_with_weights_that_cannot_be_used() -> None:
    with pytest.raises(BadOption, match="unknown framework"):
        Site(weights={"pods": "1"})


def test_scores_scale_the_pool(site: Site) -> None:
    site.conf.set_override("host_scores", {"b": "0.5"}, group="quota")
    assert site.cycle().pool[1] == 150


def test_reports_that_cannot_be_used_are_counted_and_change_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.cycle(task("t", 10))
    site.engine.take_report(report("a", sequence=1))
    site.engine.count_malformed_report("capacity: missing")
    site.engine.run_cycle()
    assert site.used_mb() == 10
    assert site.engine.refusals() == {"repeated": 1, "malformed": 1}
    assert "Report refused (malformed): capacity: missing." in caplog.text
