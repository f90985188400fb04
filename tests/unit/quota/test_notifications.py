# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from engines import Site
from oslo_config import cfg
from oslo_messaging.notify import _impl_test
from values import task

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Framework, Rung, Snapshot
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.notifications import ShareNotifier, changes


def snapshot() -> Snapshot:
    return Site(term=2).cycle()


def with_framework(snapshot: Snapshot, pool: str = DEFAULT_POOL, **changed: Any) -> Snapshot:
    """Give a later snapshot, in which something of the containers changed."""
    home = snapshot.pools[pool]
    framework: Framework = replace(home.frameworks[CONTAINER], **changed)
    home = replace(home, frameworks={**home.frameworks, CONTAINER: framework})
    pools = {**snapshot.pools, pool: home}
    return replace(snapshot, pools=pools, version=snapshot.version + 1)


def test_what_changed_is_told_with_what_it_was() -> None:
    before = snapshot()
    after = with_framework(before, weight=Fraction(3, 2), rung=Rung.SQUEEZE)
    told = {
        "weight": 1,
        "rung": "none",
        "fair_share": "1/2",
        "entitlement": 0,
        "borrowed": 0,
        "owed": 0,
        "squeeze": 1,
    }
    assert list(changes(before, after)) == [
        {
            "pool": "",
            "framework": CONTAINER,
            "term": 2,
            "version": 2,
            "before": told,
            "after": {**told, "weight": "3/2", "rung": "squeeze"},
        }
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"weight": 2},
        {"fair_share": Fraction(1, 3)},
        {"entitlement": Fraction(1, 3)},
        {"borrowed": Fraction(1, 3)},
        {"owed": Fraction(1, 3)},
        {"squeeze": Fraction(1, 3)},
        {"rung": Rung.NO_GRANTS},
    ],
)
def test_each_of_what_is_told_is_reason_to_tell(changed: dict[str, Any]) -> None:
    before = snapshot()
    (payload,) = changes(before, with_framework(before, **changed))
    (name,) = changed
    assert payload["before"][name] != payload["after"][name]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"used": Resources(memory_mb=5)},
        {"wanted": Resources(memory_mb=5)},
        {"floor": Fraction(1, 3)},
        {"head_threshold": Fraction(1, 3)},
    ],
)
def test_other_changes_are_no_reason(changed: dict[str, Any]) -> None:
    before = snapshot()
    assert list(changes(before, with_framework(before, **changed))) == []


def test_hosts_that_change_are_no_reason() -> None:
    site = Site(lending_of_guests="0")
    before = site.cycle()
    assert list(changes(before, replace(site.cycle(), hosts={}))) == []


def test_a_pool_that_is_new_is_told_of_and_one_that_went_is_not() -> None:
    site = Site()
    before = site.cycle()
    after = site.run(pool_of={"b": "fast"})
    payloads = list(changes(before, after))
    assert [(each["pool"], each["framework"], each["before"]) for each in payloads] == [
        ("fast", HYPERVISOR, None),
        ("fast", CONTAINER, None),
    ]
    assert list(changes(after, before)) == []


@pytest.fixture
def notifier() -> Iterator[ShareNotifier]:
    """Give one whose notifications oslo.messaging's own test driver keeps."""
    cfg.CONF([], default_config_files=[])
    made = ShareNotifier(cfg.CONF, "engine.test")
    cfg.CONF.set_override("driver", ["test"], group="oslo_messaging_notifications")
    cfg.CONF.set_override("transport_url", "fake:/", group="oslo_messaging_notifications")
    _impl_test.reset()
    yield ShareNotifier(cfg.CONF, made._notifier.publisher_id)
    _impl_test.reset()
    for name in ("driver", "transport_url"):
        cfg.CONF.clear_override(name, group="oslo_messaging_notifications")
    cfg.CONF.reset()


def test_the_first_snapshot_is_told_to_nobody_and_each_change_once(notifier: ShareNotifier) -> None:
    site = Site()
    notifier.tell(site.cycle())
    notifier.tell(site.cycle())
    assert _impl_test.NOTIFICATIONS == []
    site.set(weights={CONTAINER: "3"})
    for _ in range(2):
        notifier.tell(site.cycle())
    told = [(message, priority) for _, message, priority, _ in _impl_test.NOTIFICATIONS]
    assert [priority for _, priority in told] == ["INFO", "INFO"]
    for message, _ in told:
        assert message["event_type"] == "hybrid_sched.share.changed"
        assert message["publisher_id"] == "engine.test"
    after = {m["payload"]["framework"]: m["payload"]["after"]["fair_share"] for m, _ in told}
    assert after == {HYPERVISOR: "1/4", CONTAINER: "3/4"}
    site.cycle(task("t", 10))
    notifier.tell(site.snapshot)
    (payload,) = [m["payload"] for _, m, _, _ in _impl_test.NOTIFICATIONS[2:]]
    assert (payload["framework"], payload["after"]["entitlement"]) == (CONTAINER, "1/20")
