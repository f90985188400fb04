# SPDX-License-Identifier: Apache-2.0
"""What operators do with ``openstack hybrid``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from api_site import BIG, Site
from osc_shell import OpenStack


def test_shares_are_listed_and_shown(site: Site, openstack: OpenStack) -> None:
    rows = openstack.json("share", "list")
    assert [row["Framework"] for row in rows] == ["container", "hypervisor"]
    assert (rows[1]["Pool"], rows[1]["Weight"]) == ("default", 1)
    assert rows[1]["Used"] == {"exact": "1/15", "value": pytest.approx(1 / 15)}
    assert openstack.json("share", "list", "--pool", "default") == rows
    assert openstack.json("share", "list", "--pool", "elsewhere") == []
    [shown] = openstack.json("share", "show", "hypervisor")
    assert (shown["Used"], shown["Rung"]) == (rows[1]["Used"], rows[1]["Rung"])
    # People get percentages.
    assert "| 6.7 %" in openstack.hybrid("share", "list").out


def test_a_weight_is_set_and_given_back(site: Site, openstack: OpenStack) -> None:
    said = openstack.hybrid("share", "set", "container", "3/4")
    assert said.out == (
        "The weight of container in pool default is 3/4 from the next cycle on.\n"
    ), said.err
    assert openstack.hybrid("share", "set", "container", "2", "--pool", "fast").code == 0
    weights = site.engine._weights
    assert {pool: str(each["container"]) for pool, each in weights.all().items()} == {
        "": "3/4",
        "fast": "2",
    }
    assert openstack.hybrid("share", "set", "container", "default").code == 0
    assert openstack.hybrid("share", "set", "container", "default", "--pool", "fast").code == 0
    assert not any(weights.all().values())


@pytest.mark.parametrize("weight", ["0", "x", "1/0"])
def test_a_weight_that_is_none_is_not_sent(site: Site, openstack: OpenStack, weight: str) -> None:
    said = openstack.hybrid("share", "set", "container", weight)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("WEIGHT: ")
    assert "set_weight" not in site.engine.asked


def test_hosts_are_listed_and_shown(site: Site, openstack: OpenStack) -> None:
    rows = openstack.json("host", "list")
    assert [row["Host"] for row in rows] == ["a", "b", "c"]
    assert (rows[0]["Guests"], rows[0]["Containers"], rows[0]["Fresh"]) == (2, 1, True)
    assert rows[0]["vCPU"] == 40
    assert openstack.json("host", "list", "--stale") == []
    assert openstack.json("host", "list", "--fresh") == rows
    shown = openstack.json("host", "show", "a")
    assert shown["Capacity"] == {"vcpu": 40, "memory_mb": 16384}
    assert shown["Tasks"].count("\n") == 2
    said = openstack.hybrid("host", "show", "zz")
    assert said.code == 1
    assert said.err.startswith("No report of host 'zz' is known")


def test_collections_are_read_page_by_page(
    site: Site, openstack: OpenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hybrid_sched.api import paging  # noqa: PLC0415

    monkeypatch.setattr(paging, "MOST_ROWS", 1)
    site.engine.asked.clear()
    assert [row["Host"] for row in openstack.json("host", "list")] == ["a", "b", "c"]
    assert site.engine.asked.count("hosts") == 3


def test_a_plan_is_shown_kept_and_applied_exactly(
    site: Site, openstack: OpenStack, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    said = openstack.hybrid("rebalance", "plan", "--output", str(file), "-f", "json")
    [planned] = said.json
    assert (planned["Task"], planned["From"], planned["To"]) == ("big", "a", "b")
    assert f"Apply it with `openstack hybrid rebalance apply {file}`." in said.err
    assert openstack.json("move", "list") == []
    [applied] = openstack.json("rebalance", "apply", str(file))
    assert (applied["Plan"], applied["State"]) == (planned["Plan"], "planned")
    assert openstack.json("move", "list", "--state", "planned", "--state", "running") == [applied]
    assert openstack.json("move", "list", "--state", "done") == []
    again = openstack.hybrid("rebalance", "apply", planned["Plan"])
    assert (again.code, again.out) == (1, "")
    assert "there is no plan" in again.err


def test_what_is_no_plan_is_not_sent(site: Site, openstack: OpenStack, tmp_path: Path) -> None:
    remedy = "give the id of a plan, or a file of `openstack hybrid rebalance plan --output`.\n"
    for content in ("", "[]", '{"plan": 5}'):
        file = tmp_path / "plan.json"
        file.write_text(content)
        said = openstack.hybrid("rebalance", "apply", str(file))
        assert (said.code, said.err.endswith(remedy)) == (1, True)
    said = openstack.hybrid("rebalance", "apply", str(tmp_path / "gone"))
    assert (said.code, said.err.endswith(remedy)) == (1, True)
    said = openstack.hybrid("rebalance", "plan", "--output", str(tmp_path))
    assert (said.code, "cannot be written" in said.err) == (1, True)
    assert "apply_plan" not in site.engine.asked


@pytest.mark.parametrize("noun", ["move", "rebalance"])
def test_moves_are_cancelled(site: Site, openstack: OpenStack, noun: str) -> None:
    [planned] = openstack.json("rebalance", "plan")
    openstack.json("rebalance", "apply", planned["Plan"])
    said = openstack.hybrid(noun, "cancel", planned["Plan"], BIG, "-f", "json")
    # What could be cancelled was, and the other is told.
    assert said.code == 1
    assert f"there is no move or plan {BIG}" in said.err
    [cancelled] = json.loads(said.out)
    assert cancelled["State"] == "cancelled"
    wrong = openstack.hybrid(noun, "cancel", "nonsense")
    assert wrong.err == "'nonsense' is no UUID: give one of `openstack hybrid move list`.\n"


def test_a_host_is_drained_and_given_back(site: Site, openstack: OpenStack) -> None:
    said = openstack.hybrid("drain", "a", "-f", "json")
    assert {row["From"] for row in said.json} == {"a"}
    assert "Host a takes nothing from then on." in said.err
    assert openstack.json("watchdog", "show")["Drained"] == []
    moves = openstack.json("drain", "a", "--now")
    assert len(moves) == len(said.json)
    assert openstack.json("watchdog", "show")["Drained"] == ["a"]
    undone = openstack.json("drain", "a", "--undo")
    assert {row["State"] for row in undone} == {"cancelled"}
    assert openstack.json("watchdog", "show")["Drained"] == []


def test_a_strategy_that_is_off_is_said_and_switched_on(site: Site, openstack: OpenStack) -> None:
    world = site.engine.world
    world.settings.switch("relieve", "It was wrong three times.", world.term, world.now_s)
    assert "It was wrong three times." in openstack.hybrid("move", "list").err
    assert "It was wrong three times." in openstack.hybrid("rebalance", "plan").err
    said = openstack.hybrid("rebalance", "enable", "relieve")
    assert said.out == "Strategy relieve decides again.\n", said.err
    assert openstack.json("watchdog", "show")["Switched off"] == {}


def test_scores_are_set_listed_and_removed(site: Site, openstack: OpenStack) -> None:
    row = {"CPU model": "AMD EPYC*", "Memory kind": "DDR4", "Score": "17/20", "Note": "old"}
    words = ("AMD EPYC*", "0.85", "--memory-kind", "DDR4", "--note", "old")
    assert openstack.json("score", "set", *words) == row
    assert openstack.json("score", "list") == [row]
    assert "0.85" in openstack.hybrid("score", "list").out
    said = openstack.hybrid("score", "remove", "AMD EPYC*")
    assert said.code == 1
    assert "There is no score of 'AMD EPYC*' with memory '*'" in said.err
    assert openstack.hybrid("score", "remove", "AMD EPYC*", "--memory-kind", "DDR4").code == 0
    assert openstack.json("score", "list") == []
    said = openstack.hybrid("score", "set", "x", "2")
    assert said.err.startswith("The score cannot be set: score: 2 is out of range")


def test_what_became_of_a_request_is_explained(site: Site, openstack: OpenStack) -> None:
    site.engine.decided(BIG)
    why = openstack.json("why", BIG)
    assert (why["candidates"], why["refused"]) == (3, {"a": "its share is used up"})
    assert "a: its share is used up" in openstack.hybrid("why", BIG).out
    said = openstack.hybrid("why", BIG, "--attempt", "2")
    assert (said.code, said.err) == (1, "attempt: 2 is not there: give 1 to 1.\n")


def test_what_would_become_of_a_request_is_told(site: Site, openstack: OpenStack) -> None:
    fits = openstack.json("why-not", "--vcpu", "1", "--memory-mb", "64", "--pool", "default")
    assert (fits["fits"], fits["framework"]) == (True, "hypervisor")
    refused = openstack.json("why-not", "--framework", "container", "--vcpu", "1000")
    assert refused["fits"] is False
    said = openstack.hybrid("why-not", "--flavor", "m1.small", "--vcpu", "1")
    assert said.err.startswith("--flavor: it tells the demand of a guest")
    # Nova is not configured here, which the quota service says.
    assert "flavor" in openstack.hybrid("why-not", "--flavor", "m1.small").err


def test_receipts_are_listed_and_shown(site: Site, openstack: OpenStack) -> None:
    rows = openstack.json("receipt", "list")
    assert [row["UUID"] for row in rows] == ["big", "mid", "small"]
    assert openstack.json("receipt", "list", "--framework", "container")[0]["UUID"] == "mid"
    assert openstack.json("receipt", "list", "--broken") == []
    shown = openstack.json("receipt", "show", "big")
    assert (shown["Host"], shown["CPU cores"]["resource"]) == ("a", "vcpu")
    said = openstack.hybrid("receipt", "show", "nobody")
    assert (said.code, "There is no receipt of 'nobody'" in said.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("share", "list"),
        ("share", "set", "container", "2"),
        ("host", "list"),
        ("host", "show", "a"),
        ("move", "list"),
        ("rebalance", "plan"),
        ("drain", "a"),
        ("drain", "a", "--undo"),
        ("score", "list"),
        ("score", "set", "x", "1"),
        ("watchdog", "show"),
        ("receipt", "list"),
    ],
    ids=" ".join,
)
def test_a_member_is_refused_in_a_sentence(
    site: Site, openstack: OpenStack, words: tuple[str, ...]
) -> None:
    said = openstack.hybrid(*words, user="member")
    assert (said.code, said.out) == (1, "")
    assert "does not let you do this" in said.err
    assert "HTTP 403" in said.err
    assert site.engine.asked == []


def test_completion_knows_the_commands(openstack: OpenStack) -> None:
    said = openstack("complete", "--shell", "bash")
    assert (
        "cmds_hybrid='drain host move rebalance receipt score share task watchdog why why-not'"
        in said.out
    )
    assert "cmds_hybrid_task='cancel create list show'" in said.out
    assert "--submission" in said.out
