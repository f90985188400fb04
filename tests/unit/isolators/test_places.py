# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterator

import libvirt
import pytest
from oslo_config import cfg

from hybrid_sched.bounded import Bounded
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators import places


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A libvirt that takes connections and says nothing, until the test is over."""
    over, asked = threading.Event(), []

    def open_read_only(uri: str) -> None:
        asked.append(uri)
        over.wait()
        raise libvirt.libvirtError("over")

    monkeypatch.setattr(libvirt, "openReadOnly", open_read_only)
    monkeypatch.setattr(places, "_bounded", Bounded(0.05, hanging_at_most=2))
    yield asked
    over.set()


def test_a_libvirt_that_is_stuck_hangs_nobody_and_is_asked_by_few(stuck: list[str]) -> None:
    conf = cfg.ConfigOpts()
    agent_options.register(conf)
    conf([], default_config_files=[])
    for _ in range(4):
        with pytest.raises(IsolationError, match="has not told its guests"):
            places.guests(conf)
    assert len(stuck) == 2
