# SPDX-License-Identifier: Apache-2.0
"""What ``doctor`` does: it has the facts gathered and judged, and repairs carried out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

from oslo_config import cfg

from hybrid_sched.clients.nova import nova_client
from hybrid_sched.clients.placement import placement_client
from hybrid_sched.clients.zun import zun_client
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.conf import clients as client_options
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.core.doctor.checks import examine
from hybrid_sched.core.doctor.findings import Finding, Safety
from hybrid_sched.doctor.cloud import Clients, CloudReader
from hybrid_sched.doctor.gathering import Ask, gather
from hybrid_sched.doctor.hypervisor import ZunDocker
from hybrid_sched.doctor.repairs import NotRepaired, Repairer

#: Asks the operator about a finding; gives why nothing is to be done, empty for a yes.
AskOperator = Callable[[Finding], str]


@dataclass(frozen=True, slots=True)
class Treated:
    """A finding, and what was done about it.

    :param finding: which.
    :param done: what was done, or why nothing was.
    :param is_over: whether it was repaired.
    """

    finding: Finding
    done: str = ""
    is_over: bool = False


def treat(
    conf: cfg.ConfigOpts, parsed_args: argparse.Namespace, ask: Ask, ask_operator: AskOperator
) -> list[Treated]:
    """Look, judge, and repair.

    :param conf: options of the agent and of the clients are read from it.
    :param parsed_args: of ``doctor``.
    :param ask: calls a method of the quota service.
    :param ask_operator: asks before repairs that need it.
    :raises ManageError: when options of the clients cannot be used.
    :raises TimeoutError: when a look at the cloud takes too long.
    """
    agent_options.register(conf)
    client_options.register(conf)
    clients = _configured_clients(conf)
    docker = ZunDocker(conf.agent.docker_url)
    facts = gather(
        conf,
        CloudReader(clients, parsed_args.settle),
        docker,
        ask,
        nova_conf=parsed_args.nova_conf,
        zun_conf=parsed_args.zun_conf,
    )
    findings = examine(facts)
    if not parsed_args.repair and not parsed_args.dry_run:
        return [Treated(finding) for finding in findings]
    repairer = Repairer(clients, docker)
    # A consumer may hold several hosts, and is released from all of them at once.
    outcomes: dict[object, Treated] = {}
    treated = []
    for finding in findings:
        outcome = None if finding.repair is None else outcomes.get(finding.repair)
        if outcome is None:
            outcome = _treat_one(finding, parsed_args, repairer, ask_operator)
            outcomes[finding.repair] = outcome
        treated.append(replace(outcome, finding=finding))
    return treated


def _treat_one(
    finding: Finding,
    parsed_args: argparse.Namespace,
    repairer: Repairer,
    ask_operator: AskOperator,
) -> Treated:
    if finding.repair is None:
        return Treated(finding, "left to you")
    if parsed_args.dry_run:
        question = ", after a question" if finding.safety is Safety.ASK else ""
        return Treated(finding, f"would {finding.repair}{question}")
    if finding.safety is Safety.ASK and not parsed_args.yes:
        refusal = ask_operator(finding)
        if refusal:
            return Treated(finding, refusal)
    try:
        repairer.carry_out(finding.repair)
    except NotRepaired as reason:
        return Treated(finding, f"not repaired: {reason}")
    return Treated(finding, f"repaired: {finding.repair}", is_over=True)


def _configured_clients(conf: cfg.ConfigOpts) -> Clients:
    """Make the clients that are configured.

    :raises ManageError: when their options cannot be used.
    """
    try:
        return Clients(placement_client(conf), nova_client(conf), zun_client(conf))
    except BadClientOption as error:
        raise ManageError(f"{error}. Correct it in the file of --config-file.") from None
