# SPDX-License-Identifier: Apache-2.0
"""A compute host with a real libvirt and the source ``libvirt``, as a program in namespaces of its own.

It answers each line of JSON that it reads, ``["command", argument...]``, with one line of JSON. All that it starts, mounts and
makes ends with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oslo_config import cfg
from waiting import wait_until

from hybrid_sched.agent.watching import Watching
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.interfaces.watcher import Happening
from hybrid_sched.monitors.libvirt import LibvirtSource
from hybrid_sched.watchers.libvirt import LibvirtWatcher

#: Words before the command of this program. The shell, first in its namespace, takes the remains of ended processes away:
#: libvirt waits for those that it has ended to be gone.
NAMESPACES = [
    *("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"),
    *("sh", "-c", '"$0" "$@"; exit $?'),
]
_PRIVATE = [
    "/run/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
    "/etc/libvirt",
]
_TIMEOUT_S = 5


def why_not() -> str | None:
    """Say why no host can be made here; None when one can."""
    if os.geteuid() != 0:
        return "only root can run a libvirt of its own"
    for program in ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "ip"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            return f"{program} is missing: install the packages of the all-in-one (make packages)"
    return None


class Noting(LibvirtWatcher):
    """A watcher that notes what it tells: kind and uuid.

    :param told: where to.
    """

    def __init__(self, conf: cfg.ConfigOpts, told: list[tuple[str, str]]) -> None:
        super().__init__(conf)
        self._told = told

    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        def note(happening: Happening) -> None:
            self._told.append((happening.kind.value, happening.uuid))
            tell(happening)

        super().watch(note, stopping)


class Host:
    """The host.

    :param directory: for its files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        _run("mount", "--make-rprivate", "/")
        for folder in _PRIVATE:
            Path(folder).mkdir(parents=True, exist_ok=True)
            _run("mount", "-t", "tmpfs", "tmpfs", folder)
        self._hide_kvm()
        for file, entry in (
            ("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin"),
            ("group", "libvirt-qemu:x:64055:"),
        ):
            own = directory / file
            own.write_text(f"{Path('/etc', file).read_text().rstrip()}\n{entry}\n")
            _run("mount", "--bind", str(own), f"/etc/{file}")
        Path("/etc/libvirt/qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\n'
            "cgroup_controllers = []\n"
        )
        Path("/etc/libvirt/libvirtd.conf").write_text('auth_unix_rw = "none"\n')
        self._start("virtlogd", "virtlogd-sock")
        self._libvirtd = self._start("libvirtd", "libvirt-sock-ro")
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        self._source = LibvirtSource(conf, _TIMEOUT_S)
        self._watched: list[tuple[str, str]] = []
        self._watching = Watching([("libvirt", Noting(conf, self._watched))], int, str, 0.1)

    def _start(self, daemon: str, socket: str) -> subprocess.Popen[bytes]:
        with (self._directory / f"{daemon}.log").open("ab") as log:
            process = subprocess.Popen([daemon], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(Path("/run/libvirt", socket).exists, f"{daemon} listens")
        return process

    def restart_libvirtd(self) -> None:
        """Stop libvirtd and start it again; guests go on meanwhile."""
        self._libvirtd.terminate()
        self._libvirtd.wait(20)
        self._libvirtd = self._start("libvirtd", "libvirt-sock-ro")

    def _hide_kvm(self) -> None:
        """Let libvirt see that there is no KVM: where it hangs, so would the test."""
        if Path("/dev/kvm").exists():
            nothing = self._directory / "no-kvm"
            nothing.touch()
            _run("mount", "--bind", str(nothing), "/dev/kvm")
            _run("mount", "-o", "remount,bind,ro", "/dev/kvm")

    def define(self, xml: str) -> None:
        """Define a guest."""
        file = self._directory / "guest.xml"
        file.write_text(xml)
        _run("virsh", "define", str(file))

    def virsh(self, *arguments: str) -> None:
        """Do what virsh can do."""
        _run("virsh", *arguments)

    def ip(self, *arguments: str) -> Any:
        """Do what iproute2 can do, and give what it says."""
        said = _run("ip", "-json", *arguments)
        return json.loads(said) if said.strip() else None

    def signal(self, guest: str, name: str) -> None:
        """Send a signal to a guest's process."""
        pid = int(Path(f"/run/libvirt/qemu/{guest}.pid").read_text())
        os.kill(pid, getattr(signal, name))

    def look(self) -> dict[str, Any]:
        """Ask the source: tasks by name, or its error."""
        try:
            seen = self._source.collect()
        except SourceError as error:
            return {"error": str(error)}
        return {each.task.name: dataclasses.asdict(each) for each in seen.tasks}

    def watch(self) -> None:
        """Let the watcher listen from now on."""
        self._watching.start()

    def watched(self) -> list[tuple[str, str]]:
        """Give what the watcher told since the last question: kind and uuid."""
        told = self._watched[:]
        del self._watched[: len(told)]
        return told


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def main() -> None:
    host = Host(Path(sys.argv[1]))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = getattr(host, command)(*arguments)
        except Exception as error:
            answer = {"failed": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
