# SPDX-License-Identifier: Apache-2.0
"""A source that sees nothing."""

from hybrid_sched.interfaces.monitor import MonitorSource, Observation


class NoopSource(MonitorSource):
    """See nothing: to switch a source off by name, and as the shortest example of one."""

    def collect(self) -> Observation:
        """Give an empty observation."""
        return Observation()
