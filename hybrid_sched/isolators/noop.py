# SPDX-License-Identifier: Apache-2.0
"""An isolator that reaches nothing."""

from collections.abc import Collection, Mapping

from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, Isolator


class NoopIsolator(Isolator):
    """Reach nothing: for hosts whose tasks are left alone, and as the smallest example of one."""

    frameworks = frozenset()

    def ability(self) -> Ability:
        """Hold nothing, and miss nothing."""
        return Ability(frozenset(), {})

    def read(self) -> Mapping[str, Limits]:
        """Give none."""
        return {}

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Do nothing: every task is gone."""
