# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest

from hybrid_sched.core import drf
from hybrid_sched.core.drf import Backlog, Claim, Holding, ScoredHost


@pytest.mark.parametrize(
    ("pool", "claims", "units"),
    [
        # Ghodsi et al., NSDI 2011, figure 3: 3 tasks of <1 CPU, 4 GB> and 2 of <3 CPU, 1 GB>.
        ((9, 18), [Claim((1, 4)), Claim((3, 1))], (3, 2)),
        # One that wants little leaves the rest to the other.
        ((10,), [Claim((1,), cap=2), Claim((1,))], (2, 8)),
        # A cap of nothing, a demand for a resource that nobody has, and a demand for nothing.
        ((10,), [Claim((1,), cap=0), Claim((1,))], (0, 10)),
        ((10, 0), [Claim((1, 1)), Claim((1, 0))], (0, 10)),
        ((10,), [Claim((0,), cap=3), Claim((1,))], (3, 10)),
        # Frozen when its resource is gone while the other goes on with the other resource.
        ((10, 10), [Claim((1, 0)), Claim((1, 0)), Claim((0, 1))], (5, 5, 10)),
        ((12,), [Claim((1,), 2), Claim((1,), 1)], (8, 4)),
        ((), [], ()),
    ],
)
def test_fluid(pool, claims, units):
    assert drf.fluid(pool, claims).units == units


def test_a_framework_that_does_not_fit_does_not_stop_the_others_unless_strict():
    frameworks = [Backlog("big", [(9,), (9,)]), Backlog("small", [(1,), (1,)])]
    hosts = [ScoredHost((10,))]
    assert drf.discrete(hosts, frameworks).order == ("big", "small")
    patient = [Backlog("big", [(11,)]), Backlog("small", [(1,), (1,)])]
    assert drf.discrete(hosts, patient).granted == (0, 2)
    assert drf.discrete(hosts, patient, strict=True).granted == (0, 0)


def test_what_is_used_already_counts():
    frameworks = [Backlog("a", [(1,)] * 10, used=(4,)), Backlog("b", [(1,)] * 10)]
    result = drf.discrete([ScoredHost((10,))], frameworks)
    assert result.granted == (1, 5)
    assert result.usage == ((5,), (5,))
    assert result.order[:4] == ("b",) * 4


def test_a_poor_host_charges_less():
    hosts = [ScoredHost((4,), Fraction(1, 4))]
    result = drf.discrete(hosts, [Backlog("a", [(1,)] * 9)], place=drf.Place.FIRST_FIT)
    assert result.granted == (4,)
    assert result.usage == ((1,),)
    assert result.shares == (1,)
    assert result.where == ((0, 0, 0, 0),)


def test_reclaim_tells_borrowers_from_creditors():
    holdings = [Holding((1,), used=8, want=8), Holding((1,), used=2, want=6)]
    borrower, creditor = drf.reclaim((10,), holdings)
    assert (borrower.entitled, borrower.borrowed, borrower.owed) == (5, 3, 0)
    assert (creditor.entitled, creditor.borrowed, creditor.owed) == (5, 0, 3)
