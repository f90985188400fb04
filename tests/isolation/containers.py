# SPDX-License-Identifier: Apache-2.0
"""Containers under full load, and the isolator that holds them."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from dockerd import Dockerd
from kernel import LoopDisk, prefer
from oslo_config import cfg
from waiting import wait_until

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.control_groups import groups_of
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.isolators.cgroup import CgroupIsolator

SPIN = "while :; do :; done & while :; do :; done"
_VOLUME = "/volume"
#: Asks for 128 MiB at once, when it is let go, and then tells how that ended.
HOG = (
    "until [ -e /volume/go ]; do sleep 0.1; done;"
    "dd if=/dev/zero of=/dev/null bs=128M count=1; echo $? >/volume/ended; sleep 3600"
)


class Site:
    """A Docker daemon whose containers are Zun's by their names, with one volume on a disk of its own.

    :param daemon: that runs.
    :param disk: on which the volume is.
    :param volume: where the disk is mounted.
    """

    def __init__(self, daemon: Dockerd, disk: LoopDisk, volume: Path) -> None:
        self.daemon = daemon
        self.disk = disk
        self._volume = volume
        (volume / "data").write_bytes(bytes(64 * 2**20))

    def options(self) -> cfg.ConfigOpts:
        """Give the options of an agent on this host."""
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        conf.set_override("docker_url", self.daemon.url, group="agent")
        conf.set_override("sources", ["host", "docker"], group="agent")
        return conf

    def isolator(self) -> CgroupIsolator:
        """Make the isolator, which knows nothing yet."""
        return CgroupIsolator(self.options())

    def let_go(self) -> int:
        """Let the hog ask for memory, and give the exit code of that."""
        go, ended = self._volume / "go", self._volume / "ended"
        go.touch()
        try:
            return int(wait_until(lambda: ended.exists() and ended.read_text(), "it ended", 60))
        finally:
            go.unlink()
            ended.unlink(missing_ok=True)

    @contextlib.contextmanager
    def flushing(self) -> Iterator[None]:
        """Have what waits in the page cache for the volume written all the time, by somebody who is in no container."""
        again = f"while :; do sync --file-system {self._volume}; sleep 0.1; done"
        process = subprocess.Popen(["sh", "-c", again])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def start(self, command: str) -> Container:
        """Start a container with a shell's command."""
        task = str(uuid.uuid4())
        made = self.daemon.run(
            f"zun-{task}", "sh", "-c", command, binds={str(self._volume): {"bind": _VOLUME}}
        )
        prefer(self.daemon.cgroup)
        return Container(self, task, made)


class Container:
    """A running container; removed at the end of the ``with``."""

    def __init__(self, site: Site, task: str, container_id: str) -> None:
        self._site = site
        self._id = container_id
        self.task = task
        assert site.daemon.client is not None
        self._client = site.daemon.client
        self.pid = int(self._client.inspect_container(container_id)["State"]["Pid"])
        self.groups: Mapping[str, Path] = groups_of(self.pid, container_id)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.remove_container(self._id, force=True)

    def hold(self, **limits: object) -> None:
        """Set limits, by an isolator that has just been made; what is read back is what was set."""
        isolator = self._site.isolator()
        wanted = Limits(**limits)  # type: ignore[arg-type]
        aspects = {Aspect(name) for name in limits}
        isolator.hold(self.task, wanted, aspects)
        assert wanted.differing(isolator.read()[self.task], aspects) == frozenset()
