# SPDX-License-Identifier: Apache-2.0
"""A real Docker daemon for tests: with directories, a socket and a cgroup of its own, and no network."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException
from waiting import wait_until

IMAGE = "hybrid-test/busybox:1"
_BUSYBOX = Path("/bin/busybox")
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20


def why_not() -> str | None:
    """Say why no daemon can be started here; None when one can."""
    if os.geteuid() != 0:
        return "dockerd needs root"
    if shutil.which("dockerd") is None:
        return "dockerd is missing: install docker.io (make packages)"
    if not _BUSYBOX.exists():
        return f"{_BUSYBOX} is missing: install busybox-static (make packages)"
    return None


class Dockerd:
    """One daemon with the image ``IMAGE``, a busybox root."""

    def __init__(self) -> None:
        # The path of a socket may have 107 bytes, fewer than a directory of pytest needs.
        self._directory = Path(tempfile.mkdtemp(prefix="hybrid-dockerd-"))
        self.url = f"unix://{self._directory}/docker.sock"
        self._cgroup = f"hybrid-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> Any:
        """Give a client of it."""
        return docker.APIClient(base_url=self.url, timeout=60)

    def start(self) -> None:
        """Start it, wait until it answers, and give it the image."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--host", self.url),
                    *("--data-root", str(self._directory / "data")),
                    *("--exec-root", str(self._directory / "exec")),
                    *("--pidfile", str(self._directory / "pid")),
                    *("--config-file", str(self._directory / "daemon.json")),
                    *("--cgroup-parent", f"/{self._cgroup}"),
                    *("--exec-opt", "native.cgroupdriver=cgroupfs"),
                    *("--storage-driver", "vfs", "--bridge", "none"),
                    *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self._directory / "daemon.json").write_text("{}")
        wait_until(self._answers, f"dockerd answers at {self.url}", _START_TIMEOUT_S)
        self.client.import_image_from_data(_root(), *IMAGE.split(":"))

    def run(self, name: str, cpu_shares: int = 0) -> str:
        """Start a container that sleeps; gives its id."""
        client = self.client
        limits = client.create_host_config(cpu_shares=cpu_shares or None, network_mode="none")
        made = client.create_container(
            IMAGE, ["/bin/busybox", "sleep", "3600"], name=name, host_config=limits
        )
        client.start(made["Id"])
        return str(made["Id"])

    def cpu_weight(self, container_id: str) -> int:
        """Read the weight that the kernel has: CPU shares, or the weight that they give with cgroup v2."""
        for mount, file in (("cpu", "cpu.shares"), ("unified", "cpu.weight"), ("", "cpu.weight")):
            path = Path("/sys/fs/cgroup") / mount / self._cgroup / container_id / file
            if path.exists():
                return int(path.read_text())
        raise AssertionError(f"no cgroup of container {container_id}")

    def stop(self) -> None:
        """End its containers and it, and remove all that they left."""
        if self._process is not None:
            with contextlib.suppress(DockerException, requests.RequestException):
                for container in self.client.containers(all=True):
                    self.client.remove_container(container["Id"], force=True)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        shutil.rmtree(self._directory, ignore_errors=True)
        mounts = Path("/sys/fs/cgroup")
        for cgroup in (mounts / self._cgroup, *mounts.glob(f"*/{self._cgroup}")):
            with contextlib.suppress(OSError):
                cgroup.rmdir()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self._directory / "log").read_text(errors="replace")
            raise RuntimeError(f"dockerd ended: {log[-2000:]}")
        try:
            return bool(self.client.ping())
        except (DockerException, requests.RequestException):
            return False


def _root() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(_BUSYBOX.resolve(), "bin/busybox")
    return archive.getvalue()
