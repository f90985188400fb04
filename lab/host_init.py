# SPDX-License-Identifier: Apache-2.0
"""The first processes of a compute host: one reaps, the other makes the host's own view of the machine and starts its services.

They run in network, mount, host name, control group and process namespaces of their own, where all ends with the first.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import cgroups, cpu_stat, meminfo
from lab.images import CONTAINER_IMAGE
from lab.layout import CONTROL_IP, Host, Lab, saved_lab
from lab.network import AGEING_CS
from lab.processes import wait_until
from lab.services.zun import KURYR_URL, config_arguments

_PRIVATE = (
    "run/libvirt",
    "var/lib/libvirt",
    "var/cache/libvirt",
    "var/log/libvirt",
    "etc/libvirt",
    "run/docker",
    "run/containerd",
    "etc/docker",
)
_DOCKER = "unix:///run/docker/docker.sock"


class HostInit:
    """One host.

    :param lab: the lab.
    :param host: which host.
    """

    def __init__(self, lab: Lab, host: Host) -> None:
        self._lab = lab
        self._host = host
        self._folder = lab.folder("hosts", host.name)
        self._state: dict[str, float] = {}
        self._commands: dict[int, tuple[subprocess.Popen[bytes], str, Sequence[str]]] = {}

    def run(self) -> None:
        """Bring the host up and keep it."""
        self._own_view()
        self._bridge()
        self._start_libvirt()
        self._start_docker()
        self._start_services()
        while True:
            meminfo.refresh(self._folder, self._host.memory_mb)
            cpu_stat.refresh(self._folder)
            self._reap()
            # Well below the agents' period, for which the CPU's rate is told.
            time.sleep(0.5)

    def _own_view(self) -> None:
        """Give the host files, control groups and totals of its own."""
        _run("hostname", self._host.name)
        _run("mount", "--make-rprivate", "/")
        self._mount_cgroups()
        for name in _PRIVATE:
            own, seen = self._folder / "root" / name, Path("/", name)
            if name.startswith("run/"):
                shutil.rmtree(own, ignore_errors=True)
            fresh = not own.exists()
            own.mkdir(parents=True, exist_ok=True)
            seen.mkdir(parents=True, exist_ok=True)
            if name == "etc/libvirt" and fresh:
                shutil.copytree(seen, own, dirs_exist_ok=True, symlinks=True)
            _bind(own, seen)
        own_instances = self._lab.folder("hosts", self._host.name, "instances")
        _bind(own_instances, self._lab.folder("instances"))
        hosts = [f"{each.ip} {each.name}" for each in self._lab.hosts]
        self._bind_text(
            "hosts",
            f"127.0.0.1 localhost\n{CONTROL_IP} control\n" + "\n".join(hosts) + "\n",
            "/etc/hosts",
        )
        # libvirtd wants this account to exist, even where guests run as another.
        for file, entry in (
            ("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin"),
            ("group", "libvirt-qemu:x:64055:"),
        ):
            text = Path("/etc", file).read_text()
            if "libvirt-qemu:" not in text:
                self._bind_text(file, f"{text.rstrip()}\n{entry}\n", f"/etc/{file}")
        # KVM inside the machine hangs. A file that cannot be written to makes libvirt see that it is not to be had; one that
        # can be makes it try again at each start of a guest, which takes seconds.
        if Path("/dev/kvm").exists():
            self._bind_text("no-kvm", "", "/dev/kvm")
            _run("mount", "-o", "remount,bind,ro", "/dev/kvm")
        meminfo.bind(self._folder, self._host.memory_mb)
        cpu_stat.bind(self._folder)
        # Hardware of its own kind, so that the table of scores can tell the hosts apart.
        cpuinfo = Path("/proc/cpuinfo").read_text()
        model = rf"\1 of {self._host.name}"
        self._bind_text(
            "cpuinfo", re.sub(r"^(model name\s*:.*)$", model, cpuinfo, flags=re.M), "/proc/cpuinfo"
        )

    def _mount_cgroups(self) -> None:
        v2 = cgroups.is_v2()
        _run("mount", "-t", "sysfs", "sysfs", "/sys")
        root = cgroups.ROOT
        if v2:
            _run("mount", "-t", "cgroup2", "cgroup2", str(root))
            cgroups.open_v2_leaf()
            return
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root))
        for controller in cgroups.V1_CONTROLLERS:
            (root / controller).mkdir()
            _run("mount", "-t", "cgroup", "-o", controller, "cgroup", str(root / controller))
        (root / "systemd").mkdir()
        _run("mount", "-t", "cgroup", "-o", "none,name=systemd", "cgroup", str(root / "systemd"))

    def _bridge(self) -> None:
        """Make the bridge that guests and containers join; kuryr finds it by the network's identifier."""
        network = (self._lab.folder("data") / "network-id").read_text()
        bridge = f"brq{network[:11]}"
        if not Path("/sys/class/net", bridge).exists():
            _run("ip", "link", "add", bridge, "type", "bridge", "ageing_time", AGEING_CS)
            _run("ip", "link", "property", "add", "dev", bridge, "altname", "lab0")
        _run("ip", "link", "set", "data0", "master", bridge)
        _run("ip", "link", "set", bridge, "up")
        _run("sysctl", "-q", "-w", "net.bridge.bridge-nf-call-iptables=0", check=False)

    def _start_libvirt(self) -> None:
        host = self._host
        etc = Path("/etc/libvirt")
        (etc / "qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nnamespaces = []\n'
        )
        identity = f"{host.number:08d}-0000-4000-8000-{host.number:012d}"
        (etc / "libvirtd.conf").write_text(
            "listen_tls = 0\nlisten_tcp = 1\n"
            f'tcp_port = "16509"\nlisten_addr = "{host.ip}"\nauth_tcp = "none"\n'
            f'auth_unix_rw = "none"\nhost_uuid = "{identity}"\n'
        )
        (etc / "hooks").mkdir(exist_ok=True)
        hook = etc / "hooks" / "qemu"
        shutil.copy(Path(__file__).parent / "files" / "libvirt-hook", hook)
        hook.chmod(0o755)
        for daemon, options, socket_name in (
            ("virtlogd", (), "virtlogd-sock"),
            ("libvirtd", ("--listen",), "libvirt-sock"),
        ):
            command = [daemon, *options, "--pid-file", f"/run/libvirt/{daemon}.pid"]
            self._start(daemon, command, Path("/run/libvirt", socket_name).exists)

    def _start_docker(self) -> None:
        plugins = Path("/etc/docker/plugins")
        plugins.mkdir(parents=True, exist_ok=True)
        (plugins / "kuryr.spec").write_text(KURYR_URL)
        data = self._folder / "docker"
        data.mkdir(exist_ok=True)
        for stale in data.parent.glob("docker.pid"):
            stale.unlink()
        self._start(
            "dockerd",
            [
                *("dockerd", "--data-root", str(data), "--exec-root", "/var/run/docker"),
                *("--host", _DOCKER, "--pidfile", str(data.parent / "docker.pid")),
                *("--bridge=none", "--iptables=false", "--ip-masq=false"),
            ],
            lambda: _succeeds("docker", "--host", _DOCKER, "version"),
        )
        if not _succeeds("docker", "--host", _DOCKER, "image", "inspect", CONTAINER_IMAGE):
            root = self._lab.folder("cache") / "container.tar"
            _run(
                "docker",
                "--host",
                _DOCKER,
                "import",
                "--change",
                "ENV PATH=/bin",
                str(root),
                CONTAINER_IMAGE,
            )

    def _start_services(self) -> None:
        name = self._host.name
        bin_ = self._lab.bin
        kuryr_conf = self._lab.config(name, "kuryr.conf")
        self._start(
            "kuryr",
            [str(bin_ / "kuryr-server"), "--config-file", str(kuryr_conf)],
            lambda: _listens(23750),
        )
        nova = self._lab.config(name, "nova", "x").parent
        self._start("nova-compute", [str(bin_ / "nova-compute"), "--config-dir", str(nova)])
        # Zun looks up the provider that nova-compute makes, so it waits for it.
        provider = self._lab.folder("run") / f"{name}.provider"
        wait_until(provider.exists, 180)
        zun = [str(bin_ / "zun-compute"), *config_arguments(self._lab, name)]
        self._start("zun-compute", zun)
        if not self._lab.stock:
            agent = self._lab.config(name, "hybrid-sched.conf")
            self._start(
                "hybrid-sched-agent",
                [str(bin_ / "hybrid-sched-agent"), "--config-file", str(agent)],
            )

    def _start(
        self, service: str, command: Sequence[str], ready: Callable[[], bool] = lambda: True
    ) -> None:
        pid = self._spawn(service, command)

        def done() -> bool:
            return os.waitpid(pid, os.WNOHANG)[0] == pid or ready()

        if not wait_until(done, 60) or not ready():
            self._note(service, 0)
            print(f"{service} did not start; read its log", flush=True)
            sys.exit(1)
        self._note(service, pid)

    def _spawn(self, service: str, command: Sequence[str]) -> int:
        with self._lab.log(f"{self._host.name}-{service}").open("ab") as output:
            popen = subprocess.Popen(
                command,
                env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", "DOCKER_HOST": _DOCKER},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self._folder,
            )
        # Kept, since subprocess itself waits for what nobody keeps, and its end would not be seen here.
        self._commands[popen.pid] = (popen, service, command)
        return popen.pid

    def _note(self, service: str, pid: int) -> None:
        """Tell the lab what runs: a service's number is 0 when it does not."""
        self._state[service] = pid
        part = self._lab.folder("run") / f"{self._host.name}.services.part"
        part.write_text(json.dumps(self._state))
        part.rename(part.with_suffix(""))

    def _reap(self) -> None:
        """Take the remains of what ended away, and start a service that ended again."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._commands:
                popen, service, command = self._commands.pop(pid)
                popen.returncode = os.waitstatus_to_exitcode(status)
                print(f"{service} ended and is started again", flush=True)
                self._note(service, self._spawn(service, command))

    def _bind_text(self, name: str, text: str, seen: str) -> None:
        own = self._folder / name
        own.write_text(text)
        _bind(own, Path(seen))


def _bind(own: Path, seen: Path) -> None:
    _run("mount", "--bind", str(own), str(seen))


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, stdin=subprocess.DEVNULL)


def _succeeds(*command: str) -> bool:
    done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    return done.returncode == 0


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def main() -> None:
    """Run the host that the command line names."""
    lab = saved_lab()
    if lab is None:
        sys.exit("There is no lab to be a host of; run 'python -m lab up'.")
    # As the first process of its namespace it would ignore these otherwise.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    services = os.fork()
    if services == 0:
        HostInit(lab, lab.host(sys.argv[1])).run()
    # Orphans come to the first process of the namespace. libvirt waits for those that it has ended to be gone.
    while os.wait()[0] != services:
        pass
    sys.exit(1)


if __name__ == "__main__":
    main()
