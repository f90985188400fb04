# SPDX-License-Identifier: Apache-2.0
"""Bring the lab up in the order of its dependencies, and down."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import FrameType

from lab import cgroups, hosts, network
from lab.cloud import Cloud
from lab.layout import NETNS, Lab
from lab.processes import ProcessTable, StepFailed, wait_until
from lab.services import (
    api,
    glance,
    hybrid,
    keystone,
    mariadb,
    neutron,
    nova,
    placement,
    rabbitmq,
    zun,
)
from lab.services.common import once


@dataclass(frozen=True)
class Step:
    """One step of bringing the lab up.

    :param name: shown to people.
    :param after: names of the steps that must be done before.
    :param run: does it; done already, it returns soon.
    """

    name: str
    after: tuple[str, ...]
    run: Callable[[Lab], None]


def steps(lab: Lab) -> list[Step]:
    """List the steps for a lab."""
    control = [
        Step("configure", (), _configure),
        Step("mariadb", ("configure",), mariadb.start),
        Step("rabbitmq", ("configure",), rabbitmq.start),
        Step("keystone tables", ("mariadb",), keystone.prepare),
        Step("keystone", ("keystone tables",), keystone.start),
        Step("placement tables", ("mariadb",), placement.prepare),
        Step("glance tables", ("mariadb",), glance.prepare),
        Step("neutron tables", ("mariadb",), neutron.prepare),
        Step("nova tables", ("mariadb",), nova.prepare),
        Step("zun tables", ("mariadb",), zun.prepare),
        Step("placement", ("placement tables", "keystone"), placement.start),
        Step("glance", ("glance tables", "keystone"), glance.start),
        Step("neutron", ("neutron tables", "keystone", "rabbitmq", "dhcp"), neutron.start),
        Step("dhcp", ("configure",), neutron.start_dhcp),
        Step("nova-api", ("nova tables", "keystone", "rabbitmq"), nova.start_api),
        Step("nova-conductor", ("nova tables", "keystone", "rabbitmq"), nova.start_conductor),
        Step("nova-scheduler", ("nova tables", "rabbitmq", "placement"), nova.start_scheduler),
        Step("zun-api", ("zun tables", "keystone", "rabbitmq"), zun.start_api),
        Step("network", ("neutron",), _make_network),
        Step("upload", ("glance", "nova-api"), _upload),
    ]
    if not lab.stock:
        control.append(Step("hybrid-sched tables", ("mariadb",), hybrid.prepare))
        needs = ("rabbitmq", "hybrid-sched tables")
        control.append(Step("hybrid-sched-engine", needs, hybrid.start))
        control.append(Step("hybrid-sched-api", (*needs, "keystone"), api.start))
    ready = []
    for host in lab.hosts:
        needs = ("network", "placement", "nova-conductor")
        control.append(Step(host.name, needs, lambda lab, host=host: hosts.start(lab, host)))
        control.append(
            Step(
                f"{host.name} provider",
                (host.name,),
                lambda lab, host=host: hosts.wait_for_provider(lab, host),
            )
        )
        ready.append(f"{host.name} provider")
    control.append(Step("nova cell", tuple(ready), nova.map_hosts))
    needs = ("nova cell", "zun-api", "nova-api", "upload")
    control.append(Step("computes up", needs, _wait_for_computes))
    if not lab.stock:
        needs = ("computes up", "hybrid-sched-engine")
        control.append(Step("agents report", needs, _wait_for_agents))
    return control


def run_steps(
    todo: list[Step], lab: Lab, show: Callable[[str, float], None], at_once: int = 4
) -> None:
    """Run steps, each after those that it names, several at once.

    :param show: told the name of each step that is done, and the seconds it took.
    :raises StepFailed: the first failure, after the steps that were running have ended.
    """
    done: set[str] = set()
    waiting = list(todo)
    running: dict[Future[float], Step] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(at_once) as pool:
        while running or (waiting and failure is None):
            if failure is None:
                for step in [s for s in waiting if done.issuperset(s.after)]:
                    waiting.remove(step)
                    running[pool.submit(_timed, step, lab)] = step
            if not running:
                raise StepFailed(f"These steps wait for each other: {[s.name for s in waiting]}.")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                error = future.exception()
                if error is None:
                    done.add(step.name)
                    show(step.name, future.result())
                elif failure is None:
                    failure = _explained(step, error, lab)
    if failure is not None:
        raise failure


def up(lab: Lab, show: Callable[[str, float], None], *, keep: bool = False) -> None:
    """Bring the lab up; what runs already stays. A failure takes down a lab that was not up before.

    :param keep: leave what runs after a failure, to look at it.
    :raises StepFailed: with the step, the reason and the log to read.
    """
    before = {process.name for process in ProcessTable(lab).all() if process.alive}

    def interrupted(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupted)
    try:
        run_steps(steps(lab), lab, show)
    except (StepFailed, KeyboardInterrupt):
        if not before and not keep:
            down(lab)
        raise


def down(lab: Lab) -> list[str]:
    """Stop the lab and remove what it made, its databases included; logs and caches stay.

    :returns: what could not be removed; empty when all is gone.
    """
    table = ProcessTable(lab)
    processes = table.all()
    names = {host.name for host in lab.hosts}
    # A host ends at once with its first process, and all in it; nothing there is kept.
    table.stop([process for process in processes if process.name in names], timeout_s=0)
    last = {"mariadb", "rabbitmq", "epmd"}
    table.stop([p for p in processes if p.name not in names | last], timeout_s=6)
    table.stop([p for p in processes if p.name in last], timeout_s=8)
    for process in processes:
        if not process.alive:
            table.forget(process.name)
    left = []
    for name in network.names()[::-1]:
        network.end_processes(name)
        network.remove(name)
    left += [f"namespace {name}" for name in network.names()]
    left += [f"control group {group}" for group in cgroups.remove_all()]
    for folder in ("data", "done", "etc", "hosts", "instances", "run", "python", "walk"):
        shutil.rmtree(lab.state / folder, ignore_errors=True)
    for file in ("lab.json", "secrets.json"):
        (lab.state / file).unlink(missing_ok=True)
    return left


def _timed(step: Step, lab: Lab) -> float:
    started = time.monotonic()
    step.run(lab)
    return time.monotonic() - started


def _explained(step: Step, error: BaseException, lab: Lab) -> StepFailed:
    if isinstance(error, StepFailed):
        return StepFailed(f"Step '{step.name}' failed: {error}")
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or "").strip() if isinstance(error.stderr, str) else ""
        return StepFailed(f"Step '{step.name}' failed: {error} {said}")
    where = lab.folder("log")
    return StepFailed(f"Step '{step.name}' failed: {type(error).__name__}: {error}; read {where}.")


def _configure(lab: Lab) -> None:
    for service in (keystone, placement, glance, neutron, nova, zun):
        service.configure(lab)
    if not lab.stock and not hybrid.engine_config(lab).exists():
        hybrid.configure(lab)
    for host in lab.hosts:
        nova.configure_compute(lab, host)
        zun.configure_compute(lab, host)
        hybrid.configure_agent(lab, host)


def _make_network(lab: Lab) -> None:
    path = lab.folder("data") / "network-id"
    if not path.exists():
        path.write_text(Cloud(lab).make_network())


def _upload(lab: Lab) -> None:
    once(lab, "upload", lambda: Cloud(lab).upload_images(lab))


def _wait_for_computes(lab: Lab) -> None:
    cloud = Cloud(lab)
    wanted = {host.name for host in lab.hosts}

    def up_now() -> bool:
        return all(wanted <= each for each in cloud.computes_up())

    if not wait_until(up_now, 120, pause_s=1):
        nova_up, zun_up = cloud.computes_up()
        raise StepFailed(
            f"nova-compute is up on {sorted(nova_up)} and zun-compute on {sorted(zun_up)} of {sorted(wanted)}; "
            f"read the hosts' logs in {lab.folder('log')}."
        )


def _wait_for_agents(lab: Lab) -> None:
    wanted = {host.name for host in lab.hosts}

    def fresh() -> bool:
        return wanted <= {
            row["Host"] for row in hybrid.manage(lab, "hosts", "list") if row["Fresh"]
        }

    if not wait_until(fresh, 60, pause_s=1):
        raise StepFailed(
            f"Not all agents report; read the logs of hybrid-sched in {lab.folder('log')}."
        )


def exists() -> bool:
    """Say whether a lab is on this machine, whole or in part."""
    return NETNS in network.names()
