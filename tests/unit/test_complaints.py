# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from hybrid_sched.complaints import Complaints


def test_a_sentence_is_said_once_and_again_after_it_was_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    complaints = Complaints()
    for now in ({"a"}, {"a"}, {"a", "b 100 %"}, {"b 100 %"}, {"a", "b 100 %"}):
        complaints.tell(now)
    assert caplog.messages == ["a", "b 100 %", "a"]
