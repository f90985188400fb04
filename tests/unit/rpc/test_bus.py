# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from oslo_config import cfg

from hybrid_sched.rpc import bus


@pytest.mark.parametrize(("query", "prefetch"), [("", 4), ("?rabbit_qos_prefetch_count=9", 9)])
def test_a_server_is_given_few_messages_ahead_unless_the_url_says_otherwise(
    query: str, prefetch: int
) -> None:
    transport = bus.transport(cfg.CONF, f"rabbit://guest:guest@127.0.0.1:1/{query}")
    assert transport._driver.prefetch_size == prefetch
    transport.cleanup()
