# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import START_S, Clock, HeldClaim, by_host, claim, report, task

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, FRAMEWORKS, HYPERVISOR, Host, Task
from hybrid_sched.core.resources import Resources, add, total
from hybrid_sched.core.shares import charge, effective_pool
from hybrid_sched.core.tally import Tally
from hybrid_sched.quota.cluster_state import ClusterState, Placing
from hybrid_sched.quota.statistics import ReportLimits, Statistics

LIMITS = ReportLimits(max_age_s=30, clock_skew_s=1000, forget_after_s=600)
NOTHING = Resources()


def mb(amount: int) -> Resources:
    return Resources(memory_mb=amount)


class Site:
    """A state with all that it reads, and what a test may change of it."""

    def __init__(self, recent_tasks: int = 1000) -> None:
        self.now = Clock()
        self.statistics = Statistics(LIMITS, self.now, lambda: START_S)
        self.state = ClusterState(self.statistics, recent_tasks)
        self.claims: dict[str, dict[str, HeldClaim]] = {}
        self.scores: dict[str, Fraction] = {}
        self.pools: dict[str, str] = {}
        self._sequence = 0

    @property
    def placing(self) -> Placing:
        return Placing(lambda record: self.scores.get(record.report.host, 1), self.pools)

    def report(self, host: str, *tasks: Task, **changes: Any) -> None:
        self._sequence += 1
        self.statistics.accept(report(host, *tasks, sequence=self._sequence, **changes))
        self.state.update(host)

    def claim(self, host: str, **claims: HeldClaim) -> None:
        """Say all that is claimed of a host now."""
        self.claim_all({host: claims})

    def claim_all(self, claims: dict[str, dict[str, HeldClaim]]) -> None:
        self.claims.update(claims)
        self.state.update_claims(by_host(self.claims), claims)

    def forget(self) -> None:
        for host in self.statistics.forget_silent_hosts():
            self.state.update(host)

    def refresh(self, *, everything: bool = False) -> set[str]:
        return self.state.refresh(self.placing, everything=everything)

    def hosts(self) -> dict[str, Host]:
        self.refresh()
        return self.state.hosts

    def used_mb(self) -> dict[str, dict[str, Any]]:
        """Give what each host is charged with, by framework; ``other`` is charged to none."""
        return {
            name: {
                **{framework: held.memory_mb for framework, held in sorted(host.used.items())},
                **({"other": host.other.memory_mb} if any(host.other) else {}),
            }
            for name, host in self.hosts().items()
        }


@pytest.fixture
def site() -> Site:
    return Site()


def test_reports_and_claims_are_charged_together(site: Site) -> None:
    site.report("a", task("seen", 10), task("both", 20), task("g", 5, HYPERVISOR))
    site.claim("a", both=claim(20), claimed=claim(40))
    assert site.hosts() == {
        "a": Host(
            "a",
            capacity=mb(100),
            used={CONTAINER: mb(70), HYPERVISOR: mb(5)},
            task_count=4,
        )
    }
    assert site.hosts()["a"].free == mb(25)


def test_a_claim_counts_before_what_the_agent_sees(site: Site) -> None:
    site.report("a", task("t", 10))
    assert site.used_mb() == {"a": {CONTAINER: 10}}
    site.claim("a", t=claim(30, HYPERVISOR))
    assert site.used_mb() == {"a": {HYPERVISOR: 30}}
    site.claim("a")
    assert site.used_mb() == {"a": {CONTAINER: 10}}


def test_the_far_end_of_a_move_takes_room_and_is_charged_to_no_share(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b")
    site.claim_all({"a": {"move": claim(10, counts=False)}, "b": {"t": claim(10)}})
    # The agent of the source sees the guest still; its room there is held by the claim of the move.
    assert site.used_mb() == {"a": {"other": 10}, "b": {CONTAINER: 10}}
    assert site.hosts()["a"].task_count == 1


def test_a_claim_of_nobody_takes_room_until_an_agent_knows_its_task(site: Site) -> None:
    site.report("a")
    site.claim("a", t=claim(30, None))
    assert site.used_mb() == {"a": {"other": 30}}
    assert site.state.doubted() == {"a"}
    site.report("a", task("t", 20, HYPERVISOR))
    assert site.used_mb() == {"a": {HYPERVISOR: 30}}
    assert site.state.doubted() == set()


def test_a_task_that_two_agents_see_is_charged_once_and_takes_room_on_both(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b", task("t", 10))
    assert site.used_mb() == {"a": {CONTAINER: 10}, "b": {"other": 10}}
    # The first one loses it, and the other one, of which nothing is new, is charged.
    site.report("a")
    assert site.used_mb() == {"a": {}, "b": {CONTAINER: 10}}
    site.report("b")
    assert site.used_mb() == {"a": {}, "b": {}}
    assert not site.state.is_placed("t")


def test_a_host_that_is_forgotten_hands_its_tasks_over(site: Site) -> None:
    site.report("a", task("t", 10))
    site.refresh()
    site.now.now_s += 601
    site.report("b", task("t", 10))
    site.forget()
    assert site.refresh() == {"a", "b"}
    assert site.used_mb() == {"b": {CONTAINER: 10}}


def test_what_two_agents_see_and_one_host_has_promised_is_charged_as_promised(site: Site) -> None:
    for host in "abc":
        site.report(host, task("t", 10))
    site.claim("c", t=claim(15))
    assert site.used_mb() == {"a": {}, "b": {}, "c": {CONTAINER: 15}}


def test_a_task_whose_claim_elsewhere_ends_is_charged_where_it_is_seen(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b")
    site.claim("b", t=claim(10))
    assert site.used_mb() == {"a": {}, "b": {CONTAINER: 10}}
    # Nothing new comes of host a.
    site.claim("b")
    assert site.used_mb() == {"a": {CONTAINER: 10}, "b": {}}


def test_claims_that_a_dead_host_and_its_successor_hold_of_one_task_are_charged_once(
    site: Site,
) -> None:
    """An evacuated guest of which nobody but the agents knows whose it is."""
    for host in "ab":
        site.report(host, task("t", 10, HYPERVISOR))
    unknown = {"t": claim(10, None)}
    site.claim_all({"a": unknown, "b": unknown})
    assert site.used_mb() == {"a": {HYPERVISOR: 10}, "b": {"other": 10}}
    site.claim("a")
    site.report("a")
    assert site.used_mb() == {"a": {}, "b": {HYPERVISOR: 10}}


def test_what_another_agent_sees_takes_no_room_once_the_charged_host_has_a_claim(
    site: Site,
) -> None:
    for host in "abc":
        site.report(host, task("t", 10))
    site.claim("a", t=claim(20, None))
    assert site.used_mb() == {"a": {CONTAINER: 20}, "b": {}, "c": {}}
    site.claim("a")
    assert site.used_mb() == {"a": {CONTAINER: 10}, "b": {"other": 10}, "c": {"other": 10}}


def test_hosts_with_claims_that_their_agents_do_not_see_are_doubted(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b")
    site.claim_all({"a": {"t": claim(10)}, "b": {"u": claim(10)}, "unreported": {"v": claim(1)}})
    assert site.state.doubted() == {"b"}
    site.report("b", task("u", 10))
    assert site.state.doubted() == set()
    site.report("a")
    assert site.state.doubted() == {"a"}


def test_a_task_is_placed_once_it_is_claimed_or_seen(site: Site) -> None:
    site.report("a", task("seen", 10, HYPERVISOR))
    site.claim("elsewhere", claimed=claim(10))
    placed = {uuid: site.state.is_placed(uuid) for uuid in ("seen", "claimed", "neither")}
    assert placed == {"seen": True, "claimed": True, "neither": False}
    assert site.state.framework_of("seen") == HYPERVISOR
    assert site.state.framework_of("neither") is None
    site.claim("elsewhere")
    assert not site.state.is_placed("claimed")


def test_claims_of_a_host_that_has_not_reported_wait_for_its_report(site: Site) -> None:
    site.claim("a", t=claim(10))
    assert site.used_mb() == {}
    site.report("a")
    assert site.used_mb() == {"a": {CONTAINER: 10}}


def test_only_what_changed_is_named(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b")
    assert site.refresh() == {"a", "b"}
    site.report("a", task("t", 10))
    assert site.refresh() == set()
    site.report("a", task("t", 11))
    site.claim("b", u=claim(1))
    assert site.refresh() == {"a", "b"}


def test_a_host_grows_stale_without_a_word_and_fresh_with_one(site: Site) -> None:
    site.report("a", task("t", 10))
    site.refresh()
    site.now.now_s += 31
    assert site.refresh() == {"a"}
    assert not site.state.hosts["a"].fresh
    assert site.used_mb() == {"a": {CONTAINER: 10}}
    site.report("a", task("t", 10))
    assert site.refresh() == {"a"}
    assert site.state.hosts["a"].fresh


def test_scores_and_pools_that_change_are_seen_when_everything_is_looked_at(site: Site) -> None:
    site.report("a", task("t", 10))
    site.report("b", task("u", 20))
    site.refresh()
    site.scores["a"], site.pools["b"] = Fraction(1, 2), "fast"
    assert site.refresh() == set()
    assert site.refresh(everything=True) == {"a", "b"}
    capacities = {pool: tally.capacity()[1] for pool, tally in site.state.tallies.items()}
    assert capacities == {DEFAULT_POOL: 50, "fast": 100}
    charged = {pool: tally.charge(CONTAINER)[1] for pool, tally in site.state.tallies.items()}
    assert charged == {DEFAULT_POOL: 5, "fast": 20}


def test_a_guest_is_charged_once_while_its_migration_alone_holds_its_claim() -> None:
    site = Site()
    site.report("a", task("g", 10, HYPERVISOR))
    site.claim("a", migration=HeldClaim(HYPERVISOR, mb(10), moves="g"))
    site.refresh()
    assert site.state.hosts["a"].used == {HYPERVISOR: mb(10)}
    # When the migration is over and nothing else is claimed, the agent has the word again.
    site.claim("a")
    site.refresh()
    assert site.state.hosts["a"].used == {HYPERVISOR: mb(10)}


# Any story of a small cluster: what a task is follows from its uuid, what a claim is from its own.
TASKS = {
    "t": task("t", 10),
    "u": task("u", 20),
    "v": task("v", 3, HYPERVISOR),
    "w": task("w", 10, HYPERVISOR),
}
CLAIMS = st.builds(
    HeldClaim,
    st.sampled_from([*FRAMEWORKS, None]),
    st.sampled_from([mb(10), mb(20), Resources(1, 7)]),
    st.booleans(),
    st.sampled_from([None, None, "t"]),
).map(lambda each: each if each.framework else HeldClaim(None, mb(20), counts_for_share=False))
Step = Callable[[Site], None]


def _report(host: str, tasks: set[str], lost: tuple[str, ...], capacity: int) -> Step:
    seen = [TASKS[uuid] for uuid in sorted(tasks)]
    return lambda site: site.report(
        host, *seen, unknown_frameworks=lost, capacity=mb(capacity), sampled_at_s=START_S
    )


def _claim(claims: dict[str, dict[str, HeldClaim]]) -> Step:
    return lambda site: site.claim_all(claims)


def _wait(seconds: float) -> Step:
    def step(site: Site) -> None:
        site.now.now_s += seconds
        site.forget()

    return step


def _place(host: str, score: Fraction, pool: str) -> Step:
    def step(site: Site) -> None:
        site.scores[host], site.pools[host] = score, pool
        site.refresh(everything=True)

    return step


HOST = st.sampled_from("abc")
STEPS = st.one_of(
    st.builds(
        _report,
        HOST,
        st.fixed_dictionaries({}, optional={uuid: st.none() for uuid in TASKS}).map(set),
        st.sampled_from([(), (), (CONTAINER,)]),
        st.sampled_from([100, 200]),
    ),
    st.builds(
        _claim,
        st.fixed_dictionaries(
            {},
            optional={
                host: st.fixed_dictionaries(
                    {}, optional=dict.fromkeys(("t", "u", "v", "move"), CLAIMS)
                )
                for host in "abc"
            },
        ),
    ),
    st.builds(_wait, st.sampled_from([1.0, 31.0, 601.0])),
    st.builds(
        _place, HOST, st.sampled_from([Fraction(1), Fraction(1, 3)]), st.sampled_from(["", "p"])
    ),
    # It is defined below.
    st.just(lambda site: compare(site)),  # noqa: PLW0108
)
# Long enough for what one step leaves behind to meet another one.
STORIES = st.lists(STEPS, min_size=5, max_size=30)


def from_scratch(site: Site) -> ClusterState:
    """Make a state from the last reports and claims alone."""
    made = ClusterState(site.statistics)
    made.update_claims(by_host(site.claims), site.claims)
    for host in site.statistics.records():
        made.update(host)
    made.refresh(site.placing, everything=True)
    return made


def apart_from_the_holder(hosts: dict[str, Host]) -> object:
    """Give all of the hosts but which of two agents' hosts is charged for a task that both see."""
    alike = {
        name: replace(host, used={}, other=Resources(*total((host.other, *host.used.values()), 6)))
        for name, host in hosts.items()
    }
    charged = {
        name: total((host.used.get(name, NOTHING) for host in hosts.values()), 6)
        for name in FRAMEWORKS
    }
    return alike, charged


def compare(site: Site) -> None:
    """See that what was kept up to date change by change is what the last reports and claims alone give."""
    site.refresh()
    kept, made = site.state, from_scratch(site)
    assert apart_from_the_holder(kept.hosts) == apart_from_the_holder(made.hosts)
    assert kept.doubted() == made.doubted()
    for uuid in (*TASKS, "move"):
        assert kept.is_placed(uuid) == made.is_placed(uuid)
        assert kept.framework_of(uuid) == made.framework_of(uuid)
    # A pool whose hosts have gone may be empty instead of missing.
    for pool in kept.tallies.keys() | made.tallies.keys():
        of_pool = [host for host in kept.hosts.values() if host.pool == pool]
        for state in (kept, made):
            assert state.tallies.get(pool, Tally()).capacity() == effective_pool(of_pool)
        for framework in FRAMEWORKS:
            tally = kept.tallies.get(pool, Tally())
            assert tally.charge(framework) == charge(of_pool, framework)


@given(STORIES)
@settings(deadline=None, max_examples=200)
def test_whatever_happens_the_state_is_that_of_the_last_reports_and_claims(
    story: list[Step],
) -> None:
    site = Site()
    for step in story:
        step(site)
    compare(site)


@given(STORIES)
@settings(deadline=None)
def test_the_hosts_that_are_not_named_are_as_they_were(story: list[Step]) -> None:
    site = Site()
    for step in story:
        step(site)
        before = dict(site.state.hosts)
        changed = site.refresh()
        names = before.keys() | site.state.hosts.keys()
        assert changed == {name for name in names if before.get(name) != site.state.hosts.get(name)}


def guest_of(uuid: str, memory_mb: int) -> Task:
    return Task(uuid, HYPERVISOR, mb(memory_mb))


def head_from(site: Site, pool: str = "", framework: str = HYPERVISOR) -> int:
    """Give the size in MiB from which a task is a head."""
    site.refresh()
    return site.state.recent_demands(pool, framework).head_threshold(mb(1))


def test_what_a_large_task_is_follows_what_came_lately() -> None:
    site = Site(recent_tasks=3)
    assert head_from(site) == 0
    site.report("a", guest_of("g1", 10), guest_of("g2", 20), Task("c", CONTAINER, mb(7)))
    assert (head_from(site), head_from(site, framework=CONTAINER)) == (20, 7)
    # A task that has ended says what was asked for, until three have come since.
    site.report("a", guest_of("g1", 10))
    assert head_from(site) == 20
    site.report("a", *(guest_of(f"h{number}", 30) for number in range(3)))
    assert head_from(site) == 30


def test_a_task_that_changes_its_host_has_not_come_anew() -> None:
    site = Site()
    site.report("a", guest_of("g1", 10), guest_of("g2", 20))
    assert head_from(site) == 20
    for number in range(3):
        here, there = ("a", "b") if number % 2 else ("b", "a")
        site.report(there)
        site.report(here, guest_of("g1", 10), guest_of("g2", 20))
        site.refresh()
    site.report("c", guest_of("g3", 1), guest_of("g4", 2))
    # Of 1, 2, 10 and 20.
    assert head_from(site) == 10


def test_each_pool_has_large_tasks_of_its_own() -> None:
    site = Site()
    site.pools["b"] = "fast"
    site.report("a", guest_of("g1", 10))
    site.report("b", guest_of("g2", 20))
    assert (head_from(site), head_from(site, "fast")) == (10, 20)
    # A new pool begins with what runs there.
    site.pools["a"] = "new"
    site.refresh(everything=True)
    assert head_from(site, "new") == 10


@given(
    st.lists(st.sampled_from(list(TASKS)), unique=True),
    st.dictionaries(st.sampled_from("tuv"), CLAIMS),
)
def test_a_host_is_charged_with_each_task_and_each_claim_exactly_once(
    seen: list[str], claims: dict[str, HeldClaim]
) -> None:
    site = Site()
    site.report("a", *(TASKS[uuid] for uuid in seen))
    site.claim("a", **claims)
    host = site.hosts()["a"]
    held = [each.demand for each in claims.values()]
    moved = {each.moves for each in claims.values()}
    held += [TASKS[uuid].demand for uuid in seen if uuid not in claims and uuid not in moved]
    assert add(host.free, total(held, 6)) == host.capacity
    assert host.task_count == len(held)
