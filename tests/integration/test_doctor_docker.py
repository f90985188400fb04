# SPDX-License-Identifier: Apache-2.0
"""What the doctor sees and removes in a real Docker."""

from __future__ import annotations

import uuid

import pytest
from dockerd import Dockerd

from hybrid_sched.core.doctor.facts import DockerContainer
from hybrid_sched.doctor.hypervisor import NotAnswering, ZunDocker


def test_zuns_containers_are_seen_and_only_ended_ones_removed(dockerd: Dockerd) -> None:
    # What other tests left would be seen, too.
    dockerd.remove_containers()
    ended, running = str(uuid.uuid4()), str(uuid.uuid4())
    dockerd.run("not-zuns", "sleep", "3600")
    dockerd.run("zun-by-hand", "sleep", "3600")
    ended_id = dockerd.run(f"zun-{ended}", "sleep", "3600")
    running_id = dockerd.run(f"zun-{running}", "sleep", "3600")
    assert dockerd.client is not None
    dockerd.client.stop(ended_id, timeout=0)
    docker = ZunDocker(dockerd.url)
    version, seen = docker.look()
    assert version == dockerd.client.version()["Version"]
    assert set(seen) == {
        DockerContainer(ended_id, ended, "exited"),
        DockerContainer(running_id, running, "running"),
    }
    docker.remove(ended_id)
    assert docker.state(ended_id) is None
    docker.remove(ended_id)
    with pytest.raises(NotAnswering, match="refuses"):
        docker.remove(running_id)
    assert docker.state(running_id) == "running"
