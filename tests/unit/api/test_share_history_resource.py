# SPDX-License-Identifier: Apache-2.0
"""The history of shares over HTTP. Every answer is checked against the OpenAPI document, too."""

from __future__ import annotations

from typing import Any

import pytest
from api_site import ADMIN, MEMBER, ROOT, SYSTEM_READER, Site, record_shares

PATH = "/v1/shares/history"
NEWEST = {"OpenStack-API-Version": "hybrid-scheduling latest"}


@pytest.fixture
def now_s(site: Site) -> int:
    """Record the shares three times; gives the time of the first."""
    record_shares(site, 0, 60, 120.25)
    return int(site.engine.world.now_s)


def ask(site: Site, query: str = "", token: str = ADMIN, status: int = 200) -> Any:
    return site.ask("GET", f"{PATH}{query}", token, status=status, headers=NEWEST)


def told(site: Site, query: str) -> list[tuple[float, str]]:
    start_s = site.engine.world.now_s
    return [(row["taken_at_s"] - start_s, row["framework"]) for row in ask(site, query)["history"]]


def test_what_was_recorded_is_listed_as_the_shares_are(site: Site, now_s: int) -> None:
    rows = ask(site)["history"]
    assert [row["taken_at_s"] - now_s for row in rows] == [120.25, 120.25, 60, 60, 0, 0]
    shares = {row["framework"]: row for row in site.get("/v1/frameworks")["frameworks"]}
    for row in rows:
        del row["taken_at_s"]
        assert row.items() <= shares[row["framework"]].items()
    assert (rows[0]["framework"], rows[0]["used"], rows[0]["pool"]) == ("hypervisor", "1/15", "")
    # The engine is not needed for it.
    site.engine.down = True
    assert len(ask(site)["history"]) == 6


def test_rows_are_chosen_and_turned(site: Site, now_s: int) -> None:
    only = "?framework=container&pool=default"
    assert told(site, only) == [(120.25, "container"), (60, "container"), (0, "container")]
    assert told(site, f"{only}&sort_dir=asc&limit=1") == [(0, "container")]
    assert told(site, f"{only}&since_s={now_s + 60}") == told(site, only)[:2]
    assert told(site, f"{only}&until_s={now_s + 60}") == [(0, "container")]
    assert told(site, "?pool=fast") == []
    assert told(site, f"?since_s={2**53}") == []


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_follow_each_other(site: Site, now_s: int, direction: str) -> None:
    whole = ask(site, f"?sort_dir={direction}")
    assert whole["history_links"] == []
    found, address = [], f"?sort_dir={direction}&limit=5&since_s={now_s}"
    while address:
        page = ask(site, address)
        found += [page["history"]]
        address = "".join(
            link["href"].removeprefix(f"{ROOT}{PATH}") for link in page["history_links"]
        )
    assert [len(rows) for rows in found] == [5, 1]
    assert [row for rows in found for row in rows] == whole["history"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"marker={marker}"
            for marker in ("x", "1:container", "x:container:", "nan:a:", "1e999:a:")
        ),
        *("since_s=-1", "since_s=1.5", "until_s=yesterday", f"until_s={2**53 + 1}"),
        *("framework=juggler", "sort_key=used"),
    ],
)
def test_what_cannot_be_asked_is_refused(site: Site, query: str) -> None:
    [error] = ask(site, f"?{query}", status=400)["errors"]
    assert error["detail"].startswith(f"{query.partition('=')[0]}: ")


def test_it_is_of_version_1_1(site: Site) -> None:
    for headers in ({}, {"OpenStack-API-Version": "hybrid-scheduling 1.0"}):
        [error] = site.ask("GET", PATH, status=404, headers=headers)["errors"]
        assert error["code"] == "hybrid-scheduling.version.too_old"
        assert "send `hybrid-scheduling 1.1` or" in error["detail"]
    headers = {"OpenStack-API-Version": "hybrid-scheduling 1.1"}
    assert site.ask("GET", PATH, status=200, headers=headers)["history"] == []


def test_it_is_for_those_who_see_how_the_cloud_is_shared(site: Site) -> None:
    ask(site, token=SYSTEM_READER)
    ask(site, token=MEMBER, status=403)
