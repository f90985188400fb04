# SPDX-License-Identifier: Apache-2.0
"""What containers of a real Docker daemon are limited to after Zun's real driver, as ours has it, made them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from dockerd import IMAGE, Dockerd
from driver_cloud import DriverTest, wanted_networks
from zun import objects
from zun.common import exception
from zun.container.docker.driver import DockerDriver
from zun.objects.container import Cpuset

from hybrid_sched.core.declaration import Declaration
from hybrid_sched.declared import DeclaredContainers
from hybrid_sched.zun_driver import docker
from hybrid_sched.zun_driver.docker import HybridDockerDriver

MIB = 2**20
IMAGE_OF_ZUN = {"repo": IMAGE, "tag": "latest", "image": IMAGE, "driver": "docker"}


class LimitsTest(DriverTest):
    @pytest.fixture(autouse=True)
    def _with_dockerd(self, dockerd: Dockerd) -> None:
        self.dockerd = dockerd

    def setUp(self) -> None:
        super().setUp()
        self.set("api_url", self.dockerd.url, "docker")
        self.addCleanup(self.dockerd.remove_containers)
        self.driver = HybridDockerDriver()
        self.disk = disk_of(self.driver.docker_root_dir)

    def create(
        self, driver: DockerDriver | None = None, volumes: Any = (), **fields: Any
    ) -> objects.Container:
        container = self.container(**fields)
        requested = {container.uuid: list(volumes)}
        return (driver or self.driver).create(
            self.context, container, IMAGE_OF_ZUN, wanted_networks(), requested
        )

    def config(self, container: objects.Container) -> dict[str, Any]:
        """Give the limits that ``docker inspect`` shows."""
        return self.dockerd.client.inspect_container(container.container_id)["HostConfig"]

    def swap_limit(self, memory_mb: int) -> int:
        """Give what Docker shows for memory and swap together; -1 where the kernel does not count swap."""
        return memory_mb * MIB if self.dockerd.client.info()["SwapLimit"] else -1

    def test_docker_shows_what_is_declared(self) -> None:
        cases = (
            (2.0, "64", {}, (40_000, 20_000), 2048),
            (1.5, "128", {"hybrid:cpu_percent": "50"}, (15_000, 20_000), 1536),
            # Three thousandths of a core: the kernel takes no quota so small of the usual period.
            (0.01, "64", {"hybrid:cpu_percent": "30"}, (1_002, 334_000), 10),
        )
        for cpu, memory, labels, (quota_us, period_us), weight in cases:
            with self.subTest(cpu=cpu, labels=labels):
                config = self.config(self.create(cpu=cpu, memory=memory, labels=labels))
                assert (config["CpuQuota"], config["CpuPeriod"]) == (quota_us, period_us)
                assert config["CpuShares"] == weight
                assert config["Memory"] == int(memory) * MIB
                assert config["MemorySwap"] == self.swap_limit(int(memory))
                assert not config["BlkioDeviceReadBps"]
                assert not config["BlkioDeviceWriteBps"]

    def test_rates_are_those_of_the_disk_behind_dockers_data(self) -> None:
        labels = {"hybrid:disk_read_bps": "8MiB/s", "hybrid:disk_write_bps": "3MB/s"}
        config = self.config(self.create(cpu=1.0, memory="64", labels=labels))
        assert config["BlkioDeviceReadBps"] == [{"Path": self.disk, "Rate": 8 * MIB}]
        assert config["BlkioDeviceWriteBps"] == [{"Path": self.disk, "Rate": 3_000_000}]

    def test_the_kernel_and_docker_stats_have_the_limits(self) -> None:
        labels = {"hybrid:cpu_percent": "50", "hybrid:disk_write_bps": "2MiB/s"}
        container = self.create(cpu=1.0, memory="64", labels=labels)
        self.driver.start(self.context, container)
        docker_id = container.container_id
        number = os.stat(self.disk).st_rdev
        disk = f"{os.major(number)}:{os.minor(number)}"
        written = self.dockerd.kernel_limit(
            docker_id, ("blkio", "blkio.throttle.write_bps_device"), ("", "io.max")
        )
        assert written in {
            f"{disk} {2 * MIB}",
            f"{disk} rbps=max wbps={2 * MIB} riops=max wiops=max",
        }
        quota = self.dockerd.kernel_limit(docker_id, ("cpu", "cpu.cfs_quota_us"), ("", "cpu.max"))
        assert quota.split()[0] == "10000"
        statistics = self.dockerd.client.stats(docker_id, stream=False, one_shot=True)
        assert statistics["memory_stats"]["limit"] == 64 * MIB

    def test_an_update_moves_every_limit_that_follows(self) -> None:
        labels = {"hybrid:cpu_percent": "50", "hybrid:disk_read_bps": "1MiB/s"}
        container = self.create(cpu=1.0, memory="64", labels=labels)
        self.driver.start(self.context, container)
        for field, value in (("memory", "96"), ("cpu", 3.0)):
            setattr(container, field, value)
            self.driver.update(self.context, container)
            container.save(self.context)
        config = self.config(container)
        assert (config["CpuQuota"], config["CpuPeriod"]) == (30_000, 20_000)
        assert (config["CpuShares"], config["Memory"]) == (3072, 96 * MIB)
        assert config["MemorySwap"] == self.swap_limit(96)
        assert config["BlkioDeviceReadBps"] == [{"Path": self.disk, "Rate": MIB}]

    def test_what_is_declared_is_noted_for_the_agent_until_the_container_goes(self) -> None:
        declared = DeclaredContainers(self.declared_path)
        labels = {"hybrid:cpu_percent": "50", "hybrid:net_in_bps": "1MiB/s"}
        container = self.create(cpu=1.5, memory="64", labels=labels)
        noted = Declaration(Fraction(3, 2), 64, cpu_percent=50, net_in_bps=MIB)
        assert declared.get(container.uuid) == noted
        container.cpu = 3.0
        self.driver.update(self.context, container)
        assert declared.get(container.uuid) == replace(noted, cpus=3)
        self.driver.delete(self.context, container, force=True)
        assert declared.get(container.uuid) is None

    def test_a_note_that_cannot_be_written_stops_nothing_and_is_said(self) -> None:
        self.declared_path.write_text("no directory")
        # Alembic switches off the loggers that were there before it.
        with mock.patch.object(docker.LOG, "warning") as warned:
            container = self.create(cpu=1.0, memory="64")
        assert self.config(container)["CpuShares"] == 1024
        assert "[hybrid_sched] declared_path" in warned.call_args.args[0]

    def test_an_update_limits_a_container_that_the_stock_driver_made(self) -> None:
        container = self.create(DockerDriver(), cpu=1.0, memory="64", labels={"hybrid:state": "x"})
        assert not self.config(container)["CpuQuota"]
        container.cpu = 2.0
        self.driver.update(self.context, container)
        config = self.config(container)
        assert (config["CpuQuota"], config["MemorySwap"]) == (40_000, self.swap_limit(64))

    def test_a_bad_declaration_fails_the_create_with_a_sentence(self) -> None:
        labels = {"hybrid:cpu_percent": "50%s", "hybrid:disk_read_bps": "fast"}
        with pytest.raises(exception.ValidationError) as refused:
            self.create(cpu=1.0, memory="64", labels=labels)
        sentence = str(refused.value)
        assert "hybrid:cpu_percent is '50%s': give a whole number from 1 to 100" in sentence
        assert "hybrid:disk_read_bps is 'fast': give a whole number of bytes per second" in sentence
        assert self.dockerd.client.containers(all=True) == []

    def test_a_dedicated_container_gets_its_cpus(self) -> None:
        container = self.container(cpu=1.0, memory="64", cpu_policy="dedicated")
        # As Zun's claim leaves it.
        container.cpuset = Cpuset(cpuset_cpus={0, 1}, cpuset_mems={0})
        container.save = lambda _context: None
        self.driver.create(self.context, container, IMAGE_OF_ZUN, wanted_networks(), {})
        config = self.config(container)
        assert (config["CpusetCpus"], config["CpusetMems"]) == ("0,1", "0")

    def test_rates_hold_for_the_disk_of_a_volume_too(self) -> None:
        mounted = self.filesystem_of_its_own()
        self.driver._get_volume_driver = lambda _volume: BindsTo(mounted)
        config = self.config(
            self.create(
                volumes=["a volume"],
                cpu=1.0,
                memory="64",
                labels={"hybrid:disk_read_bps": "1MiB/s"},
            )
        )
        assert {each["Path"] for each in config["BlkioDeviceReadBps"]} == {
            self.disk,
            disk_of(mounted),
        }

    def filesystem_of_its_own(self) -> str:
        """Mount a filesystem on a device of its own."""
        folder = Path(self.dockerd.url.removeprefix("unix://")).parent
        image, point = folder / "volume.ext4", folder / "volume"
        point.mkdir(exist_ok=True)
        with image.open("wb") as file:
            file.truncate(4 * MIB)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        mounted = subprocess.run(
            ["mount", "-o", "loop", image, point], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            self.skipTest(f"no loop device can be mounted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", point], check=True)
        return str(point)

    def test_containers_of_a_capsule_share_its_rates(self) -> None:
        labels = {"hybrid:cpu_percent": "50", "hybrid:disk_write_bps": "8MiB/s"}
        capsule = self.container(objects.Capsule, cpu=1.5, memory="128", labels=labels)
        first = self.container(objects.CapsuleInitContainer, capsule_id=capsule.id, command=["ls"])
        for cpu in (1.0, 0.5):
            self.container(objects.CapsuleContainer, capsule_id=capsule.id, cpu=cpu, memory="64")
        # Zun waits with a call that tenacity has no more.
        self.driver._wait_for_init_container = lambda _context, _container: None
        capsule = self.driver.create_capsule(
            self.context, capsule, IMAGE_OF_ZUN, wanted_networks(), {}
        )
        configs = [self.config(each) for each in capsule.containers]
        assert [each["CpuQuota"] for each in configs] == [10_000, 5_000]
        assert [each["Memory"] for each in configs] == [64 * MIB] * 2
        half = [{"Path": self.disk, "Rate": 4 * MIB}]
        assert [each["BlkioDeviceWriteBps"] for each in configs] == [half] * 2
        # It runs before the others, alone.
        whole = [{"Path": self.disk, "Rate": 8 * MIB}]
        first = objects.CapsuleInitContainer.get_by_uuid(self.context, first.uuid)
        assert self.config(first)["BlkioDeviceWriteBps"] == whole
        sandbox = self.config(capsule)
        assert not sandbox["BlkioDeviceWriteBps"]
        declared = DeclaredContainers(self.declared_path)
        notes = [declared.get(each.uuid) for each in capsule.containers]
        assert [note.disk_write_bps for note in notes] == [4 * MIB] * 2

    def test_a_capsule_with_a_bad_declaration_is_not_made(self) -> None:
        capsule = self.container(objects.Capsule, cpu=1.0, memory="64", labels={"hybrid:cpu": "1"})
        with pytest.raises(exception.ValidationError, match="'hybrid:cpu' is not known"):
            self.driver.create_capsule(self.context, capsule, IMAGE_OF_ZUN, wanted_networks(), {})


class BindsTo:
    """Stands for Cinder, which is not here: a volume that is mounted on the host already."""

    def __init__(self, source: str) -> None:
        self._source = source

    def bind_mount(self, context: Any, volume: Any) -> tuple[str, str]:
        return self._source, "/data"


def disk_of(directory: str) -> str:
    """Ask a program which disk holds a directory."""
    source = subprocess.run(
        ["findmnt", "--noheadings", "--nofsroot", "--output=SOURCE", "--target", directory],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    whole = subprocess.run(
        ["lsblk", "--noheadings", "--output=PKNAME", source],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return f"/dev/{whole[0]}" if whole else source
