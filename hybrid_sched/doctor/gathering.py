# SPDX-License-Identifier: Apache-2.0
"""All facts together: the cloud's, the quota service's, the settings', and those of this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oslo_config import cfg

from hybrid_sched.core.doctor.facts import (
    DockerContainer,
    EngineFacts,
    Facts,
    LocalFacts,
    NovaSettings,
    Unseen,
    ZunSettings,
)
from hybrid_sched.core.doctor.hosts import hosts_of, same_host
from hybrid_sched.doctor import machine, programs, settings
from hybrid_sched.doctor.cloud import CloudReader
from hybrid_sched.doctor.engine import engine_facts
from hybrid_sched.doctor.hypervisor import NotAnswering, ZunDocker, libvirt_version
from hybrid_sched.rpc.wire import BadMessage
from hybrid_sched.version import version_string

Ask = Callable[[str], Any]


def gather(
    conf: cfg.ConfigOpts,
    cloud: CloudReader,
    docker: ZunDocker,
    ask: Ask,
    *,
    nova_conf: Path,
    zun_conf: Path,
) -> Facts:
    """Gather everything; what cannot be learnt is told in it.

    :param conf: with the group ``[agent]``: the name of this host, and where libvirt and Docker are.
    :param cloud: reads Placement, Nova and Zun.
    :param docker: of this host.
    :param ask: calls a method of the quota service; raises a sentence when there is no answer.
    :param nova_conf: Nova's configuration.
    :param zun_conf: Zun's configuration.
    :raises TimeoutError: when a look at the cloud takes too long.
    """
    host = conf.agent.host
    facts = cloud.gather()
    unseen = list(facts.unseen)

    def seen(read: NovaSettings | ZunSettings | EngineFacts | Unseen) -> Any:
        if isinstance(read, Unseen):
            unseen.append(read)
            return None
        return read

    facts = replace(
        facts,
        engine=seen(_engine(ask)),
        nova_conf=seen(settings.nova_settings(nova_conf, host)),
        zun_conf=seen(settings.zun_settings(zun_conf, host)),
        own_version=version_string(),
    )
    if is_elsewhere(facts, host):
        unseen.append(
            Unseen(
                f"This machine ({host}) is none of the shared hosts, so its kernel, clock, programs and Docker were not "
                "looked at.",
                "Run the doctor on each shared host, too; [agent] host must be the name that Nova and Zun know.",
                expected=True,
            )
        )
    else:
        facts = replace(facts, local=_local(conf, docker, unseen))
    return replace(facts, unseen=tuple(unseen))


def is_elsewhere(facts: Facts, host: str) -> bool:
    """Say whether a machine is known not to be a shared host."""
    if facts.hypervisors is None or facts.zun_hosts is None:
        return False
    names = [name for each in hosts_of(facts) for name in (each.name, each.zun_name)]
    return not any(same_host(host, name) for name in names)


def _engine(ask: Ask) -> EngineFacts | Unseen:
    try:
        return engine_facts(ask("about"), ask("hosts"))
    except BadMessage as fault:
        reason = f"its answer cannot be read ({fault}): use the doctor of its release"
    except Exception as error:
        # Whatever the bus raises, the rest can be looked at.
        reason = str(error)
    return Unseen(
        f"The quota service was not asked, so clocks, agents and their versions were not checked: {reason.rstrip('.')}.",
        "Start hybrid-sched-engine, or name the configuration that has its broker with --config-file.",
    )


def _local(conf: cfg.ConfigOpts, docker: ZunDocker, unseen: list[Unseen]) -> LocalFacts:
    versions = programs.installed_versions()
    containers: Sequence[DockerContainer] | None = None
    try:
        versions["libvirt"] = libvirt_version(conf.agent.libvirt_uri)
    except NotAnswering as fault:
        unseen.append(Unseen(f"{fault}.", "Start it, or correct [agent] libvirt_uri."))
    try:
        versions["docker"], containers = docker.look()
    except NotAnswering as fault:
        unseen.append(Unseen(f"{fault}.", "Start it, or correct [agent] docker_url."))
    mode, controllers = machine.control_groups()
    return LocalFacts(
        host=conf.agent.host,
        clock_synchronised=machine.clock_synchronised(),
        cgroup_mode=mode,
        controllers=controllers,
        kernel=platform.release(),
        kernel_parts=machine.kernel_parts(),
        has_pressure=machine.has_pressure(),
        versions=versions,
        containers=None if containers is None else tuple(containers),
    )
