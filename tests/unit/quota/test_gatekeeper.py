# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engines import Site
from oslo_config import cfg
from values import request, task

from hybrid_sched.conf import client as client_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Arrival, Snapshot
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.online import Role
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Refusal, Request, Rule, Verdict
from hybrid_sched.quota.client import View, client_for_process, close_client_for_process
from hybrid_sched.quota.gatekeeper import Gatekeeper, gatekeeper_for_process
from hybrid_sched.rpc.snapshots import snapshot_to_wire


class HeldClient:
    """A client that holds one view and keeps what it is told, without a bus."""

    def __init__(self, view: View, answer: dict[str, Any] | None = None) -> None:
        self._view = view
        self._answer = answer
        self.reserved: list[tuple[str, list[str], float, bool]] = []
        self.decisions: list[Decision] = []

    def view(self) -> View:
        return self._view

    def record(self, decision: Callable[[], Decision]) -> None:
        self.decisions.append(decision())

    def reserve(
        self, asked: Request, pools: Sequence[str], timeout_s: float, *, patient: bool
    ) -> dict[str, Any] | None:
        self.reserved.append((asked.uuid, list(pools), timeout_s, patient))
        return self._answer


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(client_options.OPTIONS, group=cfg.OptGroup("hybrid_sched"))
    made([], default_config_files=[])
    for name, value in options.items():
        made.set_override(name, value, group="hybrid_sched")
    return made


def snapshot(reserve: str = "none", pool_of_b: str = "") -> Snapshot:
    """Make the snapshot of two hosts, where containers hold 50 of the 100 MiB that are their share."""
    site = Site(reserve=reserve)
    site.report("a", task("t", 50))
    site.report("b")
    return site.run(pool_of={"b": pool_of_b} if pool_of_b else {})


def gatekeeper(
    age_s: float | None = 0.5,
    answer: dict[str, Any] | None = None,
    reserve: str = "none",
    pool_of_b: str = "",
    **options: Any,
) -> tuple[Gatekeeper, HeldClient]:
    held = None if age_s is None else snapshot(reserve, pool_of_b)
    client = HeldClient(View(held, age_s), answer)
    return Gatekeeper(client, conf(**options)), client  # type: ignore[arg-type]


def granted(pool: str = "") -> dict[str, Any]:
    return {"granted": True, "text": "", "pool": pool}


REFUSED = {"granted": False, "text": "no", "pool": ""}
MODES = ["best_effort", "strict"]


def test_what_is_judged_is_recorded_with_its_reasons() -> None:
    keeper, client = gatekeeper()
    assert keeper.judge(request("r", 60), ["a", "b"]).admitted == ()
    (decision,) = client.decisions
    assert (decision.request_uuid, decision.stage, decision.hosts) == ("r", Stage.SHARE_GATE, ())
    assert decision.refused["a"].startswith("host_room: host a has 50 of 100 memory_mb free")
    assert decision.refused["b"].startswith(
        "framework_share: framework container would hold 55.0 %"
    )
    assert (decision.snapshot_age_s, decision.refused_by_share) == (0.5, True)


def test_a_request_without_room_anywhere_is_not_refused_by_share() -> None:
    keeper, client = gatekeeper()
    keeper.judge(request("r", 101, HYPERVISOR, is_move=True), ["a", "b"])
    assert not client.decisions[0].refused_by_share


def test_hosts_of_one_weight_keep_their_order_in_the_record() -> None:
    keeper, client = gatekeeper()
    for hosts in itertools.permutations(["a", "x", "b", "y"]):
        keeper.rank(request("r", 10), hosts)
        recorded = client.decisions[-1].hosts
        unknown = tuple(host for host in hosts if host in {"x", "y"})
        assert recorded == ("a", "b", *unknown)
    assert client.decisions[-1].text.startswith("filler (")


@pytest.mark.parametrize("age_s", [None, 61.0])
def test_without_a_usable_snapshot_the_option_decides(age_s: float | None) -> None:
    keeper, client = gatekeeper(age_s)
    assert keeper.judge(request("r", 60), ["a", "b"]).admitted == ("a", "b")
    assert client.decisions[-1].text.endswith("check hybrid-sched-engine and the broker")
    keeper, client = gatekeeper(age_s, on_unavailable="deny")
    assert keeper.judge(request("r", 60), ["a", "b"]).admitted == ()
    assert set(client.decisions[-1].refused) == {"a", "b"}
    assert client.decisions[-1].refused["a"].startswith("quota_unavailable: ")


def test_without_a_usable_snapshot_all_hosts_weigh_the_same() -> None:
    keeper, client = gatekeeper(None)
    assert keeper.rank(request("r", 10), ["b", "a"]).weights == (0, 0)
    assert client.decisions[-1].hosts == ("b", "a")


def test_without_reservations_the_snapshot_alone_decides() -> None:
    keeper, client = gatekeeper(answer=REFUSED)
    assert keeper.judge(request("r", 10), ["b"]).admitted == ("b",)
    assert client.reserved == []


@pytest.mark.parametrize(
    ("mode", "timeout_s", "patient"), [("best_effort", 0.25, False), ("strict", 4.0, True)]
)
def test_a_reservation_is_asked_for_with_the_patience_of_its_mode(
    mode: str, timeout_s: float, *, patient: bool
) -> None:
    timeouts = {"reservation_timeout_s": 0.25, "strict_reservation_timeout_s": 4.0}
    keeper, client = gatekeeper(reserve=mode, answer=granted(), **timeouts)
    assert keeper.judge(request("r", 10), ["b", "a"]).admitted == ("b", "a")
    # What the snapshot refuses already needs no reservation, and a move none at all.
    keeper.judge(request("s", 60), ["b"])
    assert keeper.judge(request("m", 60, is_move=True), ["b"]).admitted == ("b",)
    assert client.reserved == [("r", [""], timeout_s, patient)]


@pytest.mark.parametrize("mode", MODES)
def test_a_reservation_that_is_not_granted_refuses_every_host(mode: str) -> None:
    keeper, client = gatekeeper(reserve=mode, answer=REFUSED)
    assert keeper.judge(request("r", 10), ["a", "b"]).admitted == ()
    (decision,) = client.decisions
    assert dict(decision.refused) == {"a": "framework_share: no", "b": "framework_share: no"}
    assert decision.refused_by_share


def test_without_an_answer_best_effort_goes_by_the_snapshot_and_strict_refuses() -> None:
    keeper, _ = gatekeeper(reserve="best_effort", on_unavailable="deny")
    assert keeper.judge(request("r", 10), ["b"]).admitted == ("b",)
    keeper, client = gatekeeper(reserve="strict", strict_reservation_timeout_s=2.5)
    assert keeper.judge(request("r", 10), ["b"]).admitted == ()
    assert dict(client.decisions[0].refused) == {
        "b": "quota_unavailable: the quota service reserved nothing within 2.5 s, which it must do first"
    }
    # It was not the share that had no room.
    assert not client.decisions[0].refused_by_share


@pytest.mark.parametrize("mode", MODES)
def test_only_hosts_of_the_pool_that_was_reserved_in_are_left(mode: str) -> None:
    for pool, left, other in (("fast", "b", "a"), ("", "a", "b")):
        keeper, client = gatekeeper(reserve=mode, pool_of_b="fast", answer=granted(pool))
        verdict = keeper.judge(request("r", 10, HYPERVISOR), ["b", "a"])
        assert verdict.admitted == (left,)
        assert client.reserved[0][:2] == ("r", ["fast", ""])
        text = f"room is reserved in pool {pool or 'default'}"
        assert verdict.refused == {other: Refusal(Rule.OTHER_POOL, text)}
        assert not client.decisions[0].refused_by_share


def test_what_was_reserved_where_no_candidate_is_leaves_none() -> None:
    keeper, _ = gatekeeper(reserve="strict", answer=granted("elsewhere"))
    verdict = keeper.judge(request("r", 10), ["a", "b"])
    assert verdict.admitted == ()
    assert {each.rule for each in verdict.refused.values()} == {Rule.OTHER_POOL}


@pytest.mark.parametrize(
    ("mode", "is_move", "admitted"),
    [
        ("none", False, ("b",)),
        ("best_effort", False, ("b",)),
        ("strict", False, ()),
        ("strict", True, ("b",)),
    ],
)
def test_strict_stays_strict_when_the_snapshot_that_said_so_is_old(
    mode: str, admitted: tuple[str, ...], *, is_move: bool
) -> None:
    keeper, client = gatekeeper(61.0, reserve=mode, answer=granted())
    asked = request("r", 10, is_move=is_move)
    assert keeper.judge(asked, ["b"]).admitted == admitted
    assert client.reserved == []


def test_the_decision_names_the_pool_whose_share_refused() -> None:
    keeper, client = gatekeeper(pool_of_b="fast")
    keeper.judge(request("r", 51), ["b"])
    keeper.judge(request("r", 101), ["b"])
    keeper.judge(request("s", 10), ["b"])
    recorded = [(each.pool, each.refused_by_share) for each in client.decisions]
    # More than a host has is no matter of shares.
    assert recorded == [("fast", True), ("", False), ("", False)]


@pytest.mark.parametrize("option", ["allow", "deny"])
@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (
            None,
            "there is no snapshot of the quota service: check hybrid-sched-engine and the broker",
        ),
        (
            61.4,
            "the newest snapshot of the quota service is 61 s old: "
            "check hybrid-sched-engine and the broker",
        ),
    ],
)
def test_the_record_tells_that_the_quota_service_was_away(
    age_s: float | None, text: str, option: str
) -> None:
    keeper, client = gatekeeper(age_s, on_unavailable=option)
    verdict = keeper.judge(request("r", 60), ["b", "a"])
    refusal = Refusal(Rule.QUOTA_UNAVAILABLE, text)
    assert (
        verdict
        == {
            "allow": Verdict(("b", "a"), {}),
            "deny": Verdict((), {"b": refusal, "a": refusal}),
        }[option]
    )
    (decision,) = client.decisions
    held = None if age_s is None else snapshot()
    assert decision == Decision(
        request_uuid="r",
        framework=CONTAINER,
        demand=Resources(memory_mb=60),
        stage=Stage.SHARE_GATE,
        decided_at_s=decision.decided_at_s,
        snapshot_version=held and held.version,
        snapshot_age_s=age_s,
        hosts=verdict.admitted,
        refused=dict.fromkeys(verdict.refused, f"quota_unavailable: {text}"),
        refused_by_share=False,
        text=text,
    )


@pytest.mark.parametrize(("age_s", "admitted"), [(60.0, ()), (60.1, ("b",))])
def test_a_snapshot_is_used_until_it_is_too_old(age_s: float, admitted: tuple[str, ...]) -> None:
    keeper, _ = gatekeeper(age_s)
    assert keeper.judge(request("r", 60), ["b"]).admitted == admitted


def test_how_old_a_snapshot_may_be_is_an_option() -> None:
    keeper, client = gatekeeper(5.0, snapshot_max_age_s=4.0)
    assert keeper.judge(request("r", 60), ["b"]).admitted == ("b",)
    assert set(keeper.rank(request("r", 60), ["b"]).weights) == {0}
    assert "5 s old" in client.decisions[-1].text


@pytest.mark.parametrize("option", ["allow", "deny"])
def test_a_host_without_fresh_report_is_treated_as_the_option_says(option: str) -> None:
    keeper, client = gatekeeper(on_unavailable=option)
    verdict = keeper.judge(request("r", 10), ["new", "b"])
    assert verdict.admitted == {"allow": ("new", "b"), "deny": ("b",)}[option]
    assert (
        dict(client.decisions[0].refused)
        == {
            "allow": {},
            "deny": {
                "new": "no_fresh_report: host new has no fresh report: check hybrid-sched-agent on it"
            },
        }[option]
    )
    assert not client.decisions[0].refused_by_share


@pytest.mark.parametrize(
    ("asked", "hosts", "by_share"),
    [
        # Only the share kept it from the one with room.
        (request("r", 60), ["a", "b"], True),
        (request("r", 60), ["b"], True),
        (request("r", 60), ["a"], False),
        (request("r", 50), ["a", "b"], False),
        (request("r", 60), [], False),
    ],
)
def test_a_request_is_refused_by_share_when_nothing_else_kept_it_from_a_host(
    asked: Request, hosts: list[str], by_share: bool
) -> None:
    keeper, client = gatekeeper()
    keeper.judge(asked, hosts)
    assert client.decisions[0].refused_by_share is by_share


def test_the_order_is_recorded_whole_and_refuses_nobody() -> None:
    keeper, client = gatekeeper()
    before_s = time.time()
    ranking = keeper.rank(request("r", 60), ["a", "b"])
    after_s = time.time()
    assert (ranking.rule.role, ranking.weights) == (Role.HEAD, (50, 100))
    (decision,) = client.decisions
    assert before_s <= decision.decided_at_s <= after_s
    assert decision == Decision(
        request_uuid="r",
        framework=CONTAINER,
        demand=Resources(memory_mb=60),
        stage=Stage.ORDER,
        decided_at_s=decision.decided_at_s,
        snapshot_version=snapshot().version,
        snapshot_age_s=0.5,
        hosts=("b", "a"),
        text=ranking.text,
        weights=(100, 50),
    )


def test_what_the_shares_allow_is_recorded_with_their_limit() -> None:
    keeper, client = gatekeeper()
    keeper.judge(request("r", 10), ["a", "b"])
    assert client.decisions[-1].text == (
        "framework container would hold 30.0 % of memory_mb; its share by weight is 50.0 % "
        "and 0.0 % more can be lent now, so 20.0 % would be left"
    )
    keeper.judge(request("m", 10, is_move=True), ["a", "b"])
    assert client.decisions[-1].text == "a move: what runs holds its share already"


def test_a_plan_is_recorded_with_what_became_of_it() -> None:
    keeper, client = gatekeeper()
    asked = request("r", 10, planned_host="a")
    assert keeper.rank(asked, ["b", "a"]).best_first()[0] == ("a", "b")
    assert client.decisions[-1].hosts == ("a", "b")
    assert client.decisions[-1].text.startswith("planned for host a; filler (")
    elsewhere = request("r", 10, planned_host="gone")
    assert (
        keeper.rank(elsewhere, ["b", "a"]).scores
        == keeper.rank(request("r", 10), ["b", "a"]).scores
    )
    text = "planned for host gone, which was not among the hosts that passed"
    assert client.decisions[-2].text.startswith(f"{text}; filler (")
    keeper.judge(elsewhere, ["b", "a"])
    assert client.decisions[-1].text.endswith(f"would be left; {text}")
    keeper.judge(asked, ["b", "a"])
    assert client.decisions[-1].text.endswith("would be left")


def test_a_plan_needs_no_snapshot() -> None:
    keeper, client = gatekeeper(None)
    ranking = keeper.rank(request("r", 10, planned_host="a"), ["b", "a"])
    assert (ranking.planned, ranking.weights) == (1, (0, 1))
    assert client.decisions[-1].hosts == ("a", "b")
    assert client.decisions[-1].text.startswith("planned for host a; there is no snapshot")


def test_a_reservation_is_asked_for_hosts_that_pass_and_keeps_the_other_reasons() -> None:
    keeper, client = gatekeeper(reserve="strict", answer=REFUSED)
    keeper.judge(request("r", 50), ["a", "full", "b"])
    verdict = keeper.judge(request("s", 51, HYPERVISOR), ["a", "b"])
    assert [uuid for uuid, *_ in client.reserved] == ["r", "s"]
    assert list(verdict.refused) == ["a", "b"]
    assert verdict.refused["a"].rule is Rule.HOST_ROOM
    assert verdict.refused["b"] == Refusal(Rule.FRAMEWORK_SHARE, "no")
    assert client.decisions[-1].refused_by_share


def test_a_gatekeeper_asks_the_client_of_its_process(tmp_path: Path) -> None:
    of_service = tmp_path / "service.conf"
    of_service.write_text("[hybrid_sched]\ntransport_url = fake:/\n")
    cfg.CONF([], default_config_files=[str(of_service)])
    try:
        keeper = gatekeeper_for_process(cfg.CONF)
        client_for_process(cfg.CONF).accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.0)
        assert keeper.judge(request("r", 60), ["b"]).admitted == ()
        assert keeper.rank(request("r", 60), ["a", "b"]).weights == (50, 100)
    finally:
        close_client_for_process()
        cfg.CONF.reset()


def test_a_declaration_that_cannot_be_read_keeps_a_request_from_every_host_and_is_said() -> None:
    fault = "hybrid:net_in_bps is 'x': give a whole number of bytes per second"
    for age_s in (0.5, None):
        keeper, client = gatekeeper(age_s, granted(), reserve="strict")
        verdict = keeper.judge(request("g", 1, HYPERVISOR, fault=fault), ["a", "b"])
        assert verdict.admitted == ()
        assert {host: each.rule for host, each in verdict.refused.items()} == {
            "a": Rule.BAD_DECLARATION,
            "b": Rule.BAD_DECLARATION,
        }
        (decision,) = client.decisions
        assert decision.refused == dict.fromkeys(["a", "b"], f"bad_declaration: {fault}")
        assert not decision.refused_by_share
        assert client.reserved == []


def test_a_task_that_runs_with_such_a_declaration_can_be_moved() -> None:
    keeper, _ = gatekeeper()
    moved = request("g", 1, HYPERVISOR, fault="it is bad", is_move=True)
    assert keeper.judge(moved, ["a"]).admitted == ("a",)


def arriving(label: str, memory_mb: int, hosts: tuple[str, ...] = ("a", "b")) -> dict[str, str]:
    """Judge the end of a move where containers are at their share and lend nothing; ``m`` moves 20 MiB to b."""
    site = Site(lending_of_guests="0")
    site.report("a", task("t", 100))
    site.report("b")
    held = site.run(arrivals={"m": Arrival("b", Resources(memory_mb=20))})
    client = HeldClient(View(held, 0.5))
    keeper = Gatekeeper(client, conf())  # type: ignore[arg-type]
    asked = Request("new", CONTAINER, Resources(memory_mb=memory_mb), move=label)
    verdict = keeper.judge(asked, hosts)
    return dict.fromkeys(verdict.admitted, "admitted") | {
        name: refusal.rule.value for name, refusal in verdict.refused.items()
    }


def test_a_container_that_is_moved_passes_to_its_target_whatever_the_share() -> None:
    assert arriving("m", 20) == {"a": "not_the_target", "b": "admitted"}
    assert arriving("m", 20, ("b",)) == {"b": "admitted"}


@pytest.mark.parametrize(
    ("label", "memory_mb", "hosts"),
    [("", 20, ("a", "b")), ("gone", 20, ("a", "b")), ("m", 21, ("a", "b")), ("m", 20, ("a",))],
    ids=["no label", "unknown move", "more than it holds", "not to its target"],
)
def test_a_label_alone_gets_nobody_past_the_share(
    label: str, memory_mb: int, hosts: tuple[str, ...]
) -> None:
    assert "admitted" not in arriving(label, memory_mb, hosts).values()
