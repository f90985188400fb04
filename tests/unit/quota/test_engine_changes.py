# SPDX-License-Identifier: Apache-2.0
"""What an engine tells whoever holds an earlier snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction

from engines import Site
from hypothesis import given, settings
from hypothesis import strategies as st
from values import by_host, claim, decision, task

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Snapshot
from hybrid_sched.quota.answers import SnapshotNews
from hybrid_sched.rpc.snapshots import change_to_wire, snapshot_from_wire, snapshot_to_wire

Step = Callable[[Site], None]


def over_the_wire(news: SnapshotNews, held: Snapshot | None) -> Snapshot:
    wire = (
        snapshot_to_wire(news.snapshot)
        if news.since is None
        else change_to_wire(news.snapshot, news.since, news.changed)
    )
    return snapshot_from_wire(json.loads(json.dumps(wire)), held)


def test_a_cycle_tells_what_changed_since_the_one_before() -> None:
    site = Site()
    site.report("a")
    site.report("b")
    first = site.engine.run_cycle(site.inputs)
    assert (first.since, set(first.changed)) == (None, set())
    site.report("a", task("t", 10))
    site.reserve("u", 5)
    second = site.engine.run_cycle(site.inputs)
    assert (second.since, second.changed, second.snapshot.version) == (1, ["a"], 3)
    third = site.engine.run_cycle(site.inputs)
    assert (third.since, third.changed) == (3, [])


def test_whoever_holds_nothing_or_a_snapshot_of_another_term_gets_the_whole() -> None:
    site = Site(term=5)
    site.cycle()
    site.clock.now_s += 3
    for known in (None, (4, 1), (6, 1)):
        news, age_s = site.engine.news_since(known)
        assert (news.since, news.snapshot, age_s) == (None, site.snapshot, 3.0)
    news, _ = site.engine.news_since((5, 1))
    assert (news.since, news.changed) == (1, [])


def _report(host: str, memory_mb: int) -> Step:
    tasks = [task(f"on-{host}", memory_mb)] if memory_mb else []
    return lambda site: site.report(host, *tasks)


def _pool(pool: str) -> Step:
    return lambda site: void(site.run(pool_of={"b": pool}))


def _claim(host: str, memory_mb: int) -> Step:
    def step(site: Site) -> None:
        claims = {host: {"claimed": claim(memory_mb)}} if memory_mb else {}
        site.run(claims_of=by_host(claims), claims_changed=frozenset("abc"))
        site.run(claims_changed=frozenset())

    return step


def _score(score: str) -> Step:
    return lambda site: site.set(host_scores={"a": score})


def _wait(seconds: float) -> Step:
    def step(site: Site) -> None:
        site.clock.now_s += seconds

    return step


def _reserve(uuid: str) -> Step:
    return lambda site: void(site.reserve(uuid, 5))


def void(_: object) -> None:
    """Take what nobody needs."""


HOSTS = st.sampled_from("abc")
STEPS = st.one_of(
    st.builds(_report, HOSTS, st.integers(0, 3)),
    st.builds(_pool, st.sampled_from(["", "p", "q"])),
    st.builds(_claim, HOSTS, st.integers(0, 2)),
    st.builds(_score, st.sampled_from(["1", "1/3"])),
    st.builds(_wait, st.sampled_from([1.0, 31.0, 601.0])),
    st.builds(_reserve, st.sampled_from("rs")),
    st.just(lambda site: void(site.run())),
)


@given(st.lists(STEPS, min_size=3, max_size=20), st.data())
@settings(deadline=None)
def test_changes_lead_from_any_held_snapshot_to_the_newest_one(
    story: list[Step], data: st.DataObject
) -> None:
    site = Site()
    site.cycle()
    held = [over_the_wire(site.engine.news_since(None)[0], None)]
    for step in story:
        step(site)
        # Some who hold a snapshot ask at once, some later.
        holder = data.draw(st.sampled_from(held))
        news, _ = site.engine.news_since(holder.stamp)
        assert news.since == holder.version
        led = over_the_wire(news, holder)
        whole = over_the_wire(site.engine.news_since(None)[0], None)
        assert led == whole == site.snapshot
        held.append(led)


@given(st.lists(STEPS, min_size=3, max_size=20))
@settings(deadline=None)
def test_whoever_hears_every_cycle_needs_to_ask_for_nothing(story: list[Step]) -> None:
    site = Site()
    held = over_the_wire(site.engine.run_cycle(site.inputs), None)
    for step in story:
        version = site.engine._sent_version
        step(site)
        if site.engine._sent_version == version:
            held = over_the_wire(site.engine.run_cycle(site.inputs), held)
            assert held == site.snapshot
        else:
            # The step ran cycles of its own, of which nobody told here.
            held = over_the_wire(site.engine.news_since(held.stamp)[0], held)


def test_borrowers_climb_the_ladder_and_give_back_by_the_clock() -> None:
    site = Site(lending_of_guests="1", squeeze_after_s=60, relieve_after_s=300)
    held = [task(str(n), 10, created_at_s=float(n), movable=n % 2 == 0) for n in range(15)]
    owed = decision("g", framework=HYPERVISOR, demand=task("g", 70).demand, refused_by_share=True)
    seen = []
    for wait_s in (0, 59.9, 0.1, 299.9, 0.1):
        site.clock.now_s += wait_s
        site.engine.take_decision(owed)
        site.cycle(*held)
        borrower = site.framework()
        named = site.engine.relief_candidates()
        seen.append((borrower.rung.value, borrower.squeeze, bool(named)))
    # 150 of 200 MiB are held of which 130 may be.
    factor = Fraction(130, 150)
    assert seen == [
        ("no_grants", 1, False),
        ("no_grants", 1, False),
        ("squeeze", factor, False),
        ("squeeze", factor, False),
        ("relieve", factor, True),
    ]
    (tasks,) = site.engine.relief_candidates().values()
    assert [each.uuid for each in tasks] == ["14", "12"]
    assert list(site.engine.relief_candidates()) == [("", CONTAINER)]
    # What it gives back takes it off the ladder at once.
    site.cycle(*held[:13])
    assert site.framework().rung.value == "none"
    assert site.engine.relief_candidates() == {}


def test_candidates_are_named_in_the_pool_of_the_borrower_alone() -> None:
    site = Site(lending_of_guests="1", squeeze_after_s=0, relieve_after_s=0)
    site.run(pool_of={"b": "fast"})
    owed = decision(
        "g", framework=HYPERVISOR, demand=task("g", 50).demand, refused_by_share=True, pool="fast"
    )
    site.engine.take_decision(owed)
    site.report("a", task("elsewhere", 90, created_at_s=9, movable=True))
    site.report("b", task("t", 90, created_at_s=1, movable=True))
    for _ in range(2):
        site.run()
    (named,) = site.engine.relief_candidates().items()
    assert (named[0], [each.uuid for each in named[1]]) == (("fast", CONTAINER), ["t"])


def test_a_host_is_drained_and_given_back_without_a_new_report() -> None:
    site = Site()
    site.cycle()
    assert site.run(drained=frozenset({"a"})).hosts["a"].drained
    assert not site.run(drained=frozenset()).hosts["a"].drained
