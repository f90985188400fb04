# SPDX-License-Identifier: Apache-2.0
"""A Docker daemon for tests: with directories, a socket and a control group of its own, without network."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker
import psutil
from waiting import wait_until

IMAGE = "hybrid-test"
_BUSYBOX = Path("/bin/busybox")
_APPLETS = ("cat", "dd", "ls", "sh", "sleep", "sync")
_STOP_TIMEOUT_S = 20
#: Long enough for an emulated machine.
_API_TIMEOUT_S = 120


def why_not() -> str | None:
    """Say why no daemon can be started here; None when one can."""
    if os.geteuid() != 0:
        return "only root can run a Docker daemon"
    for program in ("dockerd", "containerd", "runc", str(_BUSYBOX)):
        if shutil.which(program) is None:
            return f"{program} is missing: install docker.io and busybox-static (make packages)"
    return None


class Dockerd:
    """One daemon with one image, a busybox.

    :param directory: for all of its data; short, since there are sockets in it.
    :param storage_driver: how it keeps its images.
    :param settings: of its ``daemon.json``.
    """

    def __init__(
        self,
        directory: Path,
        storage_driver: str = "vfs",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._directory = directory
        self._storage_driver = storage_driver
        self._settings = settings or {}
        self.cgroup = f"hybrid-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{directory}/docker.sock"
        self.client: docker.APIClient | None = None

    @property
    def on_tmpfs(self) -> bool:
        """Say whether what containers write stays in memory."""
        answer = subprocess.run(
            ["stat", "--file-system", "--format=%T", str(self._directory)],
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.strip() == "tmpfs"

    def start(self) -> None:
        """Start it, wait until it answers, and import the image."""
        # The machine's own settings are for another daemon. Containers outlive it, as on hosts of Zun.
        settings = {"live-restore": True, **self._settings}
        (self._directory / "daemon.json").write_text(json.dumps(settings))
        self._launch()
        self.client = docker.APIClient(base_url=self.url, timeout=_API_TIMEOUT_S)
        self.client.import_image_from_data(_busybox(), repository=IMAGE)

    def restart(self) -> None:
        """Stop the daemon and start it again; containers go on meanwhile."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_STOP_TIMEOUT_S)
        self._launch()

    def _launch(self) -> None:
        """Start the daemon and wait until it answers."""
        directory = self._directory
        with (directory / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("dockerd", "--host", self.url, "--pidfile", str(directory / "pid")),
                    *("--data-root", str(directory / "data")),
                    *("--exec-root", str(directory / "exec")),
                    *("--config-file", str(directory / "daemon.json")),
                    *("--bridge=none", "--iptables=false", "--ip-masq=false"),
                    *(
                        f"--storage-driver={self._storage_driver}",
                        f"--cgroup-parent=/{self.cgroup}",
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, "dockerd answers", _API_TIMEOUT_S)

    def run(self, name: str, *command: str, **limits: object) -> str:
        """Start a container without network and give its identifier."""
        assert self.client is not None
        labels = limits.pop("labels", None)
        config = self.client.create_host_config(network_mode="none", **limits)
        made = self.client.create_container(
            IMAGE, list(command), name=name, host_config=config, labels=labels
        )
        self.client.start(made["Id"])
        return str(made["Id"])

    def shell(self, container_id: str, command: str) -> str:
        """Run a command in a container to its end and give what it says."""
        assert self.client is not None
        made = self.client.exec_create(container_id, ["sh", "-c", command])
        said = self.client.exec_start(made["Id"]).decode()
        assert self.client.exec_inspect(made["Id"])["ExitCode"] == 0, said
        return said

    def cpu_weight(self, container_id: str) -> int:
        """Read the weight that the kernel has: CPU shares, or the weight that they give with cgroup v2."""
        return int(
            self.kernel_limit(
                container_id,
                ("cpu", "cpu.shares"),
                ("unified", "cpu.weight"),
                ("", "cpu.weight"),
            )
        )

    def kernel_limit(self, container_id: str, *places: tuple[str, str]) -> str:
        """Read what the kernel has, from the first file that is there.

        :param places: mount of a hierarchy below ``/sys/fs/cgroup`` and name of a file, of each version of control groups.
        """
        for mount, file in places:
            path = Path("/sys/fs/cgroup") / mount / self.cgroup / container_id / file
            if path.exists():
                return path.read_text().strip()
        raise AssertionError(f"no cgroup of container {container_id}")

    def stop(self) -> None:
        """End all containers and the daemon, and take away what they leave."""
        try:
            if self.client is not None:
                self.remove_containers()
                self.client.close()
        finally:
            if self._process is not None:
                self._process.terminate()
                try:
                    self._process.wait(_STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._end_remains()

    def remove_containers(self) -> None:
        """Remove all containers, whatever they do."""
        assert self.client is not None
        for each in self.client.containers(all=True, quiet=True):
            self.client.remove_container(each["Id"], force=True)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(
                f"dockerd ended: {(self._directory / 'dockerd.log').read_text()[-2000:]}"
            )
        try:
            client = docker.APIClient(base_url=self.url, timeout=5)
        except docker.errors.DockerException:
            return False
        try:
            return bool(client.ping())
        finally:
            client.close()

    def _end_remains(self) -> None:
        """End what of the daemon outlived it, unmount what it mounted, and remove its control groups."""
        own = str(self._directory)
        for process in psutil.process_iter(["cmdline"]):
            mentioned = any(own in argument for argument in process.info["cmdline"] or ())
            if mentioned and process.pid != os.getpid():
                process.kill()
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(own)), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        for group in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}"):
            group.rmdir()


def _busybox() -> bytes:
    """Make a root of one program under several names."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(_BUSYBOX.resolve(), "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()
