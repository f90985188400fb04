# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid share history``: what operators see of how the cluster was shared."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from api_site import Site, record_shares
from osc_shell import OpenStack

HISTORY = ("share", "history")


@pytest.fixture
def now_s(site: Site) -> float:
    """Record the shares an hour and a half ago, half an hour ago and now; gives the time of the last."""
    now_s = time.time()
    site.engine.world.now_s = now_s
    record_shares(site, -5400, -1800, 0)
    return now_s


def hours_ago(openstack: OpenStack, now_s: float, *words: str) -> list[float]:
    rows = openstack.json(*HISTORY, "--framework", "container", *words)
    assert all(row["Framework"] == "container" for row in rows)
    return [(now_s - row["Time"]) / 3600 for row in rows]


def test_the_newest_comes_first_with_exact_shares(openstack: OpenStack, now_s: float) -> None:
    rows = openstack.json(*HISTORY)
    assert [row["Framework"] for row in rows] == ["hypervisor", "container"] * 3
    assert (rows[0]["Time"], rows[0]["Pool"], rows[0]["Weight"]) == (now_s, "default", 1)
    assert rows[0]["Used"] == {"exact": "1/15", "value": pytest.approx(1 / 15)}
    assert (rows[0]["Rung"], rows[0]["Squeeze"]) == ("none", 1)
    # People get dates and percentages.
    shown = openstack.hybrid(*HISTORY).out
    assert datetime.fromtimestamp(now_s, tz=UTC).strftime("%Y-%m-%d %H:%M:%S") in shown
    assert "| 6.7 %" in shown


def test_rows_are_chosen(openstack: OpenStack, now_s: float) -> None:
    assert hours_ago(openstack, now_s) == [0, 0.5, 1.5]
    for hour_ago in ("1h", "60m ago", "-1h", str(now_s - 3600), str(int(now_s) - 3600)):
        assert hours_ago(openstack, now_s, f"--since={hour_ago}") == [0, 0.5]
        assert hours_ago(openstack, now_s, f"--until={hour_ago}") == [1.5]
    date = datetime.fromtimestamp(now_s - 3600, tz=UTC)
    for written in (date.isoformat(), f"{date:%Y-%m-%dT%H:%M:%SZ}", f"{date:%Y-%m-%d %H:%M:%S}"):
        assert hours_ago(openstack, now_s, "--since", written) == [0, 0.5]
    assert hours_ago(openstack, now_s, "--since", "1d", "--until", "2h") == []
    assert hours_ago(openstack, now_s, "--pool", "default") == [0, 0.5, 1.5]
    assert hours_ago(openstack, now_s, "--pool", "elsewhere") == []


def test_it_is_read_page_by_page(
    openstack: OpenStack, now_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = openstack.json(*HISTORY)
    assert openstack.json(*HISTORY, "--limit", "3") == whole[:3]
    last = whole[2]
    marker = f"{last['Time']}:{last['Framework']}:{last['Pool']}"
    assert openstack.json(*HISTORY, "--limit", "2", "--marker", marker) == whole[3:5]
    monkeypatch.setattr("hybrid_sched.osc.v1.shares._MOST_ROWS", 4)
    monkeypatch.setattr("hybrid_sched.api.paging.MOST_ROWS", 4)
    assert openstack.json(*HISTORY, "--limit", "5") == whole[:5]
    assert openstack.json(*HISTORY, "--limit", "0") == whole


@pytest.mark.parametrize(
    "option",
    ["--since=yesterday", "--until=1x", "--since=", "--until=ago", "--limit=-1", "--marker=x"],
)
def test_what_cannot_be_read_is_told(site: Site, openstack: OpenStack, option: str) -> None:
    said = openstack.hybrid(*HISTORY, option)
    assert (said.code, said.out) == (1, "")
    assert said.err.lstrip("-").startswith(option.strip("-").partition("=")[0] + ": ")


def test_an_older_version_of_the_api_has_none(site: Site, openstack: OpenStack) -> None:
    said = openstack("--os-hybrid-api-version", "1.0", "hybrid", *HISTORY)
    assert said.code == 1
    assert "send `hybrid-scheduling 1.1`" in said.err
