# SPDX-License-Identifier: Apache-2.0
"""A compute host with a real libvirt, and the source and the isolator ``libvirt``, as a program in namespaces of its own.

Its arguments are the directory for its files and, where guests are to have control groups, the name of the one that is made
for all of them; :func:`remove_groups` takes that away after the program's end.

It answers each line of JSON that it reads, ``["command", argument...]``, with one line of JSON. All else that it starts, mounts
and makes ends with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from oslo_config import cfg
from programs import Program, manage
from waiting import wait_until

from hybrid_sched.agent.replica import from_bytes
from hybrid_sched.agent.watching import Watching
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.control_groups import UNIFIED, groups_of
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.interfaces.watcher import Happening
from hybrid_sched.isolators.libvirt import LibvirtIsolator
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
_GROUPS = Path("/sys/fs/cgroup")
_CLONE_NEWCGROUP = 0x02000000


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
    :param group: name of a control group for all guests; without one libvirt leaves control groups alone.
    """

    def __init__(self, directory: Path, group: str | None) -> None:
        self._directory = directory
        _run("mount", "--make-rprivate", "/")
        if group is not None:
            _enter_group(group)
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
            + ("" if group else "cgroup_controllers = []\n")
        )
        Path("/etc/libvirt/libvirtd.conf").write_text('auth_unix_rw = "none"\n')
        self._start("virtlogd", "virtlogd-sock")
        self._libvirtd = self._start("libvirtd", "libvirt-sock-ro")
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        self._source = LibvirtSource(conf, _TIMEOUT_S)
        self._isolator = LibvirtIsolator(conf, _TIMEOUT_S)
        self._agent: Program | None = None
        self._watched: list[tuple[str, str]] = []
        self._watching = Watching([("libvirt", Noting(conf, self._watched))], int, str, 0.1)

    def _start(self, daemon: str, socket: str) -> subprocess.Popen[bytes]:
        with (self._directory / f"{daemon}.log").open("ab") as log:
            process = subprocess.Popen(
                # Other hosts of this machine have theirs in /run, too.
                [daemon, "--pid-file", str(self._directory / f"{daemon}.pid")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(Path("/run/libvirt", socket).exists, f"{daemon} listens", 60)
        return process

    def restart_libvirtd(self) -> None:
        """Stop libvirtd and start it again; guests go on meanwhile."""
        self._libvirtd.terminate()
        self._libvirtd.wait(20)
        self._libvirtd = self._start("libvirtd", "libvirt-sock-ro")
        # The isolator that is asked here notices that its connection has ended by its use, and makes another.
        with contextlib.suppress(IsolationError):
            self._isolator.read()

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

    def virsh(self, *arguments: str) -> str:
        """Do what virsh can do, and give what it says."""
        return _run("virsh", *arguments)

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

    def start_agent(self, options: dict[str, Any]) -> None:
        """Start the agent for guests, which reports to nobody; with options on top of those of before."""
        ours = {
            "host": "a",
            "sources": "host,libvirt",
            "isolators": "libvirt",
            "watchers": "libvirt",
        }
        if self._agent is None:
            # Nothing listens there.
            self._agent = Program("hybrid-sched-agent", self._directory, "rabbit://127.0.0.1:9/")
            self._agent.write_options({"agent": {**ours, "state_path": self._directory}})
        self._agent.write_options({"agent": options})
        self._agent.start()

    def kill_agent(self) -> None:
        """End the agent as a loss of power does."""
        assert self._agent is not None
        self._agent.kill()

    def stop_agent(self) -> None:
        """End the agent as an init system does."""
        assert self._agent is not None
        self._agent.stop()

    def agent_log(self) -> str:
        """Give what the agent has logged."""
        assert self._agent is not None
        return self._agent.log_text()

    def counted(self) -> dict[str, dict[str, int]] | None:
        """Give the limits that the agent has applied and repaired, by aspect; None before its first round."""
        file = self._directory / "a.json"
        if not file.exists():
            return None
        state = from_bytes(file.read_bytes())
        return {"applied": dict(state.applied), "repaired": dict(state.repaired)}

    def release(self) -> list[dict[str, Any]]:
        """Put back all limits with the operator's command, and give what it lists."""
        assert self._agent is not None
        return manage(self._agent.config_file, "release-host")

    def watch(self) -> None:
        """Let the watcher listen from now on."""
        self._watching.start()

    def watched(self) -> list[tuple[str, str]]:
        """Give what the watcher told since the last question: kind and uuid."""
        told = self._watched[:]
        del self._watched[: len(told)]
        return told

    def ability(self) -> dict[str, Any]:
        """Ask the isolator what it can hold: aspects, and sentences about what is missing by aspect."""
        ability = self._isolator.ability()
        return {"aspects": sorted(ability.aspects), "missing": dict(ability.missing)}

    def read(self) -> dict[str, Any]:
        """Ask the isolator what holds each guest: limits by uuid, with the quota in words and the CPUs in order."""
        return {
            uuid: {
                **dataclasses.asdict(limits),
                "cpu_quota": str(limits.cpu_quota),
                "cpus": sorted(limits.cpus or ()),
            }
            for uuid, limits in self._isolator.read().items()
        }

    def hold(self, uuid: str, limits: dict[str, Any], *aspects: str) -> str:
        """Let the isolator set limits, with the quota in words; gives its error, or nothing."""
        values = dict(limits)
        if values.get("cpu_quota"):
            values["cpu_quota"] = Fraction(values["cpu_quota"])
        if values.get("cpus"):
            values["cpus"] = frozenset(values["cpus"])
        try:
            self._isolator.hold(uuid, Limits(**values), {Aspect(each) for each in aspects})
        except IsolationError as error:
            return str(error)
        return ""

    def group_files(self, guest: str, *names: str) -> dict[str, str]:
        """Read files of a guest's control groups, given as ``folder/file``, of the controller of the file's name.

        The folder is inside the guest's own, empty for that itself.
        """
        pid = int(Path(f"/run/libvirt/qemu/{guest}.pid").read_text())
        groups = groups_of(pid, f"-{guest}")
        return {
            name: (groups.get(name.rpartition("/")[2].split(".")[0], groups.get(UNIFIED)) / name)
            .read_text()
            .strip()
            for name in names
        }

    def affinities(self, guest: str) -> dict[str, list[int]]:
        """Ask the kernel on which CPUs each thread of a guest's process may run: by the name of the thread."""
        pid = Path(f"/run/libvirt/qemu/{guest}.pid").read_text()
        return {
            (thread / "comm").read_text().strip(): sorted(os.sched_getaffinity(int(thread.name)))
            for thread in Path(f"/proc/{pid}/task").iterdir()
        }


def _enter_group(name: str) -> None:
    """Make a control group, and let it be the root of all that this program and its children see."""
    if (_GROUPS / "cgroup.controllers").exists():
        (_GROUPS / name).mkdir()
        _delegate(_GROUPS)
        (_GROUPS / name / "cgroup.procs").write_text("0")
        _new_group_namespace()
        _run("umount", "--lazy", str(_GROUPS))
        _run("mount", "-t", "cgroup2", "cgroup2", str(_GROUPS))
        # A group with processes may not give controllers to groups below it.
        leaf = _GROUPS / "host"
        leaf.mkdir()
        for pid in (_GROUPS / "cgroup.procs").read_text().split():
            (leaf / "cgroup.procs").write_text(pid)
        _delegate(_GROUPS)
        return
    hierarchies = [
        each.name
        for each in _GROUPS.iterdir()
        if (each / "tasks").exists() and not each.is_symlink()
    ]
    for hierarchy in hierarchies:
        group = _GROUPS / hierarchy / name
        group.mkdir()
        if hierarchy == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((_GROUPS / hierarchy / file).read_text())
        (group / "cgroup.procs").write_text("0")
    _new_group_namespace()
    _run("mount", "-t", "tmpfs", "tmpfs", str(_GROUPS))
    for hierarchy in hierarchies:
        folder = _GROUPS / hierarchy
        folder.mkdir()
        controllers = "none,name=systemd" if hierarchy == "systemd" else hierarchy
        _run("mount", "-t", "cgroup", "-o", controllers, "cgroup", str(folder))


def _delegate(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _new_group_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWCGROUP) != 0:
        raise OSError(ctypes.get_errno(), "no namespace of control groups")


def remove_groups(name: str) -> None:
    """Remove a control group of an ended host, and those in it."""

    def removed() -> bool:
        left = [*_GROUPS.glob(name), *_GROUPS.glob(f"*/{name}")]
        for group in left:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not any(group.exists() for group in left)

    wait_until(removed, f"the control groups {name} are removed")


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def serve(kind: type[Host]) -> None:
    """Be a host that does what it is told, until the end of the input."""
    host = kind(Path(sys.argv[1]), *(sys.argv[2:] or [None]))
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = getattr(host, command)(*arguments)
        except Exception as error:
            answer = {"failed": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(Host)
