# SPDX-License-Identifier: Apache-2.0
"""Level 1 on real hosts: shares by score and weight, idle share that is borrowed and given back (paper 4.1, 4.2)."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from engine import configure_engine
from filling import MEDIUM_MB, SMALL_MB, Filling

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from lab.cloud import Cloud, wait_for
from lab.layout import CHECKOUT, CONTROL_IP, Lab
from lab.services import hybrid

pytestmark = pytest.mark.timeout(900)

_SLOW_HARDWARE = "*of node2"
_PERIOD_S = 2


@pytest.fixture
def filling(lab: Lab, empty_cloud: Cloud) -> Iterator[Filling]:
    yield Filling(lab, empty_cloud)
    configure_engine(lab)


@pytest.fixture
def slow_node2(lab: Lab) -> Iterator[Fraction]:
    """Let the hardware of node2 be worth half of that of node1."""
    score = Fraction(1, 2)
    hybrid.command(lab, "scores", "set", _SLOW_HARDWARE, str(score))

    def scores() -> dict[str, str]:
        return {row["Host"]: str(row["Score"]) for row in hybrid.manage(lab, "hosts", "list")}

    try:
        wait_for(scores, lambda seen: seen == {"node1": "1", "node2": "1/2"}, 20)
        yield score
    finally:
        hybrid.command(lab, "scores", "remove", _SLOW_HARDWARE)


def fill(ask, sizes_mb: tuple[int, int]) -> None:
    """Ask for large and small ones in turn until even a small one is refused."""
    while ask(sizes_mb[0]) | ask(sizes_mb[1]):
        pass


def metric(name: str, framework: str) -> float:
    connection = http.client.HTTPConnection(CONTROL_IP, hybrid.METRICS_PORT, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf'^{name}{{framework="{framework}",pool="default"}} (\S+)$', text, re.M)
    assert found, text
    return float(found[1])


def test_keys_are_equal_on_hosts_of_different_scores_and_a_weight_moves_new_placements(
    filling: Filling, slow_node2: Fraction, lab: Lab, tell: Callable[[str], None]
) -> None:
    sizes = (MEDIUM_MB, SMALL_MB)
    fill(filling.container, sizes)
    assert "framework_share" in filling.refusal(CONTAINER)
    fill(filling.guest, sizes)
    keys = {row["Framework"]: row["Key"] for row in filling.shares()}
    memory_mb = sum(
        row["Memory MiB"] * Fraction(str(row["Score"]))
        for row in hybrid.manage(lab, "hosts", "list")
    )
    one_task = MEDIUM_MB / Fraction(memory_mb)
    tell(
        f"keys {float(keys[HYPERVISOR]):.4f} and {float(keys[CONTAINER]):.4f}, one task is {float(one_task):.4f}"
    )
    assert abs(keys[HYPERVISOR] - keys[CONTAINER]) <= one_task
    assert min(keys.values()) > Fraction(2, 5)
    for name, key in keys.items():
        assert metric("hybrid_sched_key", name) == pytest.approx(float(key), abs=1e-6)

    # What was within the share of containers is over it, and guests get what containers give back.
    hybrid.command(lab, "framework", "set-weight", HYPERVISOR, "2")
    changed_s = time.monotonic()
    try:
        wait_for(
            lambda: metric("hybrid_sched_fair_share", HYPERVISOR),
            lambda share: share == pytest.approx(2 / 3),
            2 * _PERIOD_S,
        )
        tell(f"the weight counted after {time.monotonic() - changed_s:.1f} s")
        for _ in range(3):
            filling.delete_container(filling.containers[-1])
        assert not filling.container(SMALL_MB)
        assert "framework_share" in filling.refusal(CONTAINER)
        assert filling.guest(SMALL_MB)
        hybrid.command(lab, "framework", "set-weight", HYPERVISOR, "1")
        wait_for(
            lambda: metric("hybrid_sched_fair_share", HYPERVISOR),
            lambda share: share == pytest.approx(1 / 2),
            2 * _PERIOD_S,
        )
        assert filling.container(SMALL_MB)
    finally:
        hybrid.command(lab, "framework", "set-weight", HYPERVISOR, "default")


def cpu_shares(lab: Lab, filling: Filling) -> set[int]:
    """Read the CPU shares that Docker holds the containers to."""
    shares = set()
    for uuid in filling.containers:
        host = filling.cloud.container(uuid)["host"]
        inspect = ("docker", "inspect", "-f", "{{.HostConfig.CpuShares}}", f"zun-{uuid}")
        done = subprocess.run(
            [sys.executable, "-m", "lab", "exec", host, "--", *inspect],
            capture_output=True,
            text=True,
            check=True,
            cwd=CHECKOUT,
        )
        shares.add(int(done.stdout))
    return shares


def test_idle_share_is_borrowed_and_given_back_rung_by_rung(
    filling: Filling, lab: Lab, tell: Callable[[str], None]
) -> None:
    configure_engine(
        lab,
        lending="hypervisor:1,container:1",
        squeeze_after_s=10,
        relieve_after_s=10,
        pending_ttl_s=180,
    )
    wait_for(lambda: filling.framework(HYPERVISOR)["Floor"], lambda floor: floor == 0, 20)

    # Guests want nothing, so that containers may hold far more than their half.
    movable = {"labels": {"hybrid:relocate": "allow"}}
    for _ in range(5):
        assert filling.container(1024, **movable)
    assert filling.container(768)
    containers = filling.framework(CONTAINER)
    assert containers["Used"] > Fraction(3, 4)
    assert (containers["Rung"], containers["Borrowed"]) == ("none", 0)

    # Then they want more than is left, and what they are owed is taken back in the ladder's order.
    assert filling.guest(MEDIUM_MB)
    assert filling.guest(MEDIUM_MB)
    assert not filling.guest(MEDIUM_MB)
    rungs = ["none"]
    times_s = {}
    began_s = time.monotonic()
    no_new_grant = squeezed = None

    def climb() -> str:
        nonlocal no_new_grant, squeezed
        rung = filling.framework(CONTAINER)["Rung"]
        if rung != rungs[-1]:
            rungs.append(rung)
            times_s[rung] = round(time.monotonic() - began_s, 1)
        if rung == "no_grants" and no_new_grant is None:
            no_new_grant = not filling.container(64)
        if rung in {"squeeze", "relieve"}:
            squeezed = cpu_shares(lab, filling)
        return rung

    wait_for(climb, lambda rung: rung == "relieve", 90)
    tell(f"rungs after {times_s} s; CPU shares of containers {squeezed}")
    assert rungs == ["none", "no_grants", "squeeze", "relieve"]
    assert no_new_grant is True
    assert "framework_share" in filling.refusal(CONTAINER)
    wait_for(lambda: max(cpu_shares(lab, filling)), lambda shares: shares < 1024, 20)
    candidates = hybrid.manage(lab, "shares", "candidates")
    # The youngest of those that may move; the last container of all may not.
    assert candidates[0]["Task"] == filling.containers[4]
    assert {row["Framework"] for row in candidates} == {CONTAINER}

    # What is given back goes to the lender, and the squeeze ends.
    filling.delete_container(candidates[0]["Task"])
    assert filling.guest(MEDIUM_MB)
    wait_for(lambda: filling.framework(CONTAINER)["Rung"], lambda rung: rung == "none", 30)
    wait_for(lambda: cpu_shares(lab, filling), lambda shares: shares == {1024}, 30)
