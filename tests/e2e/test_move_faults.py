# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while a task moves: nothing is lost, nothing runs twice, and the state is right afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine import configure_engine, engine_stopped, kill_engine
from keystoneauth1 import exceptions as keystone_exceptions
from moving import (
    ENDED,
    PAGE,
    START_TIMEOUT_S,
    WEB,
    Fields,
    Moves,
    address_of,
    drain,
    page,
    start_container,
    start_guest,
)

from lab import hosts
from lab.cloud import NETWORK, Cloud, wait_for
from lab.images import CONTAINER_IMAGE
from lab.layout import CHECKOUT, Host, Lab
from lab.processes import ProcessTable, StepFailed
from lab.services import hybrid

pytestmark = [pytest.mark.timeout(900), pytest.mark.faults]

_MOVE_TIMEOUT_S = 300
_MEMORY_MB = 64
#: For so long nothing is heard; shorter than what gives a move up.
_OUTAGE_S = 15


def _on(host: Host, *command: str, check: bool = True) -> str:
    """Run a command on a host."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", "exec", host.name, "--", *command],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


class Place:
    """Two hosts, of which the first is to be emptied."""

    def __init__(self, lab: Lab, cloud: Cloud) -> None:
        self.lab = lab
        self.cloud = cloud
        self.source, self.target = lab.hosts[:2]
        self.moves = Moves(lab, self.source.name)

    def web(self) -> tuple[str, str]:
        """Start a container that serves; gives its uuid and address."""
        uuid, address = start_container(
            self.cloud, "demo-web", 0.5, _MEMORY_MB, WEB, self.source.name
        )
        wait_for(lambda: page(address), bool, START_TIMEOUT_S)
        return uuid, address

    def guest(self) -> tuple[str, str]:
        """Start a guest whose memory takes a while to be copied; gives its uuid and address."""
        uuid, address = start_guest(self.cloud, "demo-guest", "lab.medium", self.source.name)
        page(address, "/cgi-bin/fill?300", timeout_s=120)
        return uuid, address

    def begin(self) -> Fields:
        """Drain the source; gives the one move once it is in the ledger."""
        drain(self.lab, self.source.name, tasks=1)
        return wait_for(self.moves.now, bool, 30)[0]

    def detach(self, uuid: str) -> None:
        """Take the network from a container, unless that was asked for already."""
        network = self.cloud.sdk.network.find_network(NETWORK)
        with contextlib.suppress(keystone_exceptions.ClientException):
            self.cloud.containers.post(
                f"/containers/{uuid}/network_detach", params={"network": network.id}
            )

    def undrain(self) -> None:
        """Let the source take tasks again, so that a move that failed is not tried once more."""
        with contextlib.suppress(StepFailed):
            hybrid.manage(self.lab, "drain", self.source.name, "--undo")

    def at_step(self, *names: str) -> Fields:
        """Wait until the move has come to one of some steps."""
        return wait_for(
            self.moves.now, lambda now: bool(now) and now[0]["Step"] in names, _MOVE_TIMEOUT_S
        )[0]

    def first_ended(self) -> Fields:
        """Wait until the first move has ended, and stop trying."""

        def first() -> Fields:
            return (self.moves.now() or [{"State": ""}])[0]

        ended = wait_for(first, lambda move: move["State"] in ENDED, _MOVE_TIMEOUT_S)
        self.undrain()
        wait_for(self.moves.now, lambda now: all(m["State"] in ENDED for m in now), _MOVE_TIMEOUT_S)
        return ended

    def assert_one_container_runs(self, on: Host, address: str | None) -> None:
        """See that the page is served by the one container that runs, and that Placement charges one.

        :param address: where it is; None for wherever it is now.
        """
        (web,) = wait_for(
            self.cloud.list_containers,
            lambda all_: [(c["host"], c["status"]) for c in all_] == [(on.name, "Running")],
            START_TIMEOUT_S,
        )
        assert address in {None, address_of(web)}
        assert wait_for(lambda: page(address_of(web)), bool, START_TIMEOUT_S) == PAGE
        running = {host.name: _on(host, "docker", "ps", "-q").split() for host in self._up()}
        assert {name: len(ids) for name, ids in running.items()} == {
            host.name: int(host is on) for host in self._up()
        }
        self.assert_charged(on, _MEMORY_MB)

    def assert_charged(self, on: Host, memory_mb: int) -> None:
        """See that Placement charges a host, and no other one."""
        wanted = {host.name: memory_mb if host is on else 0 for host in self._up()}

        def charged() -> dict[str, int]:
            providers = {host.name: self.cloud.provider(host.name) for host in self._up()}
            return {
                name: self.cloud.usages(provider["uuid"]).get("MEMORY_MB", 0)
                for name, provider in providers.items()
                if provider is not None
            }

        wait_for(charged, lambda now: now == wanted, START_TIMEOUT_S)

    def _up(self) -> list[Host]:
        return [host for host in self.lab.hosts if ProcessTable(self.lab).get(host.name)]


@pytest.fixture
def place(lab: Lab, empty_cloud: Cloud) -> Iterator[Place]:
    # Cooldowns of an earlier move would keep the hosts from the next one.
    configure_engine(lab, {"task_cooldown_s": 0, "host_cooldown_s": 0})
    place = Place(lab, empty_cloud)
    yield place
    place.undrain()
    configure_engine(lab)


@contextmanager
def _target_down(place: Place) -> Iterator[None]:
    """Let the target die as by a power failure, and be repaired afterwards."""
    table = ProcessTable(place.lab)
    process = table.get(place.target.name)
    assert process is not None
    table.stop([process], timeout_s=0)
    try:
        yield
    finally:
        hosts.start(place.lab, place.target)
        hosts.wait_for_provider(place.lab, place.target)
        wait_for(
            place.cloud.computes_up,
            lambda up: all(place.target.name in names for names in up),
            180,
        )


def test_the_engine_is_killed_at_each_step_of_a_relocation(
    place: Place, tell: Callable[[str], None]
) -> None:
    _, address = place.web()
    place.begin()
    killed: list[str] = []

    def newest() -> Fields:
        return place.moves.now()[0]

    for _ in range(20):
        now = wait_for(
            newest,
            lambda move: (
                move["State"] in ENDED or (bool(move["Step"]) and move["Step"] not in killed)
            ),
            _MOVE_TIMEOUT_S,
        )
        if now["State"] in ENDED:
            break
        killed.append(now["Step"])
        kill_engine(place.lab)
    tell(f"the engine was killed when the move was at: {', '.join(killed)}")
    assert now["State"] == "done", now
    assert set(killed) >= {"recorded", "stopped", "detached", "creating", "created", "started"}
    place.assert_one_container_runs(place.target, address)


def test_a_broker_that_goes_away_delays_a_relocation(place: Place) -> None:
    _, address = place.web()
    place.begin()
    place.at_step("stopped", "detached", "creating")
    service = [sys.executable, "-m", "lab", "service"]
    subprocess.run([*service, "stop", "rabbitmq"], check=True, cwd=CHECKOUT)
    try:
        time.sleep(_OUTAGE_S)
    finally:
        subprocess.run([*service, "start", "rabbitmq"], check=True, cwd=CHECKOUT)
    # What Zun was doing meanwhile may be lost to it; either way one container runs, where the ledger says.
    ended = place.first_ended()
    is_there = ended["State"] == "done"
    place.assert_one_container_runs(place.target if is_there else place.source, address)


def test_an_image_that_the_target_lacks_brings_the_container_back(place: Place) -> None:
    _, address = place.web()
    other = f"{CONTAINER_IMAGE}-hidden"
    _on(place.target, "docker", "tag", CONTAINER_IMAGE, other)
    _on(place.target, "docker", "rmi", CONTAINER_IMAGE)
    try:
        place.begin()
        ended = place.first_ended()
        assert ended["State"] == "failed", ended
        place.assert_one_container_runs(place.source, address)
    finally:
        _on(place.target, "docker", "tag", other, CONTAINER_IMAGE)
        _on(place.target, "docker", "rmi", other)


def test_an_address_that_is_taken_meanwhile_does_not_keep_the_container_down(place: Place) -> None:
    uuid, address = place.web()
    network = place.cloud.sdk.network
    place.begin()
    place.at_step("stopped")
    with engine_stopped(place.lab):
        # As when the engine ends right after it has asked for this, and before it has made the address its own again.
        place.detach(uuid)
        port = wait_for(
            lambda: _taken(place.cloud, address), lambda taken: taken is not None, START_TIMEOUT_S
        )
    try:
        ended = place.first_ended()
        assert ended["State"] == "failed", ended
        place.assert_one_container_runs(place.source, None)
    finally:
        network.delete_port(port)


def _taken(cloud: Cloud, address: str) -> str | None:
    """Take an address as another tenant would; None while it is not free."""
    network = cloud.sdk.network
    if list(network.ports(fixed_ips=f"ip_address={address}")):
        return None
    found = network.find_network(NETWORK)
    made = network.create_port(network_id=found.id, fixed_ips=[{"ip_address": address}])
    return str(made.id)


@pytest.mark.parametrize("step", ["stopped", "created"])
def test_an_owner_deletes_the_container_while_it_moves(place: Place, step: str) -> None:
    uuid, _ = place.web()
    place.begin()
    place.at_step(step)
    place.cloud.delete_container(uuid)
    ended = place.first_ended()
    assert ended["State"] in {"cancelled", "done"}, ended
    if ended["State"] == "cancelled":
        wait_for(place.cloud.list_containers, lambda left: not left, START_TIMEOUT_S)
        place.assert_charged(place.source, 0)


def test_a_target_that_dies_gives_a_guest_back(place: Place) -> None:
    uuid, address = place.guest()
    place.begin()
    place.at_step("migrating")
    with _target_down(place):
        ended = place.first_ended()
        told = wait_for(
            lambda: place.cloud.server(uuid), lambda s: s["status"] == "ACTIVE", START_TIMEOUT_S
        )
        is_there = ended["State"] == "done"
        if not is_there:
            assert ended["State"] == "failed", ended
            assert told["OS-EXT-SRV-ATTR:host"] == place.source.name
            assert wait_for(lambda: page(address), bool, START_TIMEOUT_S)
    assert not is_there, "the guest had moved before its target died: nothing was seen"
    place.assert_charged(place.source, 512)


def test_a_target_that_dies_gives_a_container_back(place: Place) -> None:
    _, address = place.web()
    place.begin()
    place.at_step("detached", "creating")
    with _target_down(place):
        ended = place.first_ended()
        assert ended["State"] == "failed", ended
        place.assert_one_container_runs(place.source, address)
    # What it is told when it is back makes no second one.
    place.assert_one_container_runs(place.source, address)


def test_a_hypervisor_that_refuses_leaves_the_guest_where_it_is(place: Place) -> None:
    uuid, address = place.guest()
    hook = Path(place.lab.folder("hosts", place.target.name), "root/etc/libvirt/hooks/qemu")
    kept = hook.read_text()
    hook.write_text('#!/bin/sh\n[ "$2" != migrate ]\n')
    try:
        place.begin()
        ended = place.first_ended()
    finally:
        hook.write_text(kept)
    assert ended["State"] == "failed", ended
    told = place.cloud.server(uuid)
    assert (told["status"], told["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", place.source.name)
    assert page(address)
    place.assert_charged(place.source, 512)


def test_an_owner_deletes_the_guest_while_it_moves(place: Place) -> None:
    uuid, _ = place.guest()
    place.begin()
    place.at_step("migrating")
    place.cloud.sdk.compute.delete_server(uuid)
    ended = place.first_ended()
    assert ended["State"] in {"cancelled", "done"}, ended
    wait_for(lambda: list(place.cloud.sdk.compute.servers()), lambda left: not left, 180)
    place.assert_charged(place.source, 0)
    for host in place.lab.hosts:
        assert not _on(host, "virsh", "list", "--name").strip()
