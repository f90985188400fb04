# SPDX-License-Identifier: Apache-2.0
"""Follow pages of the documents on a lab without our services, command by command, as an operator would by hand.

What the lab has no service manager for is done by :mod:`lab`: ``systemctl`` starts, stops and restarts its processes, those of
ours as their installed units say (account, capabilities). ``pip`` is left out, since the lab's environment has the package. All
other commands are run as they stand, each in a mount namespace in which /etc is a copy, and /var/lib, /var/log and
/usr/local/bin are empty at first: the controller's own, or those of a host.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import hosts
from lab.layout import CHECKOUT, CONTROL_IP, Host, Lab
from lab.processes import ProcessTable, StepFailed, started_ticks, wait_until
from lab.services import nova, zun
from lab.services.common import DURABLE_QUEUES
from lab.services.hybrid import METRICS_PORT
from lab.services.nova import CPU_ALLOCATION_RATIO, RESERVED_MEMORY_MB

#: What is a machine's own. The first is copied from what it sees, the others begin empty.
_OWN = ("etc", "var/lib", "var/log", "usr/local/bin")
#: Folders, below /etc of a machine, that are those in which the lab's services look for more configuration.
_DROPPED = (("nova", "nova.conf.d"), ("zun", "zun.conf.d"))
_DIRECTIVE = re.compile(r"^\.\. code-block:: *(\w+) *$")
#: What ends so is followed by a literal block, unless it is itself a directive.
_LITERAL = re.compile(r"^(?!\.\. ).*::$")
_OPTION = re.compile(r"^ +:(\w+): *(.*?) *$")
#: Codes with which the doctor tells of findings.
_FINDINGS = range(4)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    :param language: as the page names it; empty for a literal block.
    :param name: ``:name:`` of the block; empty when it has none.
    :param caption: ``:caption:``, for a file its path.
    :param text: without its indentation.
    """

    language: str
    name: str
    caption: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Commands of a block of the language ``console``: what follows a prompt, ``#`` or ``$``."""
        lines = re.sub(r" \\\n\s*", " ", self.text).splitlines()
        return [line[2:] for line in lines if line[:2] in {"# ", "$ "}]


def blocks(page: Path, *, literal: bool = False) -> list[Block]:
    """Read the blocks of code of a page, in order.

    :param literal: also those that follow two colons.
    """
    return list(_blocks(page.read_text().splitlines(), literal))


def _blocks(lines: Sequence[str], literal: bool) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        directive = _DIRECTIVE.match(lines[at].strip())
        is_literal = literal and _LITERAL.match(lines[at].strip()) is not None
        indent = len(lines[at]) - len(lines[at].lstrip())
        at += 1
        if directive is None and not is_literal:
            continue
        options = {}
        while at < len(lines) and (option := _OPTION.match(lines[at])):
            options[option[1]] = option[2]
            at += 1
        body = []
        while at < len(lines) and (
            not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent
        ):
            body.append(lines[at])
            at += 1
        yield Block(
            directive[1] if directive else "",
            options.get("name", ""),
            options.get("caption", ""),
            _dedented(body),
        )


def _dedented(lines: Sequence[str]) -> str:
    least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[least:] for line in lines).strip("\n") + "\n"


class Machine:
    """The controller, or a host, as one who is signed in there sees it.

    :param lab: a lab that is up.
    :param host: which host; None for the controller.
    """

    def __init__(self, lab: Lab, host: Host | None = None) -> None:
        self.lab = lab
        self._host = host
        self.name = host.name if host else "controller"
        self._root = lab.folder("walk", self.name)

    def make(self) -> None:
        """Make the folders that are its own."""
        shutil.rmtree(self._root, ignore_errors=True)
        for own in _OWN:
            (self._root / own).mkdir(parents=True)
        copy = ["cp", "-a", "/etc/.", str(self._root / "etc")]
        subprocess.run([*self._enter(), *copy], check=True, stdin=subprocess.DEVNULL)
        for parts in (("systemd", "system"), *_DROPPED):
            self._root.joinpath("etc", *parts).mkdir(parents=True, exist_ok=True)
        if self._host is not None:
            # The lab's zun-compute keeps what containers declared elsewhere, see declared_path.
            (self._root / "var/lib/zun/hybrid-sched").mkdir(parents=True)
        # Root's client of the database finds the lab's server, as it would on the server itself.
        socket = self.lab.folder("data", "mariadb") / "mariadb.sock"
        (self._root / "root").mkdir()
        (self._root / "root" / ".my.cnf").write_text(f"[client]\nsocket = {socket}\nuser = root\n")

    def path(self, text: str) -> Path:
        """Give the place, outside, of a file of this machine."""
        return self._root / text.lstrip("/")

    def write(self, file: str, text: str) -> None:
        """Write a file of this machine."""
        parts = Path(file).parts[2:]
        path = self.dropped(*parts[:2]) / parts[2] if parts[:2] in _DROPPED else self.path(file)
        path.write_text(text)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line with bash."""
        return subprocess.run(
            self.inside(["bash", "-c", command]),
            env={
                **os.environ,
                **self.lab.client_environment(),
                "HOME": str(self._root / "root"),
                # The programs are to be found by the links that the page makes, the clients where the lab has them.
                "PATH": f"/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{self.lab.bin}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    def inside(self, command: Sequence[str]) -> list[str]:
        """Give a command that runs another one on this machine."""
        binds = [f"mount --bind {self._root / own} /{own}" for own in _OWN]
        binds += [f"mount --bind {self.dropped(*it)} /etc/{'/'.join(it)}" for it in _DROPPED]
        script = " && ".join(["mount --make-rprivate /", *binds, 'exec "$@"'])
        return [*self._enter(), "unshare", "--mount", "sh", "-c", script, "sh", *command]

    def dropped(self, *parts: str) -> Path:
        """Give the folder, outside, in which a service of this machine looks for more configuration."""
        where = () if self._host is None else (self._host.name,)
        return self.lab.folder("etc", *where, *parts)

    def _enter(self) -> list[str]:
        if self._host is None:
            return []
        pid = str(hosts.init_pid(self.lab, self._host))
        return ["nsenter", "-t", pid, "-m", "-u", "-n", "-p", "-C", "--"]

    def systemctl(self, words: Sequence[str]) -> None:
        """Do what ``systemctl`` would."""
        action, *services = [word for word in words if not word.startswith("--")]
        for service in services:
            if service.startswith("hybrid-sched-"):
                self._our(action, service)
            elif action == "restart":
                self._restart(service)
            else:
                raise StepFailed(f"The lab cannot {action} {service} on {self.name}.")

    def _our(self, action: str, service: str) -> None:
        name = f"{self.name}-{service}"
        table = ProcessTable(self.lab)
        process = table.get(name)
        if action == "enable":
            unit = self.path(f"/etc/systemd/system/{service}.service").read_text()
            log = self.lab.log(name)
            start = log.stat().st_size if log.exists() else 0

            def ready() -> bool:
                with log.open("rb") as lines:
                    lines.seek(start)
                    said = lines.read()
                return "engine" not in service or b"Serving." in said

            table.start(name, self.inside(as_unit_says(unit)), ready=ready, timeout_s=60)
        elif process is None:
            raise StepFailed(f"{service} does not run on {self.name}.")
        elif action == "disable":
            # The program itself first: what entered the host for it ends after it.
            inner = _innermost(process.pid)
            os.kill(inner, signal.SIGTERM)
            wait_until(lambda: started_ticks(inner) is None, 30)
            table.stop([process], timeout_s=10)
            table.forget(name)
        elif action == "reload":
            os.kill(_innermost(process.pid), signal.SIGHUP)
        else:
            raise StepFailed(f"The lab cannot {action} {service} on {self.name}.")

    def _restart(self, service: str) -> None:
        if self._host is not None and service == "zun-compute":
            self._restart_on(self._host, service)
            return
        start = {"nova-scheduler": nova.start_scheduler, "zun-api": zun.start_api}.get(service)
        if self._host is not None or start is None:
            raise StepFailed(f"The lab cannot restart {service} on {self.name}.")
        table = ProcessTable(self.lab)
        table.stop([process for process in [table.get(service)] if process], timeout_s=15)
        start(self.lab)

    def _restart_on(self, host: Host, service: str) -> None:
        before = hosts.services(self.lab, host)[service]
        done = self.run(f"kill -9 {before}")
        # The host's first process starts it again.
        again = wait_until(lambda: hosts.services(self.lab, host)[service] != before, 30)
        if done.returncode != 0 or not again:
            raise StepFailed(f"{service} of {self.name} was not started again.")


def as_unit_says(unit: str) -> list[str]:
    """Give the command of a systemd unit with its account, its capabilities and no way to more."""

    def value(option: str) -> str | None:
        found = re.findall(rf"(?m)^{option}=(.*)$", unit)
        return found[-1] if found else None

    program = value("ExecStart")
    if program is None:
        raise StepFailed("The unit has no ExecStart.")
    words = ["setpriv", "--no-new-privs"] if value("NoNewPrivileges") == "yes" else ["setpriv"]
    kept = (value("CapabilityBoundingSet") or "").split()
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in kept)
    words.append(f"--bounding-set=-all{',' if names else ''}{names}")
    user = value("User")
    if user is not None:
        words += [f"--reuid={user}", f"--regid={value('Group') or user}", "--clear-groups"]
    # Where the page links it to.
    return [*words, f"/usr/local/bin/{program}"]


def _innermost(pid: int) -> int:
    """Follow single children down to the program that nsenter and unshare became the parents of."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if name not in {"nsenter", "unshare", "setpriv", "sh"}:
            break
        pid = int(children[0])
    return pid


class Walk:
    """A walk through pages.

    :param lab: a lab that is up, without our services.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.controller = Machine(lab)
        self.hosts = [Machine(lab, host) for host in lab.hosts]
        #: What each command said.
        self.said: dict[str, str] = {}

    def begin(self) -> None:
        """Make the machines' own folders."""
        for machine in (self.controller, *self.hosts):
            machine.make()

    def follow(self, page: Path) -> None:
        """Do what the named blocks of a page say, in order.

        :raises StepFailed: when a command fails, with what it said.
        """
        for block in blocks(page):
            machines: Sequence[Machine]
            match block.name.partition("-")[0]:
                case "controller":
                    machines = [self.controller]
                case "compute":
                    machines = self.hosts
                case "everywhere":
                    machines = [self.controller, *self.hosts]
                case _:
                    continue
            for machine in machines:
                self._do(machine, block)

    def _do(self, machine: Machine, block: Block) -> None:
        text = self._filled(block.text)
        if block.language == "ini":
            machine.write(block.caption, text + self._left_to_the_operator(machine, block.caption))
            return
        folder = "/"
        for command in Block(block.language, "", "", text).commands:
            words = command.split()
            if words[0] == "cd":
                folder = words[1]
            elif words[0] == "systemctl":
                machine.systemctl(words[1:])
            elif words[0] != "pip":
                done = machine.run(f"cd {folder} && {command}")
                self.said[command] = done.stdout
                fine = _FINDINGS if "doctor" in words else range(1)
                if done.returncode not in fine:
                    raise StepFailed(
                        f"On {machine.name} '{command}' of '{block.name}' ended with {done.returncode}: "
                        f"{done.stderr.strip() or done.stdout.strip()}"
                    )

    def _filled(self, text: str) -> str:
        """Put the lab's own in the place of what the page says to replace."""
        replaced: Mapping[str, str] = {
            "rabbit://openstack:RABBIT_PASSWORD@controller:5672/": self._lab.transport_url,
            "DATABASE_PASSWORD": self._lab.password,
            "HYBRID_PASSWORD": self._lab.password,
            "@controller": f"@{CONTROL_IP}",
            "//controller": f"//{CONTROL_IP}",
            "/opt/openstack/etc/hybrid-sched": str(CHECKOUT / "etc" / "hybrid-sched"),
            "/opt/openstack": str(self._lab.bin.parent),
        }
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text

    def _left_to_the_operator(self, machine: Machine, path: str) -> str:
        """Add what the page says must agree with this cloud's own settings."""
        if not path.startswith("/etc/hybrid-sched/"):
            return ""
        lines = ["", "[oslo_messaging_rabbit]"]
        lines += [f"{name} = {value}" for name, value in DURABLE_QUEUES.items()]
        if machine is self.controller:
            lines += ["[quota]", "period_s = 2", "[metrics]", f"port = {METRICS_PORT}"]
        else:
            host = self._lab.host(machine.name)
            lines += [
                "[agent]",
                "period_s = 4",
                "docker_url = unix:///run/docker/docker.sock",
                f"declared_path = {zun.declared_path(self._lab, host)}",
                f"cpu_allocation_ratio = {CPU_ALLOCATION_RATIO}",
                f"reserved_memory_mb = {RESERVED_MEMORY_MB}",
            ]
        return "\n".join([*lines, ""])
