# SPDX-License-Identifier: Apache-2.0
"""A folder in which phases of the DevStack plugin run, and what they did there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]

#: What would change the machine is written down instead: service manager, clients of Keystone and MySQL, pip.
RECORDED = (
    "systemctl",
    "openstack",
    "mysql",
    "pip",
    "a2ensite",
    "a2dissite",
    "a2query",
    "uwsgi",
    "hybrid-sched-manage",
    "rabbitmqctl",
)
STACK = (
    "stack pre-install",
    "stack install",
    "stack post-config",
    "stack extra",
    "stack test-config",
)
ALL_IN_ONE = (
    "key,mysql,rabbit,placement-api,n-api,n-cond,n-cpu,n-sch,zun-api,zun-compute,kuryr-libnetwork"
)

_RECORDER = """#!/bin/bash
printf '%s\\n' "$(basename "$0") $*" >>"$SANDBOX/commands"
case "$(basename "$0") $*" in
    # There is nothing yet.
    openstack\\ *assignment* | openstack\\ *endpoint\\ list*) ;;
    openstack\\ *service\\ show*) exit 1 ;;
    openstack\\ *) echo made-id ;;
esac
"""

#: Does what stays inside the sandbox; the rest is written down, with what it was given to write taken away.
_SUDO = """#!/bin/bash
printf '%s\\n' "sudo $*" >>"$SANDBOX/commands"
while [[ "$1" == -* || "$1" == *=* ]]; do shift; done
own=$SANDBOX/bin/$(basename "$1")
if [[ -x "$own" ]]; then
    exec "$own" "${@:2}"
else
    case "$1" in
        cat | chmod | chown | cp | grep | install | ln | mkdir | mv | rm | sed | tee) ;;
        *) exit 0 ;;
    esac
    words=("$@")
    # What sed does begins with a slash too.
    [[ "$1" == sed ]] && words=("${@: -1}")
    for word in "${words[@]}"; do
        case "$word" in
            "$SANDBOX"/* | /dev/null) ;;
            /*) [[ "$1" == tee ]] && cat >/dev/null; exit 0 ;;
        esac
    done
fi
exec "$@"
"""


@dataclass
class Sandbox:
    """One sandbox.

    :param root: its folder.
    :param devstack: a checkout of DevStack, whose own functions are used; None for the stand-in.
    :param zun: a checkout of Zun, whose plugin then writes ``zun.conf``.
    """

    root: Path
    devstack: Path | None = None
    zun: Path | None = None

    def __post_init__(self) -> None:
        programs = self.root / "bin"
        programs.mkdir(parents=True)
        for name in RECORDED:
            _write_program(programs / name, _RECORDER)
        _write_program(programs / "sudo", _SUDO)
        edit = self.root / "requirements" / ".venv" / "bin"
        edit.mkdir(parents=True)
        _write_program(edit / "edit-constraints", _RECORDER)
        (self.root / "apache").mkdir()
        plugin = self.root / "plugin"
        plugin.mkdir()
        (plugin / "devstack").symlink_to(CHECKOUT / "devstack")
        (plugin / "setup.cfg").symlink_to(CHECKOUT / "setup.cfg")

    @property
    def nova_conf(self) -> Path:
        """Nova's file."""
        return self.root / "etc" / "nova" / "nova.conf"

    @property
    def zun_conf(self) -> Path:
        """Zun's file."""
        return self.root / "etc" / "zun" / "zun.conf"

    @property
    def own_conf(self) -> Path:
        """The file of our services."""
        return self.root / "etc" / "hybrid-sched" / "hybrid-sched.conf"

    @property
    def commands(self) -> list[str]:
        """What was written down, in order."""
        path = self.root / "commands"
        return path.read_text().splitlines() if path.exists() else []

    def unit(self, service: str) -> str:
        """Give the text of a service's unit; empty when there is none."""
        path = self.root / "systemd" / f"devstack@{service}.service"
        return path.read_text() if path.exists() else ""

    def units(self) -> set[str]:
        """Name the services that have a unit."""
        found = (self.root / "systemd").glob("devstack@*.service")
        return {path.name.removeprefix("devstack@").removesuffix(".service") for path in found}

    def run(
        self,
        phases: Sequence[str],
        services: str = ALL_IN_ONE,
        plugins: str = ",kuryr-libnetwork,zun,hybrid-sched",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run phases in one shell.

        :param services: ``ENABLED_SERVICES`` as those before our plugin left them.
        :param plugins: ``DEVSTACK_PLUGINS``, in the order of ``local.conf``.
        """
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "SANDBOX": str(self.root),
            "ENABLED_SERVICES": services,
            "DEVSTACK_PLUGINS": plugins,
            **({"DEVSTACK_DIR": str(self.devstack)} if self.devstack else {}),
            **({"ZUN_DIR": str(self.zun)} if self.zun else {}),
            **environment,
        }
        return subprocess.run(
            [str(HERE / "drive.sh"), *phases],
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
