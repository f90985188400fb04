# SPDX-License-Identifier: Apache-2.0
"""The broker stops in the middle of twenty server creates. benchmarks/broker_outage.py compares the times with stock Nova."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import broker_outage
from benchmarks.broker_outage import SERVERS, Creation
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid


@pytest.fixture(scope="module")
def created(lab: Lab, cloud: Cloud) -> Iterator[list[Creation]]:
    try:
        yield broker_outage.create_during_outage(lab, cloud)
    finally:
        broker_outage.remove_all(cloud)


def test_no_server_is_lost(created: list[Creation]) -> None:
    assert [each.status for each in created] == ["ACTIVE"] * SERVERS


def test_no_decision_is_lost(created: list[Creation], lab: Lab) -> None:
    def missing() -> set[str]:
        rows = hybrid.manage(lab, "decision", "list", "--limit", "200")
        # Each with its newest step. Of a single host Nova asks no order.
        told = {row["Request"] for row in rows if row["Step"] == "order" or row["Passed"] == 1}
        return {each.uuid for each in created} - told

    assert wait_for(missing, lambda uuids: not uuids, 60) == set()


def test_the_agents_report_again_and_see_every_guest(created: list[Creation], lab: Lab) -> None:
    def seen() -> tuple[bool, int]:
        rows = hybrid.manage(lab, "hosts", "list")
        return all(row["Fresh"] for row in rows), sum(row["Guests"] for row in rows)

    assert wait_for(seen, lambda now: now == (True, SERVERS), 60) == (True, len(created))
