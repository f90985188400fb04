# SPDX-License-Identifier: Apache-2.0
"""A source that sees nothing."""

from hybrid_sched.interfaces.monitor import MonitorSource, Observation


class NoopSource(MonitorSource):
    """See nothing: for hosts that run no agent's source, and as an example of one."""

    def collect(self) -> Observation:
        """Give an empty observation."""
        return Observation()
