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
from hybrid_sched.filters.nova import request_of
from hybrid_sched.quota.gatekeeper import gatekeeper_for_process


class CrossFillWeigher(weights.BaseHostWeigher):
    """Send large guests to the roomiest host and small ones to the most filled open host on which they fit."""

    def weight_multiplier(self, host_state: HostState) -> float:
        """Give the option's multiplier, or that of the host's aggregate."""
        options.register(nova_conf.CONF)
        return scheduler_utils.get_weight_multiplier(
            host_state,
            "cross_fill_weight_multiplier",
            nova_conf.CONF.hybrid_sched.cross_fill_weight_multiplier,
        )

    def weigh_objects(
        self,
        weighed_obj_list: Sequence[weights.WeighedHost],
        weight_properties: objects.RequestSpec,
    ) -> list[float]:
        """Weigh all hosts in one pass."""
        gatekeeper = gatekeeper_for_process(nova_conf.CONF)
        hosts = [weighed.obj.host for weighed in weighed_obj_list]
        return [float(w) for w in gatekeeper.rank(request_of(weight_properties), hosts).weights]

    def _weigh_object(self, obj: HostState, weight_properties: objects.RequestSpec) -> float:
        """Weigh one host alone; Nova asks through :meth:`weigh_objects`."""
        gatekeeper = gatekeeper_for_process(nova_conf.CONF)
        return float(gatekeeper.rank(request_of(weight_properties), [obj.host]).weights[0])
