# SPDX-License-Identifier: Apache-2.0
"""Properties of weighted DRF: Ghodsi et al., NSDI 2011, section 3, and Parkes et al., EC 2012."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core import drf
from hybrid_sched.core.resources import dominant_share, fits, scale, subtract, total

amounts = st.integers(1, 12)
weights = st.one_of(st.integers(1, 4), st.fractions(Fraction(1, 4), 4, max_denominator=4))


def vectors(length, least=0):
    return st.lists(st.integers(least, 12), min_size=length, max_size=length).map(tuple)


@st.composite
def fluid_cases(draw, *, capped=True, positive=False):
    length = draw(st.integers(1, 3))
    pool = tuple(draw(st.lists(amounts, min_size=length, max_size=length)))
    demands = vectors(length, 1 if positive else 0).filter(any)
    caps = st.one_of(st.none(), st.fractions(0, 6, max_denominator=3)) if capped else st.none()
    claims = [
        drf.Claim(draw(demands), draw(weights), draw(caps)) for _ in range(draw(st.integers(1, 4)))
    ]
    return pool, claims


def held(claims, units):
    return [scale(x, claim.demand) for claim, x in zip(claims, units, strict=True)]


def blocked(pool, claims, result):
    """Frameworks that no spare resource could help."""
    free = subtract(pool, total(held(claims, result.units), len(pool)))
    return [
        any(need and not room for need, room in zip(claim.demand, free, strict=True))
        for claim in claims
    ]


@given(fluid_cases())
def test_fluid_never_gives_more_than_there_is_and_leaves_nothing_that_is_wanted(case):
    pool, claims = case
    result = drf.fluid(pool, claims)
    assert fits(total(held(claims, result.units), len(pool)), pool)
    for claim, units, no_room in zip(
        claims, result.units, blocked(pool, claims, result), strict=True
    ):
        assert claim.cap is None or units <= claim.cap
        assert no_room or units == claim.cap


@given(fluid_cases())
def test_fluid_is_max_min_fair_in_keys(case):
    """Nobody that could use more has a larger-key neighbour on every resource that holds it back."""
    pool, claims = case
    result = drf.fluid(pool, claims)
    keys = [Fraction(s) / c.weight for s, c in zip(result.shares, claims, strict=True)]
    use = total(held(claims, result.units), len(pool))
    for i, claim in enumerate(claims):
        if result.units[i] == claim.cap:
            continue
        bottlenecks = [r for r, need in enumerate(claim.demand) if need and use[r] == pool[r]]
        assert any(
            all(
                keys[j] <= keys[i]
                for j, other in enumerate(claims)
                if other.demand[r] and result.units[j]
            )
            for r in bottlenecks
        )


@given(fluid_cases(capped=False, positive=True))
def test_fluid_shares_weights_equally_when_all_need_all(case):
    pool, claims = case
    result = drf.fluid(pool, claims)
    keys = {Fraction(s) / c.weight for s, c in zip(result.shares, claims, strict=True)}
    assert len(keys) == 1


@given(fluid_cases(capped=False))
def test_fluid_gives_each_at_least_its_weighted_part_of_the_pool(case):
    """Sharing incentive: at least what it could do alone with its part of every resource."""
    pool, claims = case
    result = drf.fluid(pool, claims)
    whole = sum(claim.weight for claim in claims)
    for claim, share in zip(claims, result.shares, strict=True):
        starved = any(need and not room for need, room in zip(claim.demand, pool, strict=True))
        assert starved or share >= Fraction(claim.weight) / whole


@given(fluid_cases(capped=False))
def test_nobody_envies_what_another_got(case):
    """Scaled by the weights, another's bundle would not run more of one's own tasks."""
    pool, claims = case
    result = drf.fluid(pool, claims)
    bundles = held(claims, result.units)
    for i, mine in enumerate(claims):
        for j, other in enumerate(claims):
            scaled = scale(Fraction(mine.weight) / other.weight, bundles[j])
            runs = min(
                Fraction(amount) / need
                for amount, need in zip(scaled, mine.demand, strict=True)
                if need
            )
            assert runs <= result.units[i]


@given(fluid_cases(capped=False), st.data())
def test_lying_about_the_demand_does_not_pay(case, data):
    pool, claims = case
    honest = drf.fluid(pool, claims).units[0]
    truth = claims[0].demand
    lie = data.draw(vectors(len(pool)).filter(any))
    lying = drf.fluid(pool, [drf.Claim(lie, claims[0].weight), *claims[1:]])
    bundle = scale(lying.units[0], lie)
    useful = min(
        Fraction(amount) / need for amount, need in zip(bundle, truth, strict=True) if need
    )
    assert useful <= honest


@given(fluid_cases(), st.integers(2, 9))
def test_the_unit_of_a_resource_does_not_matter(case, factor):
    pool, claims = case

    def rescaled(vector):
        return (vector[0] * factor, *vector[1:])

    other = [drf.Claim(rescaled(c.demand), c.weight, c.cap) for c in claims]
    assert drf.fluid(rescaled(pool), other) == drf.fluid(pool, claims)


@given(fluid_cases())
def test_the_order_of_the_frameworks_does_not_matter_to_fluid(case):
    pool, claims = case
    result = drf.fluid(pool, claims)
    backwards = drf.fluid(pool, claims[::-1])
    assert backwards.units[::-1] == result.units


@st.composite
def discrete_cases(draw, *, one_shape=False):
    length = draw(st.integers(1, 3))
    shape = tuple(draw(st.lists(amounts, min_size=length, max_size=length)))
    shapes = st.just(shape) if one_shape else vectors(length)
    scores = st.just(1) if one_shape else st.sampled_from([1, Fraction(1, 2), Fraction(3, 4)])
    hosts = [drf.ScoredHost(draw(shapes), draw(scores)) for _ in range(draw(st.integers(1, 4)))]
    small = st.lists(st.integers(0, 5), min_size=length, max_size=length).map(tuple)
    frameworks = [
        drf.Backlog(f"f{i}", draw(st.lists(small, max_size=8)), draw(weights))
        for i in range(draw(st.integers(1, 3)))
    ]
    return hosts, frameworks


def by_the_book(hosts, frameworks, place, strict):
    """Algorithm 1 written down once more, line by line and without any cleverness."""
    length = len(hosts[0].capacity)
    pool = total((scale(h.score, h.capacity) for h in hosts), length)
    usage = [(Fraction(0),) * length for _ in frameworks]
    granted = [0] * len(frameworks)
    rooms = [list(h.capacity) for h in hosts]
    stopped, order = set(), []
    while True:
        best = None
        for i, framework in enumerate(frameworks):
            if i in stopped or granted[i] >= len(framework.tasks):
                continue
            key = (Fraction(dominant_share(usage[i], pool)) / framework.weight, granted[i])
            if best is None or key < best[0]:
                best = (key, i)
        if best is None:
            return granted, order, usage
        i = best[1]
        task = frameworks[i].tasks[granted[i]]
        if place is drf.Place.POOL:
            charged = task
            charged_now = total(usage, length)
            ok = all(charged_now[r] + task[r] <= pool[r] for r in range(length))
        else:
            ok = False
            for h, room in enumerate(rooms):
                if all(task[r] <= room[r] for r in range(length)):
                    for r in range(length):
                        room[r] -= task[r]
                    charged, ok = scale(hosts[h].score, task), True
                    break
        if not ok:
            if strict:
                return granted, order, usage
            stopped.add(i)
            continue
        usage[i] = tuple(a + b for a, b in zip(usage[i], charged, strict=True))
        granted[i] += 1
        order.append(frameworks[i].name)


@given(discrete_cases(), st.sampled_from(drf.Place), st.booleans())
@settings(max_examples=300)
def test_discrete_does_what_the_listing_says(case, place, strict):
    hosts, frameworks = case
    result = drf.discrete(hosts, frameworks, strict=strict, place=place)
    granted, order, usage = by_the_book(hosts, frameworks, place, strict)
    assert list(result.granted) == granted
    assert list(result.order) == order
    assert list(result.usage) == usage
    assert drf.discrete(hosts, frameworks, strict=strict, place=place) == result


@given(discrete_cases(), st.sampled_from(drf.Place))
def test_discrete_fills_no_host_over_its_capacity_and_leaves_no_head_of_queue_that_fits(
    case, place
):
    hosts, frameworks = case
    result = drf.discrete(hosts, frameworks, place=place)
    length = len(hosts[0].capacity)
    pool = drf.effective_pool(hosts, length)
    assert fits(total(result.usage, length), pool)
    rooms = [host.capacity for host in hosts]
    if place is drf.Place.FIRST_FIT:
        for framework, where in zip(frameworks, result.where, strict=True):
            for task, host in zip(framework.tasks, where, strict=False):
                rooms[host] = subtract(rooms[host], task)
        assert all(amount >= 0 for room in rooms for amount in room)
    for framework, granted in zip(frameworks, result.granted, strict=True):
        if granted < len(framework.tasks):
            waiting = framework.tasks[granted]
            places = (
                rooms
                if place is drf.Place.FIRST_FIT
                else [subtract(pool, total(result.usage, length))]
            )
            assert not any(fits(waiting, room) for room in places)


@given(discrete_cases(one_shape=True))
def test_while_all_wait_keys_stay_within_one_task(case):
    """|k_i - k_j| of two that still wait is at most one task's share over the weight."""
    hosts, frameworks = case
    result = drf.discrete(hosts, frameworks, strict=True)
    pool = drf.effective_pool(hosts, len(hosts[0].capacity))
    waiting = [i for i, f in enumerate(frameworks) if result.granted[i] < len(f.tasks)]
    for i in waiting:
        for j in waiting:
            largest = max(
                Fraction(dominant_share(task, pool)) / frameworks[i].weight
                for task in frameworks[i].tasks
            )
            assert result.keys[i] - result.keys[j] <= largest


@given(fluid_cases(capped=False), st.data())
def test_what_is_borrowed_and_owed_adds_up(case, data):
    pool, claims = case
    units = st.fractions(0, 6, max_denominator=3)
    holdings = [drf.Holding(c.demand, data.draw(units), data.draw(units), c.weight) for c in claims]
    capped = [drf.Claim(h.demand, h.weight, h.want) for h in holdings]
    entitled = drf.fluid(pool, capped).units
    for holding, balance, units_of in zip(
        holdings, drf.reclaim(pool, holdings), entitled, strict=True
    ):
        assert balance.entitled == units_of <= holding.want
        assert balance.borrowed == max(0, holding.used - units_of)
        assert balance.owed == max(0, units_of - holding.used)
        assert not (balance.borrowed and balance.owed)
