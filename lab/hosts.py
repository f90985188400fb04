# SPDX-License-Identifier: Apache-2.0
"""The compute hosts, from outside."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lab import cgroups, network
from lab.cloud import Cloud
from lab.layout import CHECKOUT, Host, Lab, saved_lab
from lab.processes import ProcessTable, StepFailed, wait_until


def services(lab: Lab, host: Host) -> dict[str, int]:
    """Tell the services that the host's first process started: name to number inside the host, 0 when it failed."""
    path = lab.folder("run") / f"{host.name}.services"
    return json.loads(path.read_text()) if path.exists() else {}


def start(lab: Lab, host: Host) -> None:
    """Start a host unless it runs; it is ready when its nova-compute has started."""
    table = ProcessTable(lab)
    if table.get(host.name) is None:
        for name in ("services", "provider"):
            (lab.folder("run") / f"{host.name}.{name}").unlink(missing_ok=True)

    def computing() -> bool:
        return "nova-compute" in services(lab, host)

    table.start(
        host.name,
        [sys.executable, "-m", "lab.hosts", host.name],
        ready=computing,
        timeout_s=120,
        environment={"PYTHONPATH": str(CHECKOUT)},
    )


def wait_for_provider(lab: Lab, host: Host) -> None:
    """Wait until Placement has the provider that the host's nova-compute makes, then let zun-compute start.

    :raises StepFailed: when it does not come.
    """
    mark = lab.folder("run") / f"{host.name}.provider"
    if mark.exists():
        return
    cloud = Cloud(lab)
    log = lab.log(f"{host.name}-nova-compute")
    if not wait_until(lambda: cloud.has_inventory(host.name), 120, pause_s=0.5):
        raise StepFailed(f"nova-compute of {host.name} made no provider in time; read {log}.")
    mark.touch()


def init_pid(lab: Lab, host: Host) -> int:
    """Give the number, outside, of a host's first process.

    :raises LookupError: when the host does not run.
    """
    process = ProcessTable(lab).get(host.name)
    if process is not None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            return int(children[0])
    raise LookupError(f"{host.name} does not run; start it with 'python -m lab up'.")


def main() -> None:
    """Become the host that the command line names: join its groups and namespaces, then run its first process."""
    lab = saved_lab()
    if lab is None:
        sys.exit("There is no lab; run 'python -m lab up'.")
    host = lab.host(sys.argv[1])
    cgroups.join(host.name, os.getpid())
    network.enter(host.netns)
    os.execvp(  # noqa: S606 - this process becomes the host
        "unshare",
        [
            *("unshare", "--mount", "--uts", "--cgroup", "--pid", "--fork", "--kill-child"),
            *("--mount-proc", sys.executable, "-m", "lab.host_init", host.name),
        ],
    )


if __name__ == "__main__":
    main()
