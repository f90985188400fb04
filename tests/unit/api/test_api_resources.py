# SPDX-License-Identifier: Apache-2.0
"""What each resource answers, from a real engine. Every answer is checked against the OpenAPI document, too."""

from __future__ import annotations

from api_site import ADMIN, BIG, MEMBER, Site


def test_frameworks_are_listed_by_pool_sorted_and_filtered(site: Site) -> None:
    rows = site.get("/v1/frameworks")["frameworks"]
    assert [row["framework"] for row in rows] == ["container", "hypervisor"]
    assert {row["pool"] for row in rows} == {""}
    turned = site.get("/v1/frameworks?sort_key=used&sort_dir=desc")["frameworks"]
    assert [row["framework"] for row in turned] == ["hypervisor", "container"]
    assert (turned[0]["used"], turned[1]["used"]) == ("1/15", "1/30")
    [only] = site.get("/v1/frameworks?framework=container&pool=default")["frameworks"]
    assert only == rows[0]
    shown = site.get("/v1/frameworks/container")["framework"]
    assert shown == {"name": "container", "pools": [rows[0]]}
    assert site.get("/v1/frameworks/container?pool=fast")["framework"]["pools"] == []
    site.get("/v1/frameworks/juggler", status=404)


def test_a_weight_is_set_and_given_back(site: Site) -> None:
    answer = site.put("/v1/frameworks/container/weight", {"weight": 0.75, "pool": None})
    assert answer == {"weight": {"framework": "container", "pool": "", "weight": "3/4"}}
    site.put("/v1/frameworks/container/weight", {"weight": "2/3", "pool": "fast"})
    weights = site.engine._weights
    assert {pool: str(each["container"]) for pool, each in weights.all().items()} == {
        "": "3/4",
        "fast": "2/3",
    }
    site.delete("/v1/frameworks/container/weight?pool=fast")
    site.delete("/v1/frameworks/container/weight")
    assert not any(weights.all().values())
    for wrong in (0, -1, "0", "x", "1/0", True, None, 1e300):
        site.put("/v1/frameworks/container/weight", {"weight": wrong}, status=400)
    site.put("/v1/frameworks/container/weight", {"weight": 1, "weigth": 2}, status=400)


def test_hosts_are_listed_without_tasks_and_shown_with_them(site: Site) -> None:
    rows = site.get("/v1/hosts")["hosts"]
    assert [row["host"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["task_counts"] == {"hypervisor": 2, "container": 1}
    assert all("tasks" not in row for row in rows)
    assert site.get("/v1/hosts?fresh=false")["hosts"] == []
    shown = site.get("/v1/hosts/a")["host"]
    assert {task["uuid"] for task in shown["tasks"]} == {"big", "mid", "small"}
    assert shown["capacity"] == {"vcpu": 40, "memory_mb": 16384}
    [error] = site.get("/v1/hosts/zz", status=404)["errors"]
    assert "No report of host 'zz' is known" in error["detail"]


def test_pages_follow_each_other(site: Site) -> None:
    first = site.get("/v1/hosts?limit=2&sort_dir=desc")
    assert [row["host"] for row in first["hosts"]] == ["c", "b"]
    [link] = first["hosts_links"]
    assert link["rel"] == "next"
    second = site.get(link["href"].removeprefix("http://localhost"))
    assert ([row["host"] for row in second["hosts"]], second["hosts_links"]) == (["a"], [])
    [error] = site.get("/v1/hosts?marker=zz", status=400)["errors"]
    assert error["detail"].startswith("marker: there is no such row")


def test_a_host_is_drained_and_given_back(site: Site) -> None:
    moves = site.put("/v1/hosts/a/drain", {}, status=202)["moves"]
    assert {move["source"] for move in moves} == {"a"}
    assert site.get("/v1/watchdog")["watchdog"]["drained"] == ["a"]
    assert {move["state"] for move in site.delete("/v1/hosts/a/drain", status=200)["moves"]} == {
        "cancelled"
    }
    [error] = site.delete("/v1/hosts/a/drain", status=409)["errors"]
    assert error["detail"] == "host a is not drained."
    site.put("/v1/hosts/zz/drain", {}, status=404)


def test_a_host_is_drained_with_the_plan_that_was_shown(site: Site) -> None:
    plan = site.post("/v1/plans", {"drain": "a"})["plan"]
    moves = site.put("/v1/hosts/a/drain", {"plan": plan["plan"]}, status=202)["moves"]
    assert [move["uuid"] for move in moves] == [move["uuid"] for move in plan["moves"]]
    site.put("/v1/hosts/a/drain", {"plan": plan["plan"]}, status=409)


def test_a_plan_is_shown_applied_listed_and_cancelled(site: Site) -> None:
    shown = site.post("/v1/plans", {})
    [planned] = shown["plan"]["moves"]
    assert (planned["task"], planned["source"], planned["target"]) == ("big", "a", "b")
    assert site.get("/v1/moves") == {"moves": [], "moves_links": []}
    # The plan may be sent back as it came.
    [applied] = site.post("/v1/plans/apply", shown, status=202)["moves"]
    assert site.get("/v1/moves?state=planned&state=running")["moves"][0]["uuid"] == applied["uuid"]
    assert site.get("/v1/moves?state=done")["moves"] == []
    cancelled = site.post("/v1/moves/cancel", {"uuids": [BIG, applied["uuid"]]}, status=202)
    assert [move["state"] for move in cancelled["moves"]] == ["cancelled"]
    assert cancelled["faults"] == [f"there is no move or plan {BIG} that is planned or running."]
    site.post("/v1/moves/cancel", {"uuids": [applied["uuid"]]}, status=409)
    site.post("/v1/plans/apply", {"plan": applied["plan"]}, status=409)
    site.post("/v1/plans", {"strategy": "juggle"}, status=400)
    site.post("/v1/plans", {"strategy": "relieve", "drain": "a"}, status=400)


def test_moves_are_paged_by_their_position(site: Site) -> None:
    site.put("/v1/hosts/a/drain", {}, status=202)
    found = []
    path = "/v1/moves?limit=1"
    while path:
        page = site.get(path)
        found += page["moves"]
        path = "".join(
            link["href"].removeprefix("http://localhost") for link in page["moves_links"]
        )
    assert [move["position"] for move in found] == sorted(
        (move["position"] for move in found), reverse=True
    )
    assert len(found) == 2
    site.get("/v1/moves?marker=x", status=400)


def test_a_strategy_is_switched_on_again(site: Site) -> None:
    world = site.engine.world
    world.settings.switch("relieve", "It was wrong three times.", world.term, world.now_s)
    off = site.get("/v1/watchdog")["watchdog"]["off"]
    assert off == {"relieve": "It was wrong three times."}
    site.ask("POST", "/v1/strategies/relieve/enable", status=204)
    assert site.get("/v1/watchdog")["watchdog"]["off"] == {}
    site.ask("POST", "/v1/strategies/relieve/enable", status=409)


def test_scores_are_set_listed_and_forgotten(site: Site) -> None:
    row = {"cpu_model": "AMD EPYC*", "memory_kind": "*", "score": "17/20", "note": "old"}
    assert site.put("/v1/scores", {"cpu_model": "AMD EPYC*", "score": 0.85, "note": "old"}) == {
        "score": row
    }
    site.put("/v1/scores", {"cpu_model": "Intel*", "memory_kind": "DDR4", "score": "3/4"})
    assert site.get("/v1/scores?limit=1")["scores"] == [row]
    assert site.get("/v1/scores?sort_key=score")["scores"][1] == row
    site.delete("/v1/scores?cpu_model=Intel*", status=404)
    site.delete("/v1/scores?cpu_model=Intel*&memory_kind=DDR4")
    assert site.get("/v1/scores")["scores"] == [row]
    site.delete("/v1/scores", status=400)
    for wrong in ({"score": 2}, {"score": 0.5, "note": "\x00"}, {"score": 0.5, "note": "\ud800"}):
        site.put("/v1/scores", {"cpu_model": "x", **wrong}, status=400)


def test_decisions_are_listed_shown_and_explained(site: Site) -> None:
    for uuid in (BIG, "another"):
        site.engine.decided(uuid)
    rows = site.get("/v1/decisions?framework=container&sort_key=request_uuid&sort_dir=asc")[
        "decisions"
    ]
    assert [row["request_uuid"] for row in rows] == [BIG, "another"]
    shown = site.get(f"/v1/decisions/{BIG}")["decision"]
    assert [step["stage"] for step in shown["steps"]] == ["share_gate"]
    why = site.get(f"/v1/why/{BIG}")["why"]
    assert (why["candidates"], why["refused"]) == (3, {"a": "its share is used up"})
    site.get(f"/v1/why/{BIG}?attempt=2", status=404)
    site.get("/v1/why/nobody", status=404)
    site.get("/v1/decisions/nobody", status=404)


def test_a_hypothesis_is_judged(site: Site) -> None:
    answer = site.post("/v1/why-not", {"demand": {"vcpu": 1, "memory_mb": 64}})["why_not"]
    assert (answer["fits"], answer["framework"]) == (True, "hypervisor")
    refused = site.post("/v1/why-not", {"demand": {"vcpu": 1000}, "framework": "container"})
    assert refused["why_not"]["fits"] is False
    for wrong in (
        {"demand": {}},
        {"demand": {"gold": 1}},
        {"flavor": "m1.small", "demand": {"vcpu": 1}},
        {"flavor": "m1.small"},
        {"demand": {"vcpu": 1}, "pool": "nowhere"},
        {"demand": {"vcpu": 1}, "count": 0},
    ):
        site.post("/v1/why-not", wrong, status=400)


def test_candidates_are_listed(site: Site) -> None:
    rows = site.get("/v1/candidates")["candidates"]
    assert all({"pool", "framework", "tasks"} <= row.keys() for row in rows)


def test_receipts_are_listed_and_shown(site: Site) -> None:
    answer = site.get("/v1/receipts?limit=2")
    assert [row["uuid"] for row in answer["receipts"]] == ["big", "mid"]
    assert answer["window_s"] > 0
    [link] = answer["receipts_links"]
    rest = site.get(link["href"].removeprefix("http://localhost"))
    assert [row["uuid"] for row in rest["receipts"]] == ["small"]
    assert site.get("/v1/receipts?framework=container")["receipts"][0]["uuid"] == "mid"
    assert site.get("/v1/receipts/big")["receipt"]["host"] == "a"
    site.get("/v1/receipts/nobody", status=404)


def test_tasks_are_declared_listed_shown_and_cancelled(site: Site) -> None:
    created = site.submit("db", "web")
    assert [(row["name"], row["state"], row["project_id"]) for row in created] == [
        ("db", "waiting", "one"),
        ("web", "waiting", "one"),
    ]
    assert site.get("/v1/tasks", MEMBER)["tasks"] == created
    shown = site.get(f"/v1/tasks/{created[0]['uuid']}", MEMBER)["task"]
    assert shown["spec"] == {"image": "busybox"}
    assert shown["estimate"].startswith("about 40 s")
    assert "trust_id" not in shown
    ended = site.delete(f"/v1/tasks/{created[0]['uuid']}", MEMBER, 202)["task"]
    assert ended["state"] == "cancelled"
    assert [row["name"] for row in site.get("/v1/tasks?state=waiting", MEMBER)["tasks"]] == ["web"]
    site.get(f"/v1/tasks/{BIG}", MEMBER, 404)
    site.get("/v1/tasks/nonsense", MEMBER, 404)


def test_tasks_are_sorted_filtered_and_paged(site: Site) -> None:
    site.submit("cc", "aa", "bb", priority=-1)
    site.submit("dd", priority=-2)
    path, names = "/v1/tasks?sort_key=priority&sort_dir=desc&limit=1", []
    while path:
        page = site.get(path, MEMBER)
        names += [row["name"] for row in page["tasks"]]
        path = "".join(
            link["href"].removeprefix("http://localhost") for link in page["tasks_links"]
        )
    assert names == ["bb", "aa", "cc", "dd"]
    by_name = site.get("/v1/tasks?sort_key=name", MEMBER)["tasks"]
    assert [row["name"] for row in by_name] == ["aa", "bb", "cc", "dd"]
    assert [row["name"] for row in site.get("/v1/tasks?name=aa", MEMBER)["tasks"]] == ["aa"]
    assert site.get("/v1/tasks?host=h1", MEMBER)["tasks"] == []
    site.get(f"/v1/tasks?marker={BIG}", MEMBER, 400)


def test_a_submission_is_not_doubled(site: Site) -> None:
    body = {
        "tasks": [{"name": "n", "count": 3, "container": {"image": "busybox"}}],
        "submission": BIG,
    }
    first = site.post("/v1/tasks", body, MEMBER, 201)
    assert [row["name"] for row in first["tasks"]] == ["n-1", "n-2", "n-3"]
    assert site.post("/v1/tasks", body, MEMBER, 201) == first
    assert len(site.get("/v1/tasks", MEMBER)["tasks"]) == 3


def test_each_fault_of_a_submission_is_an_error_and_nothing_is_taken_on(site: Site) -> None:
    tasks = [
        {"name": "xx", "container": {"image": "busybox"}, "after": ["nobody"]},
        {"name": "yy", "server": {"flavor": "m1.small", "image": "c"}, "deadline": "1999-01-01"},
        {"name": "zz"},
    ]
    errors = site.post("/v1/tasks", {"tasks": tasks}, MEMBER, 400)["errors"]
    assert [error["detail"] for error in errors] == [
        "tasks[2]: neither is there: give one of server and container."
    ]
    errors = site.post("/v1/tasks", {"tasks": tasks[:2]}, MEMBER, 400)["errors"]
    assert "tasks[0].after" in errors[0]["detail"]
    unknown = [{"name": "yy", "server": {"flavor": "gold", "image": "c"}}]
    [error] = site.post("/v1/tasks", {"tasks": unknown}, MEMBER, 400)["errors"]
    assert "there is no flavor 'gold'" in error["detail"]
    assert site.get("/v1/tasks?all_projects=true", ADMIN)["tasks"] == []
