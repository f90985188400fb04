# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from source_options import options

from hybrid_sched.interfaces.monitor import Observation
from hybrid_sched.monitors.noop import NoopSource


def test_it_sees_nothing() -> None:
    assert NoopSource(options()).collect() == Observation()
