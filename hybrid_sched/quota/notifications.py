# SPDX-License-Identifier: Apache-2.0
"""Notifications of share changes, through oslo.messaging's notifier (``[oslo_messaging_notifications]``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import oslo_messaging
from oslo_config import cfg

from hybrid_sched.core.cluster import Framework, Snapshot
from hybrid_sched.rpc.wire import Wire, number_to_wire

SHARE_CHANGED = "hybrid_sched.share.changed"
_TOLD = ("weight", "fair_share", "entitlement", "borrowed", "owed", "squeeze")


class ShareNotifier:
    """Tell of each framework whose weight, entitlement or rung changed.

    :param conf: options of oslo.messaging; without a driver nothing is sent.
    :param publisher_id: of the engine.
    """

    def __init__(self, conf: cfg.ConfigOpts, publisher_id: str) -> None:
        transport = oslo_messaging.get_notification_transport(conf)
        self._notifier: Any = oslo_messaging.Notifier(transport, publisher_id=publisher_id)
        self._last: Snapshot | None = None

    def tell(self, snapshot: Snapshot) -> None:
        """Send what changed since the last snapshot."""
        if self._last is not None:
            for payload in changes(self._last, snapshot):
                self._notifier.info({}, SHARE_CHANGED, payload)
        self._last = snapshot


def changes(before: Snapshot, after: Snapshot) -> Iterator[Wire]:
    """Give a payload for each framework whose weight, entitlement or rung differs."""
    for pool in after.pools.values():
        old_pool = before.pools.get(pool.name)
        for framework in pool.frameworks.values():
            old = old_pool.frameworks.get(framework.name) if old_pool else None
            if old is None or _told(old) != _told(framework):
                yield {
                    "pool": pool.name,
                    "framework": framework.name,
                    "term": after.term,
                    "version": after.version,
                    "before": None if old is None else _told(old),
                    "after": _told(framework),
                }


def _told(framework: Framework) -> Wire:
    return {
        "rung": framework.rung.value,
        **{name: number_to_wire(getattr(framework, name)) for name in _TOLD},
    }
