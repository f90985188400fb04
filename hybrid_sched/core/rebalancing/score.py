# SPDX-License-Identifier: Apache-2.0
r"""The imbalance score: what every move has to lower.

.. math::

    \Phi = \sum_h \sum_r c_{hr} \left[ \left( \frac{\max(0, u_{hr} - T_r)}{L_r - T_r} \right)^2
           + \frac{1}{R} \left( u_{hr} - \bar u_r \right)^2 \right]

over the hosts h with a fresh report and the R resources of which some host's capacity is known. u is the part that is expected
to be used of the capacity after the reserve, L the limit, T the target below it, :math:`\bar u_r` the part that the hosts use
together, and c the host's capacity over the mean host's. It is a pure number: a host of mean size that stands at the limit of
one resource adds 1.

It is convex and a sum over hosts, and as c weighs by capacity, :math:`\bar u` does not change by a move. The second term is
the variance of normalised load that VMware's DRS lowers (Gulati et al., "VMware distributed resource management", VMware
Technical Journal 2012), in other words load balancing in the squared norm (Awerbuch et al., FOCS 1995); the first is a convex
penalty of what is nearly full, as in Fortz and Thorup's link cost (INFOCOM 2000).

A move that takes an exhausted resource of its source from the limit or above to the target or below, onto a host that ends at
or below all its targets, always lowers it, where the hosts' capacities are in proportion: the first term falls by at least
:math:`c_h`. The second changes by :math:`(c_h / R) \sum_r x_r (u'_{kr} + u_{kr} - u'_{hr} - u_{hr})` if the parts x of
the source h go to the target k and a dash marks what is afterwards; each summand is at most
:math:`x_r (2 T_r - x_r) \le T_r^2 < 1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import LENGTH, Use


class Imbalance:
    """The score of a cluster whose total use is given.

    :param usable: capacity after the reserve of each host, by name; 0 where a resource is unknown.
    :param used: what each host uses.
    :param parameters: limits and targets.
    """

    def __init__(
        self,
        usable: Mapping[str, Use],
        used: Mapping[str, Sequence[float]],
        parameters: Parameters,
    ) -> None:
        self._usable = usable
        self._terms: list[tuple[int, float, float, float, float]] = []
        for index in range(LENGTH):
            capacities = [each[index] for each in usable.values() if each[index] > 0]
            if not capacities:
                continue
            total = fsum(capacities)
            load = fsum(used[host][index] for host, each in usable.items() if each[index] > 0)
            target, limit = parameters.targets[index], parameters.limits[index]
            self._terms.append(
                (index, total / len(capacities), load / total, target, 1 / (limit - target))
            )

    def of_host(self, host: str, used: Sequence[float]) -> float:
        """Give what a host adds to the score when it uses that much."""
        usable = self._usable[host]
        score = 0.0
        for index, mean_capacity, mean_part, target, per_gap in self._terms:
            capacity = usable[index]
            if capacity <= 0:
                continue
            part = used[index] / capacity
            excess = max(0.0, part - target) * per_gap
            spread = part - mean_part
            score += (
                capacity / mean_capacity * (excess * excess + spread * spread / len(self._terms))
            )
        return score
