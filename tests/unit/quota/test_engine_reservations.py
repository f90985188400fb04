# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from engines import Site
from values import Clock, by_host, claim, report, task

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.reservations import ReservationStore
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.quota.answers import Reservation
from hybrid_sched.quota.stores import FencedReservations


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_reservation_is_charged_once_and_until_its_task_is_seen(site: Site) -> None:
    site.cycle()
    assert site.reserve("t", 60) == Reservation(True)
    assert site.reserve("t", 60) == Reservation(True)
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 60
    site.cycle(task("t", 60))
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 0


def test_a_reservation_is_charged_until_its_claim_is(site: Site) -> None:
    site.cycle()
    site.reserve("t", 60)
    site.run(claims_of=by_host({"a": {"t": claim(60)}}), claims_changed=frozenset("a"))
    assert site.used_mb() == 60
    assert site.engine.reservations() == {}


def test_reservations_together_stay_within_the_share(site: Site) -> None:
    site.cycle()
    answers = [site.reserve(str(n), 30) for n in range(4)]
    assert [each.granted for each in answers] == [True, True, True, False]
    assert "framework container would hold 60.0 % of memory_mb" in answers[3].text
    assert site.engine.reservations() == {(DEFAULT_POOL, CONTAINER): 3}


def test_a_reservation_ends_when_released_or_over(site: Site) -> None:
    site.cycle()
    site.reserve("t", 60)
    assert site.engine.release("t")
    assert not site.engine.release("t")
    site.reserve("u", 60)
    site.clock.now_s += site.conf.quota.reservation_ttl_s
    site.cycle()
    assert site.used_mb() == 0


def test_a_move_needs_no_reservation(site: Site) -> None:
    site.cycle()
    assert site.reserve("t", 1000, is_move=True).granted
    assert site.used_mb() == 0


def test_a_reservation_that_is_refused_charges_nothing_and_may_be_asked_for_again(
    site: Site,
) -> None:
    before = site.cycle()
    refused = site.reserve("t", 101)
    assert refused == Reservation(
        granted=False,
        text="framework container would hold 50.5 % of memory_mb; its share by weight is 50.0 % "
        "and 0.0 % more can be lent now, so it is 0.5 % over",
    )
    assert site.reserve("t", 101) == refused
    assert not site.engine.release("t")
    assert site.engine.snapshot() == (before, 0.0)


def test_all_tasks_of_a_request_are_reserved_together(site: Site) -> None:
    site.cycle()
    assert not site.reserve("t", 34, count=3).granted
    assert site.reserve("t", 33, count=3).granted
    assert site.used_mb() == 99


def test_what_was_released_can_be_reserved_from_the_next_cycle(site: Site) -> None:
    site.cycle()
    assert site.reserve("t", 100).granted
    assert not site.reserve("u", 100).granted
    site.engine.release("t")
    site.cycle()
    assert site.used_mb() == 0
    assert site.reserve("u", 100).granted


def test_a_reservation_lasts_as_long_as_the_option_says_now(site: Site) -> None:
    site.cycle()
    site.set(reservation_ttl_s=10)
    site.reserve("t", 60)
    used = []
    for _ in range(3):
        site.cycle()
        used.append(site.used_mb())
        site.clock.now_s += 5
    assert used == [60, 60, 0]


def test_a_reservation_whose_time_is_over_is_asked_for_anew(site: Site) -> None:
    site.cycle()
    site.reserve("t", 40)
    site.clock.now_s += site.conf.quota.reservation_ttl_s
    assert site.reserve("t", 50).granted
    site.cycle()
    assert site.used_mb() == 50


def test_an_unknown_framework_is_refused_each_time(site: Site) -> None:
    site.cycle()
    answers = {site.reserve("t", 1, framework="pods").text for _ in range(2)}
    assert answers == {"framework pods is unknown: hypervisor or container"}


def test_the_first_pool_with_room_in_the_share_is_reserved_in(site: Site) -> None:
    site.cycle()
    site.run(pool_of={"b": "fast"})
    assert site.reserve("t", 51, DEFAULT_POOL, "gone") == Reservation(
        False,
        "framework container would hold 51.0 % of memory_mb; its share by weight is 50.0 % "
        "and 0.0 % more can be lent now, so it is 1.0 % over",
    )
    assert site.reserve("t", 30, "gone", "fast", DEFAULT_POOL) == Reservation(True, pool="fast")
    assert site.reserve("u", 30, "fast", DEFAULT_POOL) == Reservation(True, pool=DEFAULT_POOL)
    assert "in pool fast" in site.reserve("v", 30, DEFAULT_POOL, "fast").text
    # Asked for elsewhere, it stays where it is.
    assert site.reserve("t", 30, DEFAULT_POOL) == Reservation(True, pool="fast")
    assert (site.used_mb(), site.used_mb(pool="fast")) == (30, 30)
    assert site.engine.reservations() == {("", CONTAINER): 1, ("fast", CONTAINER): 1}
    assert site.reserve("w", 1, "gone") == Reservation(False, "there is no pool to place it in")


def test_threads_that_reserve_at_once_do_not_exceed_the_share(site: Site) -> None:
    site.cycle()
    start = threading.Barrier(8)

    def reserve(thread: int) -> int:
        start.wait()
        return sum(site.reserve(f"{thread}-{number}", 5).granted for number in range(5))

    with ThreadPoolExecutor(8) as threads:
        granted = sum(threads.map(reserve, range(8)))
    assert granted == 20
    assert site.used_mb() == 100


class Office:
    """The database, and engines that lead one after another."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.database = Database(f"sqlite:///{folder}/test.sqlite")
        self.database.sync()
        self.deposed: list[int] = []

    def lead(self) -> Site:
        """Begin a term with an engine of its own, which knows what the one before had promised."""
        terms = Terms(self.database)
        term = terms.begin("test", self.clock())
        store = FencedReservations(
            ReservationStore(self.database), terms, term, lambda: self.deposed.append(term)
        )
        return Site(term, store, self.clock)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.database.close()


def test_an_engine_that_starts_again_has_lost_no_reservation(office: Office) -> None:
    first = office.lead()
    first.cycle()
    first.run(pool_of={"b": "fast"})
    first.reserve("t", 20, count=2)
    first.reserve("u", 50, "fast", framework=HYPERVISOR)
    first.reserve("gone", 5)
    first.engine.release("gone")
    office.clock.now_s += 10
    second = office.lead()
    assert second.engine.reservations() == {("", CONTAINER): 1, ("fast", HYPERVISOR): 1}
    # Nothing is granted twice, not even before the first cycle.
    assert second.reserve("u", 50, "fast", framework=HYPERVISOR).pool == "fast"
    second.cycle()
    second.run(pool_of={"b": "fast"})
    assert (second.used_mb(), second.used_mb(HYPERVISOR, "fast")) == (40, 50)
    assert not second.reserve("v", 11).granted
    # Each ends as it would have.
    second.run(claims_of=by_host({"b": {"u": claim(50)}}), claims_changed=frozenset("b"))
    office.clock.now_s += 110
    second.cycle()
    assert second.engine.reservations() == {}
    assert office.lead().engine.reservations() == {}


def test_an_engine_whose_term_is_over_reserves_and_releases_nothing(office: Office) -> None:
    old = office.lead()
    old.cycle()
    old.reserve("t", 20)
    new = office.lead()
    new.cycle()
    new.reserve("u", 30)
    before = old.engine.snapshot(), old.engine.reservations(), new.engine.reservations()
    with pytest.raises(Deposed):
        old.reserve("v", 1)
    with pytest.raises(Deposed):
        old.reserve("u", 30)
    with pytest.raises(Deposed):
        old.engine.release("t")
    assert office.deposed == [1, 1, 1]
    assert before == (
        old.engine.snapshot(),
        old.engine.reservations(),
        new.engine.reservations(),
    )
    assert office.lead().engine.reservations() == {("", CONTAINER): 2}


def test_an_engine_whose_term_is_over_ends_no_reservation(office: Office) -> None:
    old = office.lead()
    old.cycle()
    old.reserve("t", 20)
    new = office.lead()
    with pytest.raises(Deposed):
        old.cycle(task("t", 20))
    assert office.deposed == [1]
    assert new.engine.reservations() == {("", CONTAINER): 1}
    assert office.lead().engine.reservations() == {("", CONTAINER): 1}


def test_without_the_database_nothing_is_reserved_and_the_cycles_go_on(
    office: Office, tmp_path: Path
) -> None:
    site = office.lead()
    site.cycle()
    site.reserve("t", 20)
    office.database.close()
    away = tmp_path / "away"
    files = list(tmp_path.glob("test.sqlite*"))
    away.mkdir()
    for file in files:
        file.rename(away / file.name)
    (tmp_path / "test.sqlite").mkdir()
    with pytest.raises(DatabaseError):
        site.reserve("u", 20)
    snapshot = site.cycle(task("t", 20), task("new", 5))
    assert (site.used_mb(), snapshot.hosts["a"].task_count) == (25, 2)
    office.database.close()
    (tmp_path / "test.sqlite").rmdir()
    for file in files:
        (away / file.name).rename(file)
    assert ReservationStore(office.database).all() != ()
    site.cycle(task("t", 20), task("new", 5))
    assert ReservationStore(office.database).all() == ()


def test_a_report_that_is_refused_settles_nothing(site: Site) -> None:
    site.cycle()
    site.reserve("t", 20)
    site.engine.take_report(report("a", task("t", 20), sequence=1))
    site.run()
    assert site.engine.reservations() == {("", CONTAINER): 1}
