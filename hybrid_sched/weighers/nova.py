# SPDX-License-Identifier: Apache-2.0
"""Cross-Fill in nova-scheduler."""

from __future__ import annotations

from collections.abc import Sequence

from nova import conf as nova_conf
from nova import objects
from nova.scheduler import utils as scheduler_utils
from nova.scheduler import weights
from nova.scheduler.host_manager import HostState

from hybrid_sched.conf import client as options
from hybrid_sched.core.online import PLANNED
from hybrid_sched.filters.nova import request_to_rank
from hybrid_sched.quota.gatekeeper import gatekeeper_for_process


class CrossFillWeigher(weights.BaseHostWeigher):
    """Send guests to their planned host, other large ones to the roomiest and small ones to the most filled open host.

    It weighs hosts from 0 to 1 itself: of what is within these bounds Nova changes nothing, and what is above them stays.
    So the planned host can outweigh all that other weighers say, without a second weigher, which would cost each host more
    than this one.
    """

    minval = 0.0
    maxval = 1.0

    def __init__(self) -> None:
        super().__init__()
        options.register(nova_conf.CONF)

    def weight_multiplier(self, host_state: HostState) -> float:
        """Give the option's multiplier, or that of the host's aggregate."""
        return _multiplier(host_state, "cross_fill_weight_multiplier")

    def weigh_objects(
        self,
        weighed_obj_list: Sequence[weights.WeighedHost],
        weight_properties: objects.RequestSpec,
    ) -> list[float]:
        """Weigh all hosts in one pass."""
        hosts = [weighed.obj.host for weighed in weighed_obj_list]
        gatekeeper = gatekeeper_for_process(nova_conf.CONF)
        ranking = gatekeeper.rank(request_to_rank(weight_properties), hosts)
        if ranking.planned is None:
            return ranking.scores
        scores = list(ranking.scores)
        host = weighed_obj_list[ranking.planned].obj
        scores[ranking.planned] += self._planned_weight(host) - PLANNED
        return scores

    def _weigh_object(self, obj: HostState, weight_properties: objects.RequestSpec) -> float:
        """Weigh one host alone; Nova asks through :meth:`weigh_objects`."""
        return self.weigh_objects([weights.WeighedHost(obj, 0.0)], weight_properties)[0]

    def _planned_weight(self, host: HostState) -> float:
        """Give what makes ``planned_host_weight_multiplier`` once Nova multiplies it, whatever the sign of the multiplier."""
        multiplier = self.weight_multiplier(host)
        planned = _multiplier(host, "planned_host_weight_multiplier")
        return planned / multiplier if multiplier else 0.0


def _multiplier(host: HostState, name: str) -> float:
    set_to: float = nova_conf.CONF.hybrid_sched[name]
    if not host.aggregates:
        return set_to
    # As every weigher of Nova does it.
    return float(scheduler_utils.get_weight_multiplier(host, name, set_to))
