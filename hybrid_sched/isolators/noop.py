# SPDX-License-Identifier: Apache-2.0
"""An isolator that reaches nothing."""

from collections.abc import Mapping

from hybrid_sched.interfaces.isolator import Isolator


class NoopIsolator(Isolator):
    """Reach nothing: for hosts whose tasks are left alone, and as an example of one."""

    framework = ""

    def cpu_weights(self) -> Mapping[str, int]:
        """Give none."""
        return {}

    def set_cpu_weight(self, uuid: str, weight: int) -> None:
        """Do nothing: every task is gone."""
