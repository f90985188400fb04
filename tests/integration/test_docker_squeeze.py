# SPDX-License-Identifier: Apache-2.0
"""The squeeze down to the kernel: a real Docker daemon and the cgroups of its containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from dockerd import Dockerd
from oslo_config import cfg

from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.isolators.docker import DockerIsolator


@pytest.fixture
def squeezer(dockerd: Dockerd, tmp_path: Path) -> Squeezer:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", dockerd.url, group="agent")
    return Squeezer(conf, [("docker", DockerIsolator(conf))], Replica(tmp_path, "a"))


def test_an_order_reaches_the_kernel_and_is_taken_back(
    dockerd: Dockerd, squeezer: Squeezer
) -> None:
    names = {"zun-one": 2048, "zun-two": 0, "somebody-elses": 2048}
    ids = {
        name: dockerd.run(name, "sleep", "3600", cpu_shares=shares or None)
        for name, shares in names.items()
    }

    def weights() -> dict[str, int]:
        return {name: dockerd.cpu_weight(each) for name, each in ids.items()}

    before = weights()
    squeezer.take_order(1, {"container": "1/4"})
    assert squeezer.apply().faults == ()
    squeezed = weights()
    assert squeezed["somebody-elses"] == before["somebody-elses"]
    for name in ("zun-one", "zun-two"):
        # Docker maps shares to weights of cgroup v2 linearly, from 2..262144 to 1..10000.
        assert squeezed[name] == pytest.approx(before[name] / 4, abs=1)

    # A container that is stopped meanwhile starts with what it had before.
    dockerd.client.stop(ids["zun-one"], timeout=0)
    squeezer.take_order(2, {})
    assert squeezer.apply().faults == ()
    dockerd.client.start(ids["zun-one"])
    assert weights() == before


def test_a_container_that_is_removed_meanwhile_is_no_error(
    dockerd: Dockerd, squeezer: Squeezer
) -> None:
    container_id = dockerd.run("zun-three", "sleep", "3600", cpu_shares=1024)
    squeezer.take_order(1, {"container": "1/2"})
    squeezer.apply()
    dockerd.client.remove_container(container_id, force=True)
    squeezer.take_order(1, {})
    told = squeezer.apply()
    assert (told.faults, dict(told.factors)) == ((), {})
