# SPDX-License-Identifier: Apache-2.0
"""Two shared hosts on the real Placement, with emulated neighbours, that the doctor examines."""

from __future__ import annotations

import json
import logging
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests_mock
from cloud import PlacementCloud
from neighbours import NOVA, ZUN, DockerApi, NovaApi, ZunApi
from oslo_config import cfg

from hybrid_sched.cmd.manage import main
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.version import version_string

CPUS, MEMORY_MB, RESERVED_MB = 16, 32_000, 4096
HELD = {"VCPU": 1, "MEMORY_MB": 512}
#: What depends on the machine that the tests run on, and not on the cloud.
OF_THE_MACHINE = ("kernel.", "versions.not_told", "versions.unsupported", "clocks.unsynchronised")

NOVA_CONF = f"""
[DEFAULT]
host = one
reserved_host_memory_mb = {RESERVED_MB}
cpu_allocation_ratio = 4.0
[compute]
cpu_dedicated_set = 2-4,^3
[filter_scheduler]
enabled_filters = ComputeFilter,HybridShareFilter
weight_classes = hybrid_sched.weighers.nova.CrossFillWeigher
"""
ZUN_CONF = """
[DEFAULT]
host = one
container_driver = hybrid_docker
capsule_driver = docker
[compute]
host_shared_with_nova = true
[scheduler]
enabled_filters = ComputeFilter,HybridShareFilter,CrossFillOrderFilter
"""


class Site:
    """Two healthy shared hosts, ``one`` and ``two``, with a guest, a container and a capsule; the doctor runs on ``one``."""

    def __init__(
        self,
        cloud: PlacementCloud,
        folder: Path,
        wire: requests_mock.Mocker,
        docker: DockerApi,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.cloud = cloud
        self.docker = docker
        self.nova, self.zun = NovaApi(wire), ZunApi(wire)
        self._folder, self._capsys = folder, capsys
        self.engine = Engine(_quota_conf())
        self.endpoint = EngineEndpoint(self.engine, lambda *_: None)
        self.providers = {name: self.start_host(name) for name in ("one", "two")}
        self.guest = str(uuid.uuid4())
        self.nova.servers.add(self.guest)
        container = self.zun.add_container()
        capsule, member = str(uuid.uuid4()), str(uuid.uuid4())
        self.zun.capsules[capsule] = [member]
        for consumer in (self.guest, container, capsule):
            self.hold("one", consumer)
        docker.add(container, "running")
        docker.add(member, "running")
        self.write("nova.conf", NOVA_CONF)
        self.write("zun.conf", ZUN_CONF)
        self.write(
            "hybrid-sched.conf",
            f"[agent]\nhost = one\nlibvirt_uri = test:///default\ndocker_url = {docker.url}\n"
            f"[placement]\nauth_type = admin_token\nendpoint = {cloud.endpoint}\ntoken = admin\n"
            f"[nova]\nauth_type = admin_token\nendpoint = {NOVA}\ntoken = admin\n"
            f"[zun]\nauth_type = admin_token\nendpoint = {ZUN}\ntoken = admin\n",
        )

    def start_host(self, name: str) -> str:
        provider = self.cloud.start_host(name)
        self.set_inventory(provider, PCPU={"total": 2})
        self.nova.add_host(name, provider, CPUS, MEMORY_MB)
        self.zun.hosts.append(name)
        self.report(name)
        return provider

    def report(self, name: str, vcpu: int = 66, ahead_s: float = 0) -> None:
        capacity = Resources(vcpu=vcpu, memory_mb=MEMORY_MB - RESERVED_MB)
        at_s = time.time() + ahead_s
        self.engine.take_report(
            HostReport(
                *(name, str(uuid.uuid4()), 1, at_s, capacity, CPUS, MEMORY_MB),
                version=version_string(),
            )
        )

    def set_inventory(self, provider: str, **changes: dict[str, Any] | None) -> None:
        """Write all inventories of a provider, as a driver does; None leaves one out."""
        inventories: dict[str, Any] = {
            "VCPU": {"total": CPUS, "allocation_ratio": 4.0},
            "MEMORY_MB": {"total": MEMORY_MB, "reserved": RESERVED_MB},
            "DISK_GB": {"total": 100},
            "PCPU": {"total": 2},
            **changes,
        }
        self.cloud.put_inventories(
            provider, {name: each for name, each in inventories.items() if each is not None}
        )

    def hold(self, host: str, consumer: str | None = None, consumer_type: str | None = None) -> str:
        consumer = consumer or str(uuid.uuid4())
        self.cloud.claim(consumer, {self.providers[host]: HELD}, consumer_type)
        return consumer

    def holds(self, host: str) -> set[str]:
        return set(self.cloud.claimed(self.providers[host]))

    def inventory(self, host: str) -> dict[str, Any]:
        return self.cloud.inventories(self.providers[host])

    def write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self._folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, *options: str) -> tuple[int, str, str]:
        """Run it; gives its exit code and what it wrote to both streams."""
        handlers = logging.root.handlers[:]
        try:
            code = main(
                [
                    *("--config-file", str(self._folder / "hybrid-sched.conf"), "doctor"),
                    *("-f", "json", "--settle", "0"),
                    *("--nova-conf", str(self._folder / "nova.conf")),
                    *("--zun-conf", str(self._folder / "zun.conf"), *options),
                ]
            )
        finally:
            logging.root.handlers[:] = handlers
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    def doctor(self, *options: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        """Run it; gives its exit code and the findings of the cloud by code."""
        code, out, _ = self.run(*options)
        found: dict[str, list[dict[str, Any]]] = {}
        for row in json.loads(out):
            if not row["Code"].startswith(OF_THE_MACHINE):
                found.setdefault(row["Code"], []).append(row)
        return code, found

    def codes(self, *options: str) -> set[str]:
        return set(self.doctor(*options)[1])


def _quota_conf() -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
    made([], default_config_files=[])
    return made
