# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg
from values import Clock, quota_conf, report, request, task

from hybrid_sched.conf import client as client_options
from hybrid_sched.core.cluster import HYPERVISOR, Snapshot
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.quota.client import QuotaClient, View
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.gatekeeper import Gatekeeper
from hybrid_sched.rpc.messages import snapshot_to_wire


class HeldClient:
    """A client that holds one view and keeps what it is told, without a bus."""

    def __init__(self, view: View, answer: dict[str, Any] | None = None) -> None:
        self._view = view
        self._answer = answer
        self.reserved: list[str] = []
        self.decisions: list[Decision] = []

    def view(self) -> View:
        return self._view

    def record(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def reserve(self, asked: Any) -> dict[str, Any] | None:
        self.reserved.append(asked.uuid)
        return self._answer


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(client_options.OPTIONS, group=cfg.OptGroup("hybrid_sched"))
    made([], default_config_files=[])
    for name, value in options.items():
        made.set_override(name, value, group="hybrid_sched")
    return made


def snapshot() -> Snapshot:
    """Make the snapshot of two hosts, where containers hold 50 of the 100 MiB that are their share."""
    engine = Engine(quota_conf(lending={HYPERVISOR: "0"}), lambda _snapshot: None, Clock(), Clock())
    engine.take_report(report("a", task("t", 50)))
    engine.take_report(report("b"))
    engine.run_cycle()
    return engine.snapshot()[0]


def gatekeeper(
    age_s: float | None = 0.5, answer: dict[str, Any] | None = None, **options: Any
) -> tuple[Gatekeeper, HeldClient]:
    client = HeldClient(View(None if age_s is None else snapshot(), age_s), answer)
    return Gatekeeper(client, conf(**options)), client  # type: ignore[arg-type]


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


def test_reservations_are_asked_for_only_where_they_are_switched_on() -> None:
    keeper, client = gatekeeper()
    keeper.judge(request("r", 10), ["b"])
    assert client.reserved == []
    keeper, client = gatekeeper(reservations=True, answer={"granted": True, "text": ""})
    assert keeper.judge(request("r", 10), ["b"]).admitted == ("b",)
    # What the snapshot refuses already needs no reservation.
    keeper.judge(request("s", 60), ["b"])
    assert client.reserved == ["r"]


def test_a_reservation_that_is_not_granted_refuses_every_host() -> None:
    keeper, client = gatekeeper(reservations=True, answer={"granted": False, "text": "no"})
    assert keeper.judge(request("r", 10), ["a", "b"]).admitted == ()
    assert dict(client.decisions[0].refused) == {
        "a": "framework_share: no",
        "b": "framework_share: no",
    }


def test_without_an_answer_to_a_reservation_the_snapshot_decides() -> None:
    keeper, _ = gatekeeper(reservations=True, answer=None)
    assert keeper.judge(request("r", 10), ["b"]).admitted == ("b",)


@pytest.fixture
def client() -> Iterator[QuotaClient]:
    """Give a client whose bus has nobody else on it."""
    client_options.register(cfg.CONF)
    cfg.CONF([], default_config_files=[])
    for name, value in {"transport_url": "fake:/", "first_snapshot_timeout_s": 0.0}.items():
        cfg.CONF.set_override(name, value, group="hybrid_sched")
    made = QuotaClient(cfg.CONF)
    yield made
    made.close()
    cfg.CONF.reset()


def test_a_client_keeps_the_newest_snapshot_of_a_life_and_takes_that_of_a_new_one(
    client: QuotaClient,
) -> None:
    assert client.view() == View(None, None)
    wire = snapshot_to_wire(snapshot())
    versions = []
    for epoch, version in (("x", 3), ("x", 2), ("x", 4), ("y", 1)):
        client.accept_snapshot({**wire, "epoch": epoch, "version": version}, age_s=1.0)
        view = client.view()
        assert view.snapshot is not None
        assert view.age_s is not None
        assert view.age_s >= 1.0
        versions.append((view.snapshot.epoch, view.snapshot.version))
    assert versions == [("x", 3), ("x", 3), ("x", 4), ("y", 1)]
