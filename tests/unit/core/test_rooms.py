# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import (
    CONTAINER,
    DEFAULT_POOL,
    HYPERVISOR,
    Framework,
    Host,
    Pool,
    Snapshot,
)
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.rooms import rooms_of, whole_units
from hybrid_sched.core.share_gate import Request, ShareGate, Verdict, share_refusal

_AMOUNTS = st.integers(0, 6) | st.fractions(0, 6, max_denominator=3)
_VECTORS = st.builds(Resources, _AMOUNTS, _AMOUNTS, st.just(0), _AMOUNTS)
_HOSTS = st.builds(
    Host,
    name=st.just("?"),
    capacity=_VECTORS,
    score=st.sampled_from([1, Fraction(1, 2)]),
    used=st.dictionaries(st.sampled_from([HYPERVISOR, CONTAINER]), _VECTORS),
    fresh=st.booleans(),
    pool=st.sampled_from([DEFAULT_POOL, "narrow"]),
)


def snapshot(drawn: list[Host]) -> Snapshot:
    hosts = {
        f"h{index}": Host(
            f"h{index}", each.capacity, each.score, each.used, fresh=each.fresh, pool=each.pool
        )
        for index, each in enumerate(drawn)
    }
    share = Fraction(1, 2)
    framework = Framework(HYPERVISOR, 1, Resources(), Resources(), share, share, share, 0)
    other = Framework(CONTAINER, 1, Resources(), Resources(), share, share, share, 0)
    by_name = {each.name: each for each in (framework, other)}
    pools = {
        name: Pool(name, Resources(size, size, 0, size), by_name)
        for name, size in ((DEFAULT_POOL, 100), ("narrow", 8))
    }
    return Snapshot(1, 1, 0.0, pools, hosts)


def passes(made: Snapshot, request: Request, name: str) -> bool:
    """Judge one host alone, in words as in the design."""
    host = made.hosts[name]
    if host.fresh:
        for wanted, free, there in zip(request.demand, host.free, host.capacity, strict=True):
            if wanted and there and wanted > free:
                return False
    # What is not known of a host is neither its score.
    score = host.score if host.fresh else 1
    return request.is_move or share_refusal(made.pool_of(name), request, score) is None


@given(st.lists(_HOSTS, max_size=6), _VECTORS, st.booleans())
@settings(deadline=None)
def test_many_hosts_at_once_are_judged_as_each_one_alone(
    drawn: list[Host], demand: Resources, is_move: bool
) -> None:
    made = snapshot(drawn)
    request = Request("r", HYPERVISOR, demand, is_move=is_move)
    gate = ShareGate(made)
    wanted = tuple(name for name in made.hosts if passes(made, request, name))
    verdict = gate.judge(request, made.hosts)
    assert verdict.admitted == wanted
    assert set(verdict.refused) == set(made.hosts) - set(wanted)
    # A second one finds what the first one worked out.
    assert gate.judge(request, made.hosts) == verdict
    alone = {name: gate.judge(request, [name]) for name in made.hosts}
    assert verdict == Verdict(wanted, {name: alone[name].refused[name] for name in verdict.refused})


def test_a_row_has_whole_units_and_no_bound_on_what_is_not_declared() -> None:
    inf = float("inf")
    used = {HYPERVISOR: Resources(vcpu=Fraction(1, 2), memory_mb=9)}
    host = Host("a", Resources(vcpu=4, memory_mb=8), used=used)
    made = snapshot([host, host])
    rooms = rooms_of(made)
    assert rooms.rows["h1"] == (3, -1, inf, inf, inf, inf, 0)
    assert [(pool.name, score) for pool, score in rooms.groups] == [("", 1)]
    assert whole_units(Resources(vcpu=Fraction(5, 2))) == (3, -inf, -inf, -inf, -inf, -inf)
