# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-manage doctor`` on the real Placement: it finds each seeded fault, repairs those it may, and leaves others."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from doctor_site import CPUS, HELD, MEMORY_MB, RESERVED_MB, Site
from neighbours import ZUN


def test_healthy_hosts_have_no_findings(site: Site) -> None:
    assert site.doctor()[1] == {}


def seed_ten_and_more(site: Site) -> dict[str, Any]:
    """Seed faults; gives their codes with something of each that tells it in its sentence."""
    one = site.providers["one"]
    # What Zun's stock driver does to Nova's inventory.
    site.set_inventory(
        one,
        PCPU=None,
        MEMORY_MB={"total": MEMORY_MB, "reserved": 512},
        VCPU={"total": CPUS, "allocation_ratio": 16.0},
    )
    lost = site.hold("two")
    over = site.hold("two")
    site.nova.migrations[over] = "error"
    failed = site.zun.add_container("Error", None)
    site.hold("two", failed)
    site.nova.add_host("three", str(uuid.uuid4()), CPUS, MEMORY_MB)
    site.zun.hosts.append("three")
    site.cloud.start_host("two.example.org")
    site.replace("zun.conf", "container_driver = hybrid_docker", "container_driver = docker")
    site.replace("nova.conf", ",HybridShareFilter", "")
    site.replace("zun.conf", ",CrossFillOrderFilter", "")
    left = site.docker.add(str(uuid.uuid4()), "exited")
    site.report("two", vcpu=99)
    site.report("one", vcpu=226, ahead_s=100)
    return {
        "inventory.pcpu_gone": "cpu_dedicated_set of Nova names 2 CPUs",
        "inventory.reserved_changed": "has 512 reserved, but Nova's options reserved_host_* say 4096",
        "inventory.ratio_changed": "is 16, but Nova's option cpu_allocation_ratio says 4",
        "inventory.provider_missing": "three",
        "inventory.provider_twice": "two.example.org",
        "inventory.agent_differs": "tells 99 vCPUs, but 66 can be claimed",
        "orphans.allocation": lost,
        "orphans.migration_over": over,
        "orphans.container_without_host": failed,
        "orphans.docker_ended": site.docker.containers[left][0][1:],
        "settings.container_driver": "container_driver",
        "settings.nova_filter": "HybridShareFilter",
        "settings.zun_order": "CrossFillOrderFilter",
        "clocks.refused": "100.0 s ahead of",
    }


SAFE = {"orphans.allocation"}
ASKED = {
    "inventory.pcpu_gone",
    "inventory.reserved_changed",
    "inventory.ratio_changed",
    "orphans.migration_over",
    "orphans.container_without_host",
    "orphans.docker_ended",
}


def test_each_seeded_fault_is_found_and_those_that_are_safe_are_repaired(site: Site) -> None:
    seeded = seed_ten_and_more(site)
    before = site.inventory("one"), site.holds("two"), dict(site.docker.containers)
    code, found = site.doctor()
    assert code == 2
    # The agent of the host whose inventory was spoilt differs from it, too.
    assert found.keys() == seeded.keys()
    for name, said in seeded.items():
        assert any(said in row["Finding"] for row in found[name]), found[name]

    # What it would do is said, and nothing is done.
    code, planned = site.doctor("--repair", "--dry-run")
    assert code == 2
    for name, rows in planned.items():
        done = "would " if name in SAFE | ASKED else "left to you"
        assert all(row["Done"].startswith(done) for row in rows), rows
    assert (site.inventory("one"), site.holds("two"), dict(site.docker.containers)) == before

    # Nobody can be asked here: what is safe is done, the rest is left.
    _, repaired = site.doctor("--repair")
    for name, rows in repaired.items():
        done = "repaired: " if name in SAFE else "not done: it asks" if name in ASKED else "left to"
        assert all(row["Done"].startswith(done) for row in rows), rows
    assert site.holds("two") == before[1] - {seeded["orphans.allocation"]}
    assert site.codes() == seeded.keys() - SAFE

    # With a yes to all questions, what cannot be repaired is all that stays.
    site.doctor("--repair", "--yes")
    assert site.codes() == seeded.keys() - SAFE - ASKED
    assert site.holds("two") == set()
    memory = site.inventory("one")["MEMORY_MB"]
    assert (memory["total"], memory["reserved"]) == (MEMORY_MB, RESERVED_MB)
    assert site.inventory("one")["PCPU"]["total"] == 2
    assert site.inventory("one")["VCPU"]["allocation_ratio"] == 4.0
    assert len(site.docker.containers) == 2


def test_two_writers_are_seen_between_the_looks(site: Site) -> None:
    def flip() -> None:
        site.set_inventory(site.providers["two"], MEMORY_MB={"total": 24_105})
        site.zun.after_look = lambda: None

    site.zun.after_look = flip
    code, found = site.doctor()
    assert code == 2
    [row] = found["inventory.two_writers"]
    assert "MEMORY_MB 32000 (reserved 4096, ratio 1) then 24105 (reserved 0" in row["Finding"]
    assert site.codes() == {"inventory.total_differs", "inventory.agent_differs"}


def test_an_inventory_that_is_written_over_and_over_is_a_warning(site: Site) -> None:
    site.zun.after_look = lambda: site.set_inventory(site.providers["two"])
    code, found = site.doctor()
    assert (code, found.keys()) == (1, {"inventory.written_without_cause"})
    assert [row["Host"] for row in found["inventory.written_without_cause"]] == ["two"]


def test_whom_somebody_knows_is_no_orphan(site: Site) -> None:
    site.nova.restorable.add(site.hold("two"))
    moving, resized = site.hold("two"), site.hold("two")
    site.nova.migrations |= {moving: "running", resized: "finished"}
    site.hold("two", consumer_type="BICYCLE")
    capsule_without_host = str(uuid.uuid4())
    site.zun.capsules[site.hold("two", capsule_without_host)] = []
    site.hold("two", site.zun.add_container("Creating", None))
    assert site.codes() == set()


def test_what_comes_or_goes_between_the_looks_is_no_orphan(site: Site) -> None:
    gone = site.hold("two")

    def come_and_go() -> None:
        site.cloud.delete(gone)
        site.hold("two")
        site.zun.after_look = lambda: None

    site.zun.after_look = come_and_go
    assert "orphans.allocation" not in site.codes()


@pytest.mark.parametrize("stop", ["nova", "zun"])
def test_nothing_is_taken_for_lost_while_a_service_does_not_answer(site: Site, stop: str) -> None:
    lost = site.hold("two")
    if stop == "nova":
        site.nova.broken = True
    else:
        site.replace("hybrid-sched.conf", ZUN, "http://zun.test/elsewhere")
    code, found = site.doctor("--repair", "--yes")
    assert code == 3
    assert "look.failed" in found
    assert lost in site.holds("two")
    assert not any(name.startswith("orphans.") for name in found)


@pytest.mark.parametrize("happens", ["a server turns up", "something is written", "it is gone"])
def test_a_repair_looks_again_right_before_it_acts(site: Site, happens: str) -> None:
    lost = site.hold("two")
    asked = 0

    def meanwhile() -> None:
        nonlocal asked
        asked += 1
        if asked < 2:  # The first question is the examination's.
            return
        if happens == "a server turns up":
            site.nova.servers.add(lost)
        elif happens == "something is written":
            site.cloud.claim(lost, {site.providers["two"]: {"VCPU": 2}})

    site.nova.before_server = meanwhile
    if happens == "it is gone":

        def go() -> None:
            looks.append(1)
            if len(looks) == 2:
                site.cloud.delete(lost)

        looks: list[int] = []
        site.zun.after_look = go
    code, found = site.doctor("--repair", "--yes")
    [row] = found["orphans.allocation"]
    said = {
        "a server turns up": "not repaired: Nova knows it by now",
        "something is written": "not repaired: somebody else wrote to it at the same moment",
        "it is gone": "not repaired: it holds nothing any more",
    }[happens]
    assert row["Done"].startswith(said)
    assert code == 2
    assert (lost in site.holds("two")) == (happens != "it is gone")


def test_an_inventory_is_written_only_if_it_is_still_as_it_was_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = site.providers["one"]
    site.set_inventory(provider, MEMORY_MB={"total": MEMORY_MB, "reserved": 512})

    def rewrite(*_: object) -> str:
        site.set_inventory(provider, MEMORY_MB={"total": MEMORY_MB, "reserved": 700})
        return ""

    # While the operator thinks about the question, somebody else writes.
    monkeypatch.setattr("hybrid_sched.cmd.manage.doctor.Doctor._ask_operator", rewrite)
    [row] = site.doctor("--repair")[1]["inventory.reserved_changed"]
    assert row["Done"] == "not repaired: the inventory has changed since: run the doctor again"
    assert site.inventory("one")["MEMORY_MB"]["reserved"] == 700


def test_one_question_frees_all_hosts_of_a_consumer(site: Site) -> None:
    lost = str(uuid.uuid4())
    site.cloud.claim(lost, dict.fromkeys(site.providers.values(), HELD))
    _, found = site.doctor("--repair")
    assert [row["Done"] for row in found["orphans.allocation"]] == [
        f"repaired: delete the allocations of consumer {lost} in Placement"
    ] * 2
    assert site.codes() == set()


class Terminal:
    """Where an operator sits who gives one answer after another."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answers.pop(0)


@pytest.mark.parametrize(("answer", "is_done"), [("y\n", True), ("\n", False), ("", False)])
def test_an_operator_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch, answer: str, *, is_done: bool
) -> None:
    over = site.hold("two")
    site.nova.migrations[over] = "failed"
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    code, found = site.doctor("--repair")
    assert (over not in site.holds("two")) == is_done
    [row] = found["orphans.migration_over"]
    assert row["Done"].startswith("repaired: " if is_done else "not done: you said no")
    assert code == (1 if not is_done else site.doctor()[0])


def test_a_running_container_that_zun_does_not_know_is_left(site: Site) -> None:
    stranger = site.docker.add(str(uuid.uuid4()), "running")
    code, found = site.doctor("--repair", "--yes")
    assert (code, found.keys()) == (2, {"orphans.docker_running"})
    assert stranger in site.docker.containers


def test_a_container_that_zun_learns_of_stays_in_docker(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = str(uuid.uuid4())
    ended = site.docker.add(made, "exited")

    def known(*_: object) -> str:
        site.zun.containers[made] = {"uuid": made, "status": "Stopped", "host": "one"}
        return ""

    monkeypatch.setattr("hybrid_sched.cmd.manage.doctor.Doctor._ask_operator", known)
    [row] = site.doctor("--repair")[1]["orphans.docker_ended"]
    assert row["Done"] == "not repaired: Zun knows it by now"
    assert ended in site.docker.containers


def test_elsewhere_than_on_a_shared_host_the_machine_is_left_out(site: Site) -> None:
    site.replace("hybrid-sched.conf", "host = one", "host = control")
    code, found = site.doctor()
    assert (code, found.keys()) == (0, {"look.left_out"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--settle", "soon"), "'soon' is not a number of seconds from 0 to 3600"),
        (("--settle", "nan"), "'nan' is not a number of seconds from 0 to 3600"),
    ],
)
def test_bad_options_are_no_fault_of_the_hosts(
    site: Site, capsys: pytest.CaptureFixture[str], change: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        site.doctor(*change)
    assert ended.value.code == 3
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[nova]\nauth_type = admin_token", "[nova]\nauth_type = no", "[nova]: "),
        ("[agent]", "[agent", "hybrid-sched.conf"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_no_fault_of_the_hosts(
    site: Site, old: str, new: str, said: str
) -> None:
    site.replace("hybrid-sched.conf", old, new)
    code, out, err = site.run()
    assert (code, out) == (3, "")
    assert "The doctor could not look: " in err
    assert said in err


SETTINGS: list[tuple[str, str, str, str]] = [
    ("nova.conf", "weight_classes = ", "weight_classes = nova.", "settings.nova_weigher"),
    (
        "nova.conf",
        "[filter_scheduler]",
        "[hybrid_sched]\ncross_fill_weight_multiplier = 0\n[filter_scheduler]",
        "settings.nova_multiplier",
    ),
    ("nova.conf", "enabled_filters", "#", "settings.not_told"),
    ("zun.conf", "HybridShareFilter,", "", "settings.zun_filter"),
    ("zun.conf", "enabled_filters", "#", "settings.not_told"),
    ("zun.conf", "host_shared_with_nova = true", "", "settings.not_shared"),
    ("zun.conf", "capsule_driver = docker", "", "settings.capsule_driver"),
    ("zun.conf", "= true", "= true\ncpu_allocation_ratio = 9", "inventory.zun_ratio_differs"),
    ("nova.conf", "2-4,^3", "2-x", "look.failed"),
    ("zun.conf", "= true", "= perhaps", "look.failed"),
    ("zun.conf", "[scheduler]", "[scheduler", "look.failed"),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "code"), SETTINGS, ids=[each[3] for each in SETTINGS]
)
def test_settings_that_undo_sharing_are_found(
    site: Site, file: str, old: str, new: str, code: str
) -> None:
    site.replace(file, old, new)
    assert site.codes() == {code}
